//! Found by attacking the crate: sources, bodies, errors, runtimes and clocks that behave as badly as they can.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use tokio::runtime::Builder;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_token::{
    AccessToken, AuthError, BearerAuthLayer, ErrorKind, FetchContext, RefreshConfig, StaticToken, TokenError, TokenHandle,
    middleware::NewToken, refresh::RefreshState, source_fn, testing::ManualClock,
};

use crate::support::{API, Api, Mint, get, origins};

const S: Duration = Duration::from_secs(1);

/// A source that fails `n` times and then gives `name`.
fn failing_first(n: usize, name: &'static str, calls: &Arc<AtomicUsize>) -> impl tower_token::TokenSource + use<> {
    let calls = calls.clone();
    source_fn(move |_cx: FetchContext| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        async move { if call < n { Err(TokenError::transient("down")) } else { AccessToken::new(name) } }
    })
}

/// L8: the new source is asked until it gives a token, however long the old one's would live.
#[tokio::test(start_paused = true)]
async fn a_replacement_whose_first_fetch_fails_is_tried_again() {
    let handle = TokenHandle::new(StaticToken::new("old").unwrap());
    handle.token().await.unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    handle.replace_source(failing_first(1, "new", &calls));
    tokio::time::sleep(24 * 3600 * S).await;
    assert_eq!(handle.token().await.unwrap().expose_secret(), "new", "calls to the new source: {calls:?}; {:?}", handle.status());
}

/// L3, L8: the fetch that `replace_source` asked for dies with its runtime, and is made again.
#[test]
fn a_forced_fetch_survives_the_runtime_that_ran_it() {
    let calls = Arc::new(AtomicUsize::new(0));
    let handle = TokenHandle::new(StaticToken::new("old").unwrap());
    let first = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    first.block_on(async {
        handle.token().await.unwrap();
        let seen = calls.clone();
        handle.replace_source(source_fn(move |_| {
            let call = seen.fetch_add(1, Ordering::SeqCst);
            async move {
                if call == 0 {
                    std::future::pending::<()>().await;
                }
                AccessToken::new("new")
            }
        }));
        tokio::time::sleep(S).await;
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    });
    drop(first);
    let second = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    second.block_on(async {
        handle.token().await.unwrap();
        tokio::time::sleep(3600 * S).await;
        assert_eq!(handle.token().await.unwrap().expose_secret(), "new");
    });
}

/// H6: the layer's bound cuts the wait for a better token short, and the valid one is sent.
#[tokio::test(start_paused = true)]
async fn a_short_wait_does_not_withhold_a_valid_token() {
    let (api, mint) = (Api::default(), Mint::living(1000 * S));
    let patient = RefreshConfig::new().fetch_timeout(900 * S);
    let handle = TokenHandle::builder(mint.source()).config(patient).build();
    handle.token().await.unwrap();
    mint.hold(true);
    tokio::time::sleep(992 * S).await;
    let layer = BearerAuthLayer::new(origins(), handle.clone()).wait(S / 2);
    let outcome = layer.layer(api.service()).oneshot(get(API)).await;
    assert!(handle.current().is_some(), "the token is valid");
    assert!(outcome.is_ok(), "{outcome:?}");
}

/// How often a source of such tokens is asked in a second of real time, at most `cap` times.
fn fetches_in_a_second(life: Duration, cap: usize) -> usize {
    let fetches = Arc::new(AtomicUsize::new(0));
    let (sender, done) = mpsc::channel();
    let count = fetches.clone();
    std::thread::spawn(move || {
        Builder::new_current_thread().enable_all().build().unwrap().block_on(async move {
            let handle = TokenHandle::new(source_fn(move |_| {
                let n = count.fetch_add(1, Ordering::SeqCst);
                async move {
                    if n >= cap {
                        std::future::pending::<()>().await;
                    }
                    Ok(AccessToken::new(format!("t{n}"))?.expires_in(life))
                }
            }));
            let _ = handle.token().await;
            tokio::time::sleep(S).await;
            sender.send(()).unwrap();
        });
    });
    let _ = done.recv_timeout(3 * S);
    fetches.load(Ordering::SeqCst)
}

/// E8.
#[test]
fn a_token_of_a_nanosecond_makes_no_busy_loop() {
    let fetches = fetches_in_a_second(Duration::from_nanos(1), 100_000);
    assert!(fetches < 100, "{fetches} fetches in a second");
}

