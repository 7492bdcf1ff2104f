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
    carrier::{Carrier, Outgoing, Reply},
    challenge::{self, Verdict},
    layer::{Common, Config, Generation, OnUnavailable},
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

/// A mark in the extensions of a 401 that was handed back because its request was not kept: for its body, its method, or at the
/// caller's wish.
///
/// Unless a [`TokenError`] lies beside it, a newer token is there or on its way, and the caller may send the request again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotReplayed;

/// A mark in the extensions of an answer from another origin than the request was sent to, put there by a service under the layer
/// that follows redirects by itself.
///
/// A 401 from there says nothing about the token, which was taken off on the way, or should have been: the layer hands such an
/// answer back and looks no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a mark that others put; there is nothing to add")]
pub struct LeftOrigin;

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
    pub(super) fn is_rejected<R: Body + Send>(&self, response: &mut Response<R>) -> bool {
        self.config().is_rejected(self.generation, response)
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
        match self.config().rejected(self.generation, again, &mut response) {
            Some(again) => Landing::Replay(Box::pin(self.replay(again, response))),
            None => Landing::Done(response),
        }
    }

    async fn replay<R>(self, request: Request<B>, response: Response<R>) -> Result<Response<R>, AuthError<S::Error>>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone + Send,
        S::Future: Send,
        B: Send,
        R: Body + Send,
    {
        self.link.common.replay(self.generation, request, response, &*self.link).await
    }
}

/// Sends a request that has to wait for its token, holding nothing of the inner service meanwhile.
pub(super) async fn first_token<S, B, R>(
    link: Arc<Link<S>>,
    request: Request<B>,
    kept: Option<Snapshot<B>>,
    need: Need,
) -> Result<Response<R>, AuthError<S::Error>>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Body + Send + 'static,
{
    let again = || kept.and_then(Snapshot::restore);
    link.common.send(request, again, need, &*link).await
}

impl Common {
    /// Sends a request with a token, which is waited for if need be, and once more if that is rejected and `again` still gives
    /// the request then.
    pub(crate) async fn send<Q: Outgoing, C: Carrier<Q>>(
        &self,
        mut request: Q,
        again: impl FnOnce() -> Option<Q>,
        need: Need,
        mut carrier: C,
    ) -> Result<C::Reply, AuthError<C::Error>> {
        let token = match self.config.needed(need.ask).await {
            Ok(token) => token,
            Err(error) => {
                need.without_token(&self.config, error)?;
                return carrier.carry(request).await;
            }
        };
        self.authenticate(request.headers_mut(), &token)?;
        let generation = token.generation();
        let mut reply = carrier.carry(request).await?;
        if !self.config.is_rejected(generation, &mut reply) {
            return Ok(reply);
        }
        match self.config.rejected(generation, again(), &mut reply) {
            Some(again) => self.replay(generation, again, reply, carrier).await,
            None => Ok(reply),
        }
    }

    /// Waits for a newer token and sends the request once more. Without one, the first answer is handed back whole.
    pub(super) async fn replay<Q: Outgoing, C: Carrier<Q>>(
        &self,
        generation: u64,
        mut request: Q,
        mut reply: C::Reply,
        mut carrier: C,
    ) -> Result<C::Reply, AuthError<C::Error>> {
        let config = &self.config;
        let token = match config.token(Ask::NewerThan(generation)).await {
            Ok(token) => token,
            Err(error) => {
                config.hand_back(generation, error, &mut reply);
                return Ok(reply);
            }
        };
        drain(reply.into_body(), config.handle.clock()).await;
        self.authenticate(request.headers_mut(), &token)?;
        config.handle.count_replay(true);
        let mut reply = carrier.carry(request).await?;
        config.replayed(token.generation(), &mut reply);
        Ok(reply)
    }
}

/// What a request needs before it is sent.
#[derive(Clone, Copy)]
pub(crate) struct Need {
    pub(super) ask: Ask,
    /// Whether it is sent bare if that is not to be had.
    or_bare: bool,
}

