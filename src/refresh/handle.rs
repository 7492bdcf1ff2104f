use std::{future::Future, sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{
    builder::TokenHandleBuilder,
    cell::Cell,
    machine::Ask,
    shared::{Answer, Shared},
    status::Status,
};
use crate::{
    clock::Clock,
    error::{ErrorKind, TokenError},
    observe::Engine,
    source::{TokenSource, boxed},
    token::AccessToken,
};

/// How long a caller waits for an attempt in flight while the token it has is still valid, and how often `ready` looks.
const MOMENT: Duration = Duration::from_secs(1);
/// How often one wait starts over because the driver that it waited for went away.
const RESTARTS: u32 = 3;

/// A cheap, type-erased handle on an engine: layers hold one, and so may you.
///
/// The engine starts lazily, on first use, in a task on the runtime of whoever uses it. All clones share it, and the task ends
/// with the last of them (a response that is still pending counts as one), after a fetch in flight has finished.
///
/// When that runtime is gone, the next use that needs a fetch starts a new task on its own. A runtime that lives on **must be
/// polled**: on a current-thread runtime that nobody blocks on, nothing is renewed and nothing expires in time. A program of
/// that kind runs the driver itself, from [`pair`](TokenHandleBuilder::pair).
///
/// **Share a handle between layers**, do not build two from one vendor's credentials: two engines would renew the same grant
/// side by side, which a server that rotates refresh tokens may answer by revoking both.
///
/// # Examples
///
/// ```
/// use tower_token::{BearerAuthLayer, OAuthHeaderLayer, Origins, StaticToken, TokenHandle};
///
/// let handle = TokenHandle::new(StaticToken::new("secret")?);
/// let api = BearerAuthLayer::new("https://api.example.com".parse::<Origins>()?, handle.clone());
/// let files = BearerAuthLayer::new("https://files.example.com".parse::<Origins>()?, handle.clone());
/// # drop((api, files));
/// # Ok::<(), tower_token::TokenError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TokenHandle {
    shared: Arc<Shared>,
    _alive: Arc<Alive>,
}