#[test]
fn a_token_of_a_millisecond_makes_no_busy_loop() {
    let fetches = fetches_in_a_second(Duration::from_millis(1), 100_000);
    assert!(fetches < 100, "{fetches} fetches in a second");
}

/// E8: a token that has expired on its way is backed off from like one that came expired.
#[tokio::test(start_paused = true)]
async fn an_exchange_that_outlasts_its_token_makes_no_busy_loop() {
    let times = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = times.clone();
    let handle = TokenHandle::new(source_fn(move |_| {
        let seen = seen.clone();
        async move {
            let start = tokio::time::Instant::now();
            tokio::time::sleep(2 * S).await;
            seen.lock().unwrap().push((start, tokio::time::Instant::now()));
            Ok(AccessToken::new("short")?.expires_in(2 * S))
        }
    }));
    let _ = handle.token().await;
    tokio::time::sleep(60 * S).await;
    let times = times.lock().unwrap();
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1].0 - pair[0].1).collect();
    assert!(gaps.iter().all(|gap| *gap >= S / 2), "{} fetches in a minute, gaps {gaps:?}", times.len());
}

/// E17: `ready` notices a token that comes before the last error's `retry_at`.
#[tokio::test(start_paused = true)]
async fn ready_notices_a_token_that_comes_before_retry_at() {
    let handle = TokenHandle::new(source_fn(|_| async { Err(TokenError::transient("busy").retry_after(3600 * S)) }));
    let waiting = tokio::spawn({
        let handle = handle.clone();
        async move { handle.ready(600 * S).await }
    });
    tokio::time::sleep(S).await;
    handle.replace_source(StaticToken::new("new").unwrap());
    tokio::time::sleep(S).await;
    assert!(handle.current().is_some(), "the token is there");
    let start = tokio::time::Instant::now();
    let outcome = waiting.await.unwrap();
    assert!(outcome.is_ok(), "after {:?}: {outcome:?}", start.elapsed());
}

/// A body that is ready with empty frames for as long as it is asked, up to `left` of them.
struct Empties {
    left: usize,
    polled: Arc<AtomicUsize>,
}

impl http_body::Body for Empties {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.polled.fetch_add(1, Ordering::SeqCst);
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::new()))))
    }
}

/// R6: the drain is bounded, whatever the body.
#[tokio::test]
async fn a_drain_ends_in_time_whatever_the_body() {
    let polled = Arc::new(AtomicUsize::new(0));
    let (mint, counted) = (Mint::default(), polled.clone());
    let service = service_fn(move |request: Request<String>| {
        let first = request.headers()["authorization"] == "Bearer token-1";
        let mut response = Response::new(Empties { left: if first { 3_000_000 } else { 0 }, polled: counted.clone() });
        if first {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
        }
        async move { Ok::<_, Infallible>(response) }
    });
    let start = std::time::Instant::now();
    BearerAuthLayer::new(origins(), mint.source()).layer(service).oneshot(get(API)).await.unwrap();
    assert!(start.elapsed() < 4 * S / 10, "{:?}, {polled:?} frames", start.elapsed());
}

/// One engine's token may be another's source.
#[tokio::test]
async fn a_token_does_not_live_longer_in_a_second_engine() {
    let (mint, clock) = (Mint::living(1000 * S), ManualClock::new());
    let first = TokenHandle::builder(mint.source()).clock(clock.clone()).build();
    first.token().await.unwrap();
    clock.advance(700 * S);
    let inner = first.clone();
    let source = source_fn(move |_| {
        let inner = inner.clone();
        async move { inner.token().await }
    });
    let second = TokenHandle::builder(source).clock(clock.clone()).build();
    assert_eq!(second.token().await.unwrap().expose_secret(), "token-1");
    clock.advance(300 * S);
    assert!(second.current().is_none(), "it has expired there as well");
    while second.current().is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(second.token().await.unwrap().expose_secret(), "token-2");
}

struct Chatty(TokenHandle);
impl std::fmt::Debug for Chatty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Chatty")
    }
}
impl std::fmt::Display for Chatty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("chatty")
    }
}
impl std::error::Error for Chatty {}
impl Drop for Chatty {
    fn drop(&mut self) {
        let _ = self.0.status();
    }
}

