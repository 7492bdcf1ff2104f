use std::{
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    machine::Step,
    shared::{Shared, panicked},
};
use crate::{
    error::{ErrorKind, TokenError},
    observe::Fetch,
    source::{BoxSource, FetchContext},
    token::AccessToken,
};

/// The one task of an engine: it sleeps, fetches and publishes.
///
/// [`TokenHandle`](super::TokenHandle) spawns it by itself on first use. [`pair`](super::TokenHandleBuilder::pair) hands it out
/// instead, to be run wherever the user likes. It completes when the last handle is gone or
/// [`shutdown`](super::TokenHandle::shutdown) was called, and never in the middle of a fetch.
///
/// # Cancel safety
///
/// Dropping it drops the fetch in flight, gives the source back and turns the requests' fast path off: they then look at the
/// clock themselves and take the token only while it is valid.
#[must_use = "the engine stands still until its driver is polled"]
pub struct Driver(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Driver {
    pub(super) fn new(shared: Arc<Shared>, source: Option<BoxSource>) -> Driver {
        Driver(Box::pin(drive(Seat { shared, source })))
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

/// The driver's place at the engine: it has the source, and gives it back when it goes, however it goes.
struct Seat {
    shared: Arc<Shared>,
    source: Option<BoxSource>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.vacate(self.source.take());
    }
}

async fn drive(mut seat: Seat) {
    let shared = Arc::clone(&seat.shared);
    loop {
        match shared.step(&mut seat.source) {
            Step::Fetch { reason, attempt, previous } => {
                let fetch = shared.engine.fetch(&*shared.clock, reason.word(), attempt);
                let cx = FetchContext::from_engine(reason, attempt, previous, Arc::clone(&shared.clock));
                let result = self::attempt(&mut seat, cx, &fetch).await;
                shared.finish(result, fetch);
            }
            Step::Sleep(duration) => {
                let Ok(sleep) = shared.clock.sleep(duration) else { return };
                tokio::select! {
                    () = sleep => {}
                    () = shared.woken() => {}
                }
            }
            Step::Park => shared.woken().await,
            Step::End => return,
        }
    }
}

/// One fetch, with its deadline kept and the fast path's switch set meanwhile.
async fn attempt(seat: &mut Seat, cx: FetchContext, observed: &Fetch<'_>) -> Result<AccessToken, TokenError> {
    let Seat { shared, source } = seat;
    let Some(source) = source else {
        return Err(TokenError::new(ErrorKind::Closed, "the engine has no source"));
    };
    let mut fetch = std::pin::pin!(fetch(source, cx, observed));
    loop {
        let Some(patience) = shared.patience() else {
            return Err(TokenError::new(ErrorKind::Timeout, "the token source took longer than the fetch timeout"));
        };
        let pause = shared.clock.sleep(patience)?;
        tokio::select! {
            // The fetch first: a result that is there at the deadline still counts.
            biased;
            result = &mut fetch => return result,
            () = pause => {}
            () = shared.woken() => {}
        }
    }
}

/// Calls the source. A panic in it becomes an error, so that it neither kills the engine nor hangs its waiters; the source is
/// used again, and one that cannot stand that will say so by its next result.
async fn fetch(source: &mut BoxSource, cx: FetchContext, observed: &Fetch<'_>) -> Result<AccessToken, TokenError> {
    let begin = || {
        let _entered = observed.enter();
        source.fetch(cx)
    };
    let fetch = catch_unwind(AssertUnwindSafe(begin)).map_err(|_panic| panicked())?;
    let mut fetch = Caught(Some(fetch));
    poll_fn(|cx| {
        let _entered = observed.enter();
        match &mut fetch.0 {
            Some(fetch) => catch_unwind(AssertUnwindSafe(|| fetch.as_mut().poll(cx))).unwrap_or(Poll::Ready(Err(panicked()))),
            None => Poll::Ready(Err(panicked())),
        }
    })
    .await
}

/// A fetch whose `Drop` may panic without taking the driver with it.
struct Caught<F>(Option<F>);

impl<F> Drop for Caught<F> {
    fn drop(&mut self) {
        let fetch = self.0.take();
        drop(catch_unwind(AssertUnwindSafe(|| drop(fetch))));
    }
}
