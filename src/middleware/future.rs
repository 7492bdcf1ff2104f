use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::flight::{BoxFuture, Flight, Landing};
use crate::error::{AuthError, ErrorKind, TokenError};

pin_project! {
    /// The future of an [`AuthService`](super::AuthService).
    ///
    /// It allocates nothing of its own unless the request has to wait for a token or to be sent again.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the request, and nothing else: the engine finishes what it has begun.
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B>,
    }
}

pin_project! {
    #[project = Projected]
    #[project_replace = Replaced]
    enum State<S, B>
    where
        S: Service<Request<B>>,
    {
        // The answer is passed on as it is.
        Bare { #[pin] future: S::Future },
        // The answer is looked at.
        Watched { #[pin] future: S::Future, flight: Flight<S, B> },
        // Waits for a token or replays. It takes the place of the first future: that may hold a permit of a
        // `ConcurrencyLimit`, which the second one needs.
        Detached { future: BoxFuture<S::Response, S::Error> },
        Failed { error: TokenError },
        Done,
    }
}

impl<S: Service<Request<B>>, B> ResponseFuture<S, B> {
    pub(super) fn bare(future: S::Future) -> Self {
        ResponseFuture { state: State::Bare { future } }
    }

    pub(super) fn watched(future: S::Future, flight: Flight<S, B>) -> Self {
        ResponseFuture { state: State::Watched { future, flight } }
    }

    pub(super) fn detached(future: impl Future<Output = Result<S::Response, AuthError<S::Error>>> + Send + 'static) -> Self {
        ResponseFuture { state: State::Detached { future: Box::pin(future) } }
    }

    pub(super) fn failed(error: TokenError) -> Self {
        ResponseFuture { state: State::Failed { error } }
    }
}

impl<S, B, R> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Send + 'static,
    R: Body + Send + 'static,
{
    type Output = Result<Response<R>, AuthError<S::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                Projected::Bare { future } => return future.poll(cx).map_err(AuthError::Service),
                Projected::Watched { future, flight } => {
                    let mut response = ready!(future.poll(cx)).map_err(AuthError::Service)?;
                    if !flight.is_rejected(&mut response) {
                        return Poll::Ready(Ok(response));
                    }
                    // The first future is dropped here.
                    let Replaced::Watched { flight, .. } = state.as_mut().project_replace(State::Done) else { continue };
                    match flight.rejected(response) {
                        Landing::Done(response) => return Poll::Ready(Ok(response)),
                        Landing::Replay(future) => state.set(State::Detached { future }),
                    }
                }
                Projected::Detached { future } => return future.as_mut().poll(cx),
                Projected::Failed { .. } | Projected::Done => {
                    let error = match state.as_mut().project_replace(State::Done) {
                        Replaced::Failed { error } => error,
                        _ => TokenError::new(ErrorKind::Misconfigured, "the future of a response was polled after its end"),
                    };
                    return Poll::Ready(Err(AuthError::Token(error)));
                }
            }
        }
    }
}

impl<S: Service<Request<B>>, B> fmt::Debug for ResponseFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
