//! The seam for time, sleep and spawn.
//!
//! Everything here that waits, measures or spawns does it through a [`Clock`], so that a test sets the time by hand and a
//! program without tokio brings its own. [`TokioClock`] is the default, and obeys tokio's paused time.

use std::{
    fmt::Debug,
    future::Future,
    panic::catch_unwind,
    pin::Pin,
    time::{Duration, Instant, SystemTime},
};

use crate::error::{ErrorKind, TokenError};

#[cfg(any(test, feature = "testing"))]
mod manual;
#[cfg(any(test, feature = "testing"))]
pub use manual::ManualClock;

/// A sleep, from [`Clock::sleep`].
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A task, for [`Clock::spawn`].
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Time, sleep and spawn.
///
/// Two clocks are read, since each alone misleads: the monotonic one stands still while a laptop sleeps, and the wall clock
/// is set by people and servers.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The monotonic clock.
    fn now(&self) -> Instant;

    /// The wall clock.
    fn wall(&self) -> SystemTime;

    /// A future that completes after `duration` of the monotonic clock.
    ///
    /// # Errors
    ///
    /// `Misconfigured` where this clock cannot sleep: tokio's outside a runtime, or in one without a time driver.
    fn sleep(&self, duration: Duration) -> Result<Sleep, TokenError>;

    /// Runs a task in the background.
    ///
    /// # Errors
    ///
    /// `Misconfigured` where this clock cannot spawn: tokio's outside a runtime. The task is dropped.
    fn spawn(&self, task: Task) -> Result<(), TokenError>;
}

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) mono: Instant,
    pub(crate) wall: SystemTime,
}

impl Moment {
    pub(crate) fn now(clock: &dyn Clock) -> Moment {
        Moment { mono: clock.now(), wall: clock.wall() }
    }

    /// How long ago this moment was, by whichever clock says longer: the monotonic one misses a suspended machine, and the
    /// wall clock may have been set back.
    pub(crate) fn age(&self, now: Moment) -> Duration {
        let mono = now.mono.saturating_duration_since(self.mono);
        let wall = now.wall.duration_since(self.wall).unwrap_or_default();
        mono.max(wall)
    }
}

/// The default clock: tokio's timers and tasks, and its paused time in tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioClock;

impl Clock for TokioClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) -> Result<Sleep, TokenError> {
        runtime()?;
        // A runtime that was built without its time driver shows by a panic alone.
        let sleep = catch_unwind(|| tokio::time::sleep(duration)).map_err(|_panic| {
            TokenError::new(ErrorKind::Misconfigured, "the tokio runtime has no time driver: build it with `enable_time`")
        })?;
        Ok(Box::pin(sleep))
    }

    fn spawn(&self, task: Task) -> Result<(), TokenError> {
        runtime().map(|runtime| drop(runtime.spawn(task)))
    }
}

fn runtime() -> Result<tokio::runtime::Handle, TokenError> {
    tokio::runtime::Handle::try_current()
        .map_err(|error| TokenError::wrap(ErrorKind::Misconfigured, "there is no tokio runtime here", error.into()))
}
