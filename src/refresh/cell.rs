//! The only atomics: what a request reads.

use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use crate::token::{AccessToken, TokenInner};

/// The published token, and the switch that says whether it may be sent without asking.
///
/// A request reads `open` with one Acquire load and, if it has that generation's header already, nothing else. The writer is
/// whoever holds the engine's lock, so writes do not race with each other.
#[derive(Debug, Default)]
pub(crate) struct Cell {
    open: Padded,
    token: ArcSwapOption<TokenInner>,
}

/// Alone on its cache line, and on the neighbour that the processor fetches with it: the rest is written more often.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded(AtomicU64);

impl Cell {
    /// The generation that may be sent without asking, or 0.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.open.0.load(Ordering::Acquire)
    }

    /// The token, if it may be sent without asking.
    pub(crate) fn token(&self) -> Option<AccessToken> {
        // The token that is read may be newer than the generation that was read, never older: see `publish`.
        if self.generation() == 0 { None } else { self.token.load_full().map(AccessToken::from_inner) }
    }

    /// Publishes a token; `open` is its generation if requests may take it without asking.
    pub(super) fn publish(&self, token: Option<AccessToken>, open: u64) {
        if token.is_none() {
            // Before the swap: who has seen the switch on would otherwise find nothing behind it.
            self.set_open(0);
        }
        self.token.store(token.map(AccessToken::into_inner));
        // After the swap: who sees the new generation must find the new token.
        self.set_open(open);
    }

    pub(super) fn set_open(&self, open: u64) {
        // Readers share the line: it is written only when something changes.
        if self.open.0.load(Ordering::Relaxed) != open {
            self.open.0.store(open, Ordering::Release);
        }
    }
}
