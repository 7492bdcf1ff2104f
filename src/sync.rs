//! Where do the engine's locks and atomics come from? From one place, which a model check replaces by a module of its own, so
//! that each use is a point at which it may switch threads: see `models/`.

pub(crate) use std::sync::{Mutex, MutexGuard, atomic::AtomicU64};

pub(crate) use arc_swap::ArcSwapOption;
