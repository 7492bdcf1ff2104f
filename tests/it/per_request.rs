//! What a single request may ask for, and what the layer lets be sent twice.

use std::time::Duration;

use http::{Method, Request, StatusCode};
use tower::{Layer, ServiceExt};
use tower_token::{
    AuthError, BearerAuthLayer, ErrorKind, StaticToken, TokenHandle,
    middleware::{NewToken, NoReplay, NotReplayed, OnUnavailable, ReplayMethods},
    refresh::RefreshState,
};

use crate::support::{API, Api, Mint, get, origins};

const S: Duration = Duration::from_secs(1);

fn wanting_new() -> Request<String> {
    let mut request = get(API);
    request.extensions_mut().insert(NewToken);
    request
}

/// R7: a request may opt out of its replay; the token is renewed for the next one all the same.
#[tokio::test(start_paused = true)]
async fn a_request_that_opts_out_is_sent_once() {
    let (mint, api) = (Mint::default(), Api::accepting("token-2"));
    let handle = TokenHandle::new(mint.source());
    let service = BearerAuthLayer::new(origins(), handle.clone()).layer(api.service());
    let mut request = get(API);
    request.extensions_mut().insert(NoReplay);
    let response = service.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(response.extensions().get::<NotReplayed>().is_some());
    assert_eq!(service.oneshot(get(API)).await.unwrap().status(), StatusCode::OK);
    assert_eq!((mint.fetches(), handle.status().not_replayed()), (2, 1));
}

/// R7, RFC 9110 section 9.2: a layer may keep the replay to methods that are safe or idempotent.
#[tokio::test(start_paused = true)]
async fn a_layer_may_leave_methods_out() {
    for (methods, method, sends) in [
        (ReplayMethods::Any, Method::POST, 2),
        (ReplayMethods::Idempotent, Method::POST, 1),
        (ReplayMethods::Idempotent, Method::DELETE, 2),
        (ReplayMethods::Safe, Method::DELETE, 1),
        (ReplayMethods::Safe, Method::GET, 2),
    ] {
        let (mint, api) = (Mint::default(), Api::accepting("token-2"));
        let handle = TokenHandle::new(mint.source());
        let layer = BearerAuthLayer::new(origins(), handle.clone()).replay_methods(methods);
        let request = Request::builder().method(&method).uri(API).body(String::new()).unwrap();
        let response = layer.layer(api.service()).oneshot(request).await.unwrap();
        assert_eq!(api.seen().len(), sends, "{methods:?} {method}");
        assert_eq!(response.extensions().get::<NotReplayed>().is_some(), sends == 1);
        let status = handle.status();
        assert_eq!((status.replays(), status.not_replayed()), if sends == 2 { (1, 0) } else { (0, 1) });
    }
}

/// DESIGN 10: as after `reject(current)`, and all who want a new token share its fetch.
#[tokio::test(start_paused = true)]
async fn a_request_that_wants_a_new_token_waits_for_it() {
    let (mint, api) = (Mint::default(), Api::default());
    let service = BearerAuthLayer::new(origins(), mint.source()).layer(api.service());
    service.clone().oneshot(wanting_new()).await.unwrap();
    assert_eq!(api.seen(), ["Bearer token-1"], "the first token is new enough");

    mint.hold(true);
    let calls = (0..100).map(|_| service.clone().oneshot(wanting_new()));
    let calls = tokio::spawn(futures::future::join_all(calls));
    tokio::task::yield_now().await;
    service.clone().oneshot(get(API)).await.unwrap();
    assert_eq!(api.seen(), ["Bearer token-1"; 2], "others are not held up, and who waits is not sent");
    mint.hold(false);
    for response in calls.await.unwrap() {
        assert_eq!(response.unwrap().into_body(), "answer to Bearer token-2");
    }
    assert_eq!(mint.fetches(), 2);
}

/// DESIGN 10: if no newer token comes, a typed error, and the request is not sent: not bare either.
#[tokio::test(start_paused = true)]
async fn a_new_token_that_does_not_come_is_an_error() {
    let (mint, api) = (Mint::default(), Api::default());
    let layer = BearerAuthLayer::new(origins(), mint.source()).on_unavailable(OnUnavailable::SendBare).wait(5 * S);
    let service = layer.layer(api.service());
    service.clone().oneshot(get(API)).await.unwrap();
    mint.down(true);
    for _ in 0..3 {
        let Err(AuthError::Token(error)) = service.clone().oneshot(wanting_new()).await else { panic!("it was sent") };
        assert_eq!(error.kind(), ErrorKind::Transient);
        assert!(error.retry_at().is_some());
    }
    assert_eq!((mint.fetches(), api.seen().len()), (2, 1), "one attempt, then the back-off");
    mint.hold(true);
    tokio::time::sleep(2 * S).await;
    let Err(AuthError::Token(error)) = service.clone().oneshot(wanting_new()).await else { panic!("it was sent") };
    assert_eq!(error.kind(), ErrorKind::Timeout);
    service.oneshot(get(API)).await.unwrap();
    assert_eq!(api.seen(), ["Bearer token-1"; 2], "the current token goes on serving");
}

/// DESIGN 10: a static token has no successor; who wants one is told, and the others go on with it.
#[tokio::test(start_paused = true)]
async fn a_static_token_has_no_newer_one() {
    let api = Api::default();
    let service = BearerAuthLayer::new(origins(), StaticToken::new("fixed").unwrap()).layer(api.service());
    service.clone().oneshot(get(API)).await.unwrap();
    let Err(AuthError::Token(error)) = service.clone().oneshot(wanting_new()).await else { panic!("it was sent") };
    assert_eq!(error.kind(), ErrorKind::Refused);
    service.oneshot(get(API)).await.unwrap();
    assert_eq!(api.seen(), ["Bearer fixed"; 2]);
}

