//! The rules, as a pure state machine: State × Event → State + Action, with the time as a parameter.
//!
//! Nothing here locks, sleeps, spawns or reads a clock, so every rule can be tested by saying what happens when.

use std::time::Duration;

use super::{
    config::RefreshConfig,
    schedule::{self, AlreadyExpired, Windows},
    status::{RefreshState, Status},
    traffic::Traffic,
};
use crate::{
    clock::Moment,
    error::{ErrorKind, TokenError},
    source::FetchReason,
    token::AccessToken,
};

/// Sleeps are cut into slices of this length, so that a machine that was suspended or a wall clock that was set is noticed.
const SLICE: Duration = Duration::from_secs(10);

pub(super) struct Machine {
    config: RefreshConfig,
    traffic: Traffic,
    rng: fastrand::Rng,
    current: Option<Current>,
    attempt: Option<Attempt>,
    /// No attempt starts before this has passed.
    gate: Option<Gate>,
    /// A new token is asked for whatever the schedule says, until there is one: after `reset` and `replace_source`.
    forced: bool,
    /// No attempt starts any more: the handle was shut down, or nobody holds it.
    closing: bool,
    /// Failures in a row.
    failures: u32,
    /// Tokens in a row that were rejected young, each in the place of a rejected one.
    strikes: u32,
    last_error: Option<TokenError>,
    /// Errors that are no longer needed. They hold foreign values, which are dropped after the lock.
    litter: Vec<TokenError>,
    /// The last generation that was given out.
    generation: u64,
    counts: Counts,
}

/// The token that serves.
struct Current {
    token: AccessToken,
    /// Just before it was asked for: its age counts from here.
    since: Moment,
    windows: Windows,
    /// A server rejected it. It keeps serving others until its successor is published.
    rejected: bool,
    /// It took the place of a rejected one.
    replaced_rejected: bool,
    /// It came from a source that was replaced since.
    estranged: bool,
}

struct Attempt {
    started: Moment,
    /// The source was replaced meanwhile: the result is not published.
    discard: bool,
}

struct Gate {
    from: Moment,
    delay: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) fetches: u64,
    pub(super) failures: u64,
    pub(super) rejections: u64,
    pub(super) replays: u64,
    pub(super) not_replayed: u64,
}

/// What a caller wants.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask {
    /// A token to send.
    Token {
        /// Whether the request can be sent again if the token is rejected.
        replayable: bool,
    },
    /// A token newer than this generation, which a server has rejected.
    NewerThan(u64),
    /// The same, but it is the caller who will not have it.
    InsteadOf(u64),
}

/// What a caller gets.
pub(super) enum Reply {
    /// This one, now.
    Token(AccessToken),
    /// This one, but a better one is on its way and worth a moment's wait.
    Soon(AccessToken),
    /// The result of the attempt that is in flight or due.
    Wait,
    /// Nothing, and none is to be had before the gate opens.
    Failed(TokenError),
}

/// What the driver does next.
pub(super) enum Step {
    Fetch { reason: FetchReason, attempt: u32, previous: Option<AccessToken> },
    Sleep(Duration),
    Park,
    End,
}

impl Machine {
    pub(super) fn new(config: RefreshConfig) -> Machine {
        let rng = config.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Machine {
            traffic: Traffic::new(config.idle_after),
            config,
            rng,
            current: None,
            attempt: None,
            gate: None,
            forced: false,
            closing: false,
            failures: 0,
            strikes: 0,
            last_error: None,
            litter: Vec::new(),
            generation: 0,
            counts: Counts::default(),
        }
    }

    // Events from callers.

    pub(super) fn ask(&mut self, now: Moment, ask: Ask) -> Reply {
        self.traffic.hear(now);
        match ask {
            Ask::Token { replayable } => self.token(now, replayable),
            Ask::NewerThan(generation) => self.newer(now, generation),
            Ask::InsteadOf(generation) => match &self.current {
                // It is to be replaced anyway, and one caller's wish must not end the grace that it may have for others.
                Some(current) if current.token.generation() == generation && current.expired(now) => self.newest(now),
                _ => self.newer(now, generation),
            },
        }
    }

    /// Somebody waits, which is as good as asking again.
    pub(super) fn hear(&mut self, now: Moment) {
        self.traffic.hear(now);
    }

    fn token(&mut self, now: Moment, replayable: bool) -> Reply {
        let Some(current) = self.current.as_ref().filter(|current| !current.expired(now)) else { return self.none_valid(now) };
        // Whoever can be sent again may find out about a rejected token by a 401 of its own; the others had better wait.
        let doubtful = current.in_margin(now) || (current.rejected && !replayable);
        match doubtful && self.pending(now) {
            true => Reply::Soon(current.token.clone()),
            false => Reply::Token(current.token.clone()),
        }
    }

