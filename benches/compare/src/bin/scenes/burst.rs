//! Ten thousand requests on an expired token.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use compare::{
    harness::{Noop, four, token},
    runtime,
    stats::percentile,
};
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{sync::watch, task::JoinSet, time::sleep};
use tower::{BoxError, Layer, ServiceExt};
use tower_token::{AccessToken, BearerAuthLayer, FetchReason, Origins, TokenError, TokenHandle, source_fn};

use super::server::serve;

const BURST: usize = 10_000;
const TOKEN_CALL: Duration = Duration::from_millis(50);
const TIMES: usize = 11;

pub(crate) fn run() -> Result<(), BoxError> {
    println!(
        "{BURST} requests at once, the token has expired, the token endpoint (on loopback) takes {} ms",
        TOKEN_CALL.as_millis()
    );
    let mut bursts = Vec::new();
    for _ in 0..TIMES {
        bursts.push(runtime().block_on(burst())?);
    }
    let median = |of: fn(&Burst) -> f64| percentile(&mut bursts.iter().map(of).collect::<Vec<_>>(), 0.5);
    let (p50, p99, all) = (median(|burst| burst.p50), median(|burst| burst.p99), median(|burst| burst.all));
    println!("  latency, medians of {TIMES} bursts: p50 {p50:.1} ms, p99 {p99:.1} ms, all done {all:.1} ms");
    println!("  p99 over the endpoint's time: {:.2}", p99 / TOKEN_CALL.as_secs_f64() / 1e3);
    let calls = bursts.iter().map(|burst| burst.calls).max().unwrap_or_default();
    println!("  token calls of a burst, at most: {calls} (promised: 1)\n");
    if calls == 1 { Ok(()) } else { Err("broken: a burst made more than one token call".into()) }
}

struct Burst {
    calls: u64,
    p50: f64,
    p99: f64,
    all: f64,
}

async fn burst() -> Result<Burst, BoxError> {
    let calls = Arc::new(AtomicU64::new(0));
    let address = serve({
        let calls = Arc::clone(&calls);
        move |_request| {
            calls.fetch_add(1, Relaxed);
            async {
                sleep(TOKEN_CALL).await;
                Response::new(Full::from(token()))
            }
        }
    })
    .await?;
    // The first token is known to the source; for the next one it asks, as soon as the requests are let go.
    let go = watch::Sender::new(false);
    let gate = go.subscribe();
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let tokens = TokenHandle::new(source_fn(move |cx| {
        let (mut gate, client) = (gate.clone(), client.clone());
        async move {
            if cx.reason() == FetchReason::First {
                return Ok(AccessToken::new("old")?.expires_in(Duration::from_millis(200)));
            }
            gate.wait_for(|open| *open).await.map_err(TokenError::transient)?;
            let request =
                Request::get(format!("http://{address}/token")).body(Empty::new()).map_err(TokenError::misconfigured)?;
            let response = client.request(request).await.map_err(TokenError::transient)?;
            let body = response.into_body().collect().await.map_err(TokenError::transient)?.to_bytes();
            AccessToken::new(String::from_utf8_lossy(&body))
        }
    }));
    let service = BearerAuthLayer::new("https://api.example.com".parse::<Origins>()?, tokens.clone()).layer(Noop::default());
    tokens.token().await?;
    while tokens.current().is_some() {
        sleep(Duration::from_millis(1)).await;
    }

    let make = four(Empty::<Bytes>::new);
    let requests: Vec<_> = (0..BURST).map(|_| make(&HeaderValue::from_static("static"))).collect();
    let start = Instant::now();
    go.send_replace(true);
    let one = |request| {
        let service = service.clone();
        async move { service.oneshot(request).await.map(|_response| start.elapsed().as_secs_f64() * 1e3) }
    };
    let answers = requests.into_iter().map(one).collect::<JoinSet<_>>().join_all().await;
    let all = start.elapsed().as_secs_f64() * 1e3;
    let mut latencies = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
    let (p50, p99) = (percentile(&mut latencies, 0.5), percentile(&mut latencies, 0.99));
    Ok(Burst { calls: calls.load(Relaxed), p50, p99, all })
}
