use std::{fmt, sync::Arc};

use super::{config::RefreshConfig, driver::Driver, handle::TokenHandle, shared::Shared};
use crate::{
    clock::{Clock, TokioClock},
    source::BoxSource,
};

/// Builds a [`TokenHandle`].
#[must_use = "there is no engine before `build` or `pair`"]
pub struct TokenHandleBuilder {
    source: BoxSource,
    config: RefreshConfig,
    clock: Arc<dyn Clock>,
}

impl TokenHandleBuilder {
    pub(super) fn new(source: BoxSource) -> TokenHandleBuilder {
        TokenHandleBuilder { source, config: RefreshConfig::new(), clock: Arc::new(TokioClock) }
    }

    /// How the engine treats its source and its token.
    pub fn config(mut self, config: RefreshConfig) -> Self {
        self.config = config;
        self
    }

    /// Where time, sleep and spawn come from: [`TokioClock`] by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The handle. No I/O, no spawn: the engine starts on first use, on the runtime of whoever uses it.
    ///
    /// A first use outside a runtime is a `Misconfigured` error and leaves the handle as good as new.
    pub fn build(self) -> TokenHandle {
        TokenHandle::over(Shared::new(self.source, self.config, self.clock))
    }

    /// The handle, and its one driver: a future to run wherever you like. The engine starts when that is first polled.
    ///
    /// Without the driver, callers wait; when it is dropped, the current token serves until it expires and then they get
    /// `Closed`.
    pub fn pair(self) -> (TokenHandle, Driver) {
        let shared = Shared::new(self.source, self.config, self.clock);
        let driver = shared.only_driver();
        (TokenHandle::over(shared), driver)
    }
}

impl fmt::Debug for TokenHandleBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenHandleBuilder").field("config", &self.config).field("clock", &self.clock).finish_non_exhaustive()
    }
}
