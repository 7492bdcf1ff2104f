//! A server with one login, a store that fails on demand, and a clock whose wall goes with tokio's paused time.

use std::{
    collections::{HashSet, VecDeque},
    future::{Future, poll_fn},
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    time::{Duration, Instant, SystemTime},
};

use tokio::{task::AbortHandle, time::sleep};

use super::super::*;
use crate::{
    clock::{Sleep, Task, TokioClock},
    source::FetchReason,
    store::{MemoryGuard, MemoryStore, StoreError},
};

pub(super) const S: Duration = Duration::from_secs(1);
/// Between two polls, and what store and server take for a part of their work.
pub(super) const STEP: Duration = Duration::from_millis(100);

/// Tokio's clock, with a wall that moves along, tasks that a crash ends, and a hand to set it.
#[derive(Debug)]
pub(super) struct PausedClock {
    start: Instant,
    wall: Mutex<SystemTime>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl PausedClock {
    pub(super) fn new() -> Arc<PausedClock> {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        Arc::new(PausedClock { start: TokioClock.now(), wall: Mutex::new(wall), tasks: Mutex::default() })
    }

    /// Moves the wall alone.
    pub(super) fn set_forward(&self, by: Duration) {
        *self.wall.lock().unwrap() += by;
    }

    pub(super) fn set_back(&self, by: Duration) {
        *self.wall.lock().unwrap() -= by;
    }

    /// The process is gone, and with it all tasks.
    pub(super) async fn crash(&self) {
        self.tasks.lock().unwrap().drain(..).for_each(|task| task.abort());
        tokio::task::yield_now().await;
    }

    pub(super) fn running(&self) -> usize {
        self.tasks.lock().unwrap().iter().filter(|task| !task.is_finished()).count()
    }
}

impl Clock for PausedClock {
    fn now(&self) -> Instant {
        TokioClock.now()
    }

    fn wall(&self) -> SystemTime {
        *self.wall.lock().unwrap() + (self.now() - self.start)
    }

    fn sleep(&self, duration: Duration) -> Result<Sleep, TokenError> {
        TokioClock.sleep(duration)
    }

    fn spawn(&self, task: Task) -> Result<(), TokenError> {
        self.tasks.lock().unwrap().push(tokio::spawn(task).abort_handle());
        Ok(())
    }
}

/// What the server does with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A new refresh token, and an access token. What the server does without a script.
    Rotate,
    /// An access token, and the old refresh token goes on.
    Omit,
    /// The same, written as an empty one.
    Empty,
    /// A new refresh token beside something unreadable.
    HalfReadable,
    /// A 503, by a server that has done nothing.
    Busy,
    /// `invalid_grant`.
    Dead,
    /// It has rotated, and the answer does not arrive.
    LostReply,
    /// It has never seen the request, which the client cannot know.
    LostRequest,
    /// It has rotated, and the client's code panics.
    Panic,
}

impl Answer {
    pub(super) fn is_lost(self) -> bool {
        matches!(self, Answer::LostReply | Answer::LostRequest | Answer::Panic)
    }

    /// Whether it leaves the client where it was.
    pub(super) fn says_nothing(self) -> bool {
        self.is_lost() || self == Answer::Busy
    }
}

#[derive(Default)]
pub(super) struct Book {
    pub(super) script: VecDeque<Answer>,
    /// The refresh token that is good.
    pub(super) live: String,
    /// The one before it, which is forgiven for so long: an answer was lost.
    pub(super) forgiven: Option<(String, tokio::time::Instant)>,
    pub(super) grace: Duration,
    rotations: u32,
    tokens: u32,
    /// How long its access tokens live.
    pub(super) life: Duration,
    /// Every refresh token that came, when, and what with.
    pub(super) presented: Vec<(String, tokio::time::Instant, Answer)>,
    pub(super) logins: u32,
    /// The newest refresh token that an answer carried to the client; `None` once it was told that it is dead.
    pub(super) delivered: Option<String>,
    /// Those that an answer has settled.
    settled: HashSet<String>,
    /// Those that came again after that: with a strict server, the end.
    pub(super) reused: Vec<String>,
}