/// An error's `Drop` is foreign code: it runs after the lock.
#[test]
fn an_error_that_looks_at_the_handle_when_dropped_does_not_deadlock() {
    let (sender, done) = mpsc::channel();
    std::thread::spawn(move || {
        let place: Arc<std::sync::OnceLock<TokenHandle>> = Arc::default();
        let source = {
            let place = place.clone();
            source_fn(move |_| {
                let handle = place.get().unwrap().clone();
                async move { Err(TokenError::transient(Chatty(handle))) }
            })
        };
        let handle = place.get_or_init(|| TokenHandle::new(source)).clone();
        Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            drop(handle.token().await);
            handle.reset();
            sender.send(()).unwrap();
        });
    });
    assert!(done.recv_timeout(5 * S).is_ok(), "deadlock in reset()");
}

/// L4: who waits already is told, even if nobody polls the driver.
#[tokio::test(start_paused = true)]
async fn a_shutdown_frees_the_waiters_of_a_driver_that_is_not_polled() {
    let (handle, driver) = TokenHandle::builder(Mint::default().source()).pair();
    let mut waiting = tokio_test::task::spawn(handle.token());
    assert!(waiting.poll().is_pending());
    handle.shutdown(S).await.unwrap();
    let outcome = tokio::time::timeout(3600 * S, waiting).await;
    drop(driver);
    assert_eq!(outcome.expect("a waiter hung for an hour").unwrap_err().kind(), ErrorKind::Closed);
}

/// L2: a runtime without a time driver is an error as well.
#[test]
fn a_runtime_without_time_is_an_error() {
    let (api, mint) = (Api::default(), Mint::default());
    let service = BearerAuthLayer::new(origins(), mint.source()).layer(api.service::<String>());
    let runtime = Builder::new_current_thread().build().unwrap();
    let Err(AuthError::Token(error)) = runtime.block_on(service.oneshot(get(API))) else { panic!("it was sent") };
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert!(error.to_string().contains("enable_time"), "{error}");
}

/// E3: what the engine holds is valid for 1000 s more; a refresh that brings a token without life must not take it away.
#[tokio::test(start_paused = true)]
async fn a_dead_token_does_not_take_the_place_of_a_living_one() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let handle = TokenHandle::new(source_fn(move |_| {
        let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            let token = AccessToken::new(if first { "good" } else { "dead" })?;
            Ok(token.expires_in(if first { 3600 * S } else { Duration::ZERO }))
        }
    }));
    handle.token().await.unwrap();
    tokio::time::sleep(3300 * S).await;
    assert!(calls.load(Ordering::SeqCst) > 1);
    let outcome = handle.token().await;
    assert_eq!(outcome.map(|token| token.expose_secret().to_owned()).map_err(|error| error.kind()), Ok("good".to_owned()));
}

/// E6: a fetch that panics as it is dropped has done its work all the same.
#[tokio::test(start_paused = true)]
async fn a_fetch_that_panics_when_dropped_leaves_the_engine_alive() {
    struct Bomb(bool);
    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.0 && !std::thread::panicking() {
                panic!("bomb");
            }
        }
    }
    impl Future for Bomb {
        type Output = Result<AccessToken, TokenError>;
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
            Poll::Ready(AccessToken::new("t"))
        }
    }
    let bombs = Arc::new(AtomicBool::new(true));
    let seen = bombs.clone();
    let handle = TokenHandle::new(source_fn(move |_| Bomb(seen.load(Ordering::SeqCst))));
    assert_eq!(handle.token().await.unwrap().expose_secret(), "t");
    bombs.store(false, Ordering::SeqCst);
    handle.reject(1);
    assert_eq!(handle.status().fetches(), 1);
}

/// E13: a fetch is timed by the monotonic clock alone; a time server may set the wall clock meanwhile, as at boot.
#[tokio::test]
async fn a_wall_clock_that_is_set_does_not_end_a_fetch() {
    let (mint, clock) = (Mint::living(3600 * S), ManualClock::new());
    mint.hold(true);
    let handle = TokenHandle::builder(mint.source()).clock(clock.clone()).build();
    let mut waiting = tokio_test::task::spawn(handle.token());
    assert!(waiting.poll().is_pending());
    clock.until_sleeping(1).await;
    clock.set_wall(tower_token::clock::Clock::wall(&clock) + 60 * S);
    clock.advance(10 * S);
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    mint.hold(false);
    let outcome = waiting.await;
    assert!(outcome.is_ok(), "ten seconds into a fetch that may take thirty: {outcome:?}");
}

