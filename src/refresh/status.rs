use std::time::Duration;

use super::machine::Counts;
use crate::error::ErrorKind;

/// The health of an engine at one moment: plain values, without a secret in them.
#[derive(Clone, Debug)]
pub struct Status {
    pub(super) state: RefreshState,
    pub(super) generation: u64,
    pub(super) age: Option<Duration>,
    pub(super) expires_in: Option<Duration>,
    pub(super) rejected: bool,
    pub(super) last_error: Option<ErrorKind>,
    pub(super) next_attempt: Option<Duration>,
    pub(super) counts: Counts,
}

/// What an engine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefreshState {
    /// There is no valid token, and no fetch is in flight.
    Empty,
    /// A valid token serves, and no fetch is in flight.
    Fresh,
    /// A fetch is in flight. A token may be serving meanwhile.
    Fetching,
    /// No fetch starts for a while: the last one failed, or new tokens are rejected or expired at once. A token may be serving
    /// meanwhile.
    BackingOff,
    /// Shut down: no fetch starts any more.
    Closed,
}

impl RefreshState {
    /// All of them, as metrics name them.
    pub(super) const WORDS: [&str; 5] = ["empty", "fresh", "fetching", "backing_off", "closed"];

    pub(super) fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

impl Status {
    /// What the engine is doing.
    pub fn state(&self) -> RefreshState {
        self.state
    }

    /// The generation of the latest token, 0 if there is none.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How long ago the latest token was asked for.
    pub fn age(&self) -> Option<Duration> {
        self.age
    }

    /// How long the token is valid for; `None` if there is no valid one, or nobody knows.
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }

    /// Whether a server has rejected the latest token.
    pub fn is_rejected(&self) -> bool {
        self.rejected
    }

    /// The kind of the failure since the last success.
    pub fn last_error(&self) -> Option<ErrorKind> {
        self.last_error
    }

    /// How long the engine backs off before the next attempt; `None` if it does not.
    pub fn next_attempt(&self) -> Option<Duration> {
        self.next_attempt
    }

    /// How many fetches were started.
    pub fn fetches(&self) -> u64 {
        self.counts.fetches
    }

    /// How many of them failed.
    pub fn failures(&self) -> u64 {
        self.counts.failures
    }

    /// How many tokens were rejected, by a server or by a request with a [`NewToken`](crate::middleware::NewToken).
    pub fn rejections(&self) -> u64 {
        self.counts.rejections
    }

    /// How many requests were sent a second time, with a newer token.
    pub fn replays(&self) -> u64 {
        self.counts.replays
    }

    /// How many rejected requests were handed their 401 because they were not kept
    /// ([`NotReplayed`](crate::middleware::NotReplayed)).
    pub fn not_replayed(&self) -> u64 {
        self.counts.not_replayed
    }

    /// Whether nothing but the time has changed.
    pub(super) fn is_still(&self, other: &Status) -> bool {
        let events = |status: &Status| (status.state, status.generation, status.rejected, status.last_error, status.counts);
        events(self) == events(other)
    }
}
