//! Yoco's identity provider and API, from the server's side: [`YocoEmulator`].

mod book;
mod emulator;
mod id_token;
mod keys;
mod refusal;
mod service;
mod signature;
mod user;

pub use emulator::YocoEmulator;
pub use signature::YocoSignature;
