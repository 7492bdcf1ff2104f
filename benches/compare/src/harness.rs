//! The workload: a GET with a static URI and four headers, one of them dynamic, to a service that does nothing.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    hint::{black_box, spin_loop},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, Uri,
    header::{ACCEPT, CONTENT_TYPE, USER_AGENT},
};
use http_body_util::Empty;
use tower::Service;

use crate::{Case, Make};

/// The token: as long as a JWT with a few claims.
pub fn token() -> String {
    "t".repeat(1024)
}

/// The inner service. It drops the request and is ready at once; a clone is one reference count.
#[derive(Clone, Default)]
pub struct Noop {
    _shared: Arc<()>,
}

impl<B> Service<Request<B>> for Noop {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        #[cfg(test)]
        tests::note(&request);
        black_box(&request);
        drop(request);
        ready(Ok(Response::new(Empty::new())))
    }
}

/// Four headers in a map with room for one more.
pub fn four<B>(body: impl Fn() -> B + Clone + Send + 'static) -> impl Fn(&HeaderValue) -> Request<B> + Clone + Send + 'static {
    move |id| {
        let mut request = get(body());
        request.headers_mut().reserve(6);
        put_four(request.headers_mut(), id);
        request
    }
}

/// Ten headers, of which seven are dynamic, in a map with room for one more.
pub fn ten<B>(body: impl Fn() -> B + Clone + Send + 'static) -> impl Fn(&HeaderValue) -> Request<B> + Clone + Send + 'static {
    many(10, body)
}

/// So many headers, three of them static, in a map with room for one more; none at all if there are fewer than four.
pub fn many<B>(
    count: usize,
    body: impl Fn() -> B + Clone + Send + 'static,
) -> impl Fn(&HeaderValue) -> Request<B> + Clone + Send + 'static {
    let name = |number: usize| HeaderName::from_static(Box::leak(format!("x-header-{number}").into_boxed_str()));
    let more: Arc<[_]> = (4..count).map(name).collect();
    move |id| {
        let mut request = get(body());
        if count >= 4 {
            request.headers_mut().reserve(count + 1);
            put_four(request.headers_mut(), id);
        }
        for name in &*more {
            request.headers_mut().insert(name, id.clone());
        }
        request
    }
}

/// No header, and a map without memory.
pub fn none<B>(body: impl Fn() -> B + Clone + Send + 'static) -> impl Fn(&HeaderValue) -> Request<B> + Clone + Send + 'static {
    move |_id| get(body())
}

fn get<B>(body: B) -> Request<B> {
    let mut request = Request::new(body);
    *request.uri_mut() = Uri::from_static("https://api.example.com/v1/orders?page=2");
    request
}

fn put_four(headers: &mut HeaderMap, id: &HeaderValue) {
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("compare/1.0"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(HeaderName::from_static("x-request-id"), id.clone());
}

/// A service that one clone calls again and again.
pub fn case<S, M, B>(name: &'static str, floor: &'static str, service: impl Fn() -> S + 'static, make: M) -> Make
where
    M: Fn(&HeaderValue) -> Request<B> + Clone + Send + 'static,
    S: Service<Request<B>> + Clone + Send + 'static,
    B: 'static,
{
    Box::new(move || Box::new(Harness::<S, M, false>::new(name, floor, service(), make.clone())))
}

/// A service that is cloned for each request.
pub fn cloned<S, M, B>(name: &'static str, floor: &'static str, service: impl Fn() -> S + 'static, make: M) -> Make
where
    M: Fn(&HeaderValue) -> Request<B> + Clone + Send + 'static,
    S: Service<Request<B>> + Clone + Send + 'static,
    B: 'static,
{
    Box::new(move || Box::new(Harness::<S, M, true>::new(name, floor, service(), make.clone())))
}

struct Harness<S, M, const CLONED: bool> {
    name: &'static str,
    floor: &'static str,
    service: S,
    make: M,
    id: HeaderValue,
}

impl<S, M, const CLONED: bool> Harness<S, M, CLONED> {
    fn new(name: &'static str, floor: &'static str, service: S, make: M) -> Self {
        // Each harness has an identifier of its own: its reference count is not to be shared between threads.
        let id = HeaderValue::from_maybe_shared(Bytes::from("6f1c2c9e-6a53-4c0a-9d55-0a7f3f6b9a11".to_owned()));
        Harness { name, floor, service, make, id: crate::must(id) }
    }
}

impl<S, M, B, const CLONED: bool> Case for Harness<S, M, CLONED>
where
    M: Fn(&HeaderValue) -> Request<B> + Clone + Send + 'static,
    S: Service<Request<B>> + Clone + Send + 'static,
    B: 'static,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn floor(&self) -> &'static str {
        self.floor
    }

    #[inline(never)]
    fn run(&mut self, requests: u64) {
        for _ in 0..requests {
            let request = (self.make)(&self.id);
            if CLONED { send(&mut self.service.clone(), request) } else { send(&mut self.service, request) }
        }
    }

    fn future_size(&self) -> Option<usize> {
        // One word or two: a box, with who knows what in it.
        Some(size_of::<S::Future>()).filter(|size| *size > size_of::<Box<dyn Future<Output = ()>>>())
    }

    fn fork(&self) -> Box<dyn Case> {
        Box::new(Self::new(self.name, self.floor, self.service.clone(), self.make.clone()))
    }
}

/// One request. Who has to wait is asked again at once: nobody is woken, which favours locks.
///
/// # Panics
///
/// If it fails: a request that fails may be a fast one.
#[inline]
pub fn send<S: Service<Request<B>>, B>(service: &mut S, request: Request<B>) {
    let mut cx = Context::from_waker(Waker::noop());
    while service.poll_ready(&mut cx).is_pending() {
        spin_loop();
    }
    let mut future = pin!(service.call(request));
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(answer) => {
                assert!(black_box(answer.is_ok()), "a request failed");
                return;
            }
            Poll::Pending => spin_loop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use http::header::AUTHORIZATION;

    use super::*;

    thread_local!(static AUTHENTICATED: Cell<u64> = const { Cell::new(0) });

    pub(super) fn note<B>(request: &Request<B>) {
        let value = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
        if value.is_some_and(|value| value.starts_with(b"Bearer ttt")) {
            AUTHENTICATED.set(AUTHENTICATED.get() + 1);
        }
    }

    /// A case that does not do its work would be a fast one.
    #[test]
    fn every_case_but_the_floors_authenticates() {
        for make in crate::ours() {
            let mut case = make();
            AUTHENTICATED.set(0);
            case.run(5);
            let expected = if case.name() == case.floor() { 0 } else { 5 };
            assert_eq!(AUTHENTICATED.get(), expected, "{}", case.name());
        }
    }
}
