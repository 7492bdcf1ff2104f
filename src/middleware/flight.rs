//! A request in flight: what its answer means, and how it is sent again.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bytes::Buf;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
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
    refresh::{Answer, Ask, TokenHandle},
    token::AccessToken,
};

/// How much of a 401's body is read, and for how long, so that its connection can be used again.
const DRAIN_BYTES: usize = 16 * 1024;
const DRAIN_TIME: Duration = Duration::from_millis(100);

/// A mark in the extensions of a 401 that was handed back because its request was not kept: for its body, its method, or at the
/// caller's wish.
///
/// Unless a [`TokenError`] lies beside it, a newer token is there or on its way, and the caller may send the request again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotReplayed;

/// What it takes to look at the answer to a request and to send it again.
pub(super) struct Flight<S, B> {
    pub(super) link: Arc<Link<S>>,
    /// Of the token it was sent with.
    pub(super) generation: u64,
    pub(super) kept: Option<Snapshot<B>>,
}

/// What a rejected request comes to.
pub(super) enum Landing<T, E> {
    /// The answer is the caller's.
    Done(T),
    /// A newer token is there or on its way, and the request was kept.
    Replay(BoxFuture<T, E>),
}

pub(super) type BoxFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, AuthError<E>>> + Send>>;

impl<S, B> Flight<S, B> {
    fn config(&self) -> &Config {
        &self.link.common.config
    }

    /// Whether the token was rejected. If not, the answer is the caller's as it is now.
    #[inline]
    pub(super) fn is_rejected<R>(&self, response: &mut Response<R>) -> bool {
        let config = self.config();
        // Most answers are neither, and then nothing else is looked at.
        let doubtful = matches!(response.status().as_u16(), 401 | 403) || config.rejected_when.is_some();
        let rejected = doubtful && config.watch && config.rejects(response);
        if !rejected {
            self.mark(response);
        }
        rejected
    }

    /// Takes a rejection to the engine. Nothing is waited for here.
    pub(super) fn rejected<R>(mut self, mut response: Response<R>) -> Landing<Response<R>, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send,
        B: Send + 'static,
        R: Body + Send + 'static,
    {
        // Now, and not after the wait: a stream that has not been sent by now is not to be sent again.
        let again = self.kept.take().and_then(Snapshot::restore);
        let handle = &self.config().handle;
        if again.is_none() {
            response.extensions_mut().insert(NotReplayed);
            handle.count_replay(false);
        }
        match (handle.ask(Ask::NewerThan(self.generation)), again) {
            (Answer::Failed(error), _) => {
                response.extensions_mut().insert(error);
            }
            (_, None) => {}
            (_, Some(again)) => return Landing::Replay(Box::pin(self.replay(again, response))),
        }
        self.mark(&mut response);
        Landing::Done(response)
    }

    /// Waits for a newer token and sends the request once more. Without one, the first answer is handed back whole.
    async fn replay<R>(mut self, mut request: Request<B>, mut response: Response<R>) -> Result<Response<R>, AuthError<S::Error>>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone,
        R: Body,
    {
        let token = match self.config().token(Ask::NewerThan(self.generation)).await {
            Ok(token) => token,
            Err(error) => {
                response.extensions_mut().insert(error);
                self.mark(&mut response);
                return Ok(response);
            }
        };
        drain(response.into_body(), self.config().handle.clock()).await;
        self.generation = token.generation();
        self.link.common.authenticate(&mut request, &token)?;
        self.config().handle.count_replay(true);
        let mut response = self.link.send(request).await?;
        // A second rejection is the caller's to see; only its challenge is put beside it.
        self.config().rejects(&mut response);
        self.mark(&mut response);
        Ok(response)
    }

    #[inline]
    fn mark<R>(&self, response: &mut Response<R>) {
        if self.config().expose_generation {
            response.extensions_mut().insert(Generation(self.generation));
        }
    }
}

/// Sends a request that has to wait for its token, holding nothing of the inner service meanwhile.
pub(super) async fn first_token<S, B, R>(
    link: Arc<Link<S>>,
    mut request: Request<B>,
    kept: Option<Snapshot<B>>,
    need: Need,
) -> Result<Response<R>, AuthError<S::Error>>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Body + Send + 'static,
{
    let config = &link.common.config;
    let token = match config.token(need.ask).await {
        Ok(token) => token,
        Err(_) if need.or_bare => return link.send(request).await,
        Err(error) => return Err(AuthError::Token(error)),
    };
    link.common.authenticate(&mut request, &token)?;
    let mut response = link.send(request).await?;
    let flight = Flight { link, generation: token.generation(), kept };
    if !flight.is_rejected(&mut response) {
        return Ok(response);
    }
    match flight.rejected(response) {
        Landing::Done(response) => Ok(response),
        Landing::Replay(future) => future.await,
    }
}

/// What a request needs before it is sent.
#[derive(Clone, Copy)]
pub(super) struct Need {
    pub(super) ask: Ask,
    /// Whether it is sent bare if that is not to be had.
    pub(super) or_bare: bool,
}

impl Need {
    pub(super) fn token(config: &Config, replayable: bool) -> Need {
        Need { ask: Ask::Token { replayable }, or_bare: config.on_unavailable == OnUnavailable::SendBare }
    }

    /// A newer token than the current one, or any if there is none.
    pub(super) fn new_token(handle: &TokenHandle) -> Need {
        Need { ask: Ask::InsteadOf(handle.status().generation()), or_bare: false }
    }
}

impl Config {
    /// Whether a server has rejected the token. If not, a challenge that no new token would meet is put in the extensions.
    #[cold]
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
