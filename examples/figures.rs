//! What this crate promises under load, measured over real HTTP on loopback; it fails if a promise is broken.
//!
//! `cargo run --release --example figures --features testing -- NAME`, where NAME is
//!
//! - `expired`: 10,000 concurrent requests while the token has expired, and a token call takes 200 ms;
//! - `revoked`: 10,000 concurrent requests meet a 401 each, and a token call takes 200 ms;
//! - `outage`: the token endpoint answers 503 to every refresh, under 5,000 requests a second for 60 s;
//! - `rejected`: the API answers 401 to every token, under 1,000 requests a second for 60 s.
//!
//! Without a name it plays all four, the last two at the same time. `--seconds N` after a name makes them shorter or longer.
//!
//! Client, API and token endpoint run in this one process. The API and the token endpoint are the emulator of Yonne. Requests go
//! over HTTP/2, of which a server takes 200 at once on a connection; over HTTP/1.1 each burst would take 10,000 sockets.
//!
//! Counts are judged. The rate and the latencies are printed and not judged: they are the machine's, and a machine that is too
//! slow, or a build without optimisation, falls behind the rate.

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::task::{JoinError, JoinSet};
use tower::{Layer, ServiceExt};
use tower_token::{
    BearerAuthLayer, BoxError, Origins, TokenHandle,
    middleware::AuthService,
    provider::yonne::Yonne,
    refresh::{RefreshState, TokenHandleBuilder},
    testing::{ManualClock, YonneEmulator},
};

type ApiClient = AuthService<Client<HttpConnector, Full<Bytes>>>;

const BURST: usize = 10_000;
/// So that the whole burst is on its way at once: 200 streams on each.
const CONNECTIONS: usize = BURST / 200;
/// Of a load: beyond so many it waits, and catches up if it can.
const MOST_IN_FLIGHT: usize = 500;
const TOKEN_CALL: Duration = Duration::from_millis(200);
const DAY: Duration = Duration::from_secs(86_400);
/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let seconds = arguments.iter().position(|argument| argument == "--seconds").and_then(|at| arguments.get(at + 1));
    let time = Duration::from_secs(seconds.map_or(Ok(60), |seconds| seconds.parse())?);
    let play = async {
        match arguments.first().map(String::as_str) {
            Some("expired") => expired().await,
            Some("revoked") => revoked().await,
            Some("outage") => outage(time).await,
            Some("rejected") => rejected(time).await,
            None => {
                expired().await?;
                revoked().await?;
                tokio::try_join!(outage(time), rejected(time)).map(drop)
            }
            _ => Err("say which: expired, revoked, outage or rejected; or nothing, for all".into()),
        }
    };
    tokio::time::timeout(time + 2 * PATIENCE, play).await?
}

/// The engine sleeps through its token's end, as on a laptop whose lid was shut: then all requests come at once.
async fn expired() -> Result<(), BoxError> {
    let yonne = YonneEmulator::start().await?;
    let clock = ManualClock::new();
    let tokens = engine(&yonne)?.clock(clock.clone()).build();
    let mut bench = Bench::new(&yonne, &tokens, StatusCode::OK, CONNECTIONS).await?;
    yonne.set_token_delay(TOKEN_CALL);

    // The token call starts when all wait for it, so that none comes late and finds the new token.
    let hold = yonne.hold_token_calls();
    let mut health = tokens.subscribe();
    clock.advance(DAY);
    yonne.expire_all();
    // The engine's task takes a moment to wake up, and until then the old token is sent.
    health.wait_for(|status| status.state() == RefreshState::Fetching).await?;
    let start = Instant::now();
    (0..BURST).for_each(|_| bench.send());
    clock.until_sleeping(BURST).await;
    hold.release();
    bench.finish(start).await;

    bench.print(&format!("expired: {BURST} concurrent requests, the token has expired, a token call takes 200 ms"));
    judge("token calls", yonne.token_calls() - 1, 1..=1)?;
    judge("requests that the server saw with the old token", yonne.unauthorized(), 0..=0)?;
    judge("failed", bench.failed, 0..=0)
}

