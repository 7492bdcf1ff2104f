use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Poll,
};

use tokio::sync::oneshot;

use crate::{
    clock::Clock,
    error::{ErrorKind, TokenError},
};

/// Where the result of a task lands. Dropping it leaves the task alone.
pub(super) type Flight<T> = oneshot::Receiver<Result<T, TokenError>>;

/// Runs what must come to its end in a task of its own: whoever waits for it may be dropped.
///
/// A panic lands as `Panicked`. A flight that ends without a result was dropped together with its runtime.
///
/// # Errors
///
/// `Misconfigured` where this clock cannot spawn. Nothing has run then.
pub(super) fn launch<T: Send + 'static>(
    clock: &Arc<dyn Clock>,
    work: impl Future<Output = Result<T, TokenError>> + Send + 'static,
) -> Result<Flight<T>, TokenError> {
    let (land, flight) = oneshot::channel();
    clock.spawn(Box::pin(async move {
        // Over, and with it the locks that it holds, before the result is seen.
        let result = caught(work)
            .await
            .unwrap_or_else(|_panicked| Err(TokenError::new(ErrorKind::Panicked, "the token exchange panicked")));
        let _heard = land.send(result).is_ok();
    }))?;
    Ok(flight)
}

/// Runs code of others to its end or its panic. The payload is left out, since it may hold anything.
pub(super) async fn caught<F: Future>(work: F) -> Result<F::Output, Panicked> {
    let mut work = Box::pin(work);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(_payload) => Poll::Ready(Err(Panicked)),
    })
    .await
}

pub(super) struct Panicked;

/// Waits for a flight and takes its result.
pub(super) async fn landed<T>(flight: Flight<T>) -> Result<T, TokenError> {
    flight.await.unwrap_or_else(|_dropped| Err(lost()))
}

pub(super) fn lost() -> TokenError {
    TokenError::new(ErrorKind::Transient, "the task of the token exchange was dropped, with its runtime or by its clock")
}
