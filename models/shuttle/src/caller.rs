//! Who asks the engine for tokens, and checks what comes.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::Poll,
    time::SystemTime,
};

use shuttle::future::yield_now;
use tokio::sync::watch;

use crate::{
    error::TokenError,
    refresh::{Ask, Status, TokenHandle},
    time::ModelClock,
    token::AccessToken,
};

/// A caller with a handle of its own. What callers have seen is shared, since what one was given binds the next.
#[derive(Clone)]
pub struct Caller {
    pub handle: TokenHandle,
    pub clock: ModelClock,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The newest generation that anyone was given.
    generation: AtomicU64,
    /// Tokens of sources before this one are gone.
    source: AtomicU64,
}

impl Caller {
    pub fn new(handle: TokenHandle, clock: ModelClock) -> Caller {
        Caller { handle, clock, seen: Arc::default() }
    }

    /// A token. It is no older than what others had before, was valid when asked for, and is of no source that was dismissed.
    pub async fn token(&self) -> Result<AccessToken, TokenError> {
        self.ask(self.handle.token()).await
    }

    /// As a request does whose token a server has rejected: waits for a newer one, and gets one or an error.
    pub async fn newer_than(&self, generation: u64) -> Result<AccessToken, TokenError> {
        let token = self.ask(self.handle.wait_for(Ask::NewerThan(generation))).await?;
        assert!(token.generation() > generation, "{generation} was rejected, and {} came", token.generation());
        Ok(token)
    }

    async fn ask(&self, answer: impl Future<Output = Result<AccessToken, TokenError>>) -> Result<AccessToken, TokenError> {
        let (generation, source) = (self.seen.generation.load(SeqCst), self.seen.source.load(SeqCst));
        let asked = SystemTime::UNIX_EPOCH + self.clock.elapsed();
        let token = answer.await?;
        assert!(token.generation() >= generation, "{} came after {generation}", token.generation());
        assert!(source_of(&token) >= source, "a token of source {}, and {source} is there", source_of(&token));
        assert!(token.expiry().is_none_or(|expiry| expiry > asked), "{asked:?}: a token that expired at {:?}", token.expiry());
        self.seen.generation.fetch_max(token.generation(), SeqCst);
        // Whoever was given a token finds it without the lock, or a newer one, or must ask; never an older one.
        let open = self.handle.cell().token().map(|token| token.generation());
        assert!(open.is_none_or(|open| open >= token.generation()), "{open:?} is open after {} was given", token.generation());
        Ok(token)
    }

    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.handle.subscribe()
    }

    /// Whether there is a token that may be sent without asking.
    pub fn is_open(&self) -> bool {
        self.handle.cell().token().is_some()
    }

    /// Asks for a token, is polled so many times and gives up.
    pub async fn cancelled(&self, polls: u32) {
        let mut token = pin!(self.handle.token());
        for _ in 0..polls {
            let ready = poll_fn(|cx| Poll::Ready(token.as_mut().poll(cx).is_ready())).await;
            if ready {
                return;
            }
            yield_now().await;
        }
    }

    /// From now on, nobody gets a token of a source before `number`.
    pub fn dismissed_before(&self, number: u64) {
        self.seen.source.fetch_max(number, SeqCst);
    }

    /// The generation of the token that serves, or 0.
    pub fn generation(&self) -> u64 {
        self.handle.current().map_or(0, |token| token.generation())
    }
}

fn source_of(token: &AccessToken) -> u64 {
    token.expose_secret().split('-').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}