/// All requests are at the server when it revokes the token that they carry.
async fn revoked() -> Result<(), BoxError> {
    let yonne = YonneEmulator::start().await?;
    let tokens = engine(&yonne)?.build();
    let mut bench = Bench::new(&yonne, &tokens, StatusCode::OK, CONNECTIONS).await?;
    yonne.set_token_delay(TOKEN_CALL);

    let (hold, before) = (yonne.hold_api_calls(), yonne.api_calls());
    (0..BURST).for_each(|_| bench.send());
    yonne.api_calls_reached(before + BURST as u64).await;
    yonne.revoke_all();
    let start = Instant::now();
    hold.release();
    bench.finish(start).await;

    bench.print(&format!("revoked: {BURST} concurrent requests meet a 401, a token call takes 200 ms"));
    judge("token calls", yonne.token_calls() - 1, 1..=1)?;
    judge("requests that met the 401", yonne.unauthorized(), BURST as u64..=BURST as u64)?;
    judge("sent, replays included", yonne.api_calls() - before, 2 * BURST as u64..=2 * BURST as u64)?;
    judge("failed", bench.failed, 0..=0)
}

/// `reset` asks for a new token at once, as an early refresh does, and the engine goes on asking while the old one serves.
async fn outage(time: Duration) -> Result<(), BoxError> {
    let yonne = YonneEmulator::start().await?;
    let tokens = engine(&yonne)?.build();
    let mut bench = Bench::new(&yonne, &tokens, StatusCode::OK, 4).await?;
    let before = yonne.token_calls();
    yonne.token_endpoint_down(true);

    let start = Instant::now();
    tokens.reset();
    bench.load("outage", 5_000, time, || yonne.token_calls() - before).await;
    let (calls, bounds) = (yonne.token_calls() - before, scheduled(start.elapsed()));

    bench.print(&format!("outage: no token call succeeds for {} s, the token is valid", time.as_secs()));
    judge("token calls", calls, bounds)?;
    judge("requests that met a 401", yonne.unauthorized(), 0..=0)?;
    judge("failed", bench.failed, 0..=0)
}

/// The API is another instance than the token endpoint's, and knows none of its tokens.
async fn rejected(time: Duration) -> Result<(), BoxError> {
    let (yonne, api) = (YonneEmulator::start().await?, YonneEmulator::start().await?);
    let tokens = engine(&yonne)?.build();
    tokens.token().await?;

    let start = Instant::now();
    let mut bench = Bench::new(&api, &tokens, StatusCode::UNAUTHORIZED, 4).await?;
    bench.load("rejected", 1_000, time, || yonne.token_calls() - 1).await;
    // The first token came before, and the second as soon as that was rejected. From then on an attempt also waits for its
    // predecessor's token to be rejected, so that there is no least number of them.
    let (calls, bounds) = (yonne.token_calls() - 1, 1..=*scheduled(start.elapsed()).end());

    bench.print(&format!("rejected: the API answers 401 to every token for {} s", time.as_secs()));
    judge("token calls", calls, bounds)?;
    println!("  requests that the API saw: {}", api.api_calls());
    judge("answered by anything but a 401", bench.failed, 0..=0)
}

fn engine(yonne: &YonneEmulator) -> Result<TokenHandleBuilder, BoxError> {
    let source = Yonne::new(yonne.api_key(), yonne.api_secret())?.base_url(yonne.base_url())?;
    Ok(TokenHandle::builder(source))
}

/// How many attempts the engine's back-off lets start within `time`, the first at once. The delays d between them are 1, 2, 4 …
/// 60 s, each drawn from [d/2, d]: all the shortest make the most attempts, all the longest the fewest. A fifth of the time is
/// left for what the attempts themselves take.
fn scheduled(time: Duration) -> RangeInclusive<u64> {
    let attempts = |time: f64, share: f64| {
        let delays = (0..).map(|failures| share * f64::from(1 << failures.min(6)).min(60.0));
        let starts = delays.scan(0.0, |at, delay| Some(std::mem::replace(at, *at + delay)));
        starts.take_while(|start| *start <= time).count() as u64
    };
    attempts(0.8 * time.as_secs_f64(), 1.0)..=attempts(time.as_secs_f64(), 0.5)
}

/// Sends requests and keeps the tally of what became of them.
struct Bench {
    /// One for each connection.
    clients: Vec<ApiClient>,
    url: String,
    expected: StatusCode,
    in_flight: JoinSet<(Instant, Instant, Result<(), BoxError>)>,
    sent: u64,
    failed: u64,
    latencies: Vec<Duration>,
    took: Duration,
}

