//! The lock and the atomics of the engine. A model check compiles the engine with a module of its own in this place, in which
//! each of them is a point where it may switch threads: see `models/`.

pub(crate) use std::sync::{Mutex, MutexGuard, atomic::AtomicU64};

pub(crate) use arc_swap::ArcSwapOption;
