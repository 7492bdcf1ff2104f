use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::HeaderValue;

use super::ErrorShape;
use crate::clock::{Clock, Moment, Sleep, TokioClock};

/// What the parts of one emulator have in common: the time, and how errors look. Clones are the same setting.
#[derive(Clone)]
pub(super) struct Setting(Arc<Mutex<Shared>>);

struct Shared {
    clock: Arc<dyn Clock>,
    error_shape: ErrorShape,
    challenge: Option<HeaderValue>,
}

impl Setting {
    pub(super) fn new(error_shape: ErrorShape) -> Setting {
        Setting(Arc::new(Mutex::new(Shared { clock: Arc::new(TokioClock), error_shape, challenge: None })))
    }

    pub(super) fn set_clock(&self, clock: impl Clock) {
        self.lock().clock = Arc::new(clock);
    }

    pub(super) fn set_error_shape(&self, error_shape: ErrorShape) {
        self.lock().error_shape = error_shape;
    }

    pub(super) fn set_challenge(&self, challenge: Option<HeaderValue>) {
        self.lock().challenge = challenge;
    }

    pub(super) fn error_shape(&self) -> ErrorShape {
        self.lock().error_shape
    }

    pub(super) fn challenge(&self) -> Option<HeaderValue> {
        self.lock().challenge.clone()
    }

    pub(super) fn now(&self) -> Moment {
        Moment::now(&*self.clock())
    }

    /// The sleep that a delay asks for; a clock that cannot sleep delays nothing.
    pub(super) fn sleep(&self, delay: Duration) -> Option<Sleep> {
        if delay.is_zero() { None } else { self.clock().sleep(delay).ok() }
    }

    /// Taken out of the lock: a clock is the user's code.
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.lock().clock)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting").finish_non_exhaustive()
    }
}
