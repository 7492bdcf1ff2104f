//! What stands in the place of `crate::sync`: loom's own.

use std::{
    fmt,
    sync::{Arc, PoisonError, atomic::Ordering},
};

use loom::sync::atomic::AtomicUsize;
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic::AtomicU64};

/// Stands in for arc-swap's type of that name: one atomic pointer, swapped with AcqRel and loaded with Acquire, which is what
/// arc-swap's own notes rely on.
///
/// A load may return an old value where nothing forbids it, and orders nothing but what came before that value's store. A lock
/// in this place would order more, and hide an Acquire or a Release that is missing in the cell. How arc-swap frees a value is
/// its own affair, and not modelled: here, all live as long as the cell.
pub(crate) struct ArcSwapOption<T> {
    /// Of the value in `all`, plus one; 0 is `None`.
    index: AtomicUsize,
    /// Hidden from loom, which runs one thread at a time and never switches under this lock.
    all: std::sync::Mutex<Vec<Arc<T>>>,
}

impl<T> ArcSwapOption<T> {
    pub(crate) fn store(&self, value: Option<Arc<T>>) {
        let index = value.map_or(0, |value| {
            let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(value);
            all.len()
        });
        self.index.swap(index, Ordering::AcqRel);
    }

    pub(crate) fn load_full(&self) -> Option<Arc<T>> {
        let index = self.index.load(Ordering::Acquire).checked_sub(1)?;
        Some(Arc::clone(&self.all.lock().unwrap_or_else(PoisonError::into_inner)[index]))
    }
}

impl<T> Default for ArcSwapOption<T> {
    fn default() -> ArcSwapOption<T> {
        ArcSwapOption { index: AtomicUsize::new(0), all: std::sync::Mutex::default() }
    }
}

impl<T> fmt::Debug for ArcSwapOption<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArcSwapOption").finish_non_exhaustive()
    }
}
