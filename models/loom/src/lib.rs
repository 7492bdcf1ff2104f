//! The engine of tower-token, compiled from its own sources with loom's lock and atomics, and the models that run it.
//!
//! See `models/README.md`. The tests that run the models are in `tests/`.
#![allow(dead_code, missing_docs, reason = "the engine's sources serve a layer that is not here, and are documented at home")]

#[path = "../../../src/clock.rs"]
pub mod clock;
#[path = "../../../src/error.rs"]
pub mod error;
#[path = "../../../src/refresh/mod.rs"]
pub mod refresh;
#[path = "../../../src/source/mod.rs"]
pub mod source;
#[path = "../../../src/token/mod.rs"]
pub mod token;

pub mod rejection;
pub mod swap;
mod sync;
