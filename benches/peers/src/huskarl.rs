//! huskarl 0.11.10: `HttpAuthorizer::get_headers` before and `process_response` after each request, as its documentation
//! asks for, over an `InMemoryTokenCache` of the client credentials grant, in the boxed layer that a user writes around
//! it. The token comes from a stub of the crate's `HttpClient`. Left out: the caller's own loop that sends a request
//! again after a 401, and DPoP.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use compare::Case;
use http::{HeaderMap, Request, Response};
use huskarl::{
    authorizer::HttpAuthorizer,
    cache::{GrantTokenSource, InMemoryRefreshTokenStore, InMemoryTokenCache},
    grant::client_credentials::{ClientCredentialsGrant, ClientCredentialsGrantParameters},
};
use huskarl_core::{
    Error,
    client_auth::ClientSecret,
    http::{HttpClient, HttpResponse, Idempotency},
    platform::MaybeSendBoxFuture,
    secrets::{ProvidedSecret, SecretString},
};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    case::{self, BoxError},
    endpoint::Issuer,
};

pub(crate) fn headers(floor: &'static str) -> Result<Box<dyn Case>, BoxError> {
    let secret = ProvidedSecret::new(SecretString::new("secret"));
    let grant = ClientCredentialsGrant::builder()
        .client_id("peers")
        .http_client(Stub::default())
        .client_auth(ClientSecret::new(secret))
        .token_endpoint("https://idp.example.com/token".parse()?)
        .build();
    let source = GrantTokenSource::builder()
        .grant(grant)
        .grant_parameters(ClientCredentialsGrantParameters::new())
        .refresh_store(InMemoryRefreshTokenStore::default())
        .build();
    let cache = InMemoryTokenCache::builder().source(source).build();
    let authorizer = Arc::new(HttpAuthorizer::builder().cache(cache).build());
    let layer = AuthorizerLayer(authorizer);
    case::layered::<_, BoxError>("huskarl HttpAuthorizer", floor, &layer)
}

/// The token endpoint.
#[derive(Default)]
struct Stub(Issuer);

impl HttpClient for Stub {
    fn execute(&self, _: Request<Bytes>, _: Idempotency) -> MaybeSendBoxFuture<'_, Result<HttpResponse, Error>> {
        let (status, body) = self.0.reply();
        Box::pin(async move { Ok(HttpResponse { status, headers: HeaderMap::new(), body: body.into() }) })
    }
}

struct AuthorizerLayer(Arc<HttpAuthorizer>);

impl<S> Layer<S> for AuthorizerLayer {
    type Service = Authorizing<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Authorizing(self.0.clone(), inner)
    }
}

#[derive(Clone)]
struct Authorizing<S>(Arc<HttpAuthorizer>, S);

impl<S, B, R> Service<Request<B>> for Authorizing<S>
where
    S: Service<Request<B>, Response = Response<R>, Error: Into<BoxError>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.1.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let authorizer = self.0.clone();
        // The service that was polled ready is the one to call.
        let clone = self.1.clone();
        let mut inner = std::mem::replace(&mut self.1, clone);
        Box::pin(async move {
            let uri = request.uri().clone();
            let headers = authorizer.get_headers(request.method(), &uri).await?;
            request.headers_mut().extend(headers);
            let response = inner.call(request).await.map_err(Into::into)?;
            authorizer.process_response(&uri, response.headers());
            Ok(response)
        })
    }
}
