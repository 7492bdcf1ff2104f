//! A source that does one of a few things, drawn anew for each fetch, and watches how it is used.

use std::{
    panic::resume_unwind,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use shuttle::{
    future::yield_now,
    rand::{Rng, thread_rng},
};

use crate::{
    error::TokenError,
    source::{FetchContext, TokenSource},
    token::AccessToken,
};

/// What a fetch does.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// A new token, after so many turns of others.
    Give(u32),
    /// A new token after 5 s.
    Slow,
    /// The token that is to be replaced, once more.
    Repeat,
    /// A passing failure.
    Fail,
    /// Credentials are refused.
    Refuse,
    PanicAtOnce,
    PanicLater,
    /// A new token, and then a panic when the fetch is dropped.
    PanicInDrop,
    /// Longer than the fetch timeout.
    Hang,
}

/// What all sources of one world have seen.
#[derive(Debug)]
pub struct Watch {
    /// A fetch is in flight.
    busy: AtomicBool,
    /// A fetch must not start any more.
    closed: AtomicBool,
    /// What went wrong in a source. A panic there would be caught, and taken for the source's.
    fault: Mutex<Option<&'static str>>,
    /// How many fetches have begun.
    pub fetches: tokio::sync::watch::Sender<u64>,
    /// Sources that have not been dropped.
    pub alive: AtomicU64,
}

impl Default for Watch {
    fn default() -> Watch {
        let fetches = tokio::sync::watch::channel(0).0;
        Watch {
            busy: AtomicBool::default(),
            closed: AtomicBool::default(),
            fault: Mutex::default(),
            fetches,
            alive: AtomicU64::default(),
        }
    }
}

impl Watch {
    /// From now on, a fetch that starts is a failure.
    pub fn close(&self) {
        self.closed.store(true, SeqCst);
    }

    fn check(&self, right: bool, fault: &'static str) {
        if !right {
            self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
        }
    }

    pub fn fault(&self) -> Option<&'static str> {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tokens of source `number` say so in their secret: `number-fetch`.
pub struct Script {
    number: u64,
    /// What is to be drawn from.
    acts: &'static [Act],
    /// Of the tokens; `None`: the source does not say.
    life: Option<Duration>,
    watch: Arc<Watch>,
}

impl Script {
    pub fn new(number: u64, acts: &'static [Act], life: Option<Duration>, watch: Arc<Watch>) -> Script {
        watch.alive.fetch_add(1, SeqCst);
        Script { number, acts, life, watch }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.watch.alive.fetch_sub(1, SeqCst);
    }
}

/// In flight for as long as it exists.
struct Fetch {
    work: Pin<Box<dyn Future<Output = Result<AccessToken, TokenError>> + Send>>,
    watch: Arc<Watch>,
    panics: bool,
}

impl Future for Fetch {
    type Output = Result<AccessToken, TokenError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.work.as_mut().poll(cx)
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.watch.busy.store(false, SeqCst);
        if self.panics {
            panic();
        }
    }
}

/// Without the panic hook, in which shuttle would report a failure.
fn panic() -> ! {
    resume_unwind(Box::new("a scripted panic"))
}

impl TokenSource for Script {
    fn fetch(&mut self, cx: FetchContext) -> impl Future<Output = Result<AccessToken, TokenError>> + Send {
        self.watch.check(!self.watch.closed.load(SeqCst), "a fetch starts after the shutdown");
        let act = self.acts[thread_rng().gen_range(0..self.acts.len())];
        let mut fetch = 0;
        self.watch.fetches.send_modify(|fetches| {
            *fetches += 1;
            fetch = *fetches;
        });
        self.watch.check(!self.watch.busy.swap(true, SeqCst), "two fetches are in flight");
        if let Act::PanicAtOnce = act {
            self.watch.busy.store(false, SeqCst);
            panic();
        }
        let fresh = AccessToken::new(format!("{}-{fetch}", self.number));
        let (life, watch) = (self.life, Arc::clone(&self.watch));
        let work = Box::pin(async move {
            let token = match act {
                Act::Give(turns) => {
                    for _ in 0..turns {
                        yield_now().await;
                    }
                    fresh?
                }
                Act::Slow => {
                    cx.clock().sleep(Duration::from_secs(5))?.await;
                    fresh?
                }
                Act::Repeat => match cx.previous() {
                    Some(previous) => AccessToken::new(previous.expose_secret())?,
                    None => fresh?,
                },
                Act::Fail => return Err(TokenError::transient("scripted")),
                Act::Refuse => return Err(TokenError::refused("scripted")),
                Act::PanicAtOnce | Act::PanicLater => {
                    yield_now().await;
                    panic()
                }
                Act::PanicInDrop => fresh?,
                Act::Hang => {
                    cx.clock().sleep(Duration::from_secs(3600))?.await;
                    watch.check(false, "the fetch timeout did not come");
                    return Err(TokenError::transient("scripted"));
                }
            };
            Ok(match life {
                Some(life) => token.expires_in(life),
                None => token,
            })
        });
        Fetch { work, watch: Arc::clone(&self.watch), panics: matches!(act, Act::PanicInDrop) }
    }
}