impl Need {
    /// Any token, or where a new one is wanted, a newer one than the current one, if there is one. `replayable`: in any case.
    pub(crate) fn new(config: &Config, new_token: bool, replayable: bool) -> Need {
        match new_token {
            true => Need { ask: Ask::InsteadOf(config.handle.status().generation()), or_bare: false },
            false => Need { ask: Ask::Token { replayable }, or_bare: config.on_unavailable == OnUnavailable::SendBare },
        }
    }

    /// No token is to be had: the request goes out bare, or fails with this error.
    pub(super) fn without_token(self, config: &Config, error: TokenError) -> Result<(), TokenError> {
        config.handle.engine().unavailable(self.or_bare, &error);
        if self.or_bare { Ok(()) } else { Err(error) }
    }
}

impl Config {
    /// Whether the token was rejected. If not, the answer is the caller's as it is now.
    #[inline]
    fn is_rejected(&self, generation: u64, reply: &mut impl Reply) -> bool {
        // Most answers are neither, and then nothing else is looked at.
        let doubtful = matches!(reply.status().as_u16(), 401 | 403) || self.rejected_when.is_some();
        let rejected = doubtful && self.watch && self.rejects(reply);
        if !rejected {
            self.mark(generation, reply);
        }
        rejected
    }

    /// Takes a rejection to the engine, and says whether the request, if it was kept, is to be sent again once there is a newer
    /// token. If not, the answer is the caller's as it is now.
    fn rejected<T>(&self, generation: u64, again: Option<T>, reply: &mut impl Reply) -> Option<T> {
        if again.is_none() {
            reply.extensions_mut().insert(NotReplayed);
            self.handle.count_replay(false);
        }
        match (self.handle.ask(Ask::NewerThan(generation)), again) {
            (Answer::Failed(error), _) => {
                self.hand_back(generation, error, reply);
                None
            }
            (_, None) => {
                self.mark(generation, reply);
                None
            }
            (_, again) => again,
        }
    }

    /// No newer token came: the first answer is the caller's.
    fn hand_back(&self, generation: u64, error: TokenError, reply: &mut impl Reply) {
        // Of one that was not kept, that has been told.
        if reply.extensions().get::<NotReplayed>().is_none() {
            self.handle.engine().handed_back(generation, reply.status().as_u16(), &error);
        }
        reply.extensions_mut().insert(error);
        self.mark(generation, reply);
    }

    /// The second answer is the caller's, whatever it is; a second rejection only has its challenge put beside it.
    fn replayed(&self, generation: u64, reply: &mut impl Reply) {
        self.handle.engine().replayed(generation, reply.status().as_u16());
        self.rejects(reply);
        self.mark(generation, reply);
    }

    #[inline]
    fn mark(&self, generation: u64, reply: &mut impl Reply) {
        if self.expose_generation {
            reply.extensions_mut().insert(Generation(generation));
        }
    }

    /// Whether a server has rejected the token. If not, a challenge that no new token would meet is put in the extensions.
    #[cold]
    fn rejects(&self, reply: &mut impl Reply) -> bool {
        if reply.extensions().get::<LeftOrigin>().is_some() {
            return false;
        }
        let verdict = challenge::verdict(self.scheme, reply.status(), reply.headers());
        let rejected = match &self.rejected_when {
            Some(predicate) => predicate(reply.status(), reply.headers()),
            None => verdict == Verdict::Rejected,
        };
        if let (false, Verdict::Challenged(challenge)) = (rejected, verdict) {
            reply.extensions_mut().insert(challenge);
        }
        rejected
    }

    /// A token, and the published one without asking where any will do.
    async fn needed(&self, ask: Ask) -> Result<AccessToken, TokenError> {
        let published = if matches!(ask, Ask::Token { .. }) { self.handle.cell().token() } else { None };
        match published {
            Some(token) => Ok(token),
            None => self.token(ask).await,
        }
    }

    /// A token, waited for within the layer's bound.
    async fn token(&self, ask: Ask) -> Result<AccessToken, TokenError> {
        let wait = self.handle.engine().wait(self.handle.clock());
        let result = self.within_bound(ask).await;
        wait.ended(&result);
        result
    }

    async fn within_bound(&self, ask: Ask) -> Result<AccessToken, TokenError> {
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