/// DESIGN 10, R2: asking for a new token again and again meets the same back-off as an endpoint that rejects each.
#[tokio::test(start_paused = true)]
async fn new_tokens_are_not_to_be_had_at_any_rate() {
    let (mint, api) = (Mint::default(), Api::default());
    let service = BearerAuthLayer::new(origins(), mint.source()).layer(api.service());
    for _ in 0..6000 {
        drop(service.clone().oneshot(wanting_new()).await);
        tokio::time::sleep(S / 100).await;
    }
    assert!((4..=12).contains(&mint.fetches()), "{} in a minute", mint.fetches());
}

/// DESIGN 3.4: a request with a header of its own, or for elsewhere, has nothing to do with the engine.
#[tokio::test(start_paused = true)]
async fn the_wish_for_a_new_token_is_the_layers_own_business() {
    let (mint, api) = (Mint::default(), Api::default());
    let service = BearerAuthLayer::new(origins(), mint.source()).layer(api.service());
    let mut own = wanting_new();
    own.headers_mut().insert("authorization", "Basic own".parse().unwrap());
    service.clone().oneshot(own).await.unwrap();
    let mut foreign = wanting_new();
    *foreign.uri_mut() = "https://other.example.com/".parse().unwrap();
    service.oneshot(foreign).await.unwrap();
    assert_eq!((mint.fetches(), api.seen()), (0, vec!["Basic own".to_owned(), "-".to_owned()]));
}

/// A second layer further in does not see the mark: one wish, one new token.
#[tokio::test(start_paused = true)]
async fn the_wish_is_taken_out_of_the_extensions() {
    let mint = Mint::default();
    let inner = tower::service_fn(|request: Request<String>| async move {
        assert!(request.extensions().get::<NewToken>().is_none());
        assert_eq!(request.extensions().get(), Some(&7_u8));
        Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
    });
    let service = BearerAuthLayer::new(origins(), mint.source()).layer(inner);
    for _ in 0..2 {
        let mut request = wanting_new();
        request.extensions_mut().insert(7_u8);
        service.clone().oneshot(request).await.unwrap();
    }
}

/// L9: the engine's health can be followed, and a watcher is told of each change that it has time for.
#[tokio::test(start_paused = true)]
async fn a_watcher_is_told() {
    let (mint, api) = (Mint::living(100 * S), Api::accepting("token-2"));
    let handle = TokenHandle::new(mint.source());
    let mut health = handle.subscribe();
    assert_eq!((health.borrow().generation(), health.borrow().fetches()), (0, 0));
    let service = BearerAuthLayer::new(origins(), handle.clone()).layer(api.service());
    service.oneshot(get(API)).await.unwrap();
    health.wait_for(|status| (status.generation(), status.rejections(), status.replays()) == (2, 1, 1)).await.unwrap();
    mint.down(true);
    health.wait_for(|status| status.last_error() == Some(ErrorKind::Transient)).await.unwrap();
    let (error, state) = (handle.token().await.map(drop), health.borrow().state());
    assert!(error.is_ok(), "the token is valid still: {state:?}");
    mint.down(false);
    health.wait_for(|status| status.generation() == 3 && status.last_error().is_none()).await.unwrap();
    mint.hold(true);
    handle.reset();
    health.wait_for(|status| status.state() == RefreshState::Fetching).await.unwrap();
    handle.reject(3);
    tokio::time::timeout(S, health.wait_for(|status| status.is_rejected())).await.expect("told while the fetch goes on").unwrap();
    mint.hold(false);
    health.wait_for(|status| status.generation() == 4 && !status.is_rejected()).await.unwrap();
    // A quiet moment is no news.
    health.mark_unchanged();
    assert!(tokio::time::timeout(30 * S, health.changed()).await.is_err());
    handle.shutdown(S).await.unwrap();
    health.wait_for(|status| status.state() == RefreshState::Closed).await.unwrap();
    drop(handle);
    assert!(health.changed().await.is_err(), "the engine is gone");
}

/// L9: a watcher learns that the engine's driver is gone, and does not go on seeing a fetch that nobody makes.
#[tokio::test]
async fn a_watcher_is_told_when_the_driver_goes() {
    let mint = Mint::default();
    mint.hold(true);
    let (handle, driver) = TokenHandle::builder(mint.source()).pair();
    let mut health = handle.subscribe();
    let mut driver = Box::pin(driver);
    assert!(futures::poll!(&mut driver).is_pending());
    assert_eq!(health.borrow_and_update().state(), RefreshState::Fetching);
    drop(driver);
    assert_eq!(health.borrow_and_update().state(), RefreshState::Closed);
}

/// L9: a replay is news at once, even to an engine at rest.
#[tokio::test(start_paused = true)]
async fn a_watcher_is_told_of_a_replay() {
    let (mint, api) = (Mint::default(), Api::accepting("token-2"));
    let handle = TokenHandle::new(mint.source());
    let mut health = handle.subscribe();
    BearerAuthLayer::new(origins(), handle.clone()).layer(api.service()).oneshot(get(API)).await.unwrap();
    tokio::time::timeout(S, health.wait_for(|status| status.replays() == 1)).await.expect("told at once").unwrap();
}
