//! reqwest-auth 1.0.0 on reqwest-middleware 0.4.2 and reqwest 0.12: `ClientWithMiddleware::execute` through
//! `AuthorizationHeaderMiddleware`, with the `TokenSource` that a user has to write, here a `tokio::sync::RwLock<String>`
//! that holds the whole header. The last middleware answers in the place of the network. Over reqwest's own request
//! type: the floor is the same client with the last middleware alone.

use std::sync::Arc;

use async_trait::async_trait;
use compare::{Case, runtime};
use http::{Extensions, HeaderValue, header};
use reqwest_auth::AuthorizationHeaderMiddleware;
use reqwest_middleware::{
    ClientBuilder, ClientWithMiddleware, Middleware, Next, Result,
    reqwest::{Client, Method, Request, Response, Url},
};
use token_source::TokenSource;
use tokio::sync::RwLock;

use crate::case::{self, Arrived, BoxError, Calls, URI, token};

pub(crate) const FLOOR: &str = "floor: reqwest-middleware";

pub(crate) fn floor() -> std::result::Result<Box<dyn Case>, BoxError> {
    let client = ClientBuilder::new(Client::new()).with(Stop).build();
    Calls::case(FLOOR, FLOOR, sends(client)?)
}

pub(crate) fn auth() -> std::result::Result<Box<dyn Case>, BoxError> {
    let source: Arc<dyn TokenSource> = Arc::new(Source(RwLock::new(format!("Bearer {}", token()))));
    let auth = Arc::new(AuthorizationHeaderMiddleware::from(source));
    let client = || ClientBuilder::new(Client::new()).with_arc(auth.clone());
    let arrived = Arrived::default();
    let id = case::id()?;
    runtime().block_on(sends(client().with(Witness(arrived.clone())).build())?(&id))?;
    arrived.check()?;
    let name = "reqwest-auth on reqwest-middleware";
    Calls::case(name, FLOOR, sends(client().with(Stop).build())?)
}

fn sends(
    client: ClientWithMiddleware,
) -> std::result::Result<impl AsyncFn(&HeaderValue) -> Result<Response> + Clone + Send + 'static, BoxError> {
    let url: Url = URI.parse()?;
    Ok(async move |id: &HeaderValue| {
        let mut request = Request::new(Method::GET, url.clone());
        case::headers(request.headers_mut(), id);
        client.execute(request).await
    })
}

#[derive(Debug)]
struct Source(RwLock<String>);

#[async_trait]
impl TokenSource for Source {
    async fn token(&self) -> std::result::Result<String, BoxError> {
        Ok(self.0.read().await.clone())
    }
}

struct Stop;

#[async_trait]
impl Middleware for Stop {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        drop(std::hint::black_box(request));
        Ok(http::Response::new("").into())
    }
}

struct Witness(Arrived);

#[async_trait]
impl Middleware for Witness {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        let value = request.headers().get(header::AUTHORIZATION);
        self.0.note(value.and_then(|value| value.to_str().ok()));
        Ok(http::Response::new("").into())
    }
}
