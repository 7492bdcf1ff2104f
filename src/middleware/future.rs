use std::{
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Buf;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    challenge::{self, Verdict},
    layer::{Config, Generation, OnUnavailable},
    service::Link,
    snapshot::Snapshot,
};
use crate::{
    clock::Clock,
    error::{AuthError, ErrorKind, TokenError},
    refresh::{Answer, Ask},
    token::AccessToken,
};

/// How much of a 401's body is read, and for how long, so that its connection can be used again.
const DRAIN_BYTES: usize = 16 * 1024;
const DRAIN_TIME: Duration = Duration::from_millis(100);

/// A mark in the extensions of a 401 that was handed back because its request's body was not kept.
///
/// Unless a [`TokenError`] lies beside it, a newer token is there or on its way, and the caller may send the request again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotReplayed;

type BoxFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, AuthError<E>>> + Send>>;

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
    enum State<S, B>
    where
        S: Service<Request<B>>,
    {
        // The answer is passed on as it is.
        Bare { #[pin] future: S::Future },
        // The answer is looked at. `flight` is taken once, when it is there.
        Watched { #[pin] future: S::Future, flight: Option<Flight<S, B>> },
        // Waits for a token or replays. It takes the place of the first future: that may hold a permit of a
        // `ConcurrencyLimit`, which the second one needs.
        Detached { future: BoxFuture<S::Response, S::Error> },
        Failed { error: Option<TokenError> },
    }
}

/// What it takes to look at the answer to a request and to send it again.
pub(super) struct Flight<S, B> {
    pub(super) link: Arc<Link<S>>,
    /// Of the token it was sent with.
    pub(super) generation: u64,
    pub(super) kept: Option<Snapshot<B>>,
}

impl<S: Service<Request<B>>, B> ResponseFuture<S, B> {
    pub(super) fn bare(future: S::Future) -> Self {
        ResponseFuture { state: State::Bare { future } }
    }

    pub(super) fn watched(future: S::Future, flight: Flight<S, B>) -> Self {
        ResponseFuture { state: State::Watched { future, flight: Some(flight) } }
    }

    pub(super) fn detached(future: impl Future<Output = Result<S::Response, AuthError<S::Error>>> + Send + 'static) -> Self {
        ResponseFuture { state: State::Detached { future: Box::pin(future) } }
    }

    pub(super) fn failed(error: TokenError) -> Self {
        ResponseFuture { state: State::Failed { error: Some(error) } }
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
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                Projected::Bare { future } => return future.poll(cx).map_err(AuthError::Service),
                Projected::Watched { future, flight } => {
                    let response = ready!(future.poll(cx)).map_err(AuthError::Service)?;
                    let Some(flight) = flight.take() else { return Poll::Ready(Ok(response)) };
                    match flight.land(response) {
                        Landing::Done(response) => return Poll::Ready(Ok(response)),
                        Landing::Rejected(flight, kept, response) => {
                            let future = Box::pin(flight.replay(kept, response));
                            this.state.set(State::Detached { future });
                        }
                    }
                }
                Projected::Detached { future } => return future.as_mut().poll(cx),
                Projected::Failed { error } => {
                    let error = error.take().unwrap_or_else(|| {
                        TokenError::new(ErrorKind::Misconfigured, "the future of a response was polled after its end")
                    });
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

/// What the first answer comes to.
enum Landing<S, B, R> {
    /// It is the caller's.
    Done(Response<R>),
    /// The token was rejected, a newer one is there or on its way, and the request was kept.
    Rejected(Flight<S, B>, Snapshot<B>, Response<R>),
}

impl<S, B> Flight<S, B> {
    fn config(&self) -> &Config {
        &self.link.common.config
    }

    /// Looks at the first answer. Nothing is waited for here.
    fn land<R>(mut self, mut response: Response<R>) -> Landing<S, B, R> {
        if !self.config().watch || !self.config().rejects(&mut response) {
            return Landing::Done(self.mark(response));
        }
        let kept = self.kept.take();
        if kept.is_none() {
            response.extensions_mut().insert(NotReplayed);
        }
        match (self.config().handle.ask(Ask::NewerThan(self.generation)), kept) {
            (Answer::Failed(error), _) => {
                response.extensions_mut().insert(error);
                Landing::Done(self.mark(response))
            }
            (_, None) => Landing::Done(self.mark(response)),
            (_, Some(kept)) => Landing::Rejected(self, kept, response),
        }
    }

    /// Waits for a newer token and sends the request once more. Without one, the first answer is handed back whole.
    async fn replay<R>(mut self, kept: Snapshot<B>, mut response: Response<R>) -> Result<Response<R>, AuthError<S::Error>>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone,
        R: Body,
    {
        let token = match self.config().token(Ask::NewerThan(self.generation)).await {
            Ok(token) => token,
            Err(error) => {
                response.extensions_mut().insert(error);
                return Ok(self.mark(response));
            }
        };
        let Some(mut request) = kept.restore() else {
            response.extensions_mut().insert(NotReplayed);
            return Ok(self.mark(response));
        };
        drain(response.into_body(), self.config().handle.clock()).await;
        self.generation = token.generation();
        self.link.common.authenticate(&mut request, &token)?;
        let mut response = self.link.send(request).await?;
        // A second rejection is the caller's to see; only its challenge is put beside it.
        self.config().rejects(&mut response);
        Ok(self.mark(response))
    }

    fn mark<R>(&self, mut response: Response<R>) -> Response<R> {
        if self.config().expose_generation {
            response.extensions_mut().insert(Generation(self.generation));
        }
        response
    }
}

/// Sends a request that has to wait for its token, holding nothing of the inner service meanwhile.
pub(super) async fn first_token<S, B, R>(
    link: Arc<Link<S>>,
    mut request: Request<B>,
    kept: Option<Snapshot<B>>,
) -> Result<Response<R>, AuthError<S::Error>>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    R: Body,
{
    let config = &link.common.config;
    let token = match config.token(Ask::Token { replayable: kept.is_some() }).await {
        Ok(token) => token,
        Err(_) if config.on_unavailable == OnUnavailable::SendBare => return link.send(request).await,
        Err(error) => return Err(AuthError::Token(error)),
    };
    link.common.authenticate(&mut request, &token)?;
    let response = link.send(request).await?;
    match (Flight { link, generation: token.generation(), kept }).land(response) {
        Landing::Done(response) => Ok(response),
        Landing::Rejected(flight, kept, response) => flight.replay(kept, response).await,
    }
}

impl Config {
    /// Whether a server has rejected the token. If not, a challenge that no new token would meet is put in the extensions.
    fn rejects<R>(&self, response: &mut Response<R>) -> bool {
        let verdict = challenge::verdict(self.scheme, response.status(), response.headers());
        let rejected = match &self.rejected_when {
            Some(predicate) => predicate(response.status(), response.headers()),
            None => verdict == Verdict::Rejected,
        };
        if let (false, Verdict::Challenged(challenge)) = (rejected, verdict) {
            response.extensions_mut().insert(challenge);
        }
        rejected
    }

    /// A token, waited for within the layer's bound.
    async fn token(&self, ask: Ask) -> Result<AccessToken, TokenError> {
        let limit = self.handle.clock().sleep(self.wait)?;
        tokio::select! {
            biased;
            token = self.handle.wait_for(ask) => return token,
            () = limit => {}
        }
        // The wait may have been for a better token than one that is valid already.
        let valid = if matches!(ask, Ask::Token { .. }) { self.handle.current() } else { None };
        valid.ok_or_else(|| TokenError::new(ErrorKind::Timeout, "no token came within the time that a request may wait"))
    }
}

/// Reads what little is left of a body, so that its connection can be used again; a longer or slower one is dropped.
async fn drain<R: Body>(body: R, clock: &dyn Clock) {
    let Ok(limit) = clock.sleep(DRAIN_TIME) else { return };
    let mut body = pin!(body);
    let read = async {
        let mut room = DRAIN_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            // An empty frame counts too: a body that is always ready with one would never let the limit be looked at.
            let length = frame.data_ref().map_or(0, Buf::remaining).max(1);
            match room.checked_sub(length) {
                Some(left) => room = left,
                None => return,
            }
        }
    };
    tokio::select! {
        biased;
        () = read => {}
        () = limit => {}
    }
}
