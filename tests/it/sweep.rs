//! E5: each public future is polled N times and dropped, for every N until it completes. Afterwards nothing is lost, asked twice,
//! stuck, or left behind.
#![expect(clippy::async_yields_async, reason = "a sweep prepares its engine, and then drops the future that it was given")]

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use tokio::{runtime::Handle, sync::Semaphore, time::sleep};
use tower::{BoxError, Layer, ServiceBuilder, ServiceExt, limit::GlobalConcurrencyLimitLayer, service_fn};
use tower_token::{
    AccessToken, BearerAuthLayer, ErrorKind, FetchContext, FetchReason, RefreshConfig, TokenError, TokenHandle, TokenSource,
    Transport,
    clock::{Clock, TokioClock},
    grant::TokenEndpoint,
    middleware::OnUnavailable,
    provider::yonne::Yonne,
    refresh::TokenHandleBuilder,
    source_fn,
};

use crate::support::{API, Api, get, origins};

const S: Duration = Duration::from_secs(1);
/// Between two polls, and what a source or a server takes for a part of its work.
const STEP: Duration = Duration::from_millis(100);

/// Polls a future up to so many times and drops it. Says whether it completed.
async fn poll_and_drop(polls: usize, future: impl Future) -> bool {
    let mut future = std::pin::pin!(future);
    for _ in 0..polls {
        if poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await {
            return true;
        }
        sleep(STEP).await;
    }
    false
}

/// A token endpoint that takes its time, a server with one place, and what is counted about them.
#[derive(Clone, Default)]
struct World {
    fetches: Arc<AtomicUsize>,
    fetching: Arc<AtomicUsize>,
    down: Arc<AtomicBool>,
    held: Arc<AtomicBool>,
    api: Api,
}

/// Counts who is inside, also when it is dropped there.
struct Inside(Arc<AtomicUsize>);

