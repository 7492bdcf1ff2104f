//! What teams write by hand, and what can be composed of tower's parts.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    mem,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response, StatusCode, header::AUTHORIZATION};
use tower::{BoxError, Service, retry::Policy};

type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// The limit: a value that nobody counts references of.
#[derive(Clone)]
pub(crate) struct InsertStatic<S>(pub(crate) S, pub(crate) HeaderValue);

impl<S: Service<Request<B>>, B> Service<Request<B>> for InsertStatic<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        request.headers_mut().insert(AUTHORIZATION, self.1.clone());
        self.0.call(request)
    }
}

/// A token behind an asynchronous lock, which is held while it is refreshed; the header is written for each request.
#[derive(Clone)]
pub(crate) struct AsyncMutex<S>(pub(crate) S, pub(crate) Arc<tokio::sync::Mutex<String>>);

impl<S, B> Service<Request<B>> for AsyncMutex<S>
where
    S: Service<Request<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<S::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let next = self.0.clone();
        let mut inner = mem::replace(&mut self.0, next);
        let token = Arc::clone(&self.1);
        Box::pin(async move {
            let mut header = HeaderValue::try_from(format!("Bearer {}", token.lock().await))?;
            header.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, header);
            Ok(inner.call(request).await?)
        })
    }
}

/// A finished header behind a blocking lock: the best of what was seen in the wild.
#[derive(Clone)]
pub(crate) struct StdRwLock<S>(pub(crate) S, pub(crate) Arc<RwLock<HeaderValue>>);

impl<S, B> Service<Request<B>> for StdRwLock<S>
where
    S: Service<Request<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<S::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let next = self.0.clone();
        let mut inner = mem::replace(&mut self.0, next);
        let header = Arc::clone(&self.1);
        Box::pin(async move {
            let header = header.read().unwrap_or_else(PoisonError::into_inner).clone();
            request.headers_mut().insert(AUTHORIZATION, header);
            Ok(inner.call(request).await?)
        })
    }
}

/// `tower::retry`, once, after a 401. Its header never changes: it is only what keeping a copy costs there.
#[derive(Clone)]
pub(crate) struct Once401;

impl<B: Clone, R, E> Policy<Request<B>, Response<R>, E> for Once401 {
    type Future = Ready<()>;

    fn retry(&mut self, _request: &mut Request<B>, result: &mut Result<Response<R>, E>) -> Option<Ready<()>> {
        let rejected = result.as_ref().is_ok_and(|response| response.status() == StatusCode::UNAUTHORIZED);
        rejected.then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        Some(request.clone())
    }
}
