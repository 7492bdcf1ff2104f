//! Ten thousand requests on an expired token.

use std::{
    net::SocketAddr,
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
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        ours.push(runtime().block_on(burst(through_the_layer))?);
        floors.push(runtime().block_on(burst(on_a_watch))?);
    }
    for (name, bursts) in [("through the layer", &ours), ("floor: tasks that wait for one watch channel", &floors)] {
        let median = |of: fn(&Burst) -> f64| percentile(&mut bursts.iter().map(of).collect::<Vec<_>>(), 0.5);
        let (p50, p99, all) = (median(|burst| burst.p50), median(|burst| burst.p99), median(|burst| burst.all));
        let ratio = p99 / TOKEN_CALL.as_secs_f64() / 1e3;
        println!("  {name}, medians of {TIMES} bursts");
        println!("    p50 {p50:.1} ms, p99 {p99:.1} ms ({ratio:.2} of the endpoint's time), all done {all:.1} ms");
    }
    let calls = ours.iter().map(|burst| burst.calls).max().unwrap_or_default();
    println!("  token calls of a burst, at most: {calls} (promised: 1)\n");
    if calls == 1 { Ok(()) } else { Err("broken: a burst made more than one token call".into()) }
}

struct Burst {
    calls: u64,
    p50: f64,
    p99: f64,
    all: f64,
}

/// Ten thousand tasks that wait for a token call, which starts when they do.
async fn burst<W>(
    wait: impl AsyncFnOnce(watch::Receiver<bool>, SocketAddr) -> Result<Vec<W>, BoxError>,
) -> Result<Burst, BoxError>
where
    W: Future<Output = Result<(), BoxError>> + Send + 'static,
{
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
    let go = watch::Sender::new(false);
    let waits = wait(go.subscribe(), address).await?;
    let start = Instant::now();
    go.send_replace(true);
    let one = |wait: W| async move { wait.await.map(|()| start.elapsed().as_secs_f64() * 1e3) };
    let answers = waits.into_iter().map(one).collect::<JoinSet<_>>().join_all().await;
    let all = start.elapsed().as_secs_f64() * 1e3;
    let mut latencies = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
    let (p50, p99) = (percentile(&mut latencies, 0.5), percentile(&mut latencies, 0.99));
    Ok(Burst { calls: calls.load(Relaxed), p50, p99, all })
}

/// The token call, once the gate is open.
async fn fetch(mut gate: watch::Receiver<bool>, address: SocketAddr) -> Result<AccessToken, BoxError> {
    gate.wait_for(|open| *open).await?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let request = Request::get(format!("http://{address}/token")).body(Empty::new())?;
    let body = client.request(request).await?.into_body().collect().await?.to_bytes();
    Ok(AccessToken::new(String::from_utf8_lossy(&body))?)
}

async fn through_the_layer(
    gate: watch::Receiver<bool>,
    address: SocketAddr,
) -> Result<Vec<impl Future<Output = Result<(), BoxError>> + Send + 'static>, BoxError> {
    // The first token is known to the source; for the next one it asks, as soon as the requests are let go.
    let tokens = TokenHandle::new(source_fn(move |cx| {
        let gate = gate.clone();
        async move {
            if cx.reason() == FetchReason::First {
                return Ok(AccessToken::new("old")?.expires_in(Duration::from_millis(200)));
            }
            fetch(gate, address).await.map_err(TokenError::transient)
        }
    }));
    let service = BearerAuthLayer::new("https://api.example.com".parse::<Origins>()?, tokens.clone()).layer(Noop::default());
    tokens.token().await?;
    while tokens.current().is_some() {
        sleep(Duration::from_millis(1)).await;
    }
    let make = four(Empty::<Bytes>::new);
    let one = |_| {
        let (service, request) = (service.clone(), make(&HeaderValue::from_static("static")));
        async move { service.oneshot(request).await.map(drop).map_err(BoxError::from) }
    };
    Ok((0..BURST).map(one).collect())
}

/// What waking so many tasks takes by itself.
async fn on_a_watch(
    gate: watch::Receiver<bool>,
    address: SocketAddr,
) -> Result<Vec<impl Future<Output = Result<(), BoxError>> + Send + 'static>, BoxError> {
    let published = watch::Sender::new(None);
    let one = |_| {
        let mut token = published.subscribe();
        async move { token.wait_for(Option::is_some).await.map(drop).map_err(BoxError::from) }
    };
    let waits = (0..BURST).map(one).collect();
    tokio::spawn(async move {
        if let Ok(token) = fetch(gate, address).await {
            published.send_replace(Some(token));
        }
    });
    Ok(waits)
}
