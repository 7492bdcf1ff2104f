//! The layer that users write around a crate that only answers "which token now?": ask, put the answer into the header,
//! call the inner service. One boxed future, as the answer is an `async fn`.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderValue, Request, header};
use tower_layer::Layer;
use tower_service::Service;

use crate::case::BoxError;

/// A crate that hands out its cached token.
pub(crate) trait Fetch: Clone + Send + Sync + 'static {
    /// Puts the token into the headers of a request.
    fn authorize(&self, headers: &mut HeaderMap) -> impl Future<Output = Result<(), BoxError>> + Send;
}

/// The header for a token, marked as a secret.
///
/// # Errors
///
/// If the token is none that can stand in a header.
pub(crate) fn insert(headers: &mut HeaderMap, token: &str) -> Result<(), BoxError> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))?;
    value.set_sensitive(true);
    headers.insert(header::AUTHORIZATION, value);
    Ok(())
}

#[derive(Clone, Debug)]
pub(crate) struct FetchLayer<F>(pub(crate) F);

impl<F: Clone, S> Layer<S> for FetchLayer<F> {
    type Service = Fetching<F, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Fetching { fetch: self.0.clone(), inner }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Fetching<F, S> {
    fetch: F,
    inner: S,
}

impl<F, S, B> Service<Request<B>> for Fetching<F, S>
where
    F: Fetch,
    S: Service<Request<B>, Error: Into<BoxError>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let fetch = self.fetch.clone();
        // The service that was polled ready is the one to call.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            fetch.authorize(request.headers_mut()).await?;
            inner.call(request).await.map_err(Into::into)
        })
    }
}
