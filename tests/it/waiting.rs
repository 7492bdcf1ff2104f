//! The engine under callers: who waits, who does not, and what a dropped one leaves behind.

use std::{convert::Infallible, time::Duration};

use axum_core::body::Body;
use http::StatusCode;
use tower::{Layer, Service, ServiceExt};
use tower_token::{
    AccessToken, BearerAuthLayer, ErrorKind, FetchContext, FetchReason, RefreshConfig, TokenError, TokenHandle,
    middleware::{BoundedBuffer, NotReplayed},
    refresh::RefreshState,
    source_fn,
};

use crate::support::{API, Api, Mint, get, origins};

const S: Duration = Duration::from_secs(1);

/// E1.
#[tokio::test(start_paused = true)]
async fn ten_thousand_waiters_share_one_fetch_and_its_error() {
    let mint = Mint::default();
    mint.hold(true);
    mint.down(true);
    let handle = TokenHandle::new(mint.source());
    let waiters: Vec<_> = (0..10_000)
        .map(|_| {
            tokio::spawn({
                let handle = handle.clone();
                async move { handle.token().await }
            })
        })
        .collect();
    tokio::task::yield_now().await;
    mint.hold(false);
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap().unwrap_err().kind(), ErrorKind::Transient);
    }
    assert_eq!(mint.fetches(), 1);
}

