//! Runtimes: none, several, dead ones; and when the task ends.

use std::{future::Future, pin::pin, sync::Arc, task::Wake, time::Duration};

use tokio::runtime::{Builder, Runtime};
use tower::{Layer, ServiceExt};
use tower_token::{
    AuthError, BearerAuthLayer, ErrorKind, RefreshConfig, TokenHandle, refresh::RefreshState, testing::ManualClock,
};

use crate::support::{API, Api, Mint, get, origins};

const S: Duration = Duration::from_secs(1);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// L2.
#[test]
fn a_first_use_outside_a_runtime_is_an_error_and_leaves_the_handle_as_good_as_new() {
    let mint = Mint::default();
    let handle = TokenHandle::new(mint.source());
    let outside = |handle: &TokenHandle| futures::executor::block_on(handle.token());
    assert_eq!(outside(&handle).unwrap_err().kind(), ErrorKind::Misconfigured);
    assert_eq!(outside(&handle).unwrap_err().kind(), ErrorKind::Misconfigured);
    assert_eq!(handle.status().fetches(), 0);
    let api = Api::default();
    let service = BearerAuthLayer::new(origins(), handle.clone()).layer(api.service());
    let Err(AuthError::Token(error)) = futures::executor::block_on(service.oneshot(get(API))) else { panic!("it was sent") };
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert_eq!(runtime().block_on(handle.token()).unwrap().generation(), 1);
    assert_eq!(outside(&handle).unwrap().generation(), 1, "a valid token needs no runtime");
}

/// L3.
#[test]
fn after_its_runtime_is_gone_a_valid_token_serves_and_an_expired_one_is_never_sent() {
    let (api, mint, clock) = (Api::default(), Mint::living(100 * S), ManualClock::new());
    let handle = TokenHandle::builder(mint.source()).clock(clock.clone()).build();
    let service = BearerAuthLayer::new(origins(), handle.clone()).layer(api.service());
    let call = |runtime: Runtime| runtime.block_on(service.clone().oneshot(get(API)));
    call(runtime()).unwrap();
    call(runtime()).unwrap();
    assert_eq!(api.seen(), ["Bearer token-1"; 2], "the token outlives the runtime that fetched it");
    clock.advance(100 * S);
    call(runtime()).unwrap();
    assert_eq!(api.seen()[2], "Bearer token-2", "the next request has started a new driver");
}

/// L3: the runtime dies under a waiter on another one.
#[test]
fn a_waiter_survives_the_runtime_that_ran_the_fetch() {
    let mint = Mint::default();
    mint.hold(true);
    let handle = TokenHandle::new(mint.source());
    let first = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let second = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    first.block_on(async {
        let mut waiting = tokio_test::task::spawn(handle.token());
        assert!(waiting.poll().is_pending());
    });
    let waiter = second.spawn({
        let handle = handle.clone();
        async move { handle.token().await }
    });
    while mint.fetches() == 0 {
        std::thread::yield_now();
    }
    // Returns when its tasks are gone, so that it is not the dying runtime which finishes the fetch.
    first.shutdown_timeout(60 * S);
    mint.hold(false);
    second.block_on(waiter).unwrap().unwrap();
    assert_eq!(mint.fetches(), 2, "the fetch that died with its runtime was made again");
}

/// A runtime that is already shut down takes no task: an error, and neither a hang nor a spin.
#[test]
fn a_dead_runtime_is_an_error() {
    let handle = TokenHandle::new(Mint::default().source());
    let dead = runtime();
    let entered = dead.handle().clone();
    dead.shutdown_background();
    let _guard = entered.enter();
    assert_eq!(futures::executor::block_on(handle.token()).unwrap_err().kind(), ErrorKind::Misconfigured);
}

/// L1.
#[test]
fn ten_thousand_handles_leave_no_task() {
    runtime().block_on(async {
        for _ in 0..10_000 {
            let handle = TokenHandle::new(Mint::living(3600 * S).source());
            handle.token().await.unwrap();
        }
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
    });
}

