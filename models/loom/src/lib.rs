//! The engine of tower-token, compiled from its own sources with loom's lock and atomics, and the models that run it.
//!
//! See `models/README.md`. The tests that run the models are in `tests/`.
#![allow(dead_code, missing_docs, reason = "the engine's sources serve a layer that is not here, and are documented at home")]
#![allow(clippy::duplicate_mod, reason = "the cell is compiled a second time, where its writer's side is reachable")]

include!("../../engine.rs");

pub mod rejection;
pub mod swap;
mod sync;