#[derive(Clone)]
pub(super) struct Server {
    book: Arc<Mutex<Book>>,
    inside: Arc<AtomicBool>,
    /// Whether it takes a key and a secret.
    pub(super) takes_logins: bool,
    pub(super) slow: Duration,
}

/// One at a time, also when it is dropped inside.
struct Inside(Arc<AtomicBool>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Book {
    fn rotate(&mut self) {
        self.rotations += 1;
        self.live = format!("r-{}", self.rotations + 1);
    }

    /// An answer has reached the client, which knows from now on what became of the refresh token that it sent.
    fn deliver(&mut self, token: Option<&str>, answer: &Exchanged) {
        let refresh = answer.refresh.as_ref().map(RefreshToken::expose_secret).filter(|refresh| !refresh.is_empty());
        // A login takes the place of the one before, also without a refresh token.
        let logged_in = token.is_none() && answer.token.is_ok();
        if answer.login_again || refresh.is_some() || logged_in {
            self.settled.extend(token.filter(|token| refresh != Some(token)).map(str::to_owned));
            self.delivered = refresh.map(str::to_owned);
        }
    }

    fn access(&mut self) -> AccessToken {
        self.tokens += 1;
        AccessToken::new(format!("a-{}", self.tokens)).unwrap().expires_in(self.life)
    }

    fn answer(&mut self, token: &str) -> Exchanged {
        if self.settled.contains(token) {
            self.reused.push(token.to_owned());
        }
        let planned = self.script.pop_front().unwrap_or(Answer::Rotate);
        let now = tokio::time::Instant::now();
        self.presented.push((token.to_owned(), now, planned));
        let failed = |login_again, unanswered| {
            let kind = if login_again { ErrorKind::Refused } else { ErrorKind::Transient };
            let error = TokenError::new(kind, "scripted").with_code(if login_again { "invalid_grant" } else { "busy" });
            Exchanged { refresh: None, token: Err(error), login_again, unanswered, id_token: None }
        };
        match planned {
            Answer::Busy => return failed(false, false),
            Answer::LostRequest => return failed(false, true),
            _ => {}
        }
        let forgiven = self.forgiven.as_ref().is_some_and(|(old, since)| old == token && now - *since < self.grace);
        if planned == Answer::Dead || (token != self.live && !forgiven) {
            self.live = String::new();
            return failed(true, false);
        }
        let keeps = matches!(planned, Answer::Omit | Answer::Empty);
        if !forgiven && !keeps {
            self.forgiven = Some((token.to_owned(), now));
            self.rotate();
        }
        let live = self.live.clone();
        match planned {
            Answer::LostReply => return failed(false, true),
            Answer::Panic => panic!("scripted"),
            _ => {}
        }
        // A repeat within the window is told the successor, whatever it asks for.
        let refresh = (!keeps || forgiven).then(|| RefreshToken::new(live));
        match planned {
            Answer::HalfReadable => Exchanged { refresh, ..failed(false, false) },
            Answer::Empty if refresh.is_none() => Exchanged { refresh: Some(RefreshToken::new("")), ..self.good(None) },
            _ => self.good(refresh),
        }
    }

    fn good(&mut self, refresh: Option<RefreshToken>) -> Exchanged {
        Exchanged { refresh, token: Ok(self.access()), login_again: false, unanswered: false, id_token: None }
    }

    fn log_in(&mut self) -> Exchanged {
        self.logins += 1;
        match self.script.pop_front() {
            Some(Answer::Busy) => Exchanged {
                refresh: None,
                token: Err(TokenError::new(ErrorKind::Transient, "scripted")),
                login_again: false,
                unanswered: false,
                id_token: None,
            },
            answer => {
                self.rotate();
                let refresh = (answer != Some(Answer::Omit)).then(|| RefreshToken::new(self.live.clone()));
                self.good(refresh)
            }
        }
    }
}

impl Server {
    pub(super) fn new() -> Server {
        let (live, delivered) = ("r-1".to_owned(), Some("r-1".to_owned()));
        let book = Book { live, delivered, grace: 5 * S, life: 1000 * S, ..Book::default() };
        Server { book: Arc::new(Mutex::new(book)), inside: Arc::default(), takes_logins: false, slow: STEP }
    }

    /// Whoever panics in the script has left the book in order.
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A login by a person, whose answer is there at once.
    pub(super) fn log_in(&self) -> Exchanged {
        let answer = self.book().log_in();
        self.book().deliver(None, &answer);
        answer
    }

    /// The request arrives at once; the answer takes two steps.
    async fn serve(&self, token: Option<&str>) -> Exchanged {
        assert!(!self.inside.swap(true, Ordering::SeqCst), "two exchanges at a time");
        let _inside = Inside(Arc::clone(&self.inside));
        let answer = match token {
            Some(token) => self.book().answer(token),
            None => self.book().log_in(),
        };
        sleep(2 * self.slow).await;
        self.book().deliver(token, &answer);
        answer
    }
}

impl Exchange for Server {
    async fn refresh(&self, token: &RefreshToken, _clock: &Arc<dyn Clock>) -> Exchanged {
        self.serve(Some(token.expose_secret())).await
    }

    fn login(&self, _clock: &Arc<dyn Clock>) -> Option<impl Future<Output = Exchanged> + Send> {
        self.takes_logins.then(|| self.serve(None))
    }
}

/// How one call of a store goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Fails,
    /// A write that is said to have failed, and has happened.
    FailsAfterwards,
    /// The lease has run out.
    Lost,
    Hangs,
    Panics,
}

