//! What all cases here share: the inner service that does nothing, whatever the error type; the check that a case measures
//! what it says; and the case of a peer over a request type of its own.
//!
//! The request is that of `compare`: a GET with a static URI and four headers, one of them made at run time, in a map
//! with room for one more. Peers over another request type build the same one of that type, and have a floor of their
//! own: the same case without authentication.

use std::{
    future::{Future, Ready, poll_fn, ready},
    hint::{black_box, spin_loop},
    marker::PhantomData,
    pin::pin,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use compare::{Case, harness, must, runtime};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::Empty;
use tower_layer::Layer;
use tower_service::Service;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Body = Empty<Bytes>;

/// Where requests go, as a string for the request types that keep one.
pub(crate) const URI: &str = "https://api.example.com/v1/orders?page=2";

/// The access token: 1,024 bytes, as long as a small JWT.
pub(crate) fn token() -> &'static str {
    static TOKEN: LazyLock<String> = LazyLock::new(harness::token);
    &TOKEN
}

/// The four headers of the workload, and room for the fifth.
pub(crate) fn headers(headers: &mut HeaderMap, id: &HeaderValue) {
    headers.reserve(6);
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static("compare/1.0"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("x-request-id", id.clone());
}

/// What arrived behind the authentication in the one request that is checked before the case is measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrived(Arc<Mutex<Option<String>>>);

impl Arrived {
    /// Keeps the `Authorization` header that arrived.
    pub(crate) fn note(&self, authorization: Option<&str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = authorization.map(str::to_owned);
    }

    /// # Errors
    ///
    /// If what arrived is anything but the token.
    pub(crate) fn check(&self) -> Result<(), BoxError> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.as_deref().and_then(|value| value.strip_prefix("Bearer ")) {
            Some(bearer) if bearer == token() => Ok(()),
            _ => Err("the request does not carry the token: this case would measure nothing".into()),
        }
    }
}

/// The inner service that does nothing, behind one `Arc` as a client is.
#[derive(Debug)]
pub(crate) struct Noop<E>(Arc<()>, PhantomData<fn() -> E>);

impl<E> Default for Noop<E> {
    fn default() -> Self {
        Self(Arc::default(), PhantomData)
    }
}

impl<E> Clone for Noop<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<E> Service<Request<Body>> for Noop<E> {
    type Response = Response<Body>;
    type Error = E;
    type Future = Ready<Result<Self::Response, E>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        drop(black_box(request));
        ready(Ok(Response::new(Empty::new())))
    }
}

/// The inner service of the check: it keeps the header for [`Arrived::check`].
#[derive(Debug)]
pub(crate) struct Witness<E>(Arrived, PhantomData<fn() -> E>);

impl<E> Clone for Witness<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<E> Service<Request<Body>> for Witness<E> {
    type Response = Response<Body>;
    type Error = E;
    type Future = Ready<Result<Self::Response, E>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let value = request.headers().get(header::AUTHORIZATION);
        self.0.note(value.and_then(|value| value.to_str().ok()));
        ready(Ok(Response::new(Empty::new())))
    }
}

/// The floor of the tower cases of this error type: the inner service alone.
pub(crate) fn floor<E: Send + 'static>(name: &'static str) -> Result<Box<dyn Case>, BoxError> {
    Ok(harness::case(name, name, Noop::<E>::default, request())())
}

/// The case of a layer: checked over a [`Witness`], measured over a [`Noop`].
///
/// # Errors
///
/// If the checked request fails or does not carry the token.
pub(crate) fn layered<L, E>(name: &'static str, floor: &'static str, layer: &L) -> Result<Box<dyn Case>, BoxError>
where
    L: Layer<Noop<E>> + Layer<Witness<E>>,
    <L as Layer<Noop<E>>>::Service: Service<Request<Body>> + Clone + Send + 'static,
    <L as Layer<Witness<E>>>::Service: Service<Request<Body>, Error: Into<BoxError>>,
{
    let arrived = Arrived::default();
    let mut checked = layer.layer(Witness(arrived.clone(), PhantomData));
    runtime().block_on(async {
        poll_fn(|cx| checked.poll_ready(cx)).await.map_err(Into::into)?;
        checked.call(request()(&id()?)).await.map_err(Into::into)
    })?;
    arrived.check()?;
    let service = layer.layer(Noop::default());
    Ok(harness::case(name, floor, move || service.clone(), request())())
}

/// The request of the workload.
fn request() -> impl Fn(&HeaderValue) -> Request<Body> + Clone + Send + 'static {
    harness::four(Empty::new)
}

/// The value of the dynamic header, 36 bytes like a UUID.
pub(crate) fn id() -> Result<HeaderValue, BoxError> {
    let id = Bytes::from("6f1c2c9e-6a53-4c0a-9d55-0a7f3f6b9a11".to_owned());
    Ok(HeaderValue::from_maybe_shared(id)?)
}

/// The case of a peer over another request type: one call of an asynchronous closure, one request.
pub(crate) struct Calls<F> {
    pub(crate) name: &'static str,
    pub(crate) floor: &'static str,
    pub(crate) call: F,
    pub(crate) id: HeaderValue,
}

impl<F, T, E> Calls<F>
where
    F: AsyncFn(&HeaderValue) -> Result<T, E> + Clone + Send + 'static,
{
    pub(crate) fn case(name: &'static str, floor: &'static str, call: F) -> Result<Box<dyn Case>, BoxError> {
        Ok(Box::new(Self { name, floor, call, id: id()? }))
    }
}

impl<F, T, E> Case for Calls<F>
where
    F: AsyncFn(&HeaderValue) -> Result<T, E> + Clone + Send + 'static,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn floor(&self) -> &'static str {
        self.floor
    }

    #[inline(never)]
    fn run(&mut self, requests: u64) {
        // For the timer that one of the peers makes in each request.
        let _entered = runtime().enter();
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..requests {
            let mut call = pin!((self.call)(&self.id));
            loop {
                match call.as_mut().poll(&mut cx) {
                    Poll::Ready(answer) => {
                        assert!(black_box(answer).is_ok(), "a request failed");
                        break;
                    }
                    // Another thread has the lock.
                    Poll::Pending => spin_loop(),
                }
            }
        }
    }

    fn future_size(&self) -> Option<usize> {
        None
    }

    fn fork(&self) -> Box<dyn Case> {
        // An identifier of its own: its reference count is not to be shared between threads.
        let id = must(id());
        Box::new(Self { name: self.name, floor: self.floor, call: self.call.clone(), id })
    }
}

#[cfg(test)]
mod tests {
    use tower_layer::Identity;

    use super::*;

    #[test]
    fn what_does_not_authenticate_is_no_case() {
        let case = layered::<_, BoxError>("nothing", "floor", &Identity::new());
        assert!(case.is_err_and(|error| error.to_string().contains("does not carry the token")));
    }
}
