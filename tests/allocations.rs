//! H1, H2: what a request with a token at hand allocates; L7: what one takes that waits. A file of its own, since the counter is
//! the program's allocator.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response, header::ACCEPT};
use http_body_util::{BodyExt, Empty, Full, combinators::BoxBody};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_token::{AuthError, BearerAuthLayer, ErrorKind, Origins, StaticToken, TokenError, TokenHandle, source_fn};

fn inner<B>()
-> impl Service<Request<B>, Response = Response<String>, Error = Infallible, Future = Ready<Result<Response<String>, Infallible>>>
+ Clone {
    service_fn(|request: Request<B>| {
        drop(request);
        ready(Ok(Response::new(String::new())))
    })
}

fn request<B>(body: B) -> Request<B> {
    let mut request = Request::get("https://api.example.com/orders?page=2").body(body).unwrap();
    request.headers_mut().reserve(8);
    request.headers_mut().insert(ACCEPT, "application/json".parse().unwrap());
    request
}

/// What each of five calls through one clone allocates, from the call to the answer, once the token is there.
fn allocations<S, B>(mut service: S, body: impl Fn() -> B) -> [u64; 5]
where
    S: Service<Request<B>>,
{
    let mut cx = Context::from_waker(Waker::noop());
    [(); 5].map(|()| {
        let request = request(body());
        assert!(service.poll_ready(&mut cx).is_ready());
        allocation_counter::measure(|| match pin!(service.call(request)).poll(&mut cx) {
            Poll::Ready(answer) => assert!(answer.is_ok()),
            Poll::Pending => panic!("it waits although the token is there"),
        })
        .count_total
    })
}

/// A layer whose engine runs on the test's runtime and has its token.
async fn layer() -> BearerAuthLayer {
    let handle = TokenHandle::new(StaticToken::new("t".repeat(1024)).unwrap());
    handle.token().await.unwrap();
    BearerAuthLayer::new("https://api.example.com".parse::<Origins>().unwrap(), handle)
}

/// The first two calls of a clone build its header; the rest allocate nothing for a body that is not kept.
#[tokio::test]
async fn a_body_that_is_not_kept_costs_no_allocation() {
    let body = || -> BoxBody<Bytes, Infallible> { Empty::new().boxed() };
    for layer in [layer().await, layer().await.watch(false)] {
        assert_eq!(allocations(layer.layer(inner()), body)[2..], [0; 3]);
    }
}

#[tokio::test]
async fn a_kept_request_costs_one_allocation() {
    let layer = layer().await;
    assert_eq!(allocations(layer.layer(inner()), Empty::<Bytes>::new)[2..], [1; 3]);
    assert_eq!(allocations(layer.layer(inner()), || Full::new(Bytes::from_static(b"body")))[2..], [1; 3]);
}

/// `client.clone().oneshot(..)`: a clone of a service that is warm itself, made for one request.
fn allocations_of_fresh_clones<S, B>(mut warm: S, body: impl Fn() -> B) -> [u64; 5]
where
    S: Service<Request<B>> + Clone,
{
    allocations(&mut warm, &body);
    let mut cx = Context::from_waker(Waker::noop());
    [(); 5].map(|()| {
        let request = request(body());
        allocation_counter::measure(|| match pin!(warm.clone().oneshot(request)).poll(&mut cx) {
            Poll::Ready(answer) => assert!(answer.is_ok()),
            Poll::Pending => panic!("it waits although the token is there"),
        })
        .count_total
    })
}

/// A clone starts without a header of its own and borrows the one of its layer; only what is kept of the request is its own.
#[tokio::test]
async fn a_fresh_clone_per_request_costs_no_allocation_or_one_if_kept() {
    let layer = layer().await;
    let boxed = || -> BoxBody<Bytes, Infallible> { Empty::new().boxed() };
    assert_eq!(allocations_of_fresh_clones(layer.layer(inner()), boxed), [0; 5]);
    assert_eq!(allocations_of_fresh_clones(layer.layer(inner()), || Full::new(Bytes::from_static(b"body"))), [1; 5]);
}

/// L7: so many callers wait in an outage. What each takes is given back when it goes, and all who stay are answered at once.
fn memory_of_waiters<F: Future>(wait: impl Fn() -> F) -> (u64, Vec<std::pin::Pin<Box<F>>>) {
    const WAITERS: usize = 100_000;
    let mut cx = Context::from_waker(Waker::noop());
    let mut waiting = Vec::with_capacity(WAITERS);
    let wait = || {
        let mut future = Box::pin(wait());
        assert!(future.as_mut().poll(&mut cx).is_pending());
        future
    };
    let taken = allocation_counter::measure(|| waiting.extend(std::iter::repeat_with(wait).take(WAITERS))).bytes_current;
    let half = waiting.split_off(WAITERS / 2);
    let given_back = allocation_counter::measure(|| half.into_iter().for_each(drop)).bytes_current;
    let list = (WAITERS / 2 * size_of::<usize>()) as i64;
    // The first of all has started the engine, whose task is no waiter's.
    assert!((given_back + list + taken / 2).abs() < 4096, "who goes leaves nothing: {taken} taken, {given_back} by half of them");
    (taken as u64 / WAITERS as u64, waiting)
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_waiters_take_little_and_are_all_answered() {
    let gate = tokio::sync::watch::Sender::new(false);
    let open = gate.clone();
    let handle = TokenHandle::new(source_fn(move |_| {
        let mut open = open.subscribe();
        async move {
            open.wait_for(|open| *open).await.unwrap();
            Err::<tower_token::AccessToken, _>(TokenError::transient("down"))
        }
    }));
    let layer = BearerAuthLayer::new("https://api.example.com".parse::<Origins>().unwrap(), handle.clone());
    let service = layer.layer(inner::<Full<Bytes>>());
    let (each_call, calls) = memory_of_waiters(|| service.clone().oneshot(request(Full::default())));
    let (each_token, tokens) = memory_of_waiters(|| handle.token());
    assert!(each_call <= 5120, "{each_call} bytes for a call that waits");
    assert!(each_token <= 512, "{each_token} bytes for a caller of token() that waits");
    gate.send_replace(true);
    for call in calls {
        let Err(AuthError::Token(error)) = call.await else { panic!("there was no token") };
        assert_eq!(error.kind(), ErrorKind::Transient);
    }
    for token in tokens {
        assert_eq!(token.await.unwrap_err().kind(), ErrorKind::Transient);
    }
    assert_eq!(handle.status().fetches(), 1);
    println!("{each_call} bytes for a call that waits, {each_token} for a caller of token()");
}
