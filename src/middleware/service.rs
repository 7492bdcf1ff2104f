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
    future::{Flight, ResponseFuture, first_token},
    header::{Header, LocalHeader},
    layer::{CallerHeader, Common, OnUnavailable},
    origin::Destination,
    replay::{Known, ReplayPolicy},
    snapshot::Snapshot,
};
use crate::{
    error::{AuthError, ErrorKind, TokenError},
    refresh::{Answer, Ask},
    token::AccessToken,
};

/// A service under an [`AuthLayer`](super::AuthLayer).
///
/// A clone that is called more than once keeps a copy of the current header to itself, and of a token that was replaced until
/// its next call.
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
}

impl<S: Clone> Link<S> {
    /// A clone of the service, which is not ready.
    fn service(&self) -> S {
        // A service whose `clone` panicked is as good as it ever was.
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a request through a clone that has been made ready for it.
    pub(super) async fn send<B>(&self, request: Request<B>) -> Result<S::Response, AuthError<S::Error>>
    where
        S: Service<Request<B>>,
    {
        let mut service = self.service();
        poll_fn(|cx| service.poll_ready(cx)).await.map_err(AuthError::Service)?;
        let response = service.call(request);
        drop(service);
        response.await.map_err(AuthError::Service)
    }
}

impl<S: Clone, P> AuthService<S, P> {
    pub(super) fn new(inner: S, common: Arc<Common>, policy: P) -> AuthService<S, P> {
        let link = Arc::new(Link { common, spare: Mutex::new(inner.clone()) });
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
        if self.header.fill(&header) && !self.own_link {
            self.link = Arc::new(Link { common, spare: Mutex::new(self.link.service()) });
            self.own_link = true;
        }
        Ok(header)
    }
}

impl<S, P, B, R> Service<Request<B>> for AuthService<S, P>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
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
                self.give_back();
                let text = "the request's URI has no scheme and authority; say where it goes with `Origins::relative_as`";
                return ResponseFuture::failed(TokenError::new(ErrorKind::Misconfigured, text));
            }
        }
        if config.caller_header == CallerHeader::KeepCallers && config.style.is_on(request.headers()) {
            return ResponseFuture::bare(self.inner.call(request));
        }
        // Before the header goes on: the second request gets another one.
        let kept = if config.watch { self.policy.keep(request.body_mut()) } else { None };
        let kept = kept.and_then(|body| Snapshot::new(&request, body));

        let header = match self.header.get(config.handle.cell()) {
            Some(header) => Ok(header),
            None => match config.handle.cell().token() {
                Some(token) => self.warm_up(&token),
                None => match config.handle.ask(Ask::Token { replayable: kept.is_some() }) {
                    Answer::Token(token) => self.warm_up(&token),
                    Answer::Failed(error) => Err(error),
                    Answer::Soon(..) | Answer::Wait(_) => {
                        self.give_back();
                        return ResponseFuture::detached(first_token(Arc::clone(&self.link), request, kept));
                    }
                },
            },
        };
        let config = &self.link.common.config;
        let outcome = header.and_then(|header| {
            let generation = header.generation;
            config.style.insert(request.headers_mut(), header).map(|()| generation)
        });
        match outcome {
            Ok(_) if !config.watch && !config.expose_generation => ResponseFuture::bare(self.inner.call(request)),
            Ok(generation) => {
                let flight = Flight { link: Arc::clone(&self.link), generation, kept };
                ResponseFuture::watched(self.inner.call(request), flight)
            }
            Err(_) if config.on_unavailable == OnUnavailable::SendBare => ResponseFuture::bare(self.inner.call(request)),
            Err(error) => {
                self.give_back();
                ResponseFuture::failed(error)
            }
        }
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