    fn newer(&mut self, now: Moment, generation: u64) -> Reply {
        if self.current.as_ref().is_none_or(|current| current.token.generation() != generation) {
            return self.token(now, true);
        }
        self.reject(now, generation);
        self.newest(now)
    }

    fn newest(&self, now: Moment) -> Reply {
        if self.pending(now) { Reply::Wait } else { Reply::Failed(self.why_not(now)) }
    }

    fn none_valid(&self, now: Moment) -> Reply {
        if self.pending(now) {
            return Reply::Wait;
        }
        self.fallback(now).map_or_else(|| Reply::Failed(self.why_not(now)), Reply::Token)
    }

    /// A server rejected `generation`.
    ///
    /// Only the current generation can be rejected: a late 401 must not hurt the successor.
    pub(super) fn reject(&mut self, now: Moment, generation: u64) {
        self.traffic.hear(now);
        let Some(current) = &mut self.current else { return };
        if current.token.generation() != generation || current.rejected {
            return;
        }
        current.rejected = true;
        self.counts.rejections += 1;
        if current.outlived_youth(now) {
            self.strikes = 0;
        } else if current.replaced_rejected {
            // Two in a row rejected at once: it is the endpoint, and a third token will hardly please it.
            self.strikes += 1;
            let delay = schedule::back_off(self.strikes, &mut self.rng);
            self.close_gate(now, delay);
        }
    }

    /// A rejected request was sent again, or could not be.
    pub(super) fn count_replay(&mut self, sent: bool) {
        let count = if sent { &mut self.counts.replays } else { &mut self.counts.not_replayed };
        *count += 1;
    }

    /// Forgets back-off and failures and asks for a fetch at once.
    pub(super) fn reset(&mut self) {
        (self.failures, self.strikes, self.gate) = (0, 0, None);
        self.note(None);
        self.forced = true;
    }

    /// The source is another one from the next attempt on.
    pub(super) fn replace_source(&mut self, reject: bool) {
        if let Some(attempt) = &mut self.attempt {
            attempt.discard = true;
        }
        self.reset();
        if reject {
            self.current = None;
        } else if let Some(current) = &mut self.current {
            current.estranged = true;
        }
    }

    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    // Events from the driver.

    pub(super) fn step(&mut self, now: Moment) -> Step {
        self.traffic.begin(now);
        if self.attempt.is_none() {
            if self.closing {
                return Step::End;
            }
            if self.due(now) {
                return self.start(now);
            }
        }
        match self.until_next(now) {
            Some(wait) => Step::Sleep(wait),
            None => Step::Park,
        }
    }

    fn start(&mut self, now: Moment) -> Step {
        self.counts.fetches += 1;
        self.attempt = Some(Attempt { started: now, discard: false });
        let own = self.current.as_ref().filter(|current| !current.estranged);
        let reason = match own {
            None => FetchReason::First,
            Some(current) if current.rejected => FetchReason::Rejected,
            Some(_) => FetchReason::Expiring,
        };
        Step::Fetch { reason, attempt: self.failures.saturating_add(1), previous: own.map(|current| current.token.clone()) }
    }

    /// The attempt in flight came to this. What its waiters get: `None` if they wait on, for the next source.
    pub(super) fn finish(
        &mut self,
        now: Moment,
        result: Result<AccessToken, TokenError>,
    ) -> Option<Result<AccessToken, TokenError>> {
        let attempt = self.attempt.take()?;
        if attempt.discard {
            self.litter.extend(result.err());
            return None;
        }
        let accepted = result.and_then(|token| self.accept(now, attempt.started, token));
        Some(accepted.or_else(|error| {
            let error = self.fail(now, error);
            self.fallback(now).ok_or(error)
        }))
    }