/// E3, H6: while a token is valid, a hanging source costs a request no wait at all.
#[tokio::test(start_paused = true)]
async fn a_hanging_refresh_is_invisible_while_the_token_is_valid() {
    let mint = Mint::living(1000 * S);
    let handle = TokenHandle::new(mint.source());
    handle.token().await.unwrap();
    mint.hold(true);
    tokio::time::sleep(910 * S).await;
    assert!(mint.fetches() >= 2, "the refresh is on its way");
    let start = tokio::time::Instant::now();
    assert_eq!(handle.token().await.unwrap().generation(), 1);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// In the last margin callers wait at most a second for the attempt, then take what is valid.
#[tokio::test(start_paused = true)]
async fn in_the_last_margin_a_caller_waits_a_second_at_most() {
    let mint = Mint::living(1000 * S);
    let handle = TokenHandle::builder(mint.source()).config(RefreshConfig::new().fetch_timeout(900 * S)).build();
    handle.token().await.unwrap();
    mint.hold(true);
    tokio::time::sleep(992 * S).await;
    let start = tokio::time::Instant::now();
    assert_eq!(handle.token().await.unwrap().generation(), 1);
    assert!((S..S + S / 10).contains(&start.elapsed()), "{:?}", start.elapsed());
    mint.hold(false);
    assert_eq!(handle.token().await.unwrap().generation(), 2, "and the new one as soon as it is there");
}

#[tokio::test(start_paused = true)]
async fn the_token_is_renewed_with_or_without_traffic() {
    let mint = Mint::living(100 * S);
    let handle = TokenHandle::new(mint.source());
    handle.token().await.unwrap();
    tokio::time::sleep(1000 * S).await;
    assert!((11..=13).contains(&mint.fetches()), "{}", mint.fetches());
    assert!(handle.current().is_some());
}

/// E5: the engine's own task finishes what a dropped caller began.
#[tokio::test(start_paused = true)]
async fn dropping_every_caller_in_mid_refresh_still_stores_the_token() {
    let mint = Mint::default();
    mint.hold(true);
    let handle = TokenHandle::new(mint.source());
    let callers: Vec<_> = (0..10)
        .map(|_| tokio_test::task::spawn(handle.token()))
        .map(|mut caller| {
            assert!(caller.poll().is_pending());
            caller
        })
        .collect();
    tokio::task::yield_now().await;
    drop(callers);
    mint.hold(false);
    handle.ready(S).await.unwrap();
    assert_eq!((handle.current().unwrap().generation(), mint.fetches()), (1, 1));
}

/// E15: a 401 for a token that was replaced meanwhile costs no fetch and is sent again with the current one.
#[tokio::test(start_paused = true)]
async fn a_late_401_is_sent_again_with_the_current_token() {
    let (api, mint) = (Api::accepting("token-2"), Mint::default());
    let handle = TokenHandle::new(mint.source());
    let late = api.clone();
    let (gate, closed) = tokio::sync::watch::channel(true);
    let slow = tower::service_fn(move |request: http::Request<String>| {
        let (response, mut closed) = (late.answer(&request), closed.clone());
        async move {
            closed.wait_for(|closed| !closed).await.unwrap();
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    handle.token().await.unwrap();
    let call = tokio::spawn(BearerAuthLayer::new(origins(), handle.clone()).layer(slow).oneshot(get(API)));
    while api.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    handle.reject(1);
    handle.reset();
    while handle.current().unwrap().generation() == 1 {
        tokio::task::yield_now().await;
    }
    gate.send_replace(false);
    assert_eq!(call.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(api.seen(), ["Bearer token-1", "Bearer token-2"]);
    assert_eq!(mint.fetches(), 2);
}

/// R1: one replay; the second 401 is the caller's and rejects nothing.
#[tokio::test(start_paused = true)]
async fn a_second_401_comes_back_as_it_is() {
    let (api, mint) = (Api::accepting("nothing"), Mint::default());
    let handle = TokenHandle::new(mint.source());
    let service = BearerAuthLayer::new(origins(), handle.clone()).layer(api.service());
    let response = service.oneshot(get(API)).await.unwrap();
    assert_eq!((response.status(), response.body().as_str()), (StatusCode::UNAUTHORIZED, "answer to Bearer token-2"));
    assert_eq!(api.seen(), ["Bearer token-1", "Bearer token-2"]);
    assert_eq!(mint.fetches(), 2);
    assert!(!handle.status().is_rejected());
}

/// R2, E12: an endpoint that refuses every token is asked a few times a minute for one.
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_always_refuses_costs_a_few_fetches_a_minute() {
    let (api, mint) = (Api::accepting("nothing"), Mint::living(3600 * S));
    let service = BearerAuthLayer::new(origins(), mint.source()).layer(api.service());
    for _ in 0..6_000 {
        tokio::time::sleep(S / 100).await;
        assert_eq!(service.clone().oneshot(get(API)).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
    assert!((4..=10).contains(&mint.fetches()), "{} in a minute", mint.fetches());
}

/// While the successor of a rejected token is on its way, a request that cannot be repeated waits a moment for it.
#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_replayed_waits_for_the_successor_of_a_rejected_token() {
    let (api, mint) = (Api::accepting("token-2"), Mint::living(3600 * S));
    let handle = TokenHandle::new(mint.source());
    handle.token().await.unwrap();
    let service = BearerAuthLayer::new(origins(), handle.clone()).layer(api.service::<std::io::Empty>());
    let stream = || http::Request::put(API).body(std::io::empty()).unwrap();
    let first = service.clone().oneshot(stream()).await.unwrap();
    assert_eq!(first.status(), StatusCode::UNAUTHORIZED);
    assert!(first.extensions().get::<NotReplayed>().is_some());
    assert_eq!(service.oneshot(stream()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(api.seen(), ["Bearer token-1", "Bearer token-2"]);
}

/// So does one of which nobody knows yet whether it can.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_perhaps_replayed_waits_for_the_successor_of_a_rejected_token() {
    let (api, mint) = (Api::accepting("token-2"), Mint::living(3600 * S));
    let handle = TokenHandle::new(mint.source());
    handle.token().await.unwrap();
    let policy = BoundedBuffer::new(1024, Body::new);
    let service = BearerAuthLayer::new(origins(), handle.clone()).replay(policy).layer(api.service::<Body>());
    let stream =
        || http::Request::put(API).body(Body::from_stream(futures::stream::iter([Ok::<_, Infallible>("text")]))).unwrap();
    let first = service.clone().oneshot(stream()).await.unwrap();
    assert_eq!(first.status(), StatusCode::UNAUTHORIZED);
    assert!(first.extensions().get::<NotReplayed>().is_some(), "it was not read to its end");
    assert_eq!(service.oneshot(stream()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(api.seen(), ["Bearer token-1", "Bearer token-2"]);
}

/// E6: a panic is an error for its waiters and a retry, never a dead engine.
#[tokio::test(start_paused = true)]
async fn a_panicking_source_is_tried_again() {
    let mut calls = 0;
    let handle = TokenHandle::new(source_fn(move |_| {
        calls += 1;
        assert!(calls != 1, "canary in the closure");
        async move {
            assert!(calls != 2, "canary in the future");
            AccessToken::new("good")
        }
    }));
    let error = handle.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(!format!("{error:?} {error}").contains("canary"));
    handle.ready(60 * S).await.unwrap();
    assert_eq!((handle.status().failures(), handle.status().fetches()), (2, 3));
}

/// E9.
#[tokio::test(start_paused = true)]
async fn a_fetch_that_hangs_is_given_up_and_tried_again() {
    let mut calls = 0;
    let source = source_fn(move |_| {
        calls += 1;
        async move { if calls == 1 { std::future::pending().await } else { AccessToken::new("good") } }
    });
    let handle = TokenHandle::builder(source).config(RefreshConfig::new().fetch_timeout(5 * S)).build();
    let start = tokio::time::Instant::now();
    assert_eq!(handle.token().await.unwrap_err().kind(), ErrorKind::Timeout);
    assert!((5 * S..6 * S).contains(&start.elapsed()));
    handle.ready(5 * S).await.unwrap();
}

/// E17: the first failure is returned, and poisons nothing.
#[tokio::test(start_paused = true)]
async fn ready_waits_through_failures_that_may_pass() {
    let mint = Mint::default();
    mint.down(true);
    let handle = TokenHandle::new(mint.source());
    assert_eq!(handle.ready(5 * S).await.unwrap_err().kind(), ErrorKind::Transient);
    assert!((3..=5).contains(&mint.fetches()), "{}", mint.fetches());
    mint.down(false);
    handle.ready(60 * S).await.unwrap();
    let refused = TokenHandle::new(source_fn(|_| async { Err(TokenError::refused("no")) }));
    let start = tokio::time::Instant::now();
    assert_eq!(refused.ready(60 * S).await.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// E11.
#[tokio::test(start_paused = true)]
async fn retry_after_is_obeyed() {
    let mut calls = 0;
    let handle = TokenHandle::new(source_fn(move |_| {
        calls += 1;
        async move { if calls == 1 { Err(TokenError::transient("busy").retry_after(100 * S)) } else { AccessToken::new("good") } }
    }));
    handle.token().await.unwrap_err();
    tokio::time::sleep(99 * S).await;
    assert!(handle.token().await.is_err());
    assert_eq!(handle.status().state(), RefreshState::BackingOff);
    tokio::time::sleep(2 * S).await;
    handle.token().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_source_is_told_why_it_is_asked() {
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let mut calls = 0;
    let source = move |cx: FetchContext| {
        calls += 1;
        said.send((cx.reason(), cx.attempt(), cx.previous().map(AccessToken::generation))).unwrap();
        async move {
            if calls == 2 {
                Err(TokenError::transient("once"))
            } else {
                Ok(AccessToken::new(format!("t{calls}"))?.expires_in(100 * S))
            }
        }
    };
    let handle = TokenHandle::new(source_fn(source));
    handle.token().await.unwrap();
    assert_eq!(heard.recv().await, Some((FetchReason::First, 1, None)));
    assert_eq!(heard.recv().await, Some((FetchReason::Expiring, 1, Some(1))));
    assert_eq!(heard.recv().await, Some((FetchReason::Expiring, 2, Some(1))));
    while handle.current().unwrap().generation() == 1 {
        tokio::task::yield_now().await;
    }
    handle.reject(2);
    assert_eq!(heard.recv().await, Some((FetchReason::Rejected, 1, Some(2))));
}

/// L8.
#[tokio::test(start_paused = true)]
async fn a_replaced_sources_attempt_is_finished_and_its_waiters_get_the_new_ones_token() {
    let mint = Mint::default();
    mint.hold(true);
    let handle = TokenHandle::new(mint.source());
    let mut waiter = tokio_test::task::spawn(handle.token());
    assert!(waiter.poll().is_pending());
    tokio::task::yield_now().await;
    handle.replace_source(source_fn(|cx: FetchContext| async move {
        assert!(cx.previous().is_none());
        AccessToken::new("new")
    }));
    tokio::task::yield_now().await;
    assert!(waiter.poll().is_pending(), "the old attempt is not cut off");
    mint.hold(false);
    assert_eq!(waiter.await.unwrap().expose_secret(), "new");
    assert_eq!(mint.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn another_identity_takes_over_at_once() {
    let mint = Mint::living(3600 * S);
    let handle = TokenHandle::new(mint.source());
    handle.token().await.unwrap();
    handle.replace_source_and_reject(source_fn(|_| async { AccessToken::new("other") }));
    assert!(handle.current().is_none());
    assert_eq!(handle.token().await.unwrap().expose_secret(), "other");
}

/// The idle option: nothing is renewed while nobody asks, and whoever then asks is served, however short the quiet time.
#[tokio::test(start_paused = true)]
async fn an_idle_engine_fetches_when_somebody_asks() {
    for idle_after in [Duration::ZERO, 10 * S, 300 * S] {
        let mint = Mint::living(100 * S);
        let handle = TokenHandle::builder(mint.source()).config(RefreshConfig::new().idle_after(idle_after)).build();
        handle.token().await.unwrap();
        tokio::time::sleep(3600 * S).await;
        let before = mint.fetches();
        tokio::time::sleep(36_000 * S).await;
        assert_eq!(mint.fetches(), before, "nobody asks");
        assert_eq!(handle.token().await.unwrap().expose_secret(), format!("token-{}", before + 1));
    }
}

/// The idle option: traffic on the fast path keeps the engine awake.
#[tokio::test(start_paused = true)]
async fn a_busy_engine_is_never_idle() {
    let (mint, api) = (Mint::living(1000 * S), Api::default());
    let handle = TokenHandle::builder(mint.source()).config(RefreshConfig::new().idle_after(80 * S)).build();
    let mut service = BearerAuthLayer::new(origins(), handle).layer(api.service());
    for _ in 0..360 {
        assert_eq!(service.ready().await.unwrap().call(get(API)).await.unwrap().status(), 200);
        tokio::time::sleep(10 * S).await;
    }
    assert!((4..=5).contains(&mint.fetches()), "renewed as if there were no such option: {}", mint.fetches());
}

/// The idle option: a request that finds the fast path shut opens it for its share of the quiet time, and for no longer.
#[tokio::test(start_paused = true)]
async fn a_reopened_fast_path_is_shut_in_time() {
    let mint = Mint::living(27 * S);
    let handle = TokenHandle::builder(mint.source()).config(RefreshConfig::new().idle_after(16 * S)).build();
    handle.token().await.unwrap();
    tokio::time::sleep(5 * S / 2).await;
    for _ in 0..19 {
        handle.token().await.unwrap();
        tokio::time::sleep(S / 2).await;
    }
    // The refresh is due between 21.6 and 24.3 s, and the last request was at 11.5 s: not yet quiet for long enough.
    tokio::time::sleep(25 * S / 2).await;
    assert_eq!(mint.fetches(), 2);
}

/// E7: after an outage of an hour the engine is alive, and the first token comes within one back-off of the end.
#[tokio::test(start_paused = true)]
async fn an_hour_long_outage_ends_within_one_back_off() {
    let mint = Mint::living(600 * S);
    let handle = TokenHandle::new(mint.source());
    handle.token().await.unwrap();
    mint.down(true);
    tokio::time::sleep(3600 * S).await;
    assert_eq!(handle.token().await.unwrap_err().kind(), ErrorKind::Transient);
    let fetches = mint.fetches();
    // 3,000 s and more of outage at 30 to 60 s each, after six shorter ones and the first fetch.
    assert!((50..=130).contains(&fetches), "{fetches}");
    mint.down(false);
    let mut health = handle.subscribe();
    tokio::time::timeout(60 * S, health.wait_for(|status| status.generation() == 2)).await.expect("within one back-off").unwrap();
    assert_eq!(mint.fetches(), fetches + 1);
}
