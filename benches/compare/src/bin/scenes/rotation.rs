//! A new token every 10 ms, under load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use compare::{runtime, stats::median};
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::task::JoinSet;
use tower::{BoxError, Layer, Service, ServiceExt};
use tower_token::{AccessToken, BearerAuthLayer, Origins, TokenHandle, middleware::AuthService, source_fn};

use super::server::serve;

type ApiClient = AuthService<Client<HttpConnector, Full<Bytes>>>;

const ROUNDS: usize = 41;
const WINDOW: Duration = Duration::from_millis(200);
const EVERY: Duration = Duration::from_millis(10);
const TASKS: usize = 16;
/// The server accepts a token for so long.
const LIFETIME: Duration = Duration::from_secs(1);

pub(crate) fn run() -> Result<(), BoxError> {
    runtime().block_on(rotation())
}

async fn rotation() -> Result<(), BoxError> {
    let epoch = Instant::now();
    let age_of = move |value: &str| {
        let issued =
            value.strip_prefix("Bearer t").and_then(|rest| rest.split_once('-')).and_then(|(millis, _)| millis.parse().ok());
        issued.map(|issued| epoch.elapsed().saturating_sub(Duration::from_millis(issued)))
    };
    let rejected = Arc::new(AtomicU64::new(0));
    let address = serve({
        let rejected = Arc::clone(&rejected);
        move |request| {
            let value = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
            let mut response = Response::new(Full::from("{}"));
            if value.and_then(age_of).is_none_or(|age| age >= LIFETIME) {
                rejected.fetch_add(1, Relaxed);
                *response.status_mut() = StatusCode::UNAUTHORIZED;
            }
            async { response }
        }
    })
    .await?;
    let tokens = TokenHandle::new(source_fn(move |_cx| async move {
        AccessToken::new(format!("t{}-{}", epoch.elapsed().as_millis(), "x".repeat(1000))).map(|token| token.expires_in(LIFETIME))
    }));
    let client = Client::builder(TokioExecutor::new()).build_http();
    let service = BearerAuthLayer::new(format!("http://{address}").parse::<Origins>()?, tokens.clone()).layer(client);
    let url = format!("http://{address}/v1/orders");
    load(&service, &url).await?;

    let (mut ratios, mut sent, mut failed) = (Vec::new(), 0, 0);
    let before = tokens.status().fetches();
    let mut rotating = Duration::ZERO;
    for _ in 0..ROUNDS {
        let quiet = load(&service, &url).await?;
        let rotate = tokio::spawn({
            let tokens = tokens.clone();
            async move {
                let mut ticks = tokio::time::interval(EVERY);
                loop {
                    ticks.tick().await;
                    // A new token at once; the current one goes on serving until it is there.
                    tokens.reset();
                }
            }
        });
        let start = Instant::now();
        let busy = load(&service, &url).await?;
        rotate.abort();
        rotating += start.elapsed();
        ratios.push(busy.0 as f64 / quiet.0 as f64);
        sent += busy.0 + quiet.0;
        failed += busy.1 + quiet.1;
    }
    let (ratio, fetches) = (median(ratios), tokens.status().fetches() - before);
    println!("a new token every {} ms, {TASKS} tasks over HTTP/1.1 on loopback, 2 workers", EVERY.as_millis());
    println!("  tokens: {fetches}, {:.1} ms apart while they rotated", rotating.as_secs_f64() * 1e3 / fetches as f64);
    println!("  requests: {sent}; answered with a 401, of those: {}", rejected.load(Relaxed));
    println!("  throughput over that without rotation: {:.3} (95 %: {:.3} to {:.3})", ratio.median, ratio.low, ratio.high);
    println!("  failed: {failed} (promised: 0)\n");
    if failed == 0 { Ok(()) } else { Err("broken: requests failed while the token rotated".into()) }
}

/// How many requests went through in a window, and how many failed.
async fn load(service: &ApiClient, url: &str) -> Result<(u64, u64), BoxError> {
    let start = Instant::now();
    let task = || {
        let (mut service, url) = (service.clone(), url.to_owned());
        async move {
            let (mut sent, mut failed) = (0, 0);
            while start.elapsed() < WINDOW {
                sent += 1;
                failed += u64::from(!request(&mut service, &url).await.is_ok_and(|status| status == StatusCode::OK));
            }
            (sent, failed)
        }
    };
    let done = (0..TASKS).map(|_| task()).collect::<JoinSet<_>>().join_all().await;
    Ok(done.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1)))
}

async fn request(service: &mut ApiClient, url: &str) -> Result<StatusCode, BoxError> {
    let response = service.ready().await?.call(Request::get(url).body(Full::from("{}"))?).await?;
    let status = response.status();
    response.into_body().collect().await?;
    Ok(status)
}