pub(super) const FAULTS: [Fault; 5] = [Fault::Fails, Fault::FailsAfterwards, Fault::Lost, Fault::Hangs, Fault::Panics];

/// Which calls go wrong, by their numbers from 0, and how.
type Faults = Vec<(Range<usize>, Fault)>;

/// A store in memory with faults. Clones are the same store.
#[derive(Clone)]
pub(super) struct Shaky {
    pub(super) memory: MemoryStore,
    pub(super) calls: Arc<AtomicUsize>,
    faults: Arc<Mutex<Faults>>,
    pub(super) slow: Arc<Mutex<Duration>>,
}

impl Shaky {
    pub(super) fn over(memory: MemoryStore) -> Shaky {
        Shaky { memory, calls: Arc::default(), faults: Arc::default(), slow: Arc::default() }
    }

    /// Every call from now on.
    pub(super) fn fail(&self, fault: Fault) {
        let now = self.calls.load(Ordering::SeqCst);
        self.faults.lock().unwrap().push((now..usize::MAX, fault));
    }

    /// Only the call after so many more.
    pub(super) fn fail_nth(&self, nth: usize, fault: Fault) {
        let at = self.calls.load(Ordering::SeqCst) + nth;
        self.faults.lock().unwrap().push((at..at + 1, fault));
    }

    pub(super) fn heal(&self) {
        self.faults.lock().unwrap().clear();
    }

    async fn enter(&self) -> Result<Option<Fault>, StoreError> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let slow = *self.slow.lock().unwrap();
        if !slow.is_zero() {
            sleep(slow).await;
        }
        let fault = self.faults.lock().unwrap().iter().find(|(calls, _)| calls.contains(&number)).map(|(_, fault)| *fault);
        match fault {
            Some(Fault::Fails) => Err(StoreError::failed("scripted")),
            Some(Fault::Hangs) => std::future::pending().await,
            Some(Fault::Panics) => panic!("scripted"),
            fault => Ok(fault),
        }
    }
}