/// L1: a fetch in flight is finished first, and is bounded.
#[tokio::test(start_paused = true)]
async fn the_last_drop_lets_a_fetch_in_flight_finish() {
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let mint = Mint::default();
    mint.hold(true);
    let handle = TokenHandle::builder(mint.source()).config(RefreshConfig::new().fetch_timeout(30 * S)).build();
    drop(tokio::time::timeout(S, handle.token()).await);
    drop(handle);
    tokio::time::sleep(S).await;
    assert_eq!(alive(), 1, "the fetch goes on");
    tokio::time::sleep(29 * S).await;
    assert_eq!(alive(), 0, "and ends at its timeout");
}

/// L1: a response that is pending counts as a handle.
#[tokio::test(start_paused = true)]
async fn a_pending_response_keeps_the_engine() {
    let (api, mint) = (Api::default(), Mint::default());
    mint.hold(true);
    let response = tokio::spawn(BearerAuthLayer::new(origins(), mint.source()).layer(api.service()).oneshot(get(API)));
    tokio::time::sleep(S).await;
    mint.hold(false);
    assert!(response.await.unwrap().is_ok());
}

/// L4.
#[tokio::test(start_paused = true)]
async fn after_a_shutdown_the_token_serves_until_it_expires() {
    let mint = Mint::living(100 * S);
    let handle = TokenHandle::new(mint.source());
    handle.token().await.unwrap();
    handle.shutdown(S).await.unwrap();
    tokio::time::sleep(99 * S).await;
    assert_eq!(handle.token().await.unwrap().generation(), 1);
    assert_eq!(handle.status().state(), RefreshState::Closed);
    tokio::time::sleep(S).await;
    assert_eq!(handle.token().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(mint.fetches(), 1);
}

/// L4.
#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_the_fetch_in_flight_and_no_longer_than_told() {
    let mint = Mint::default();
    mint.hold(true);
    let handle = TokenHandle::new(mint.source());
    let waiter = tokio::spawn({
        let handle = handle.clone();
        async move { handle.token().await }
    });
    tokio::time::sleep(S).await;
    assert_eq!(handle.shutdown(S).await.unwrap_err().kind(), ErrorKind::Timeout);
    mint.hold(false);
    handle.shutdown(S).await.unwrap();
    assert_eq!(waiter.await.unwrap().unwrap().generation(), 1, "what was in flight is not lost");
}

/// L5: the driver runs wherever its owner likes; here it is polled by hand.
#[test]
fn a_driver_of_ones_own_runs_off_tokio() {
    let mint = Mint::living(100 * S);
    let clock = ManualClock::new();
    let (handle, driver) = TokenHandle::builder(mint.source()).clock(clock.clone()).pair();
    let waker = Arc::new(Idle).into();
    let mut cx = std::task::Context::from_waker(&waker);
    let mut driver = Box::pin(driver);
    {
        let mut token = pin!(handle.token());
        assert!(token.as_mut().poll(&mut cx).is_pending(), "without the driver callers wait");
        assert!(driver.as_mut().poll(&mut cx).is_pending());
        assert!(token.as_mut().poll(&mut cx).is_ready());
    }
    drop(driver);
    clock.advance(99 * S);
    assert_eq!(futures::executor::block_on(handle.token()).unwrap().generation(), 1, "it serves until it expires");
    clock.advance(S);
    assert_eq!(futures::executor::block_on(handle.token()).unwrap_err().kind(), ErrorKind::Closed, "and nobody starts another");
}

struct Idle;

impl Wake for Idle {
    fn wake(self: Arc<Self>) {}
}

#[tokio::test]
async fn a_driver_ends_with_its_last_handle() {
    let (handle, driver) = TokenHandle::builder(Mint::default().source()).pair();
    let driver = tokio::spawn(driver);
    handle.token().await.unwrap();
    drop(handle);
    driver.await.unwrap();
}

/// L9: whoever subscribes while the engine is at work hears of what comes of it, however the two are interleaved.
#[test]
fn a_watcher_that_comes_in_mid_fetch_misses_nothing() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        for round in 0..20_000 {
            let handle = TokenHandle::new(Mint::default().source());
            let asking = tokio::spawn({
                let handle = handle.clone();
                async move { handle.token().await.map(drop) }
            });
            for _ in 0..round % 8 {
                std::hint::spin_loop();
            }
            let mut health = handle.subscribe();
            asking.await.unwrap().unwrap();
            let told = tokio::time::timeout(5 * S, health.wait_for(|status| status.generation() == 1));
            assert!(told.await.is_ok(), "round {round}: {:?} is what it was told last", health.borrow());
        }
    });
}