/// Dropped with the last handle. The driver holds [`Shared`] alone, so it never keeps itself alive.
#[derive(Debug)]
struct Alive(Arc<Shared>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl TokenHandle {
    /// An engine over `source` with the defaults. No I/O and no spawn happen here: fit for a `static`.
    pub fn new(source: impl TokenSource) -> TokenHandle {
        TokenHandle::builder(source).build()
    }

    /// An engine over `source`, with a say in its configuration and its clock.
    pub fn builder(source: impl TokenSource) -> TokenHandleBuilder {
        TokenHandleBuilder::new(boxed(source))
    }

    pub(super) fn over(shared: Arc<Shared>) -> TokenHandle {
        TokenHandle { _alive: Arc::new(Alive(Arc::clone(&shared))), shared }
    }

    /// The current token; without a valid one, that of the attempt in flight or due.
    ///
    /// In the last min(10 s, L/20) of a lifetime L it waits up to 1 s for an attempt in flight, then returns the current token.
    /// Otherwise only the fetch timeout bounds the wait.
    ///
    /// # Errors
    ///
    /// The error of the attempt that was waited for, shared by all who waited; while the engine backs off with nothing valid,
    /// its last error at once, with [`retry_at`](TokenError::retry_at); `Closed` after a shutdown; `Misconfigured` where there
    /// is no runtime to start the engine on.
    ///
    /// # Cancel safety
    ///
    /// Dropping this future changes nothing: the engine's own task finishes what was begun.
    pub async fn token(&self) -> Result<AccessToken, TokenError> {
        match self.shared.cell.token() {
            Some(token) => Ok(token),
            None => {
                let wait = self.engine().wait(self.clock());
                let result = self.wait_for(Ask::Token { replayable: true }).await;
                wait.ended(&result);
                result
            }
        }
    }

    /// The current token if there is a valid one. Never waits, and starts nothing.
    pub fn current(&self) -> Option<AccessToken> {
        self.shared.current()
    }

    /// Waits until there is a token, through attempts that fail for a passing reason, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// What keeps the engine from a token: at once if only a person can mend it, else when `timeout` has passed.
    ///
    /// # Cancel safety
    ///
    /// Dropping this future changes nothing.
    pub async fn ready(&self, timeout: Duration) -> Result<(), TokenError> {
        let clock = &self.shared.clock;
        let deadline = clock.sleep(timeout)?;
        let mut last = None;
        let through = async {
            loop {
                match self.token().await {
                    Ok(_) => return Ok(()),
                    Err(error) if error.is_terminal() || error.kind() == ErrorKind::Closed => return Err(error),
                    // Looked at again every moment: another source may bring a token long before this one is asked again.
                    Err(error) => {
                        last = Some(error);
                        clock.sleep(MOMENT)?.await;
                    }
                }
            }
        };
        tokio::select! {
            biased;
            outcome = through => return outcome,
            () = deadline => {}
        }
        match (self.current(), last) {
            (Some(_), _) => Ok(()),
            (None, Some(error)) => Err(error),
            (None, None) => Err(TokenError::new(ErrorKind::Timeout, "no token came within the time given to `ready`")),
        }
    }

    /// Tells the engine that a server rejected the token of `generation`, as the layer does on a 401.
    ///
    /// Only the current generation can be rejected, once; anything else changes nothing. The rejected token goes on serving
    /// until its successor is there.
    pub fn reject(&self, generation: u64) {
        self.shared.reject(generation);
    }

    /// Forgets back-off and failures and fetches at once; the current token goes on serving.
    ///
    /// An engine that has not started yet, or whose runtime is gone, fetches on its next use.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Takes tokens from another source from now on. The current one serves until the first of them is there.
    ///
    /// A fetch in flight is finished first, so that nothing it has begun is lost, and its result is not published.
    pub fn replace_source(&self, source: impl TokenSource) {
        self.shared.replace_source(boxed(source), false);
    }

    /// As [`replace_source`](Self::replace_source), for another identity: the current token goes at once.
    pub fn replace_source_and_reject(&self, source: impl TokenSource) {
        self.shared.replace_source(boxed(source), true);
    }

    /// Ends the engine: no new fetch starts, and one in flight is awaited for at most `deadline`.
    ///
    /// The current token serves until it expires; after that, callers get `Closed`.
    ///
    /// # Errors
    ///
    /// `Timeout` if the fetch in flight has not finished by then; it still runs to its end, or to the fetch timeout.
    /// `Misconfigured` where the clock cannot sleep.
    ///
    /// # Cancel safety
    ///
    /// Dropping this future ends the wait, not the shutdown.
    pub async fn shutdown(&self, deadline: Duration) -> Result<(), TokenError> {
        self.shared.close();
        let Some(waiting) = self.shared.in_flight() else { return Ok(()) };
        let deadline = self.shared.clock.sleep(deadline)?;
        tokio::select! {
            biased;
            _settled = waiting.settled() => Ok(()),
            () = deadline => Err(TokenError::new(ErrorKind::Timeout, "a fetch was still in flight at the shutdown's deadline")),
        }
    }

    /// The engine's health, without a secret in it.
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Follows the engine's health: the receiver is notified when anything but a duration has changed.
    ///
    /// The engine's task tells, so nothing is told before its start nor while its runtime is gone; [`status`](Self::status)
    /// always knows. As with every tokio `watch`, what lies between two looks may be missed, and a borrowed value must not be held
    /// for long, since it keeps that task waiting; held on that task's thread across an `.await`, or while a
    /// [`Driver`](super::Driver) is dropped there, it stops both for ever. The channel closes when the last handle and the task
    /// are gone.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tower_token::{AccessToken, TokenHandle, source_fn};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let handle = TokenHandle::new(source_fn(|_cx| async { AccessToken::new("secret") }));
    /// let mut health = handle.subscribe();
    /// let token = handle.token().await?;
    /// let status = health.wait_for(|status| status.generation() == token.generation()).await?;
    /// assert_eq!((status.fetches(), status.last_error()), (1, None));
    /// # Ok(()) }
    /// ```
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.shared.subscribe()
    }

    /// Counts a request that was sent again, or that could not be.
    pub(crate) fn count_replay(&self, sent: bool) {
        self.shared.count_replay(sent);
    }

    pub(crate) fn cell(&self) -> &Cell {
        &self.shared.cell
    }

    /// Who is told what becomes of requests.
    pub(crate) fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.shared.clock
    }

    /// Asks once, without waiting.
    pub(crate) fn ask(&self, ask: Ask) -> Answer {
        self.shared.ask(ask)
    }

    /// Asks until there is an answer.
    pub(crate) fn wait_for(&self, ask: Ask) -> impl Future<Output = Result<AccessToken, TokenError>> + Send {
        let shared = Arc::clone(&self.shared);
        async move {
            for _ in 0..=RESTARTS {
                match shared.ask(ask) {
                    Answer::Token(token) => return Ok(token),
                    Answer::Failed(error) => return Err(error),
                    Answer::Soon(token, waiting) => {
                        let Ok(moment) = shared.clock.sleep(MOMENT) else { return Ok(token) };
                        tokio::select! {
                            biased;
                            _settled = waiting.settled() => {}
                            () = moment => {}
                        }
                        // Its successor if there is one, else itself. If it has expired meanwhile, the next round says so.
                        if let Some(current) = shared.current() {
                            return Ok(current);
                        }
                    }
                    Answer::Wait(waiting) => match (waiting.settled().await, ask) {
                        // The old one, in its grace: the next round says why there is no other.
                        (Some(Ok(token)), Ask::InsteadOf(generation)) if token.generation() == generation => {}
                        (Some(settled), _) => return settled,
                        (None, _) => {}
                    },
                }
            }
            Err(TokenError::new(ErrorKind::Misconfigured, "the runtime drops the engine's task as soon as it is spawned"))
        }
    }
}

impl<S: TokenSource> From<S> for TokenHandle {
    fn from(source: S) -> TokenHandle {
        TokenHandle::new(source)
    }
}
