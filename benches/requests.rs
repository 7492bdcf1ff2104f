//! What a request costs under the layer: `cargo bench`.
//!
//! Criterion takes one case after the other, while the machine's speed moves: good for orders of magnitude. Ratios to other
//! middleware, instructions and allocations are in `benches/compare`.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{Empty, Full, combinators::BoxBody};
use tokio::{runtime, sync::watch, task::JoinSet};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_token::{
    AccessToken, BearerAuthLayer, BoxError, FetchReason, Origins, StaticToken, TokenError, TokenHandle, source_fn,
};

const BURST: usize = 10_000;
const TOKEN_CALL: Duration = Duration::from_millis(50);

fn main() -> Result<(), BoxError> {
    let mut criterion = Criterion::default().configure_from_args();
    let origins = "https://api.example.com".parse::<Origins>()?;
    cached(&mut criterion, &origins)?;
    fetched(&mut criterion, &origins)?;
    contended(&mut criterion, &origins)?;
    burst(&mut criterion, &origins)?;
    criterion.final_summary();
    Ok(())
}

/// A token is at hand: what nearly all requests cost.
fn cached(criterion: &mut Criterion, origins: &Origins) -> Result<(), BoxError> {
    let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
    let layer = BearerAuthLayer::new(origins.clone(), StaticToken::new("t".repeat(1024))?);
    let mut group = criterion.benchmark_group("cached token");

    let mut service = layer.layer(service_fn(answer::<BoxBody<Bytes, Infallible>>));
    group.bench_function("body not kept", |bencher| {
        let send = |request| runtime.block_on(send(&mut service, request));
        bencher.iter_batched(|| request(BoxBody::default()), send, BatchSize::SmallInput);
    });
    let mut service = layer.layer(service_fn(answer));
    group.bench_function("kept for a replay", |bencher| {
        bencher.iter_batched(full, |request| runtime.block_on(send(&mut service, request)), BatchSize::SmallInput);
    });
    Ok(())
}

/// A token has to be fetched, from a source that has it at once.
fn fetched(criterion: &mut Criterion, origins: &Origins) -> Result<(), BoxError> {
    let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
    let mut group = criterion.benchmark_group("fetched token");
    // An engine of its own for each call: soon after a rejection, the next one would wait for the back-off.
    let engine = || {
        TokenHandle::new(source_fn(|cx| async move {
            AccessToken::new(if cx.reason() == FetchReason::First { "revoked" } else { "new" })
        }))
    };
    let service = |tokens: TokenHandle| BearerAuthLayer::new(origins.clone(), tokens).layer(service_fn(answer));

    group.bench_function("cold start: engine, layer, first request", |bencher| {
        let tokens = || StaticToken::new("t".repeat(1024)).map(TokenHandle::new);
        bencher.iter(|| {
            let Ok(tokens) = tokens() else { return };
            runtime.block_on(send(&mut service(tokens), full()));
        });
    });
    group.bench_function("401, new token, replay", |bencher| {
        let warm = || {
            let tokens = engine();
            assert!(runtime.block_on(tokens.token()).is_ok());
            (service(tokens), full())
        };
        bencher.iter_batched(warm, |(mut service, request)| runtime.block_on(send(&mut service, request)), BatchSize::SmallInput);
    });
    Ok(())
}

/// Clones of one service at work at the same time; the time is that of one request, whichever clone's.
fn contended(criterion: &mut Criterion, origins: &Origins) -> Result<(), BoxError> {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let tokens = TokenHandle::new(StaticToken::new("t".repeat(1024))?);
    runtime.block_on(tokens.token())?;
    let service = BearerAuthLayer::new(origins.clone(), tokens).layer(service_fn(answer));
    let mut group = criterion.benchmark_group("contended");
    group.throughput(Throughput::Elements(1));

    group.bench_function("2 threads", |bencher| {
        bencher.iter_custom(|requests| {
            let start = Instant::now();
            thread::scope(|scope| {
                for half in [requests / 2, requests - requests / 2] {
                    let (mut service, runtime) = (service.clone(), &runtime);
                    scope.spawn(move || {
                        runtime.block_on(async {
                            for _ in 0..half {
                                send(&mut service, full()).await;
                            }
                        });
                    });
                }
            });
            start.elapsed()
        });
    });
    for count in [8_u64, 64] {
        group.bench_function(format!("{count} tasks on 2 workers"), |bencher| {
            bencher.iter_custom(|requests| {
                let start = Instant::now();
                let tasks = (0..count).map(|task| {
                    let (mut service, share) = (service.clone(), requests / count + u64::from(task < requests % count));
                    async move {
                        for sent in 0..share {
                            send(&mut service, full()).await;
                            if sent % 32 == 31 {
                                tokio::task::yield_now().await;
                            }
                        }
                    }
                });
                let all = async { tasks.map(|task| runtime.spawn(task)).collect::<JoinSet<_>>().join_all().await };
                runtime.block_on(all);
                start.elapsed()
            });
        });
    }
    Ok(())
}

/// All come at once, the token has expired, and one token call is on its way.
fn burst(criterion: &mut Criterion, origins: &Origins) -> Result<(), BoxError> {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let one_burst = async || {
        let go = watch::Sender::new(false);
        let gate = go.subscribe();
        let tokens = TokenHandle::new(source_fn(move |cx| {
            let mut gate = gate.clone();
            async move {
                if cx.reason() == FetchReason::First {
                    return Ok(AccessToken::new("old")?.expires_in(Duration::from_millis(200)));
                }
                gate.wait_for(|open| *open).await.map_err(TokenError::transient)?;
                tokio::time::sleep(TOKEN_CALL).await;
                AccessToken::new("new")
            }
        }));
        let service = BearerAuthLayer::new(origins.clone(), tokens.clone()).layer(service_fn(answer));
        assert!(tokens.token().await.is_ok());
        while tokens.current().is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let start = Instant::now();
        go.send_replace(true);
        let calls = (0..BURST).map(|_| {
            let mut service = service.clone();
            async move { send(&mut service, full()).await }
        });
        calls.collect::<JoinSet<_>>().join_all().await;
        start.elapsed()
    };
    let mut group = criterion.benchmark_group("burst");
    group.sample_size(10).measurement_time(Duration::from_secs(2));
    group.bench_function("10,000 requests on an expired token, a token call takes 50 ms", |bencher| {
        bencher.iter_custom(|times| {
            runtime.block_on(async {
                let mut took = Duration::ZERO;
                for _ in 0..times {
                    took += one_burst().await;
                }
                took
            })
        });
    });
    Ok(())
}

fn request<B>(body: B) -> Request<B> {
    let mut request = Request::new(body);
    *request.uri_mut() = Uri::from_static("https://api.example.com/v1/orders?page=2");
    request.headers_mut().reserve(4);
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static("bench/1.0"));
    request
}

fn full() -> Request<Full<Bytes>> {
    request(Full::new(Bytes::from_static(br#"{"page":2}"#)))
}

/// Does nothing, but knows that the token `revoked` is.
fn answer<B>(request: Request<B>) -> Ready<Result<Response<Empty<Bytes>>, Infallible>> {
    let revoked = request.headers().get(header::AUTHORIZATION).is_some_and(|value| value == "Bearer revoked");
    let mut response = Response::new(Empty::new());
    *response.status_mut() = if revoked { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
    ready(Ok(response))
}

async fn send<S: Service<Request<B>, Response = Response<Empty<Bytes>>>, B>(service: &mut S, request: Request<B>) {
    assert!(ServiceExt::ready(service).await.is_ok());
    assert!(service.call(request).await.is_ok_and(|answer| answer.status().is_success()));
}
