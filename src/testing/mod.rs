//! Servers for tests, yours too.

mod error_shape;
mod gate;
mod jwt;
mod random;
mod server;
mod yonne;

pub use crate::clock::ManualClock;
pub use error_shape::ErrorShape;
pub use gate::Hold;
pub use yonne::{YonneCall, YonneCode, YonneEmulator};
