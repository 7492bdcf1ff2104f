//! Yandex OAuth and its Track & Trace API, from the server's side: [`YandexEmulator`].

mod book;
mod emulator;
mod service;

pub use emulator::YandexEmulator;
