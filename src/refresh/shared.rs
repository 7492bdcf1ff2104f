//! What handles and driver share: the machine behind a lock that is never held across an `.await`, and the cell beside it.

use std::{
    fmt,
    sync::{Arc, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use tokio::sync::{Notify, watch};

use super::{
    cell::Cell,
    config::RefreshConfig,
    driver::Driver,
    machine::{Ask, Machine, Reply, Step},
    status::{RefreshState, Status},
};
use crate::{
    clock::{Clock, Moment},
    error::{ErrorKind, TokenError},
    observe::{Ending, Engine, Expiry, Fetch, Loss, Replay},
    source::BoxSource,
    sync::{Mutex, MutexGuard},
    token::AccessToken,
};

pub(crate) struct Shared {
    pub(super) cell: Cell,
    pub(super) clock: Arc<dyn Clock>,
    /// Who is told what happens here. It calls foreign code, so never under the lock.
    pub(super) engine: Engine,
    /// Wakes the driver. It has one listener, so `notify_one` keeps a wake-up that comes between two waits.
    wake: Notify,
    state: Mutex<State>,
    /// Those who watch the status, from the first of them on.
    watchers: OnceLock<watch::Sender<Status>>,
}

struct State {
    machine: Machine,
    source: Source,
    /// The source to change to, once no attempt is in flight.
    replacement: Option<BoxSource>,
    /// Where those wait who want the result of the attempt in flight or due. It is dropped unsent if the driver goes.
    waiters: Option<watch::Sender<Option<Outcome>>>,
    /// Whether a new driver may take the place of one that is gone: not after `pair`, where the user runs it.
    restartable: bool,
}

/// Where the source is: with the driver, whoever runs it, or here for the next one.
enum Source {
    Here(BoxSource),
    WithDriver,
}

type Outcome = Result<AccessToken, TokenError>;

/// What a caller gets from [`Shared::ask`].
pub(crate) enum Answer {
    /// This one, now.
    Token(AccessToken),
    /// This one, but a better one is on its way and worth a moment's wait.
    Soon(AccessToken, Waiting),
    /// The result of the attempt that is in flight or due.
    Wait(Waiting),
    /// Nothing, and none is to be had soon.
    Failed(TokenError),
}

/// The wait for the result of an attempt.
pub(crate) struct Waiting(watch::Receiver<Option<Outcome>>);

impl Waiting {
    /// The result, which all waiters share; `None` if the driver went away and the caller must ask again.
    pub(crate) async fn settled(mut self) -> Option<Outcome> {
        self.0.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone())
    }
}

impl Shared {
    pub(super) fn new(source: BoxSource, config: RefreshConfig, clock: Arc<dyn Clock>) -> Arc<Shared> {
        Arc::new(Shared {
            cell: Cell::default(),
            clock,
            engine: Engine::new(config.name.clone()),
            wake: Notify::new(),
            state: Mutex::new(State {
                machine: Machine::new(config),
                source: Source::Here(source),
                replacement: None,
                waiters: None,
                restartable: true,
            }),
            watchers: OnceLock::new(),
        })
    }

    // For handles.

    pub(crate) fn ask(self: &Arc<Self>, ask: Ask) -> Answer {
        let (mut state, now) = self.lock();
        let rejections = state.machine.rejections();
        let answer = match state.machine.ask(now, ask) {
            Reply::Token(token) => Answer::Token(token),
            Reply::Soon(token) => Answer::Soon(token, Self::waiting(&mut state)),
            Reply::Wait => Answer::Wait(Self::waiting(&mut state)),
            Reply::Failed(error) => Answer::Failed(error),
        };
        let driver = self.new_driver(&mut state, now);
        // The driver shuts the fast path again in time; and it may have gone to rest over what this caller wants.
        if self.sync(&state, now) || state.machine.due(now) {
            self.wake.notify_one();
        }
        let rejection = Rejection::since(rejections, &state, now);
        unlock(state);
        self.tell_rejection(rejection);
        // After the lock: a clock's `spawn` is foreign code, and a driver that it drops takes the lock.
        let started = driver.map_or(Ok(()), |driver| self.clock.spawn(Box::pin(driver)));
        match (answer, started) {
            (answer, Ok(())) => answer,
            (Answer::Token(token) | Answer::Soon(token, _), Err(_)) => Answer::Token(token),
            (Answer::Wait(_) | Answer::Failed(_), Err(error)) => Answer::Failed(error),
        }
    }

    pub(super) fn reject(&self, generation: u64) {
        let rejection = self.event(|state, now| {
            let rejections = state.machine.rejections();
            state.machine.reject(now, generation);
            Rejection::since(rejections, state, now)
        });
        self.tell_rejection(rejection);
    }

    pub(super) fn reset(&self) {
        self.event(|state, _| state.machine.reset());
    }

    pub(super) fn close(&self) {
        let (mut state, now) = self.lock();
        let closed = !state.machine.is_closing();
        state.machine.close();
        self.sync(&state, now);
        // Nobody will settle an attempt that has not started: who waits for it asks again, and is told.
        let waiters = if state.machine.in_flight() { None } else { state.waiters.take() };
        // No task will tell it. One that never was has told nothing.
        let abandoned = matches!(state.source, Source::Here(_)) && state.machine.status(now).fetches() > 0;
        unlock(state);
        drop(waiters);
        self.wake.notify_one();
        if closed {
            self.engine.closed();
        }
        if closed && abandoned {
            self.tell();
        }
    }

    pub(super) fn replace_source(&self, source: BoxSource, reject: bool) {
        let (mut state, now) = self.lock();
        state.machine.replace_source(reject);
        let replaced = state.replacement.replace(source);
        self.publish(&state, now);
        unlock(state);
        self.wake.notify_one();
        // After the lock: a source's `Drop` is foreign code.
        drop(replaced);
    }

    pub(super) fn current(&self) -> Option<AccessToken> {
        let (state, now) = self.lock();
        state.machine.current(now).cloned()
    }

    pub(super) fn status(&self) -> Status {
        let (state, now) = self.lock();
        state.machine.status(now)
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Status> {
        let (state, now) = self.lock();
        // Under the lock: what changes after this status was read is told to watchers that are there by then.
        let watchers = self.watchers.get_or_init(|| watch::channel(state.machine.status(now)).0);
        drop(state);
        watchers.subscribe()
    }

    pub(crate) fn count_replay(&self, sent: bool) {
        self.event(|state, _| state.machine.count_replay(sent));
        self.engine.replay(if sent { Replay::Sent } else { Replay::NotKept });
    }

    /// The wait for the attempt in flight, if there is one.
    pub(super) fn in_flight(&self) -> Option<Waiting> {
        let (mut state, _) = self.lock();
        state.machine.in_flight().then(|| Self::waiting(&mut state))
    }

    /// The driver for a user who runs it; there will be no other.
    pub(super) fn only_driver(self: &Arc<Self>) -> Driver {
        let (mut state, _) = self.lock();
        state.restartable = false;
        let source = std::mem::replace(&mut state.source, Source::WithDriver);
        unlock(state);
        Driver::new(Arc::clone(self), source.take())
    }

    // For the driver.

    /// What the driver is to do next. If the source was replaced, `source` is the new one from the next fetch on.
    pub(super) fn step(&self, source: &mut Option<BoxSource>) -> Step {
        let (mut state, now) = self.lock();
        if state.waiters.as_ref().is_some_and(|waiters| waiters.receiver_count() > 0) {
            state.machine.hear(now);
        }
        let step = state.machine.step(now);
        let replacement = if let Step::Fetch { .. } = step { state.replacement.take() } else { None };
        self.sync(&state, now);
        unlock(state);
        if replacement.is_some() {
            *source = replacement;
        }
        self.tell();
        step
    }

    /// The driver goes: it gives the source back, and its attempt is void.
    pub(super) fn vacate(&self, source: Option<BoxSource>) {
        let (mut state, now) = self.lock();
        let loss = match (state.machine.is_closing(), thread::panicking(), state.restartable) {
            (true, ..) => None,
            (_, _, false) => Some(Loss::Final),
            (_, true, _) => Some(Loss::Panicked),
            (..) => Some(Loss::Restartable),
        };
        let outcome = if thread::panicking() {
            // Foreign code has panicked where it could not be caught: a failure, so that the back-off holds.
            state.machine.finish(now, Err(panicked()))
        } else {
            state.machine.orphan();
            None
        };
        if !state.restartable {
            state.machine.close();
        }
        state.source = source.map_or(Source::WithDriver, Source::Here);
        self.sync(&state, now);
        let waiters = state.waiters.take();
        unlock(state);
        // Dropped unsent: who waits asks again, and thereby starts a new driver on its own runtime.
        if let (Some(waiters), Some(outcome)) = (waiters, outcome) {
            waiters.send_replace(Some(outcome));
        }
        if let Some(loss) = loss {
            self.engine.lost(loss);
        }
        self.tell();
    }

    /// While an attempt is in flight: how long it may be left alone, or `None` if it has taken too long.
    pub(super) fn patience(&self) -> Option<Duration> {
        let (state, now) = self.lock();
        self.sync(&state, now);
        let patience = if state.machine.overdue(now) { None } else { state.machine.until_next(now) };
        unlock(state);
        self.tell();
        patience
    }

    pub(super) fn finish(&self, result: Outcome, fetch: Fetch<'_>) {
        let (mut state, now) = self.lock();
        let before = state.machine.status(now);
        let outcome = state.machine.finish(now, result);
        let ending = ending(&before, &outcome, &state.machine, now);
        self.publish(&state, now);
        let waiters = if outcome.is_some() { state.waiters.take() } else { None };
        unlock(state);
        // After publishing: who is woken and asks again must find the token.
        if let (Some(waiters), Some(outcome)) = (waiters, outcome) {
            waiters.send_replace(Some(outcome));
        }
        fetch.ended(&ending);
    }

    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    // Within.

    /// Tells those who watch, if anything but the time has changed. The engine's task alone does that: a request never meets the
    /// lock that they hold while they look.
    fn tell(&self) {
        if let Some(watchers) = self.watchers.get() {
            watchers.send_if_modified(|told| {
                // Read in here, so that of two who tell, the later one tells the later status.
                let status = self.status();
                let news = !told.is_still(&status);
                *told = status;
                news
            });
        }
        self.engine.health(&RefreshState::WORDS, || {
            let (state, now) = self.lock();
            let expiry = match state.machine.published() {
                None => Expiry::NoToken,
                Some(token) => token.expiry().map_or(Expiry::Unknown, Expiry::At),
            };
            (state.machine.status(now).state().word(), expiry)
        });
    }

    fn tell_rejection(&self, rejection: Option<Rejection>) {
        if let Some(Rejection { generation, young, retry_in }) = rejection {
            self.engine.rejected(generation, young, retry_in);
        }
    }

    fn event<T>(&self, event: impl FnOnce(&mut State, Moment) -> T) -> T {
        let (mut state, now) = self.lock();
        let told = event(&mut state, now);
        self.sync(&state, now);
        unlock(state);
        self.wake.notify_one();
        told
    }

    /// A driver, if one is needed and there is none.
    fn new_driver(self: &Arc<Self>, state: &mut State, now: Moment) -> Option<Driver> {
        if !state.restartable || !state.machine.due(now) {
            return None;
        }
        let source = std::mem::replace(&mut state.source, Source::WithDriver).take()?;
        Some(Driver::new(Arc::clone(self), Some(source)))
    }

    /// A place among those who wait for the attempt in flight or due.
    fn waiting(state: &mut State) -> Waiting {
        Waiting(state.waiters.get_or_insert_with(|| watch::channel(None).0).subscribe())
    }

    /// Publishes the machine's token, and whether it may be sent without asking.
    fn publish(&self, state: &State, now: Moment) {
        self.cell.publish(state.machine.published().cloned(), state.open_generation(now));
    }

    /// Sets the switch of the fast path after whatever has happened, and says whether that has opened it.
    fn sync(&self, state: &State, now: Moment) -> bool {
        let (was, open) = (self.cell.generation(), state.open_generation(now));
        self.cell.set_open(open);
        was == 0 && open != 0
    }

    fn lock(&self) -> (MutexGuard<'_, State>, Moment) {
        // Nothing under the lock panics by design; if something does, the state is still one that a caller can ask.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state, Moment::now(&*self.clock))
    }
}

/// A rejection of the current token, to be told after the lock.
struct Rejection {
    generation: u64,
    young: bool,
    retry_in: Option<Duration>,
}

impl Rejection {
    /// If there was one since that many.
    fn since(rejections: u64, state: &State, now: Moment) -> Option<Rejection> {
        let machine = &state.machine;
        let generation = machine.published().map_or(0, AccessToken::generation);
        let rejected = machine.rejections() != rejections;
        rejected.then(|| Rejection { generation, young: machine.is_struck(), retry_in: machine.back_off(now) })
    }
}

/// What an attempt came to, to be told after the lock.
fn ending(before: &Status, outcome: &Option<Outcome>, machine: &Machine, now: Moment) -> Ending {
    let retry_in = machine.back_off(now);
    match (machine.last_error(), outcome) {
        (_, None) => Ending::Discarded,
        (Some(error), Some(settled)) => Ending::Failed { error: error.clone(), retry_in, serving: settled.is_ok() },
        (None, Some(Ok(token))) => Ending::Published {
            generation: token.generation(),
            expires_in: machine.status(now).expires_in().filter(|_| retry_in.is_none()),
            news: before.generation() == 0 || before.last_error().is_some(),
            retry_in,
        },
        // A failure is remembered, so it is the arm before.
        (None, Some(Err(error))) => Ending::Failed { error: error.clone(), retry_in, serving: false },
    }
}

/// Unlocks, and only then drops what is no longer needed: an error of a user's may run foreign code that takes the lock.
fn unlock(mut state: MutexGuard<'_, State>) {
    let litter = state.machine.take_litter();
    drop(state);
    drop(litter);
}

/// The panic's payload is left out: it may hold anything.
pub(super) fn panicked() -> TokenError {
    TokenError::new(ErrorKind::Panicked, "the token source panicked")
}

impl State {
    /// Without a driver nobody would shut the fast path off in time, so it stays off.
    fn open_generation(&self, now: Moment) -> u64 {
        match self.source {
            Source::WithDriver => self.machine.open_generation(now),
            Source::Here(_) => 0,
        }
    }
}

impl Source {
    fn take(self) -> Option<BoxSource> {
        match self {
            Source::Here(source) => Some(source),
            Source::WithDriver => None,
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("status", &self.status()).finish_non_exhaustive()
    }
}