impl TokenStore for Shaky {
    /// Empty when the lease has run out.
    type Guard = Option<MemoryGuard>;

    async fn read(&self) -> Result<Option<Record>, StoreError> {
        match self.enter().await? {
            Some(_) => Err(StoreError::failed("scripted")),
            None => self.memory.read().await,
        }
    }

    async fn lock(&self) -> Result<Option<MemoryGuard>, StoreError> {
        match self.enter().await? {
            Some(_) => Err(StoreError::busy()),
            None => self.memory.lock().await.map(Some),
        }
    }

    async fn compare_and_set(&self, guard: &mut Option<MemoryGuard>, expected: u64, record: &Record) -> Result<(), StoreError> {
        let fault = self.enter().await?;
        if fault == Some(Fault::Lost) {
            *guard = None;
        }
        let Some(guard) = guard else { return Err(StoreError::lost()) };
        self.memory.compare_and_set(guard, expected, record).await?;
        if fault.is_some() { Err(StoreError::failed("scripted")) } else { Ok(()) }
    }
}

/// All of it.
pub(super) struct World {
    pub(super) server: Server,
    pub(super) store: Shaky,
    pub(super) clock: Arc<PausedClock>,
}

pub(super) type Source = Rotation<Server, Shaky>;

impl World {
    /// A store that holds `r-1`, which the server takes.
    pub(super) fn new() -> World {
        World::over(MemoryStore::holding(RefreshToken::new("r-1")))
    }

    pub(super) fn over(memory: MemoryStore) -> World {
        World { server: Server::new(), store: Shaky::over(memory), clock: PausedClock::new() }
    }

    pub(super) fn scripted(script: impl IntoIterator<Item = Answer>) -> World {
        let world = World::new();
        world.book().script.extend(script);
        world
    }

    pub(super) fn with_logins(mut self) -> World {
        self.server.takes_logins = true;
        self
    }

    /// Another process, or another engine in this one.
    pub(super) fn source(&self) -> Source {
        Rotation::new(self.server.clone(), Login::new(self.store.clone()))
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.server.book()
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    pub(super) fn cx(&self, reason: FetchReason, previous: Option<&AccessToken>) -> FetchContext {
        FetchContext::from_engine(reason, 1, previous.cloned(), self.clock())
    }

    pub(super) async fn fetch(&self, source: &mut Source) -> Result<AccessToken, TokenError> {
        source.fetch(self.cx(FetchReason::First, None)).await
    }

    /// The engine has this one, and wants the next.
    pub(super) async fn next(&self, source: &mut Source, previous: &AccessToken) -> Result<AccessToken, TokenError> {
        source.fetch(self.cx(FetchReason::Expiring, Some(previous))).await
    }

    pub(super) fn presented(&self) -> Vec<String> {
        self.book().presented.iter().map(|(token, ..)| token.clone()).collect()
    }

    pub(super) async fn stored(&self) -> Record {
        self.store.memory.read().await.unwrap().unwrap_or_default()
    }

    pub(super) async fn stored_refresh(&self) -> Option<String> {
        self.stored().await.refresh.map(|token| token.expose_secret().to_owned())
    }

    /// Puts something else in the store, past the lock: a backup, or somebody whose lock did not hold.
    pub(super) async fn restore(&self, record: Record) {
        let revision = self.stored().await.revision;
        self.store.memory.force(Record { revision, ..record }.next());
    }
}

pub(super) fn kind(result: Result<AccessToken, TokenError>) -> Result<String, ErrorKind> {
    result.map(|token| token.expose_secret().to_owned()).map_err(|error| error.kind())
}

/// Polls a future up to so many times and drops it. Says whether it completed.
pub(super) async fn poll_and_drop(polls: usize, future: impl Future) -> bool {
    let mut future = std::pin::pin!(future);
    for _ in 0..polls {
        if poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await {
            return true;
        }
        sleep(STEP).await;
    }
    false
}