/// G5: a token call is bounded, whatever the body.
#[tokio::test]
async fn the_timeout_of_a_token_call_holds_for_a_body_of_empty_frames() {
    let polled = Arc::new(AtomicUsize::new(0));
    let counted = polled.clone();
    let service = service_fn(move |_: Request<http_body_util::Full<Bytes>>| {
        let response = Response::new(Empties { left: 3_000_000, polled: counted.clone() });
        async move { Ok::<_, Infallible>(response) }
    });
    let transport = tower_token::transport::Transport::new(service).timeout(S / 10);
    let clock: Arc<dyn tower_token::clock::Clock> = Arc::new(tower_token::clock::TokioClock);
    let start = std::time::Instant::now();
    let outcome = transport.send(Request::new(Default::default()), &clock).await;
    assert!(start.elapsed() < 4 * S / 10, "{:?}, {polled:?} frames, {outcome:?}", start.elapsed());
}

/// R3: a replay keeps the URI, however odd.
#[tokio::test]
async fn a_replay_keeps_odd_uris() {
    for uri in [
        "https://api.example.com?x=1",
        "https://api.example.com/?",
        "https://API.example.com./a//b;c?d?e",
        "https://u:p@api.example.com:443/",
        "https://api.example.com:/x",
    ] {
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let log = seen.clone();
        let service = service_fn(move |request: Request<String>| {
            log.lock().unwrap().push((request.uri().clone(), request.uri().to_string()));
            let mut response = Response::new(String::new());
            if request.headers()["authorization"] == "Bearer token-1" {
                *response.status_mut() = StatusCode::UNAUTHORIZED;
            }
            async move { Ok::<_, Infallible>(response) }
        });
        let mint = Mint::default();
        let Ok(request) = Request::get(uri).body(String::new()) else { continue };
        BearerAuthLayer::new(origins(), mint.source()).layer(service).oneshot(request).await.unwrap();
        let seen = seen.lock().unwrap();
        assert_eq!((seen.len(), &seen[0]), (2, &seen[1]), "{uri}");
    }
}

/// E6, E12: a fetch that hangs, and panics when it is given up, is a failure like another.
#[tokio::test(start_paused = true)]
async fn a_fetch_that_panics_when_given_up_does_not_evade_the_back_off() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("bomb");
            }
        }
    }
    let handle = TokenHandle::new(source_fn(move |_| {
        let bomb = Bomb;
        async move {
            let _bomb = bomb;
            std::future::pending::<Result<AccessToken, TokenError>>().await
        }
    }));
    for _ in 0..3 {
        let _ = handle.token().await;
    }
    assert!(handle.status().fetches() <= 3, "{:?}", handle.status());
}

/// A body that yields `frame` for ever, at once or never.
struct Endless {
    frame: Option<Bytes>,
    read: Arc<AtomicUsize>,
}

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(frame) = self.frame.clone() else { return Poll::Pending };
        self.read.fetch_add(frame.len(), Ordering::SeqCst);
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }
}

