use std::{
    fmt,
    future::poll_fn,
    mem,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{
    carrier::Carrier,
    flight::{Flight, Need, first_token},
    future::ResponseFuture,
    header::{Header, LocalHeader},
    layer::Common,
    origin::Destination,
    per_request::NewToken,
    replay::{Known, ReplayPolicy},
    snapshot::{Room, Snapshot},
};
use crate::{
    error::{AuthError, ErrorKind, TokenError},
    refresh::Answer,
    token::AccessToken,
};

/// A service under an [`AuthLayer`](super::AuthLayer).
///
/// From its second call with a token on, a clone keeps a copy of that token's header to itself, until its second call with a
/// newer one.
pub struct AuthService<S, P = Known> {
    inner: S,
    link: Arc<Link<S>>,
    /// Whether `link` is this clone's own; a shared one works as well, but its reference count is contended.
    own_link: bool,
    header: LocalHeader,
    policy: P,
}

/// What a request in flight needs to get back to the service: one reference count for all of it.
pub(super) struct Link<S> {
    pub(super) common: Arc<Common>,
    /// Locked only to be cloned, when a request has to wait or to be sent again: a service need not be `Sync`.
    spare: Mutex<S>,
    room: Room,
}

impl<S: Clone> Link<S> {
    /// A clone of the service, which is not ready.
    fn service(&self) -> S {
        // A service whose `clone` panicked is as good as it ever was.
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Sends each request through a clone that has been made ready for it.
impl<S, B, R> Carrier<Request<B>> for &Link<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send,
    S::Future: Send,
    B: Send,
    R: Body + Send,
{
    type Reply = Response<R>;
    type Error = S::Error;

    async fn carry(&mut self, request: Request<B>) -> Result<Response<R>, AuthError<S::Error>> {
        let mut service = self.service();
        poll_fn(|cx| service.poll_ready(cx)).await.map_err(AuthError::Service)?;
        let response = service.call(request);
        drop(service);
        response.await.map_err(AuthError::Service)
    }
}

impl<S: Clone, P> AuthService<S, P> {
    pub(super) fn new(inner: S, common: Arc<Common>, policy: P) -> AuthService<S, P> {
        let link = Arc::new(Link { common, spare: Mutex::new(inner.clone()), room: Room::default() });
        AuthService { inner, link, own_link: false, header: LocalHeader::default(), policy }
    }

    /// Gives the inner service's readiness back: a request that waits, or is not sent, must not hold a permit.
    fn give_back(&mut self) {
        let unready = self.link.service();
        drop(mem::replace(&mut self.inner, unready));
    }

    /// The header of `token`. From the second request with it on, this clone has a copy and a link of its own.
    fn warm_up(&mut self, token: &AccessToken) -> Result<Header, TokenError> {
        let common = Arc::clone(&self.link.common);
        let header = common.header.get(&common.config.style, token)?;
        if self.header.note(&header) && !self.own_link {
            self.link = Arc::new(Link { common, spare: Mutex::new(self.link.service()), room: Room::default() });
            self.own_link = true;
        }
        Ok(header)
    }
}

impl<S, P, B, R> Service<Request<B>> for AuthService<S, P>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    P: ReplayPolicy<B>,
    B: Send + 'static,
    R: Body + Send + 'static,
{
    type Response = Response<R>;
    type Error = AuthError<S::Error>;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(AuthError::Service)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let config = &self.link.common.config;
        match config.origins.judge(request.uri()) {
            Destination::Allowed => {}
            Destination::Foreign => return ResponseFuture::bare(self.inner.call(request)),
            Destination::Unknown => {
                let text = "the request's URI has no scheme and authority; say where it goes with `Origins::relative_as`";
                return self.fail(TokenError::new(ErrorKind::Misconfigured, text));
            }
        }
        // Most requests have no extensions, and then this is one comparison.
        let new_token = !request.extensions().is_empty() && request.extensions_mut().remove::<NewToken>().is_some();
        let header = if new_token { None } else { self.header.get(config.handle.cell()) };
        let Some(header) = header else { return self.call_unprepared(request, new_token) };
        let generation = header.generation;
        if !config.looks() {
            return match config.style.put(request.headers_mut(), header, config.caller_header) {
                Ok(_) => ResponseFuture::bare(self.inner.call(request)),
                Err(error) => self.fail(error),
            };
        }
        // Before the token is on: it is not for a copy.
        let kept = self.keep(&mut request);
        match config.style.put(request.headers_mut(), header, config.caller_header) {
            Ok(true) => {
                let future = self.inner.call(request);
                ResponseFuture::watched(future, self.flight(generation, kept))
            }
            Ok(false) => ResponseFuture::bare(self.inner.call(request)),
            Err(error) => self.fail(error),
        }
    }
}

impl<S, P> AuthService<S, P> {
    /// A call while this clone has no header that it may send without asking: the first ones with a token, in the last
    /// margin before its expiry, and while there is none; and a call that wants a new one.
    #[inline(never)]
    fn call_unprepared<B, R>(&mut self, mut request: Request<B>, new_token: bool) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        P: ReplayPolicy<B>,
        B: Send + 'static,
        R: Body + Send + 'static,
    {
        let config = &self.link.common.config;
        if config.is_callers(request.headers()) {
            return ResponseFuture::bare(self.inner.call(request));
        }
        let kept = self.keep(&mut request);
        let config = &self.link.common.config;
        let need = Need::new(config, new_token, kept.as_ref().is_some_and(Snapshot::is_certain));
        let published = if new_token { None } else { config.handle.cell().token() };
        let token = match published {
            Some(token) => Ok(token),
            None => match config.handle.ask(need.ask) {
                Answer::Token(token) => Ok(token),
                Answer::Failed(error) => match need.without_token(config, error) {
                    Ok(()) => return ResponseFuture::bare(self.inner.call(request)),
                    Err(error) => Err(error),
                },
                Answer::Soon(..) | Answer::Wait(_) => {
                    self.give_back();
                    return ResponseFuture::detached(first_token(Arc::clone(&self.link), request, kept, need));
                }
            },
        };
        let generation = token.and_then(|token| {
            let header = self.warm_up(&token)?;
            self.link.common.config.style.insert(request.headers_mut(), &header)?;
            Ok(token.generation())
        });
        match generation {
            Ok(generation) if self.link.common.config.looks() => {
                let flight = self.flight(generation, kept);
                ResponseFuture::watched(self.inner.call(request), flight)
            }
            Ok(_) => ResponseFuture::bare(self.inner.call(request)),
            Err(error) => self.fail(error),
        }
    }

    /// What it takes to send a request again, without the token's own header.
    #[inline]
    fn keep<B>(&self, request: &mut Request<B>) -> Option<Snapshot<B>>
    where
        P: ReplayPolicy<B>,
    {
        if !self.link.common.config.keeps(request.method(), request.extensions()) {
            return None;
        }
        let body = self.policy.keep(request.body_mut());
        body.and_then(|body| Snapshot::new(request, body, &self.link.room))
    }

    #[inline]
    fn flight<B>(&self, generation: u64, kept: Option<Snapshot<B>>) -> Flight<S, B> {
        Flight { link: Arc::clone(&self.link), generation, kept }
    }

    fn fail<B>(&mut self, error: TokenError) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>> + Clone,
    {
        self.give_back();
        ResponseFuture::failed(error)
    }
}

impl<S: Clone, P: Clone> Clone for AuthService<S, P> {
    fn clone(&self) -> Self {
        AuthService {
            inner: self.inner.clone(),
            link: Arc::clone(&self.link),
            own_link: false,
            header: LocalHeader::default(),
            policy: self.policy.clone(),
        }
    }
}

impl<S: fmt::Debug, P: fmt::Debug> fmt::Debug for AuthService<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthService")
            .field("inner", &self.inner)
            .field("config", &self.link.common.config)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
