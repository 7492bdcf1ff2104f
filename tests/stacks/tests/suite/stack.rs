use std::future::Future;

use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header::AUTHORIZATION};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use tower::{Service, ServiceExt};
use tower_token::{AuthError, BearerAuthLayer, BoxError, Origins};

use crate::api::{Api, Site};

/// A client under the layer, as its users build it, and a server that it can reach.
pub(crate) trait Stack: Clone + Send + Sync + 'static {
    /// What it makes of a redirect.
    const REDIRECTS: Redirects;
    /// Whether all that it sends goes to `home`, whatever the URL says.
    const ONE_CONNECTION: bool = false;

    /// A place for the API: loopback, unless the stack lives in memory.
    fn site(name: &str, api: Api) -> impl Future<Output = Site> {
        let _in_memory = name;
        Site::on_loopback(api)
    }

    /// A client whose requests to `origins`, which is `home`, carry a token.
    fn client(layer: BearerAuthLayer, origins: &Origins, home: &Site, foreign: &Site) -> impl Future<Output = Self>;

    fn send(&self, call: Call) -> impl Future<Output = Sent> + Send;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// The 3xx is the caller's.
    HandedBack,
    /// Followed to a listed origin, else handed back.
    WithinOrigins,
    /// All are followed.
    Followed,
}

/// A request, to be written in each stack's own way.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    method: Method,
    url: String,
    authorization: Vec<HeaderValue>,
    payload: Payload,
}

#[derive(Clone, Debug)]
pub(crate) enum Payload {
    Empty,
    Whole(Bytes),
    Stream(Chunks),
}

/// One after the other, and more than any stack here keeps for a replay.
#[derive(Clone, Debug)]
pub(crate) struct Chunks(Vec<Bytes>);

/// How much of a stream a stack may keep, in bytes. [`Chunks`] have more.
pub(crate) const KEPT: usize = 16 * 1024;

/// An answer with its whole body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) extensions: Extensions,
    pub(crate) body: Bytes,
}

pub(crate) type Sent = Result<Answer, AuthError<BoxError>>;

impl Call {
    pub(crate) fn get(url: impl Into<String>) -> Call {
        Call { method: Method::GET, url: url.into(), authorization: Vec::new(), payload: Payload::Empty }
    }

    pub(crate) fn put(url: impl Into<String>, body: &'static str) -> Call {
        Call { method: Method::PUT, payload: Payload::Whole(Bytes::from_static(body.as_bytes())), ..Call::get(url) }
    }

    pub(crate) fn upload(url: impl Into<String>, chunks: &Chunks) -> Call {
        Call { method: Method::POST, payload: Payload::Stream(chunks.clone()), ..Call::get(url) }
    }

    /// One more header of the caller's.
    pub(crate) fn authorization(mut self, value: &'static str) -> Call {
        self.authorization.push(HeaderValue::from_static(value));
        self
    }

    pub(crate) fn request<B>(self, body: impl FnOnce(Payload) -> B) -> Request<B> {
        let mut request = Request::builder().method(self.method).uri(self.url).body(body(self.payload)).unwrap();
        for value in self.authorization {
            request.headers_mut().append(AUTHORIZATION, value);
        }
        request
    }
}

impl Chunks {
    pub(crate) fn many() -> Chunks {
        Chunks((0..100).map(|n| Bytes::from(vec![n; 1000])).collect())
    }

    pub(crate) fn whole(&self) -> Bytes {
        self.0.concat().into()
    }

    pub(crate) fn body<E>(self) -> impl Body<Data = Bytes, Error = E> + Send + Sync + Unpin + 'static
    where
        E: Send + Sync + 'static,
    {
        StreamBody::new(futures::stream::iter(self.0.into_iter().map(|chunk| Ok(Frame::data(chunk)))))
    }
}

impl Answer {
    pub(crate) async fn of<B: Body<Error: Into<BoxError>>>(response: Response<B>) -> Sent {
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| AuthError::Service(error.into()))?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, extensions: head.extensions, body })
    }

    pub(crate) fn has<T: Clone + Send + Sync + 'static>(&self) -> bool {
        self.extensions.get::<T>().is_some()
    }
}

/// Sends a request through a tower service.
pub(crate) async fn through<S, B, R, E>(service: &S, request: Request<B>) -> Sent
where
    S: Service<Request<B>, Response = Response<R>, Error = AuthError<E>> + Clone,
    R: Body<Error: Into<BoxError>>,
    E: Into<BoxError>,
{
    match service.clone().oneshot(request).await {
        Ok(response) => Answer::of(response).await,
        Err(AuthError::Token(error)) => Err(AuthError::Token(error)),
        Err(AuthError::Service(error)) => Err(AuthError::Service(error.into())),
    }
}
