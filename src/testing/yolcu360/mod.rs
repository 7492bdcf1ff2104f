//! Yolcu360's agency API, from the server's side: [`Yolcu360Emulator`].

mod book;
mod code;
mod emulator;
mod service;

pub use code::Yolcu360Code;
pub use emulator::Yolcu360Emulator;
