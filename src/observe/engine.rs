use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use super::{
    event::{Event, Level, word},
    fetch::Fetch,
    meter, metric, trace,
    wait::Wait,
};
use crate::{clock::Clock, error::TokenError};

/// An engine, by the name that its signals carry.
#[derive(Clone, Debug)]
pub(crate) struct Engine(Cow<'static, str>);

/// When the latest token expires.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expiry {
    NoToken,
    Unknown,
    At(SystemTime),
}

/// What became of a rejected request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Replay {
    Sent,
    /// It was not kept, and is handed its 401.
    NotKept,
}

/// How an engine lost its task.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    /// The next use starts another one.
    Restartable,
    /// The same, after a panic of foreign code in it.
    Panicked,
    /// The user ran it, and there will be no other.
    Final,
}

impl Engine {
    pub(crate) fn new(name: Cow<'static, str>) -> Engine {
        Engine(name)
    }

    pub(super) fn name(&self) -> &str {
        &self.0
    }

    pub(super) fn label(&self) -> &Cow<'static, str> {
        &self.0
    }

    pub(super) fn event(&self, message: &'static str) -> Event<'_> {
        Event::of(&self.0, message)
    }

    fn count(&self, name: &'static str, label: &'static str, value: &'static str) {
        meter::count(name, &[(metric::ENGINE, &self.0), (label, &value.into())]);
    }

    // The engine.

    /// A fetch begins.
    pub(crate) fn fetch<'a>(&'a self, clock: &'a dyn Clock, reason: &'static str, attempt: u32) -> Fetch<'a> {
        Fetch::new(self, clock, reason, attempt)
    }

    /// The current token was rejected. `young`: as was the one before it, each as soon as it came.
    pub(crate) fn rejected(&self, generation: u64, young: bool, retry_in: Option<Duration>) {
        meter::count(metric::REJECTIONS, &[(metric::ENGINE, &self.0)]);
        let (level, message) = match young {
            true => (Level::Warn, "new tokens are rejected as soon as they come"),
            false => (Level::Info, "token rejected"),
        };
        trace::emit(level, &Event { generation: Some(generation), retry_in, ..self.event(message) });
    }

    /// No fetch starts any more.
    pub(crate) fn closed(&self) {
        trace::emit(Level::Debug, &self.event("engine closed"));
    }

    /// The engine's task was dropped.
    pub(crate) fn lost(&self, loss: Loss) {
        let level = if matches!(loss, Loss::Restartable) { Level::Debug } else { Level::Warn };
        trace::emit(level, &self.event("engine task lost"));
    }

    /// How the engine is. `look` runs only if somebody wants to know.
    pub(crate) fn health(&self, states: &[&'static str], look: impl FnOnce() -> (&'static str, Expiry)) {
        if !meter::ON {
            return;
        }
        let (now, expiry) = look();
        for state in states {
            let value = f64::from(u8::from(*state == now));
            meter::set(metric::STATE, &[(metric::ENGINE, &self.0), (metric::STATE_LABEL, &(*state).into())], value);
        }
        let at = match expiry {
            Expiry::NoToken => 0.0,
            Expiry::Unknown => f64::INFINITY,
            Expiry::At(at) => at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        };
        meter::set(metric::EXPIRY, &[(metric::ENGINE, &self.0)], at);
    }

    // Requests.

    /// A caller begins to wait for a token.
    pub(crate) fn wait<'a>(&'a self, clock: &'a dyn Clock) -> Wait<'a> {
        Wait::new(self, clock)
    }

    /// No token is to be had for a request.
    pub(crate) fn unavailable(&self, sent_bare: bool, error: &TokenError) {
        let (outcome, message) = match sent_bare {
            true => ("sent_bare", "request sent without a token"),
            false => ("failed", "request failed for want of a token"),
        };
        let kind = word(error.kind());
        let labels = [(metric::ENGINE, &self.0), (metric::OUTCOME, &outcome.into()), (metric::ERROR_TYPE, &kind.into())];
        meter::count(metric::UNAVAILABLE, &labels);
        trace::emit(Level::Debug, &self.event(message).error(error));
    }

    /// A rejected request is sent again, or cannot be.
    pub(crate) fn replay(&self, replay: Replay) {
        let (outcome, event) = match replay {
            Replay::Sent => ("sent", Event { resend_count: Some(1), ..self.event("request sent again") }),
            Replay::NotKept => ("not_kept", self.event("request not sent again: it was not kept")),
        };
        self.count(metric::REPLAYS, metric::OUTCOME, outcome);
        trace::emit(Level::Debug, &event);
    }

    /// A rejected request that was kept is handed its answer, since no newer token came.
    pub(crate) fn handed_back(&self, generation: u64, status_code: u16, error: &TokenError) {
        self.count(metric::REPLAYS, metric::OUTCOME, "no_token");
        let event = self.event("request not sent again: no newer token came");
        let event = Event { generation: Some(generation), status_code: Some(status_code), ..event };
        trace::emit(Level::Debug, &event.error(error));
    }

    /// The answer to a request that was sent again.
    pub(crate) fn replayed(&self, generation: u64, status_code: u16) {
        let event = self.event("request answered after it was sent again");
        let event = Event { generation: Some(generation), status_code: Some(status_code), resend_count: Some(1), ..event };
        trace::emit(Level::Debug, &event);
    }
}