impl Inside {
    fn enter(count: &Arc<AtomicUsize>) -> Inside {
        assert_eq!(count.fetch_add(1, Ordering::SeqCst), 0, "two at a time");
        Inside(count.clone())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl World {
    /// Tokens that live for 1000 s. Each takes three steps.
    fn source(&self) -> impl TokenSource + use<> {
        let world = self.clone();
        source_fn(move |_: FetchContext| {
            let world = world.clone();
            async move {
                let number = world.fetches.fetch_add(1, Ordering::SeqCst) + 1;
                let _inside = Inside::enter(&world.fetching);
                for _ in 0..3 {
                    sleep(STEP).await;
                }
                while world.held.load(Ordering::SeqCst) {
                    sleep(STEP).await;
                }
                if world.down.load(Ordering::SeqCst) {
                    return Err(TokenError::transient("down"));
                }
                Ok(AccessToken::new(format!("token-{number}"))?.expires_in(1000 * S))
            }
        })
    }

    fn builder(&self) -> TokenHandleBuilder {
        TokenHandle::builder(self.source()).config(RefreshConfig::new().fetch_timeout(900 * S).seed(7))
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

/// Everything that was there before is there again: tasks, the source and the server's book, and whoever was inside.
async fn nothing_is_left(world: &World, tasks: usize, case: &str) {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks, "tasks are left: {case}");
    let held = [Arc::strong_count(&world.fetches), Arc::strong_count(&world.api.seen)];
    assert_eq!(held, [1, 1], "source and service are held by somebody: {case}");
    assert_eq!(world.fetching.load(Ordering::SeqCst), 0, "{case}");
}

/// Sweeps what `start` makes of a fresh engine. The next caller gets a token, and there were at most `fetches` in all.
async fn sweep<F: Future>(
    name: &str,
    at_least: usize,
    fetches: usize,
    start: impl AsyncFn(&World, &TokenHandle, &Arc<Semaphore>) -> F,
) {
    for polls in 0.. {
        let case = format!("{name}, dropped after {polls} polls");
        let (world, place, tasks) =
            (World::default(), Arc::new(Semaphore::new(1)), Handle::current().metrics().num_alive_tasks());
        let handle = world.builder().build();
        let future = start(&world, &handle, &place).await;
        let completed = poll_and_drop(polls, future).await;

        world.down.store(false, Ordering::SeqCst);
        world.held.store(false, Ordering::SeqCst);
        let next = tokio::time::timeout(400 * S, handle.ready(300 * S)).await;
        next.unwrap_or_else(|_| panic!("hangs: {case}")).unwrap_or_else(|error| panic!("{error}: {case}"));
        assert!(handle.token().await.is_ok(), "{case}");
        assert_eq!(place.available_permits(), 1, "the place is taken: {case}");
        sleep(S).await;
        assert!(world.fetches() <= fetches, "{} fetches: {case}", world.fetches());
        drop(handle);
        nothing_is_left(&world, tasks, &case).await;
        if completed {
            assert!(polls > at_least, "the sweep went through the waits: {case}");
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn token_may_be_dropped_after_any_poll() {
    let token = |handle: &TokenHandle| {
        let handle = handle.clone();
        async move { drop(handle.token().await) }
    };
    sweep("cold token()", 3, 1, async |_, handle, _| token(handle)).await;
    sweep("token() of a failing source", 3, 2, async |world, handle, _| {
        world.down.store(true, Ordering::SeqCst);
        token(handle)
    })
    .await;
    // The refresh hangs, so that the last margin comes; a second of it is waited for.
    sweep("token() in the last margin", 9, 2, async |world, handle, _| {
        handle.token().await.unwrap();
        world.held.store(true, Ordering::SeqCst);
        sleep(992 * S).await;
        token(handle)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn ready_may_be_dropped_after_any_poll() {
    sweep("ready()", 3, 1, async |_, handle, _| {
        let handle = handle.clone();
        async move { handle.ready(10 * S).await.unwrap() }
    })
    .await;
    // 5 s of trying make three or four attempts, and one more succeeds.
    sweep("ready() in an outage", 30, 6, async |world, handle, _| {
        world.down.store(true, Ordering::SeqCst);
        let handle = handle.clone();
        async move { assert_eq!(handle.ready(5 * S).await.unwrap_err().kind(), ErrorKind::Transient) }
    })
    .await;
}

/// A call over a service with one place.
fn call(world: &World, handle: &TokenHandle, place: &Arc<Semaphore>, bare: bool) -> impl Future + use<> {
    let policy = if bare { OnUnavailable::SendBare } else { OnUnavailable::Fail };
    let api = world.api.clone();
    let server = service_fn(move |request: Request<String>| {
        let response = api.answer(&request);
        async move {
            sleep(STEP).await;
            Ok::<_, Infallible>(response)
        }
    });
    let service = ServiceBuilder::new()
        .layer(BearerAuthLayer::new(origins(), handle.clone()).on_unavailable(policy).wait(S))
        .layer(GlobalConcurrencyLimitLayer::with_semaphore(place.clone()))
        .service(server);
    async move { drop(service.oneshot(get(API)).await) }
}

#[tokio::test(start_paused = true)]
async fn a_call_may_be_dropped_after_any_poll() {
    sweep("a cold call", 4, 1, async |world, handle, place| call(world, handle, place, false)).await;
    sweep("a warm call", 1, 1, async |world, handle, place| {
        handle.token().await.unwrap();
        call(world, handle, place, false)
    })
    .await;
    sweep("a call that is refused", 5, 2, async |world, handle, place| {
        world.api.accept("token-2");
        handle.token().await.unwrap();
        call(world, handle, place, false)
    })
    .await;
    sweep("a cold call that is refused", 8, 2, async |world, handle, place| {
        world.api.accept("token-2");
        call(world, handle, place, false)
    })
    .await;
    sweep("a call that waits for nothing", 3, 2, async |world, handle, place| {
        world.down.store(true, Ordering::SeqCst);
        call(world, handle, place, true)
    })
    .await;
}

/// L4: the shutdown goes on without whoever asked for it, and the fetch in flight is not lost.
#[tokio::test(start_paused = true)]
async fn shutdown_may_be_dropped_after_any_poll() {
    for polls in 0.. {
        let (world, tasks) = (World::default(), Handle::current().metrics().num_alive_tasks());
        let handle = world.builder().build();
        assert!(!poll_and_drop(1, handle.token()).await);
        let completed = poll_and_drop(polls, handle.shutdown(10 * S)).await;
        sleep(S).await;
        let case = format!("shutdown(), dropped after {polls} polls");
        assert_eq!(handle.token().await.unwrap().generation(), 1, "{case}");
        sleep(1001 * S).await;
        if polls == 0 {
            assert!(handle.token().await.is_ok(), "nobody has asked for it: {case}");
        } else {
            assert_eq!(handle.token().await.unwrap_err().kind(), ErrorKind::Closed, "{case}");
            assert_eq!(world.fetches(), 1, "{case}");
        }
        drop(handle);
        nothing_is_left(&world, tasks, &case).await;
        if completed {
            assert!(polls > 1, "{case}");
            return;
        }
    }
}

/// L3: who waits for a driver that is dropped is told, and its token serves until it expires.
#[tokio::test(start_paused = true)]
async fn a_driver_may_be_dropped_after_any_poll() {
    for polls in 0..10 {
        let (world, tasks) = (World::default(), Handle::current().metrics().num_alive_tasks());
        let (handle, driver) = world.builder().pair();
        let waiter = tokio::spawn({
            let handle = handle.clone();
            async move { handle.token().await }
        });
        sleep(STEP).await;
        assert!(!poll_and_drop(polls, driver).await, "it ends with its handles");
        let case = format!("a driver, dropped after {polls} polls");
        let told = tokio::time::timeout(60 * S, waiter).await.unwrap_or_else(|_| panic!("a waiter hangs: {case}")).unwrap();
        match handle.current() {
            Some(token) => assert_eq!(told.unwrap().generation(), token.generation(), "{case}"),
            None => assert_eq!(told.unwrap_err().kind(), ErrorKind::Closed, "{case}"),
        }
        assert_eq!(handle.current().is_some(), polls >= 4, "{case}");
        sleep(1001 * S).await;
        assert_eq!(handle.token().await.unwrap_err().kind(), ErrorKind::Closed, "{case}");
        assert_eq!(world.fetches(), usize::from(polls > 0), "{case}");
        drop(handle);
        nothing_is_left(&world, tasks, &case).await;
    }
}

/// A token endpoint with one place, which takes three steps for a head and two for a body.
fn endpoint(place: &Arc<Semaphore>, inside: &Arc<AtomicUsize>) -> Transport {
    let inside = inside.clone();
    let server = service_fn(move |_: Request<Full<Bytes>>| {
        let inside = inside.clone();
        async move {
            let _inside = Inside::enter(&inside);
            for _ in 0..3 {
                sleep(STEP).await;
            }
            let pieces = [r#"{"token":"tok"#, r#"en","access_token":"token"}"#].map(|piece| Bytes::from_static(piece.as_bytes()));
            let body = futures::stream::unfold(pieces.into_iter(), |mut pieces| async {
                sleep(STEP).await;
                let piece = pieces.next()?;
                Some((Ok::<_, Infallible>(Frame::data(piece)), pieces))
            });
            Ok::<_, BoxError>(Response::builder().status(StatusCode::OK).body(StreamBody::new(body)).unwrap())
        }
    });
    let limit = GlobalConcurrencyLimitLayer::with_semaphore(place.clone());
    Transport::new(limit.layer(server))
}

/// Sweeps a token call: the next one, over the same source or transport, finds the place free and comes to its end.
async fn sweep_calls<T>(name: &str, make: impl Fn(Transport) -> T, send: impl AsyncFn(&mut T) -> Result<(), TokenError>) {
    for polls in 0.. {
        let case = format!("{name}, dropped after {polls} polls");
        let (place, inside) = (Arc::new(Semaphore::new(1)), Arc::new(AtomicUsize::new(0)));
        let mut subject = make(endpoint(&place, &inside));
        let completed = poll_and_drop(polls, send(&mut subject)).await;
        assert_eq!((place.available_permits(), inside.load(Ordering::SeqCst)), (1, 0), "{case}");
        let next = tokio::time::timeout(60 * S, send(&mut subject)).await;
        next.unwrap_or_else(|_| panic!("hangs: {case}")).unwrap_or_else(|error| panic!("{error}: {case}"));
        drop(subject);
        assert_eq!((Arc::strong_count(&place), Arc::strong_count(&inside)), (1, 1), "{case}");
        if completed {
            assert!(polls > 4, "the sweep went through the waits: {case}");
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_call_may_be_dropped_after_any_poll() {
    let yonne = |transport| Yonne::over(transport, "ck_live_x", "sk_live_x").unwrap();
    sweep_calls("Yonne::fetch", yonne, async |source| {
        let token = source.fetch(FetchContext::new(FetchReason::First)).await?;
        assert_eq!(token.expose_secret(), "token");
        Ok(())
    })
    .await;
    let described = |transport| TokenEndpoint::post("https://api.example.com/token").source(transport, [("", ""); 0]).unwrap();
    sweep_calls("EndpointSource::fetch", described, async |source| {
        let token = source.fetch(FetchContext::new(FetchReason::First)).await?;
        assert_eq!(token.expose_secret(), "token");
        Ok(())
    })
    .await;
    let clock: Arc<dyn Clock> = Arc::new(TokioClock);
    sweep_calls(
        "Transport::send",
        |transport| transport,
        async |transport| {
            let reply = transport.send(Request::new(Full::default()), &clock).await?;
            assert_eq!(reply.status(), StatusCode::OK);
            Ok(())
        },
    )
    .await;
}
