//! Younium's API, from the server's side: [`YouniumEmulator`].

mod book;
mod emulator;
mod forbidden;
mod service;

pub use emulator::YouniumEmulator;
pub use forbidden::YouniumForbidden;
