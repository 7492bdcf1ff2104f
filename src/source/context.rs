use std::sync::Arc;

use crate::{
    clock::{Clock, TokioClock},
    token::AccessToken,
};

/// What the engine tells a source about a fetch.
#[derive(Clone, Debug)]
pub struct FetchContext {
    reason: FetchReason,
    attempt: u32,
    previous: Option<AccessToken>,
    clock: Arc<dyn Clock>,
}

/// Why the engine asks for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FetchReason {
    /// There is none yet, or the last one was given up with the source that it came from.
    First,
    /// The current one has expired or will soon, or [`reset`](crate::TokenHandle::reset) was called.
    Expiring,
    /// A server rejected the current one, or a request with a [`NewToken`](crate::middleware::NewToken) wants a newer one.
    Rejected,
}

impl FetchReason {
    /// In spans and metrics.
    pub(crate) fn word(self) -> &'static str {
        match self {
            FetchReason::First => "first",
            FetchReason::Expiring => "expiring",
            FetchReason::Rejected => "rejected",
        }
    }
}

impl FetchContext {
    /// A context for calling a source by hand, as its own tests do: first attempt, nothing before it, tokio's clock.
    pub fn new(reason: FetchReason) -> FetchContext {
        FetchContext::from_engine(reason, 1, None, Arc::new(TokioClock))
    }

    pub(crate) fn from_engine(
        reason: FetchReason,
        attempt: u32,
        previous: Option<AccessToken>,
        clock: Arc<dyn Clock>,
    ) -> FetchContext {
        FetchContext { reason, attempt, previous, clock }
    }

    /// Why the engine asks.
    pub fn reason(&self) -> FetchReason {
        self.reason
    }

    /// 1 at first, after a success and after a [`reset`](crate::TokenHandle::reset); one more after each failure.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The token that is to be replaced; `None` on the first fetch and after
    /// [`replace_source`](crate::TokenHandle::replace_source).
    pub fn previous(&self) -> Option<&AccessToken> {
        self.previous.as_ref()
    }

    /// The engine's clock: a source that sleeps, spawns or compares times does it here, and so works in tests and off tokio.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}
