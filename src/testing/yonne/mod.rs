//! Yonne's courier API, from the server's side: [`YonneEmulator`].

mod book;
mod call;
mod code;
mod emulator;
mod service;

pub use call::YonneCall;
pub use code::YonneCode;
pub use emulator::YonneEmulator;