/// R6: a 401 is read for at most 16 KiB and 100 ms before its request is sent again.
#[tokio::test(start_paused = true)]
async fn an_endless_401_is_drained_within_bounds() {
    for (frame, bytes, time) in [(Some(Bytes::from_static(&[0; 1024])), 17 * 1024, Duration::ZERO), (None, 0, S / 10)] {
        let read = Arc::new(AtomicUsize::new(0));
        let (mint, body) = (Mint::default(), read.clone());
        let service = service_fn(move |request: Request<String>| {
            let first = request.headers()["authorization"] == "Bearer token-1";
            let status = if first { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
            let body = Endless { frame: frame.clone(), read: body.clone() };
            async move { Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap()) }
        });
        let start = tokio::time::Instant::now();
        let response = BearerAuthLayer::new(origins(), mint.source()).layer(service).oneshot(get(API)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(read.load(Ordering::SeqCst), bytes);
        assert!(start.elapsed() >= time && start.elapsed() < time + S / 100, "{:?}", start.elapsed());
    }
}

/// L8: an engine at rest is woken by the replacement of its source.
#[tokio::test(start_paused = true)]
async fn a_replacement_wakes_an_engine_at_rest() {
    let handle = TokenHandle::new(StaticToken::new("old").unwrap());
    handle.token().await.unwrap();
    tokio::time::sleep(S).await;
    handle.replace_source(StaticToken::new("new").unwrap());
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(handle.current().unwrap().expose_secret(), "new");
}

/// The fast path is off in the last margin even if the engine has nothing to do until then but to wait.
#[tokio::test(start_paused = true)]
async fn an_expired_token_is_not_sent_while_the_engine_backs_off() {
    let (api, mut calls) = (Api::default(), 0);
    let handle = TokenHandle::new(source_fn(move |_| {
        calls += 1;
        async move {
            match calls {
                1 => Ok(AccessToken::new("token")?.expires_in(100 * S)),
                _ => Err(TokenError::transient("busy").retry_after(3600 * S)),
            }
        }
    }));
    let mut service = BearerAuthLayer::new(origins(), handle.clone()).layer(api.service());
    for _ in 0..3 {
        service.ready().await.unwrap().call(get(API)).await.unwrap();
    }
    tokio::time::sleep(101 * S).await;
    assert!(service.ready().await.unwrap().call(get(API)).await.is_err());
    assert_eq!(api.seen().len(), 3);
}

/// A valid token needs nobody to renew it: a runtime that takes no task does not withhold it.
#[tokio::test]
async fn a_spawn_that_fails_does_not_withhold_a_valid_token() {
    let clock = ManualClock::new();
    let mint = Mint::living(100 * S);
    let handle = TokenHandle::builder(mint.source()).clock(clock.clone()).build();
    std::thread::scope(|scope| {
        let own = || Builder::new_current_thread().enable_all().build().unwrap().block_on(handle.token()).unwrap();
        scope.spawn(own).join().unwrap();
    });
    // Its runtime is gone, and the refresh is due.
    clock.advance(95 * S);
    let outside = std::thread::scope(|scope| scope.spawn(|| futures::executor::block_on(handle.token())).join().unwrap());
    assert_eq!(outside.unwrap().generation(), 1);
}

/// The idle option: a caller who gave up while nobody polled the driver does not take the next one's wake-up along.
#[tokio::test(start_paused = true)]
async fn a_driver_that_comes_late_serves_whoever_asks_then() {
    let mint = Mint::default();
    let config = RefreshConfig::new().idle_after(10 * S);
    let (handle, driver) = TokenHandle::builder(mint.source()).config(config).pair();
    assert!(tokio::time::timeout(S, handle.token()).await.is_err(), "nobody fetches");
    tokio::time::sleep(60 * S).await;
    let driver = tokio::spawn(driver);
    tokio::time::sleep(S).await;
    tokio::time::timeout(S, handle.token()).await.expect("somebody fetches").unwrap();
    drop(handle);
    driver.await.unwrap();
}

/// The idle option: a request that is served with a rejected token wakes the engine that has fallen idle over its successor.
#[tokio::test(start_paused = true)]
async fn a_rejected_token_is_renewed_once_an_idle_engine_is_asked() {
    let mint = Mint::default();
    let handle = TokenHandle::builder(mint.source()).config(RefreshConfig::new().idle_after(10 * S)).build();
    let generation = handle.token().await.unwrap().generation();
    mint.down(true);
    handle.reject(generation);
    tokio::time::sleep(3600 * S).await;
    mint.down(false);
    let fetches = mint.fetches();
    handle.token().await.unwrap();
    tokio::time::sleep(60 * S).await;
    assert_eq!(mint.fetches(), fetches + 1);
}

/// `NewToken`: an expired token in its grace is not a newer one, and goes on serving the others.
#[tokio::test(start_paused = true)]
async fn grace_does_not_pass_for_a_new_token() {
    let (mint, api) = (Mint::living(100 * S), Api::default());
    let handle = TokenHandle::builder(mint.source()).config(RefreshConfig::new().grace(3600 * S)).build();
    let service = BearerAuthLayer::new(origins(), handle.clone()).layer(api.service());
    service.clone().oneshot(get(API)).await.unwrap();
    mint.down(true);
    tokio::time::sleep(600 * S).await;
    // While the engine backs off, and while an attempt is in flight.
    for in_flight in [false, true] {
        mint.hold(in_flight);
        if in_flight {
            handle.subscribe().wait_for(|status| status.state() == RefreshState::Fetching).await.unwrap();
        }
        let mut request = get(API);
        request.extensions_mut().insert(NewToken);
        let sent = tokio::spawn(service.clone().oneshot(request));
        tokio::task::yield_now().await;
        mint.hold(false);
        let Err(AuthError::Token(error)) = sent.await.unwrap() else { panic!("sent: {:?}", api.seen()) };
        assert_eq!(error.kind(), ErrorKind::Transient);
        assert!(error.retry_at().is_some());
        service.clone().oneshot(get(API)).await.expect("the grace covers it");
    }
    assert_eq!(api.seen(), ["Bearer token-1"; 3]);
    assert_eq!(handle.status().rejections(), 0);
}