impl Bench {
    /// Over connections that are open: one request each is made here, with the first token.
    async fn new(api: &YonneEmulator, tokens: &TokenHandle, expected: StatusCode, connections: usize) -> Result<Bench, BoxError> {
        let layer = BearerAuthLayer::new(api.base_url().parse::<Origins>()?, tokens.clone());
        let hyper = || Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        let clients: Vec<_> = (0..connections).map(|_| layer.layer(hyper())).collect();
        let url = format!("{}/api/courier/s2s/metrics/summary", api.base_url());
        for client in &clients {
            call(client.clone(), &url, expected).await?;
        }
        let (in_flight, latencies) = (JoinSet::new(), Vec::new());
        Ok(Bench { clients, url, expected, in_flight, sent: 0, failed: 0, latencies, took: Duration::ZERO })
    }

    fn send(&mut self) {
        let client = self.clients[self.sent as usize % self.clients.len()].clone();
        let (url, expected) = (self.url.clone(), self.expected);
        self.sent += 1;
        self.in_flight.spawn(async move {
            let sent = Instant::now();
            let answer = tokio::time::timeout(PATIENCE, call(client, &url, expected)).await;
            (sent, Instant::now(), answer.unwrap_or_else(|late| Err(late.into())))
        });
    }

    /// So many requests a second, sent when they are due, whether or not others have been answered.
    async fn load(&mut self, name: &str, rate: u32, time: Duration, token_calls: impl Fn() -> u64) {
        let (start, mut reported) = (Instant::now(), 0);
        let mut ticks = tokio::time::interval(Duration::from_millis(1));
        while start.elapsed() < time {
            ticks.tick().await;
            let due = (start.elapsed().min(time).as_secs_f64() * f64::from(rate)) as u64;
            while self.sent < due && self.in_flight.len() < MOST_IN_FLIGHT {
                self.send();
            }
            while let Some(done) = self.in_flight.try_join_next() {
                self.count(done, start);
            }
            if start.elapsed().as_secs() >= reported + 5 {
                reported += 5;
                let (sent, failed, token_calls) = (self.sent, self.failed, token_calls());
                eprintln!("{name}, {reported} s: sent {sent}, failed {failed}, token calls {token_calls}");
            }
        }
        self.finish(start).await;
    }

    /// Waits for what is in flight. Latencies count from `start` for what was sent before.
    async fn finish(&mut self, start: Instant) {
        while let Some(done) = self.in_flight.join_next().await {
            self.count(done, start);
        }
        self.took = start.elapsed();
    }

    fn count(&mut self, done: Result<(Instant, Instant, Result<(), BoxError>), JoinError>, start: Instant) {
        let outcome = done.map_err(BoxError::from).and_then(|(sent, answered, outcome)| {
            self.latencies.push(answered - sent.max(start));
            outcome
        });
        let Err(error) = outcome else { return };
        if self.failed == 0 {
            eprintln!("the first request that failed: {error}");
        }
        self.failed += 1;
    }

    fn print(&mut self, title: &str) {
        self.latencies.sort();
        let percentile = |p: usize| self.latencies.get(self.latencies.len() * p / 100).map_or(f64::NAN, Duration::as_secs_f64);
        let took = self.took.as_secs_f64();
        println!("{title}");
        println!("  requests: {} in {took:.1} s, {:.0} a second", self.sent, self.sent as f64 / took);
        println!("  latency: p50 {:.1} ms, p99 {:.1} ms", percentile(50) * 1e3, percentile(99) * 1e3);
    }
}

/// One request, its answer read to the end.
async fn call(client: ApiClient, url: &str, expected: StatusCode) -> Result<(), BoxError> {
    let response = client.oneshot(Request::get(url).body(Full::default())?).await?;
    let status = response.status();
    response.into_body().collect().await?;
    if status == expected { Ok(()) } else { Err(format!("answered with {status}").into()) }
}

fn judge(what: &str, count: u64, bounds: RangeInclusive<u64>) -> Result<(), BoxError> {
    let (least, most) = (bounds.start(), bounds.end());
    let promise = if least == most { most.to_string() } else { format!("{least} to {most}") };
    println!("  {what}: {count} (promised: {promise})");
    if bounds.contains(&count) { Ok(()) } else { Err(format!("broken: {what}").into()) }
}
