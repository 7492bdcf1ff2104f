//! The engine of tower-token, compiled from its own sources with shuttle's lock, atomics and channels, and the world around it.
//!
//! See `models/README.md`. The scenarios are in `tests/`.
#![allow(dead_code, missing_docs, reason = "the engine's sources serve a layer that is not here, and are documented at home")]

include!("../../engine.rs");

pub mod caller;
pub mod script;
mod sync;
pub mod time;
pub mod world;