    fn accept(&mut self, now: Moment, asked: Moment, token: AccessToken) -> Result<AccessToken, TokenError> {
        let life = schedule::lifetime(&token, asked, now.wall, self.config.default_lifetime).map_err(|AlreadyExpired| {
            TokenError::new(ErrorKind::Transient, "the source gave a token that has expired already")
        })?;
        let hint = token.refresh_hint().or_else(|| {
            let end = if life.is_none() && self.config.jwt_exp_hint { token.own_expiry() } else { None };
            Windows::hint_of(end?, asked)
        });
        let windows = Windows::new(life, hint, asked.age(now), &mut self.rng);
        let previous = self.current.as_ref();
        let same = previous.filter(|current| current.token.expose_secret() == token.expose_secret());
        if same.is_some_and(|current| current.rejected) {
            return Err(TokenError::new(ErrorKind::Transient, "the source gave the rejected token again"));
        }
        let replaced_rejected = same.map_or(previous.is_some_and(|current| current.rejected), |same| same.replaced_rejected);
        if previous.is_some_and(|current| !current.rejected && current.outlived_youth(now)) {
            self.strikes = 0;
        }
        let generation = same.map_or(self.generation + 1, |same| same.token.generation());
        let token = token.stamped(generation, windows.life.and_then(|life| asked.wall.checked_add(life)));
        let living = previous.is_some_and(|current| !current.rejected && !current.expired(now));

        self.generation = self.generation.max(generation);
        self.gate = None;
        self.note(None);
        if windows.expired(asked.age(now)) {
            // Whoever waits for it gets it, nobody else does, and the next one is not asked for at once.
            self.failures = self.failures.saturating_add(1);
            let delay = schedule::back_off(self.failures, &mut self.rng);
            self.close_gate(now, delay);
            if living {
                return Ok(token);
            }
        } else {
            self.failures = 0;
        }
        self.forced = false;
        let since = asked;
        self.current =
            Some(Current { token: token.clone(), since, windows, rejected: false, replaced_rejected, estranged: false });
        Ok(token)
    }

    fn fail(&mut self, now: Moment, error: TokenError) -> TokenError {
        self.counts.failures += 1;
        self.failures = self.failures.saturating_add(1);
        let delay = schedule::delay(self.failures, error.is_terminal(), error.retry_hint(), &mut self.rng);
        self.close_gate(now, delay);
        self.note(Some(error.clone()));
        self.with_retry_at(now, error)
    }

    /// Remembers the last failure, or that there is none.
    fn note(&mut self, error: Option<TokenError>) {
        self.litter.extend(std::mem::replace(&mut self.last_error, error));
    }

    /// What is to be dropped after the lock.
    pub(super) fn take_litter(&mut self) -> Vec<TokenError> {
        std::mem::take(&mut self.litter)
    }

    /// The driver is gone, and the attempt with it.
    pub(super) fn orphan(&mut self) {
        self.attempt = None;
    }

    // Questions.

    /// The generation that may be sent without asking, or 0: no clock is read on that path, so it is shut off while time or a
    /// rejection matters, or somebody has to be heard.
    pub(super) fn open_generation(&self, now: Moment) -> u64 {
        self.current
            .as_ref()
            .filter(|_| self.traffic.until_deaf(now).is_none_or(|left| !left.is_zero()))
            .filter(|current| !(current.in_margin(now) || current.rejected && self.pending(now)))
            .map_or(0, |current| current.token.generation())
    }

    pub(super) fn current(&self, now: Moment) -> Option<&AccessToken> {
        self.current.as_ref().filter(|current| !current.expired(now)).map(|current| &current.token)
    }

    /// The token to publish, expired or not.
    pub(super) fn published(&self) -> Option<&AccessToken> {
        self.current.as_ref().map(|current| &current.token)
    }

    /// The failure since the last success.
    pub(super) fn last_error(&self) -> Option<&TokenError> {
        self.last_error.as_ref()
    }

    pub(super) fn rejections(&self) -> u64 {
        self.counts.rejections
    }

    /// Whether new tokens are rejected as soon as they come.
    pub(super) fn is_struck(&self) -> bool {
        self.strikes > 0
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing
    }

    /// How long no attempt starts.
    pub(super) fn back_off(&self, now: Moment) -> Option<Duration> {
        self.gate.as_ref().and_then(|gate| gate.remaining(now))
    }

    pub(super) fn in_flight(&self) -> bool {
        self.attempt.is_some()
    }

    /// Whether the attempt in flight has taken longer than it may.
    pub(super) fn overdue(&self, now: Moment) -> bool {
        self.attempt.as_ref().is_some_and(|attempt| attempt.running(now) >= self.config.fetch_timeout)
    }

    /// Whether a fetch should start now.
    pub(super) fn due(&self, now: Moment) -> bool {
        !self.closing
            && self.attempt.is_none()
            && self.gate.as_ref().is_none_or(|gate| gate.remaining(now).is_none())
            && (self.forced || !self.traffic.is_idle(now) && self.wanting(now))
    }

    /// Whether there is no token, or only one that is to be replaced.
    fn wanting(&self, now: Moment) -> bool {
        self.current
            .as_ref()
            .is_none_or(|current| current.rejected || current.windows.refresh.is_some_and(|refresh| current.age(now) >= refresh))
    }

