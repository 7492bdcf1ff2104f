//! H3: requests that wait or are sent again, over services whose readiness is scarce.

use std::{convert::Infallible, time::Duration};

use http::{Request, Response, StatusCode};
use tower::{
    BoxError, Layer, Service, ServiceBuilder, ServiceExt, buffer::BufferLayer, limit::ConcurrencyLimitLayer,
    load_shed::LoadShedLayer, util::BoxCloneService,
};
use tower_token::{AuthError, BearerAuthLayer, TokenHandle};

use crate::support::{API, Api, Mint, get, origins};

type Stack = BoxCloneService<Request<String>, Response<String>, BoxError>;

/// The API, which takes 10 ms over each answer.
fn slow(
    api: &Api,
) -> impl Service<Request<String>, Response = Response<String>, Error = Infallible, Future: Send> + Clone + Send + 'static + use<>
{
    let api = api.clone();
    tower::service_fn(move |request: Request<String>| {
        let response = api.answer(&request);
        async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok(response)
        }
    })
}

/// The services under the layer, by name. Each but the last has room for `room` requests at a time.
fn stacks(api: &Api, room: usize) -> [(&'static str, Stack); 3] {
    let limited = ServiceBuilder::new().map_err(BoxError::from).layer(ConcurrencyLimitLayer::new(room)).service(slow(api));
    let buffered = ServiceBuilder::new().layer(BufferLayer::new(room)).concurrency_limit(room).service(slow(api));
    let shedding = ServiceBuilder::new().layer(LoadShedLayer::new()).service(slow(api));
    [
        ("ConcurrencyLimit", BoxCloneService::new(limited)),
        ("Buffer", BoxCloneService::new(buffered)),
        ("LoadShed", BoxCloneService::new(shedding)),
    ]
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.unwrap_or_else(|_| panic!("deadlock: {what}"))
}

/// A hundred callers whose first token is refused, through one or a few places: all are replayed.
#[tokio::test(start_paused = true)]
async fn a_hundred_replays_pass_through_each() {
    for (room, index) in [(1, 0), (3, 0), (1, 1), (3, 1), (1, 2)] {
        let (api, mint) = (Api::accepting("token-2"), Mint::default());
        let (name, stack) = stacks(&api, room)[index].clone();
        let service = BearerAuthLayer::new(origins(), mint.source()).layer(stack);
        let calls = futures::future::join_all((0..100).map(|_| service.clone().oneshot(get(API))));
        for answer in within(name, calls).await {
            assert_eq!(answer.unwrap().status(), StatusCode::OK, "{name} {room}");
        }
        assert_eq!(mint.fetches(), 2, "{name} {room}");
        assert!(api.seen().len() > 100 && api.seen().len() <= 200, "{name} {room}: {}", api.seen().len());
    }
}

/// One value called again and again, as a connection pool's user does: its readiness survives waits and replays.
#[tokio::test(start_paused = true)]
async fn one_value_stays_usable_over_each() {
    for (name, stack) in stacks(&Api::accepting("token-2"), 1) {
        let mint = Mint::default();
        let mut service = BearerAuthLayer::new(origins(), mint.source()).layer(stack);
        for _ in 0..5 {
            let answer = within(name, async { service.ready().await.unwrap().call(get(API)).await }).await;
            assert_eq!(answer.unwrap().status(), StatusCode::OK, "{name}");
        }
    }
}

/// With as many places as callers nothing is shed: a replay has let go of the first place before it asks for the second.
#[tokio::test(start_paused = true)]
async fn load_shed_never_sheds_a_replay() {
    let (api, mint) = (Api::default(), Mint::default());
    let handle = TokenHandle::new(mint.source());
    let stack = ServiceBuilder::new().load_shed().concurrency_limit(8).service(slow(&api));
    let service = BearerAuthLayer::new(origins(), handle.clone()).layer(stack);
    for round in 1..=20 {
        handle.token().await.unwrap();
        // Past its youth, so that the rejection is not held against the server.
        tokio::time::sleep(Duration::from_secs(20)).await;
        api.accept(&format!("token-{}", round + 1));
        let calls = (0..8).map(|_| service.clone().oneshot(get(API)));
        for answer in futures::future::join_all(calls).await {
            assert_eq!(answer.expect("nothing is shed").status(), StatusCode::OK, "round {round}");
        }
    }
    assert_eq!((mint.fetches(), api.seen().len()), (21, 20 * 8 * 2));
}

/// A request that waits, before its first send or after a 401, has given its place in the buffer back, though the value that it
/// was sent through lives on.
#[tokio::test(start_paused = true)]
async fn a_request_that_waits_holds_no_place_in_a_buffer() {
    for rejected in [false, true] {
        let (api, mint) = (Api::accepting("token-2"), Mint::default());
        let handle = TokenHandle::new(mint.source());
        if rejected {
            handle.token().await.unwrap();
        }
        mint.hold(true);
        let stack = ServiceBuilder::new().layer(BufferLayer::new(1)).service(slow(&api));
        let service = BearerAuthLayer::new(origins(), handle).layer(stack);
        let (mut values, mut waiting) = (vec![service.clone(); 10], Vec::new());
        for value in &mut values {
            let ready = within("a place is held", value.ready()).await.unwrap();
            waiting.push(tokio::spawn(ready.call(get(API))));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(api.seen().len(), if rejected { 10 } else { 0 });
        let other = service.oneshot(get("https://elsewhere.example/"));
        assert_eq!(within("a full buffer", other).await.unwrap().body(), "answer to -");
        mint.hold(false);
        for call in waiting {
            assert_eq!(within("a waiting call", call).await.unwrap().unwrap().status(), StatusCode::OK);
        }
    }
}

/// An error of the stack under the layer is its own, also when it comes in a replay.
#[tokio::test(start_paused = true)]
async fn a_replay_that_is_shed_says_so() {
    let (api, mint) = (Api::accepting("token-2"), Mint::default());
    let handle = TokenHandle::new(mint.source());
    handle.token().await.unwrap();
    mint.hold(true);
    let stack = ServiceBuilder::new().load_shed().concurrency_limit(1).service(slow(&api));
    let service = BearerAuthLayer::new(origins(), handle).layer(stack);
    let call = tokio::spawn(service.clone().oneshot(get(API)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    // It has its 401. Somebody else takes the one place, and then the new token comes.
    let mut other = std::pin::pin!(service.clone().oneshot(get("https://elsewhere.example/")));
    assert!(futures::poll!(other.as_mut()).is_pending());
    mint.hold(false);
    let Err(AuthError::Service(error)) = call.await.unwrap() else { panic!("there was no place") };
    assert!(error.is::<tower::load_shed::error::Overloaded>(), "{error}");
    other.await.unwrap();
    assert_eq!(api.seen(), ["Bearer token-1", "-"]);
}
