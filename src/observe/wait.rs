use std::time::Instant;

use super::{
    Engine,
    event::{Event, Level, word},
    meter, metric, trace,
};
use crate::{clock::Clock, error::TokenError};

/// A caller that waits for a token: given up if it is dropped.
pub(crate) struct Wait<'a> {
    engine: &'a Engine,
    clock: &'a dyn Clock,
    /// `None` once it has ended, and where nobody listens.
    started: Option<Instant>,
}

impl<'a> Wait<'a> {
    pub(super) fn new(engine: &'a Engine, clock: &'a dyn Clock) -> Wait<'a> {
        let listened = cfg!(any(feature = "metrics", feature = "tracing"));
        Wait { engine, clock, started: listened.then(|| clock.now()) }
    }

    pub(crate) fn ended<T>(mut self, result: &Result<T, TokenError>) {
        self.end(result.as_ref().err(), "token");
    }

    fn end(&mut self, error: Option<&TokenError>, otherwise: &'static str) {
        let Some(started) = self.started.take() else { return };
        let waited = self.clock.now().saturating_duration_since(started);
        let outcome = error.map_or(otherwise, |error| word(error.kind()));
        meter::record(
            metric::WAIT,
            &[(metric::ENGINE, self.engine.label()), (metric::OUTCOME, &outcome.into())],
            waited.as_secs_f64(),
        );
        if let Some(error) = error {
            let event = Event { waited: Some(waited), ..self.engine.event("a wait for a token has failed") };
            trace::emit(Level::Debug, &event.error(error));
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.end(None, "cancelled");
    }
}
