use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    Engine,
    event::{Event, Level, word},
    meter, metric,
    trace::{self, Entered, FetchSpan},
};
use crate::{clock::Clock, error::TokenError};

/// A fetch, from its start to what it came to; one that is dropped before was dropped with the engine's task.
pub(crate) struct Fetch<'a> {
    engine: &'a Engine,
    clock: &'a dyn Clock,
    reason: &'static str,
    /// `None` once it has ended.
    started: Option<Instant>,
    span: FetchSpan,
}

/// What a fetch came to.
pub(crate) enum Ending {
    Published {
        generation: u64,
        expires_in: Option<Duration>,
        /// The first one, or the first after a failure.
        news: bool,
        /// The token has no life: the next one is not asked for yet.
        retry_in: Option<Duration>,
    },
    Failed {
        error: TokenError,
        retry_in: Option<Duration>,
        serving: bool,
    },
    /// The source was replaced meanwhile.
    Discarded,
}

impl<'a> Fetch<'a> {
    pub(super) fn new(engine: &'a Engine, clock: &'a dyn Clock, reason: &'static str, attempt: u32) -> Fetch<'a> {
        let span = FetchSpan::new(engine.name(), reason, attempt);
        Fetch { engine, clock, reason, started: Some(clock.now()), span }
    }

    /// For each poll of the fetch.
    pub(crate) fn enter(&self) -> Entered<'_> {
        self.span.enter()
    }

    pub(crate) fn ended(mut self, ending: &Ending) {
        let outcome = self.tell(ending);
        self.count(outcome);
    }

    /// Within the span, and in one word.
    fn tell(&self, ending: &Ending) -> &'static str {
        let _entered = self.span.enter();
        match ending {
            Ending::Published { generation, expires_in, news, retry_in } => {
                let (level, message, outcome) = match (retry_in, news) {
                    (Some(_), _) => (Level::Warn, "the source gave a token without life", "lifeless"),
                    (None, true) => (Level::Info, "token published", "ok"),
                    (None, false) => (Level::Debug, "token published", "ok"),
                };
                let event = self.engine.event(message);
                let event = Event { generation: Some(*generation), expires_in: *expires_in, retry_in: *retry_in, ..event };
                trace::emit(level, &event);
                self.span.ended(Some(*generation), None);
                outcome
            }
            Ending::Failed { error, retry_in, serving } => {
                let level = if error.is_terminal() { Level::Error } else { Level::Warn };
                let event = Event { retry_in: *retry_in, serving: Some(*serving), ..self.engine.event("fetch failed") };
                trace::emit(level, &event.error(error));
                let kind = word(error.kind());
                self.span.ended(None, Some(kind));
                kind
            }
            Ending::Discarded => {
                trace::emit(Level::Debug, &self.engine.event("fetch discarded: the source was replaced"));
                "discarded"
            }
        }
    }

    fn count(&mut self, outcome: &'static str) {
        let Some(started) = self.started.take() else { return };
        let took = self.clock.now().saturating_duration_since(started).as_secs_f64();
        let (engine, outcome) = ((metric::ENGINE, self.engine.label()), (metric::OUTCOME, &outcome.into()));
        meter::count(metric::FETCHES, &[engine, outcome, (metric::REASON, &self.reason.into())]);
        meter::record(metric::FETCH_DURATION, &[engine, outcome], took);
    }
}

impl Drop for Fetch<'_> {
    fn drop(&mut self) {
        self.count(if thread::panicking() { "panicked" } else { "dropped" });
    }
}
