//! The only atomics: what a request reads.

use std::sync::atomic::Ordering;

use crate::{
    sync::{ArcSwapOption, AtomicU64},
    token::{AccessToken, TokenInner},
};

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
        // The token first, then the switch: were it the other way round, a token that was published with the switch off could
        // be taken through the switch of the one before it.
        let token = self.token.load_full().map(AccessToken::from_inner)?;
        (token.generation() == self.generation()).then_some(token)
    }

    /// Publishes a token; `open` is its generation if requests may take it without asking, else 0.
    pub(super) fn publish(&self, token: Option<AccessToken>, open: u64) {
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

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::AtomicBool,
        thread,
        time::{Duration, Instant},
    };

    use super::*;

    /// H1: while tokens are swapped, a reader gets one that is open, and never one that was published with the switch off.
    #[test]
    fn a_reader_sees_open_tokens_only() {
        let (cell, done) = (Cell::default(), AtomicBool::new(false));
        let token = |generation| AccessToken::new("t").unwrap().stamped(generation, None);
        let (open, closed) = (token(1), token(2));
        thread::scope(|scope| {
            scope.spawn(|| {
                let start = Instant::now();
                while start.elapsed() < Duration::from_millis(300) {
                    cell.publish(Some(open.clone()), 1);
                    cell.publish(Some(closed.clone()), 0);
                    cell.publish(None, 0);
                }
                done.store(true, Ordering::SeqCst);
            });
            while !done.load(Ordering::SeqCst) {
                assert!(cell.token().is_none_or(|token| token.generation() == 1));
            }
        });
    }
}