    /// How long until something changes by itself, a slice at most; `None` if only an event can change anything.
    pub(super) fn until_next(&self, now: Moment) -> Option<Duration> {
        let current = self.current.as_ref().into_iter().flat_map(|current| {
            let edges = [current.windows.refresh, current.windows.margin(), current.windows.life];
            edges.into_iter().flatten().map(|edge| edge.saturating_sub(current.age(now)))
        });
        let gate = self.back_off(now);
        let timeout = self.attempt.as_ref().map(|attempt| self.config.fetch_timeout.saturating_sub(attempt.running(now)));
        let deaf = self.traffic.until_deaf(now);
        current.chain(gate).chain(timeout).chain(deaf).filter(|wait| !wait.is_zero()).min().map(|wait| wait.min(SLICE))
    }

    pub(super) fn status(&self, now: Moment) -> Status {
        let current = self.current.as_ref();
        let valid = current.filter(|current| !current.expired(now));
        Status {
            state: match (valid, self.closing) {
                (_, true) => RefreshState::Closed,
                (_, false) if self.attempt.is_some() => RefreshState::Fetching,
                (_, false) if self.back_off(now).is_some() => RefreshState::BackingOff,
                (Some(_), false) => RefreshState::Fresh,
                (None, false) => RefreshState::Empty,
            },
            generation: current.map_or(0, |current| current.token.generation()),
            age: current.map(|current| current.age(now)),
            expires_in: valid.and_then(|current| Some(current.windows.life?.saturating_sub(current.age(now)))),
            rejected: current.is_some_and(|current| current.rejected),
            last_error: self.last_error.as_ref().map(TokenError::kind),
            next_attempt: self.back_off(now),
            counts: self.counts,
        }
    }

    /// Whether an attempt is in flight or about to start, so that waiting for its result makes sense.
    fn pending(&self, now: Moment) -> bool {
        self.attempt.is_some() || self.due(now)
    }

    /// What serves although an attempt has failed: a valid token, or an expired one if the grace option covers the failure.
    fn fallback(&self, now: Moment) -> Option<AccessToken> {
        let current = self.current.as_ref().filter(|current| !current.rejected)?;
        let passing = self.last_error.as_ref().is_some_and(|error| !error.is_terminal());
        let grace = if passing { self.config.grace } else { Duration::ZERO };
        let until = current.windows.life.map(|life| life.saturating_add(grace));
        until.is_none_or(|until| current.age(now) < until).then(|| current.token.clone())
    }

    /// The error for a caller who cannot have a token now and cannot wait for an attempt either.
    fn why_not(&self, now: Moment) -> TokenError {
        if self.closing {
            return TokenError::new(ErrorKind::Closed, "the token handle was shut down");
        }
        let error = match &self.last_error {
            Some(error) => error.clone(),
            None if self.strikes > 0 => TokenError::new(
                ErrorKind::Transient,
                "new tokens are rejected as soon as they come; the next one is not asked for yet",
            ),
            None => {
                TokenError::new(ErrorKind::Transient, "the source gave a token without life; the next one is not asked for yet")
            }
        };
        self.with_retry_at(now, error)
    }

    fn with_retry_at(&self, now: Moment, error: TokenError) -> TokenError {
        let remaining = self.back_off(now).unwrap_or_default();
        error.with_retry_at(now.wall.checked_add(remaining))
    }

    /// Shuts the gate for `delay`, unless it is shut for longer already.
    fn close_gate(&mut self, now: Moment, delay: Duration) {
        if self.back_off(now).is_none_or(|remaining| remaining < delay) {
            self.gate = Some(Gate { from: now, delay });
        }
    }
}

impl Current {
    fn age(&self, now: Moment) -> Duration {
        self.since.age(now)
    }

    fn expired(&self, now: Moment) -> bool {
        self.windows.expired(self.age(now))
    }

    /// Whether it has served long enough for a rejection to be about the token rather than about the endpoint.
    fn outlived_youth(&self, now: Moment) -> bool {
        self.age(now) >= self.windows.youth()
    }

    fn in_margin(&self, now: Moment) -> bool {
        self.windows.margin().is_some_and(|margin| self.age(now) >= margin)
    }
}

impl Attempt {
    /// By the monotonic clock alone: a wall clock that is set must not end a fetch.
    fn running(&self, now: Moment) -> Duration {
        now.mono.saturating_duration_since(self.started.mono)
    }
}

impl Gate {
    /// How long the gate stays shut, or `None` if it is open.
    fn remaining(&self, now: Moment) -> Option<Duration> {
        self.delay.checked_sub(self.from.age(now)).filter(|remaining| !remaining.is_zero())
    }
}

#[cfg(test)]
mod tests;
