//! A client whose calls carry a vendor's token, by a clock that is set by hand.

use bytes::Bytes;
use http::{Extensions, HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client as Legacy, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{Layer, ServiceExt, util::BoxCloneService};
use tower_token::{
    BearerAuthLayer, BoxError, ErrorKind, Origins, TokenError, TokenHandle, TokenSource, refresh::Status, testing::ManualClock,
};

pub(crate) type Hyper = Legacy<HttpConnector, Full<Bytes>>;

pub(crate) fn hyper() -> Hyper {
    Legacy::builder(TokioExecutor::new()).build_http()
}

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) tokens: TokenHandle,
    service: BoxCloneService<Request<Full<Bytes>>, Answer, BoxError>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What the layer has put beside the response.
    pub(crate) extensions: Extensions,
}

impl Client {
    /// By the layer that the vendor's origins and a handle on its source make.
    pub(crate) fn new(source: impl TokenSource, origins: Origins, clock: &ManualClock) -> Client {
        let tokens = TokenHandle::builder(source).clock(clock.clone()).build();
        Client::over(BearerAuthLayer::new(origins, tokens.clone()).layer(hyper()), tokens)
    }

    /// By a stack, whose tokens come from this handle.
    pub(crate) fn over<S, B>(service: S, tokens: TokenHandle) -> Client
    where
        S: tower::Service<Request<Full<Bytes>>, Response = http::Response<B>, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + 'static,
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let whole = |response: http::Response<B>| async {
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(Into::into)?.to_bytes();
            Ok(Answer { status: parts.status, headers: parts.headers, body, extensions: parts.extensions })
        };
        Client { tokens, service: BoxCloneService::new(service.map_err(Into::into).and_then(whole)) }
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, BoxError> {
        self.service.clone().oneshot(request).await
    }

    pub(crate) async fn get(&self, url: &str) -> Answer {
        self.send(Request::get(url).body(Full::default()).unwrap()).await.unwrap()
    }

    /// Renews the token now, whatever its age; the kind of error with which that failed.
    pub(crate) async fn renew(&self) -> Result<(), ErrorKind> {
        self.attempt(|| self.tokens.reset()).await
    }

    /// What comes of the attempt that this leads to.
    pub(crate) async fn attempt(&self, cause: impl FnOnce()) -> Result<(), ErrorKind> {
        let before = self.tokens.status();
        let mut changes = self.tokens.subscribe();
        cause();
        let done = |now: &Status| now.generation() != before.generation() || now.failures() != before.failures();
        let now = changes.wait_for(done).await.unwrap();
        if now.failures() == before.failures() { Ok(()) } else { Err(now.last_error().unwrap()) }
    }

    /// The error without which there would be a token.
    pub(crate) async fn refused(&self) -> TokenError {
        self.tokens.token().await.unwrap_err()
    }
}
