//! What stands in the place of `crate::sync`: shuttle's own.

use std::{
    fmt,
    sync::{Arc, PoisonError},
};

pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic::AtomicU64};

/// Stands in for arc-swap's type of that name. Shuttle knows sequential consistency only, so a lock does: what it adds is a
/// point at which to switch tasks. Orderings are loom's affair.
pub(crate) struct ArcSwapOption<T>(Mutex<Option<Arc<T>>>);

impl<T> ArcSwapOption<T> {
    pub(crate) fn store(&self, value: Option<Arc<T>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }

    pub(crate) fn load_full(&self) -> Option<Arc<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<T> Default for ArcSwapOption<T> {
    fn default() -> ArcSwapOption<T> {
        ArcSwapOption(Mutex::new(None))
    }
}

impl<T> fmt::Debug for ArcSwapOption<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArcSwapOption").finish_non_exhaustive()
    }
}
