//! L9: each signal at its event, with the fields and labels that the guide's page lists, and nothing where nothing is to be told.
//!
//! Subscriber and recorder are the thread's own, so each test hears its own engine.
#![cfg(all(feature = "tracing", feature = "metrics", feature = "testing"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, LocalRecorderGuard, Metadata, SharedString, Unit,
};
use tower::{Layer as _, Service, ServiceExt, service_fn};
use tower_token::{
    AccessToken, AuthError, BearerAuthLayer, BoxError, FetchContext, Origins, RefreshConfig, TokenError, TokenHandle, Transport,
    clock::{Clock, TokioClock},
    grant::TokenEndpoint,
    middleware::{AuthService, NoReplay, OnUnavailable},
    provider::{yolcu360::Yolcu360, yonne::Yonne},
    source_fn,
    store::{MemoryStore, Record, StoreError, TokenStore},
    testing::{ScriptedReply, ScriptedServer, Yolcu360Emulator},
};
use tracing::{Event, Subscriber, field, subscriber::DefaultGuard};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt, registry::LookupSpan};

const S: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// All that was told: events as lines, metrics by name and labels.
#[derive(Clone, Default)]
struct Ears(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    events: Vec<String>,
    counts: BTreeMap<String, u64>,
    gauges: BTreeMap<String, f64>,
    recorded: BTreeMap<String, Vec<f64>>,
    /// Metrics that were described, with their type, and whether in seconds.
    described: BTreeMap<String, (&'static str, bool)>,
    /// What is called from within a subscriber or a recorder.
    within: Option<Arc<dyn Fn() + Send + Sync>>,
}

struct Listening(#[expect(dead_code, reason = "ends when dropped")] (DefaultGuard, LocalRecorderGuard<'static>));

impl Ears {
    fn listen() -> (Ears, Listening) {
        let ears = Ears::default();
        let subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(ears.clone()));
        let recorder = metrics::set_default_local_recorder(Box::leak(Box::new(ears.clone())));
        (ears, Listening((subscriber, recorder)))
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn within(&self, call: impl Fn() + Send + Sync + 'static) {
        self.told().within = Some(Arc::new(call));
    }

    /// A subscriber's or recorder's own code.
    fn call(&self) {
        let within = self.told().within.clone();
        if let Some(within) = within {
            within();
        }
    }

    fn events(&self) -> Vec<String> {
        std::mem::take(&mut self.told().events)
    }

    fn counts(&self) -> Vec<(String, u64)> {
        std::mem::take(&mut self.told().counts).into_iter().collect()
    }

    fn gauge(&self, name: &str) -> f64 {
        self.told().gauges[name]
    }

    fn recorded(&self) -> BTreeMap<String, Vec<f64>> {
        std::mem::take(&mut self.told().recorded)
    }

    #[track_caller]
    fn assert_state(&self, engine: &str, state: &str) {
        for other in ["empty", "fresh", "fetching", "backing_off", "closed"] {
            let value = f64::from(u8::from(other == state));
            assert_eq!(self.gauge(&format!("tower_token_state{{engine={engine},state={other}}}")), value, "{other}");
        }
    }
}

/// Fields as `name=value`; of numbers with a fraction, which are drawn or measured, the name alone.
#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl field::Visit for Fields {
    fn record_f64(&mut self, field: &field::Field, _: f64) {
        self.0.insert(field.name(), String::new());
    }

    fn record_str(&mut self, field: &field::Field, value: &str) {
        self.0.insert(field.name(), format!("={value}"));
    }

    fn record_debug(&mut self, field: &field::Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("={value:?}"));
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().filter(|(name, _)| **name != "message").try_for_each(|(name, value)| write!(f, " {name}{value}"))
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Ears {
    fn on_new_span(&self, attributes: &tracing::span::Attributes<'_>, id: &tracing::Id, cx: Context<'_, S>) {
        if attributes.metadata().target() == "tower_token" {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            cx.span(id).unwrap().extensions_mut().insert(fields);
            self.call();
        }
    }

    fn on_record(&self, id: &tracing::Id, values: &tracing::span::Record<'_>, cx: Context<'_, S>) {
        if let Some(fields) = cx.span(id).unwrap().extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_enter(&self, _: &tracing::Id, _: Context<'_, S>) {
        self.call();
    }

    fn on_exit(&self, _: &tracing::Id, _: Context<'_, S>) {
        self.call();
    }

    fn on_close(&self, id: tracing::Id, cx: Context<'_, S>) {
        let span = cx.span(&id).unwrap();
        if let Some(fields) = span.extensions().get::<Fields>() {
            self.told().events.push(format!("SPAN {}{fields}", span.name()));
        }
        self.call();
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        let target = event.metadata().target();
        if target != "tower_token" && target != "observe" {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.0["message"].trim_start_matches('=').to_owned();
        let within = cx.event_span(event).map_or(String::new(), |span| format!(" in {}", span.name()));
        self.told().events.push(format!("{} {message}{fields}{within}", event.metadata().level()));
        if target == "tower_token" {
            self.call();
        }
    }
}

struct Instrument(Ears, String);

impl Ears {
    fn described(&self, kind: &'static str, name: KeyName, unit: Option<Unit>) {
        self.told().described.insert(name.as_str().to_owned(), (kind, unit == Some(Unit::Seconds)));
    }

    fn instrument(&self, key: &Key) -> Arc<Instrument> {
        self.call();
        let mut labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        labels.sort();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        Arc::new(Instrument(self.clone(), format!("{}{labels}", key.name())))
    }
}

impl metrics::Recorder for Ears {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.described("counter", name, unit);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.described("gauge", name, unit);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.described("histogram", name, unit);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.instrument(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.instrument(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.instrument(key))
    }
}

impl CounterFn for Instrument {
    fn increment(&self, value: u64) {
        *self.0.told().counts.entry(self.1.clone()).or_default() += value;
    }

    fn absolute(&self, _: u64) {
        panic!("counters count");
    }
}

impl GaugeFn for Instrument {
    fn increment(&self, _: f64) {
        panic!("gauges are set");
    }

    fn decrement(&self, _: f64) {
        panic!("gauges are set");
    }

    fn set(&self, value: f64) {
        self.0.told().gauges.insert(self.1.clone(), value);
    }
}

impl HistogramFn for Instrument {
    fn record(&self, value: f64) {
        self.0.told().recorded.entry(self.1.clone()).or_default().push(value);
    }
}

type Results = VecDeque<Result<AccessToken, TokenError>>;

/// A source that gives these, one after the other, and hangs after the last.
fn engine(results: impl IntoIterator<Item = Result<AccessToken, TokenError>>) -> TokenHandle {
    let mut results: Results = results.into_iter().collect();
    let source = source_fn(move |_: FetchContext| {
        let result = results.pop_front();
        async move {
            tracing::info!(target: "observe", "the source is asked");
            match result {
                Some(result) => result,
                None => std::future::pending().await,
            }
        }
    });
    TokenHandle::builder(source).config(RefreshConfig::new().name("api").seed(7)).build()
}

fn token(text: &str) -> Result<AccessToken, TokenError> {
    Ok(AccessToken::new(text)?.expires_in(HOUR))
}

fn down() -> Result<AccessToken, TokenError> {
    Err(TokenError::transient("c4nary cause").with_code("c4nary code"))
}

fn layer(handle: &TokenHandle) -> BearerAuthLayer {
    BearerAuthLayer::new("https://api.example.com".parse::<Origins>().unwrap(), handle.clone())
}

/// An API that answers these statuses, one after the other.
fn api(
    statuses: impl IntoIterator<Item = u16>,
) -> impl Service<Request<String>, Response = Response<String>, Error = BoxError, Future: Send> + Clone + Send + 'static {
    let statuses = Arc::new(Mutex::new(statuses.into_iter().collect::<VecDeque<_>>()));
    service_fn(move |_: Request<String>| {
        let status = statuses.lock().unwrap().pop_front().unwrap();
        std::future::ready(Ok(Response::builder().status(status).body(String::new()).unwrap()))
    })
}

fn request() -> Request<String> {
    Request::get("https://api.example.com/orders?page=2").body(String::new()).unwrap()
}

/// Lets the engine's task run until there is nothing more for it to do.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn counted(counts: &[(&str, u64)]) -> Vec<(String, u64)> {
    let mut counts: Vec<_> = counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    counts.sort();
    counts
}

/// The first token, seen from all sides.
#[tokio::test(start_paused = true)]
async fn a_token_is_fetched_and_published() {
    let (ears, _listening) = Ears::listen();
    let handle = engine([token("a")]);
    let before = SystemTime::now();
    handle.token().await.unwrap();
    settle().await;
    assert_eq!(
        ears.events(),
        [
            "INFO the source is asked in tower_token.fetch",
            "INFO token published tower_token.engine=api tower_token.expires_in tower_token.generation=1 in tower_token.fetch",
            "SPAN tower_token.fetch tower_token.engine=api tower_token.fetch.attempt=1 tower_token.fetch.reason=first \
             tower_token.generation=1",
        ]
    );
    assert_eq!(ears.counts(), counted(&[("tower_token_fetches_total{engine=api,outcome=ok,reason=first}", 1)]));
    let recorded = ears.recorded();
    let names: Vec<_> = recorded.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "tower_token_fetch_duration_seconds{engine=api,outcome=ok}",
            "tower_token_wait_duration_seconds{engine=api,outcome=token}"
        ]
    );
    ears.assert_state("api", "fresh");
    let expiry = ears.gauge("tower_token_expiry_timestamp_seconds{engine=api}");
    let expected = (before + HOUR).duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((expiry - expected).abs() < 60.0, "{expiry} {expected}");
    // The name of another engine is another label, and the default is one too. Its token has an end that nobody knows.
    let other = TokenHandle::new(source_fn(|_| async { AccessToken::new("b") }));
    other.token().await.unwrap();
    settle().await;
    assert_eq!(ears.gauge("tower_token_expiry_timestamp_seconds{engine=default}"), f64::INFINITY);
    assert_eq!(ears.counts(), counted(&[("tower_token_fetches_total{engine=default,outcome=ok,reason=first}", 1)]));
}

/// L9: each metric of the guide's page is described, by its type, and in seconds if its name says so.
#[test]
fn each_metric_is_described() {
    let (ears, _listening) = Ears::listen();
    tower_token::observe::describe_metrics();
    let page = include_str!("../src/guide/observability.md");
    let rows = page.split_once("\n| metric |").unwrap().1.split("\n\n").next().unwrap().lines().skip(2);
    let listed: BTreeMap<_, _> = rows
        .map(|row| {
            let name = row.split('`').nth(1).unwrap();
            (name.to_owned(), (row.split(" | ").nth(1).unwrap(), name.ends_with("_seconds")))
        })
        .collect();
    assert_eq!(ears.told().described, listed);
}

/// H1, L9: with a token at hand, a request tells nobody anything.
#[tokio::test(start_paused = true)]
async fn a_request_with_a_token_at_hand_is_silent() {
    let (ears, _listening) = Ears::listen();
    let handle = engine([token("a")]);
    let service = layer(&handle).layer(api([200, 200, 404, 403, 500]));
    handle.token().await.unwrap();
    settle().await;
    drop((ears.events(), ears.counts(), ears.recorded()));
    for _ in 0..5 {
        service.clone().oneshot(request()).await.unwrap();
    }
    handle.token().await.unwrap();
    assert_eq!((ears.events(), ears.counts(), ears.recorded()), (vec![], vec![], BTreeMap::new()));
}

/// E2, E7: each failure by its kind, at the level of who must act; the server's code and the cause stay out (S3, S4).
#[tokio::test(start_paused = true)]
async fn a_failed_fetch_is_told_by_its_kind() {
    let (ears, _listening) = Ears::listen();
    for (error, level, kind, text) in [
        (down(), "WARN", "transient", "the token source failed for now"),
        (Err(TokenError::refused("c4nary")), "ERROR", "refused", "the token source was refused a token"),
        (Err(TokenError::misconfigured("c4nary")), "ERROR", "misconfigured", "the token source is misconfigured"),
    ] {
        let handle = engine([error, token("a")]);
        handle.token().await.unwrap_err();
        settle().await;
        ears.assert_state("api", "backing_off");
        assert_eq!(ears.gauge("tower_token_expiry_timestamp_seconds{engine=api}"), 0.0);
        let failed = format!(
            "{level} fetch failed error.type={kind} exception.message={text} tower_token.engine=api tower_token.retry_in \
             tower_token.serving=false in tower_token.fetch"
        );
        let waited = format!(
            "DEBUG a wait for a token has failed error.type={kind} exception.message={text} tower_token.engine=api tower_token.waited"
        );
        let span = format!(
            "SPAN tower_token.fetch error.type={kind} otel.status_code=ERROR tower_token.engine=api tower_token.fetch.attempt=1 tower_token.fetch.reason=first"
        );
        let mut events = ears.events();
        events.sort();
        let mut expected = vec!["INFO the source is asked in tower_token.fetch".to_owned(), failed, waited, span];
        expected.sort();
        assert_eq!(events, expected);
        assert_eq!(
            ears.counts(),
            counted(&[(&format!("tower_token_fetches_total{{engine=api,outcome={kind},reason=first}}"), 1)])
        );
        assert!(ears.recorded().contains_key(&format!("tower_token_wait_duration_seconds{{engine=api,outcome={kind}}}")));
        // And that it is well again.
        handle.reset();
        handle.token().await.unwrap();
        settle().await;
        assert!(ears.events().iter().any(|event| event.starts_with("INFO token published")), "after a failure it is news");
        drop(handle);
        settle().await;
        ears.events();
        ears.counts();
        ears.recorded();
    }
}

/// A fetch that takes too long, one that panics, one whose source was replaced, one whose token has no life.
#[tokio::test(start_paused = true)]
async fn a_fetch_has_one_outcome() {
    let (ears, _listening) = Ears::listen();
    let outcome = async |handle: TokenHandle| {
        let _ended = handle.token().await;
        settle().await;
        handle.shutdown(S).await.unwrap();
        ears.counts().into_iter().map(|(name, _)| name).find(|name| name.starts_with("tower_token_fetches")).unwrap()
    };
    let fetched =
        |outcome: &str, reason: &str| format!("tower_token_fetches_total{{engine=api,outcome={outcome},reason={reason}}}");
    assert_eq!(outcome(engine([])).await, fetched("timeout", "first"));
    let panicking = source_fn(|_: FetchContext| async { panic!("c4nary") });
    let panicking = TokenHandle::builder(panicking).config(RefreshConfig::new().name("api")).build();
    assert_eq!(outcome(panicking).await, fetched("panicked", "first"));
    let lifeless = Ok(AccessToken::new("a").unwrap().expires_in(Duration::ZERO));
    assert_eq!(outcome(engine([lifeless])).await, fetched("lifeless", "first"));
    let warned = ears.events().into_iter().find(|event| event.starts_with("WARN the source gave a token without life"));
    assert!(warned.unwrap().contains("tower_token.retry_in"));

    let handle = engine([]);
    let mut waiting = pin!(handle.token());
    assert!(poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await);
    settle().await;
    handle.replace_source(source_fn(|_| async { token("b") }));
    tokio::time::advance(31 * S).await;
    waiting.await.unwrap();
    settle().await;
    assert_eq!(ears.counts(), counted(&[(&fetched("discarded", "first"), 1), (&fetched("ok", "first"), 1)]));
    assert!(ears.events().iter().any(|event| event.starts_with("DEBUG fetch discarded: the source was replaced")));
}

/// A refresh in the background, and the end of the engine.
#[tokio::test(start_paused = true)]
async fn a_refresh_and_a_shutdown() {
    let (ears, _listening) = Ears::listen();
    let handle = engine([token("a"), down(), token("b")]);
    handle.token().await.unwrap();
    tokio::time::sleep(HOUR - S).await;
    settle().await;
    handle.shutdown(S).await.unwrap();
    settle().await;
    assert_eq!(
        ears.counts(),
        counted(&[
            ("tower_token_fetches_total{engine=api,outcome=ok,reason=first}", 1),
            ("tower_token_fetches_total{engine=api,outcome=transient,reason=expiring}", 1),
            ("tower_token_fetches_total{engine=api,outcome=ok,reason=expiring}", 1),
        ])
    );
    let events = ears.events();
    assert!(events.iter().any(|event| event.starts_with("WARN fetch failed") && event.contains("serving=true")), "{events:?}");
    assert_eq!(events.last().unwrap(), "DEBUG engine closed tower_token.engine=api");
    ears.assert_state("api", "closed");
    drop(handle);
    settle().await;
    assert_eq!(ears.events(), [""; 0], "it closes once");
}

/// L9: a rejected request is sent again, or is not, and each is counted once.
#[tokio::test(start_paused = true)]
async fn a_rejected_request_is_told_by_what_became_of_it() {
    let (ears, _listening) = Ears::listen();
    let handle = engine([token("a"), token("b"), token("c"), down()]);
    handle.token().await.unwrap();
    let mine = |events: Vec<String>| -> Vec<String> {
        let engines = ["SPAN", "INFO the source", "INFO token published", "DEBUG token published", "WARN fetch failed"];
        events.into_iter().filter(|event| !engines.iter().any(|start| event.starts_with(start))).collect()
    };
    let replays = |counts: Vec<(String, u64)>| -> Vec<(String, u64)> {
        counts.into_iter().filter(|(name, _)| !name.starts_with("tower_token_fetches")).collect()
    };
    mine(ears.events());
    ears.counts();

    // Kept, and there is a newer token.
    tokio::time::advance(60 * S).await;
    let service = layer(&handle).layer(api([401, 200]));
    assert_eq!(service.oneshot(request()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(
        mine(ears.events()),
        [
            "INFO token rejected tower_token.engine=api tower_token.generation=1",
            "DEBUG request sent again http.request.resend_count=1 tower_token.engine=api",
            "DEBUG request answered after it was sent again http.request.resend_count=1 http.response.status_code=200 \
             tower_token.engine=api tower_token.generation=2",
        ]
    );
    assert_eq!(
        replays(ears.counts()),
        counted(&[("tower_token_rejections_total{engine=api}", 1), ("tower_token_replays_total{engine=api,outcome=sent}", 1)])
    );

    // Not kept.
    tokio::time::advance(60 * S).await;
    let mut once = request();
    once.extensions_mut().insert(NoReplay);
    layer(&handle).layer(api([401])).oneshot(once).await.unwrap();
    assert_eq!(
        mine(ears.events()),
        [
            "DEBUG request not sent again: it was not kept tower_token.engine=api",
            "INFO token rejected tower_token.engine=api tower_token.generation=2",
        ]
    );
    assert_eq!(
        replays(ears.counts()),
        counted(&[
            ("tower_token_rejections_total{engine=api}", 1),
            ("tower_token_replays_total{engine=api,outcome=not_kept}", 1)
        ])
    );
    settle().await;

    // Kept, and no newer token comes: by a wait that ends in an error, and while the engine backs off.
    tokio::time::advance(60 * S).await;
    mine(ears.events());
    ears.counts();
    let service = layer(&handle).layer(api([401, 401]));
    for _ in 0..2 {
        assert_eq!(service.clone().oneshot(request()).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
    let text = "error.type=transient exception.message=the token source failed for now";
    let handed = format!(
        "DEBUG request not sent again: no newer token came {text} http.response.status_code=401 tower_token.engine=api \
         tower_token.generation=3"
    );
    assert_eq!(
        mine(ears.events()),
        [
            "INFO token rejected tower_token.engine=api tower_token.generation=3",
            &format!("DEBUG a wait for a token has failed {text} tower_token.engine=api tower_token.waited"),
            &handed,
            &handed,
        ]
    );
    assert_eq!(
        replays(ears.counts()),
        counted(&[
            ("tower_token_rejections_total{engine=api}", 1),
            ("tower_token_replays_total{engine=api,outcome=no_token}", 2)
        ])
    );
}

/// R-rules: an endpoint that rejects each token as it comes is a warning, with the back-off that follows.
#[tokio::test(start_paused = true)]
async fn tokens_that_are_rejected_as_they_come_are_a_warning() {
    let (ears, _listening) = Ears::listen();
    let handle = engine([token("a"), token("b"), token("c")]);
    handle.token().await.unwrap();
    for _ in 0..2 {
        layer(&handle).layer(api([401, 401])).oneshot(request()).await.unwrap();
    }
    let events = ears.events();
    let rejections: Vec<_> =
        events.iter().filter(|event| event.contains("token rejected") || event.starts_with("WARN")).collect();
    assert_eq!(
        rejections,
        [
            "INFO token rejected tower_token.engine=api tower_token.generation=1",
            "WARN new tokens are rejected as soon as they come tower_token.engine=api tower_token.generation=2 tower_token.retry_in",
        ]
    );
}

/// L9: a request for which there is no token, at once or after a wait, fails or goes out bare.
#[tokio::test(start_paused = true)]
async fn a_request_without_a_token_is_told() {
    let (ears, _listening) = Ears::listen();
    let handle = engine([down(), down()]);
    let service = layer(&handle).layer(api([]));
    let bare = layer(&handle).on_unavailable(OnUnavailable::SendBare).layer(api([200, 200]));
    // Each once after a wait, and once while the engine backs off.
    for _ in 0..2 {
        assert!(matches!(service.clone().oneshot(request()).await, Err(AuthError::Token(_))));
    }
    handle.reset();
    for _ in 0..2 {
        assert_eq!(bare.clone().oneshot(request()).await.unwrap().status(), StatusCode::OK);
    }
    let text = "error.type=transient exception.message=the token source failed for now tower_token.engine=api";
    let events = ears.events();
    let requests: Vec<_> = events.iter().filter(|event| event.starts_with("DEBUG")).collect();
    assert_eq!(
        requests,
        [
            &format!("DEBUG a wait for a token has failed {text} tower_token.waited"),
            &format!("DEBUG request failed for want of a token {text}"),
            &format!("DEBUG request failed for want of a token {text}"),
            &format!("DEBUG a wait for a token has failed {text} tower_token.waited"),
            &format!("DEBUG request sent without a token {text}"),
            &format!("DEBUG request sent without a token {text}"),
        ]
    );
    let unavailable = ears.counts().into_iter().filter(|(name, _)| name.contains("unavailable")).collect::<Vec<_>>();
    assert_eq!(
        unavailable,
        counted(&[
            ("tower_token_unavailable_total{engine=api,error_type=transient,outcome=failed}", 2),
            ("tower_token_unavailable_total{engine=api,error_type=transient,outcome=sent_bare}", 2),
        ])
    );
}

/// L7: a wait has one outcome, also when its bound passes or its caller goes away.
#[tokio::test(start_paused = true)]
async fn a_wait_is_measured_however_it_ends() {
    let (ears, _listening) = Ears::listen();
    let handle = engine([]);
    layer(&handle).wait(3 * S).layer(api([])).oneshot(request()).await.unwrap_err();
    {
        let mut given_up = pin!(layer(&handle).layer(api([])).oneshot(request()));
        assert!(poll_fn(|cx| Poll::Ready(given_up.as_mut().poll(cx).is_pending())).await);
        tokio::time::advance(2 * S).await;
    }
    let recorded = ears.recorded();
    assert_eq!(recorded["tower_token_wait_duration_seconds{engine=api,outcome=timeout}"], [3.0]);
    assert_eq!(recorded["tower_token_wait_duration_seconds{engine=api,outcome=cancelled}"], [2.0]);
    assert_eq!(recorded.len(), 2);
}

/// E7: an engine whose task is dropped says so, and what became of its fetch.
#[tokio::test(start_paused = true)]
async fn a_lost_task_is_told() {
    let (ears, _listening) = Ears::listen();
    let source = source_fn(|_: FetchContext| std::future::pending::<Result<AccessToken, TokenError>>());
    let (handle, driver) = TokenHandle::builder(source).config(RefreshConfig::new().name("api")).pair();
    let task = tokio::spawn(driver);
    settle().await;
    task.abort();
    settle().await;
    let events = ears.events();
    assert!(events.contains(&"WARN engine task lost tower_token.engine=api".to_owned()), "{events:?}");
    assert_eq!(ears.counts(), counted(&[("tower_token_fetches_total{engine=api,outcome=dropped,reason=first}", 1)]));
    drop(handle);

    // One that starts anew needs no person.
    let handle = engine([token("a")]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(ears.clone()));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(handle.token()).unwrap();
        });
    });
    let events = ears.events();
    assert!(events.contains(&"DEBUG engine task lost tower_token.engine=api".to_owned()), "{events:?}");
}

/// A store that is full for a while.
#[derive(Clone)]
struct Full {
    memory: MemoryStore,
    /// Writes that fail, after so many that do not.
    writes: Arc<Mutex<(usize, usize)>>,
}

impl TokenStore for Full {
    type Guard = <MemoryStore as TokenStore>::Guard;

    async fn read(&self) -> Result<Option<Record>, StoreError> {
        self.memory.read().await
    }

    async fn lock(&self) -> Result<Self::Guard, StoreError> {
        self.memory.lock().await
    }

    async fn compare_and_set(&self, guard: &mut Self::Guard, expected: u64, record: &Record) -> Result<(), StoreError> {
        {
            let mut writes = self.writes.lock().unwrap();
            match &mut *writes {
                (0, 0) => {}
                (0, failing) => {
                    *failing -= 1;
                    return Err(StoreError::failed("c4nary: no space left"));
                }
                (good, _) => *good -= 1,
            }
        }
        self.memory.compare_and_set(guard, expected, record).await
    }
}

/// F7: a store that fails is told at each try, and the gauge stays up until what it lacks is stored.
#[tokio::test]
async fn a_store_that_fails_is_told_until_it_has_caught_up() {
    let (ears, _listening) = Ears::listen();
    let yolcu360 = Yolcu360Emulator::start().await.unwrap();
    let store = Full { memory: MemoryStore::new(), writes: Arc::new(Mutex::new((0, 2))) };
    let source =
        Yolcu360::new(yolcu360.key(), yolcu360.secret()).unwrap().base_url(format!("{}/api/v1", yolcu360.base_url())).unwrap();
    let handle = TokenHandle::new(source.store(store.clone()));
    handle.token().await.unwrap();
    assert_eq!(ears.gauge("tower_token_store_failing"), 1.0);
    while ears.gauge("tower_token_store_failing") > 0.0 {
        tokio::task::yield_now().await;
    }
    assert!(store.memory.read().await.unwrap().is_some(), "it is stored");
    let failures = ears.counts().into_iter().filter(|(name, _)| name.contains("store")).collect::<Vec<_>>();
    assert_eq!(failures, counted(&[("tower_token_store_failures_total{error_type=failed}", 2)]));
    let events = ears.events().into_iter().filter(|event| event.contains("store")).collect::<Vec<_>>();
    assert_eq!(
        events,
        [
            "WARN token store failed error.type=failed in tower_token.fetch",
            "WARN token store failed error.type=failed",
            "INFO token store caught up"
        ]
    );
}

/// L9, S5: a token call tells where it went and what came of it; of its URL, nothing that may be secret.
#[tokio::test]
async fn a_token_call_tells_its_server_and_its_status() {
    let (ears, _listening) = Ears::listen();
    let clock: Arc<dyn Clock> = Arc::new(TokioClock);
    let teapot = service_fn(async |request: Request<http_body_util::Full<Bytes>>| match request.uri().port() {
        Some(_) => Ok(Response::builder().status(418).body(http_body_util::Full::<Bytes>::default()).unwrap()),
        None => Err("no route"),
    });
    for uri in ["https://user:canary@a.test:8443/canary?canary", "https://b.test/", "http://c.test/canary"] {
        let request = Request::post(uri).body(Default::default()).unwrap();
        let _either = Transport::new(teapot).send(request, &clock).await;
    }
    let error = "error.type=transient exception.message=the token call failed before a reply came";
    assert_eq!(
        ears.events(),
        [
            "DEBUG token call answered http.response.status_code=418 server.address=a.test server.port=8443".to_owned(),
            format!("DEBUG token call failed {error} server.address=b.test server.port=443"),
            format!("DEBUG token call failed {error} server.address=c.test server.port=80"),
        ]
    );
}

/// L9, S4, S5: whatever a server answers and wherever requests go, the labels are words of ours, and few.
#[tokio::test(start_paused = true)]
async fn labels_are_bounded_whatever_a_server_says() {
    let (ears, _listening) = Ears::listen();
    let mut fetches = 0;
    let source = source_fn(move |_: FetchContext| {
        fetches += 1;
        async move {
            match fetches % 3 {
                0 => Err(TokenError::transient(format!("c4nary cause {fetches}")).with_code(format!("c4nary code {fetches}"))),
                1 => Ok(AccessToken::new(format!("c4narytoken{fetches}"))?.expires_in(HOUR)),
                _ => Err(TokenError::refused(format!("c4nary https://u:p@example.com/?{fetches}"))),
            }
        }
    });
    let handle = TokenHandle::new(source);
    let rejecting = service_fn(|request: Request<String>| {
        let challenge = format!(r#"Bearer error="c4nary {}""#, request.uri());
        std::future::ready(Ok::<_, BoxError>(
            Response::builder().status(401).header("www-authenticate", challenge).body(String::new()).unwrap(),
        ))
    });
    let service = layer(&handle).layer(rejecting);
    for call in 0..1000 {
        let request = Request::get(format!("https://api.example.com/c4nary{call}?c4nary={call}")).body(String::new()).unwrap();
        let _answered = service.clone().oneshot(request).await;
        handle.reset();
    }
    let told = ears.told();
    let series: BTreeSet<_> = told.counts.keys().chain(told.gauges.keys()).chain(told.recorded.keys()).collect();
    assert!(told.counts["tower_token_rejections_total{engine=default}"] > 100, "it was hostile");
    assert!((10..40).contains(&series.len()), "{series:#?}");
    assert!(!series.iter().any(|name| name.contains("c4nary")), "{series:#?}");
    assert!(!told.events.is_empty() && !told.events.iter().any(|event| event.contains("c4nary")), "a text of somebody else's");
}

/// S3, S4: the codes of a real token endpoint, by way of a vendor.
#[tokio::test]
async fn a_vendors_codes_are_no_labels() {
    let (ears, _listening) = Ears::listen();
    for call in 0..20 {
        let body = format!(r#"{{"code":"C4NARY_{call}","message":"c4nary"}}"#);
        let server = ScriptedServer::start([ScriptedReply::json(401, body)]).await.unwrap();
        let source = Yonne::new("ck_live_0123456789abcdef", "sk_live_c4nary").unwrap().base_url(server.base_url()).unwrap();
        TokenHandle::new(source).token().await.unwrap_err();
    }
    let told = ears.told();
    assert_eq!(told.counts.len(), 1, "{:#?}", told.counts);
    assert!(!told.events.iter().any(|event| event.to_lowercase().contains("c4nary")), "{:#?}", told.events);
}

/// A life with all that may happen in it, under whatever a subscriber and a recorder do.
async fn eventful_life(handle: &TokenHandle) {
    let service: AuthService<_> = layer(handle).layer(api([401, 200, 401, 401]));
    handle.token().await.unwrap();
    tokio::time::advance(60 * S).await;
    assert_eq!(service.clone().oneshot(request()).await.unwrap().status(), StatusCode::OK);
    let mut once = request();
    once.extensions_mut().insert(NoReplay);
    tokio::time::advance(60 * S).await;
    service.clone().oneshot(once).await.unwrap();
    settle().await;
    tokio::time::advance(60 * S).await;
    service.clone().oneshot(request()).await.unwrap();
    assert!(handle.current().is_some());
    handle.shutdown(S).await.unwrap();
    settle().await;
}

/// L8: a subscriber and a recorder may use the handle, since nobody calls them under its lock.
#[tokio::test(start_paused = true)]
async fn a_subscriber_may_use_the_handle() {
    let (ears, _listening) = Ears::listen();
    let handle = engine([token("a"), token("b"), token("c"), down()]);
    let (inside, calls) = (handle.clone(), Arc::new(Mutex::new(0)));
    let count = Arc::clone(&calls);
    ears.within(move || {
        inside.status();
        inside.current();
        *count.lock().unwrap() += 1;
    });
    eventful_life(&handle).await;
    assert!(*calls.lock().unwrap() > 50);
    ears.within(|| ());
}

/// A subscriber and a recorder that panic each time, or now and then, take neither the engine nor a request with them: who panics
/// when a span is entered never sees its exit.
#[tokio::test(start_paused = true)]
async fn a_panicking_subscriber_harms_nobody() {
    let (ears, _listening) = Ears::listen();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload().downcast_ref() != Some(&"of the subscriber") {
            usual(panic);
        }
    }));
    for every in 1..=3 {
        let handle = engine([token("a"), token("b"), token("c"), down()]);
        let calls = AtomicUsize::new(0);
        ears.within(move || {
            if calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(every) {
                panic!("of the subscriber");
            }
        });
        eventful_life(&handle).await;
        ears.within(|| ());
        let status = handle.status();
        assert_eq!((status.fetches(), status.failures(), status.rejections()), (4, 1, 3), "{every}");
    }
}

/// What a rotating source does nests in the fetch as well, though it does it in a task of its own.
#[tokio::test]
async fn what_a_rotating_source_does_nests_in_the_fetch() {
    let (ears, _listening) = Ears::listen();
    let service = service_fn(|_: Request<http_body_util::Full<bytes::Bytes>>| {
        tracing::info!(target: "observe", "the endpoint is called");
        std::future::ready(Ok::<_, BoxError>(Response::new(http_body_util::Full::<bytes::Bytes>::from(
            r#"{"access_token":"a","refresh_token":"r"}"#,
        ))))
    });
    let step = TokenEndpoint::post("https://api.test/refresh").refresh_token_field("r");
    let endpoint = TokenEndpoint::post("https://api.test/token").secret("key", "key").refresh(step);
    TokenHandle::new(endpoint.source(service, [("key", "k")]).unwrap()).token().await.unwrap();
    let events = ears.events();
    assert!(events.contains(&"INFO the endpoint is called in tower_token.fetch".to_owned()), "{events:?}");
}

/// An engine that is gone is no engine that is well: its last handle says so, also where its task went first.
#[test]
fn an_engine_whose_runtime_is_gone_is_closed_by_its_last_handle() {
    let (ears, _listening) = Ears::listen();
    let handle = engine([token("a")]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(handle.token()).unwrap();
    drop(runtime);
    drop(handle);
    ears.assert_state("api", "closed");
}

/// A signal in the middle of somebody's panic, to a recorder that panics, is no second panic.
#[tokio::test(start_paused = true)]
async fn a_panicking_recorder_does_not_abort_a_panic() {
    let (ears, _listening) = Ears::listen();
    let handle = engine([]);
    ears.within(|| panic!("of the subscriber"));
    let request = async {
        let _waiting = Box::pin(async { handle.token().await });
        let mut waiting = _waiting;
        assert!(futures::poll!(&mut waiting).is_pending());
        panic!("of the request");
    };
    let ended = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(request)).await;
    assert_eq!(ended.unwrap_err().downcast_ref(), Some(&"of the request"));
    ears.within(|| ());
}

/// L8: also to change it, and to let it go.
#[tokio::test(start_paused = true)]
async fn a_subscriber_may_change_the_engine() {
    for what in 0..5 {
        let (ears, _listening) = Ears::listen();
        let handle = engine([token("a"), token("b"), token("c"), down()]);
        let (held, calls) = (Arc::new(Mutex::new(Some(handle.clone()))), Arc::new(Mutex::new(0)));
        let inside = Arc::clone(&held);
        let count = Arc::clone(&calls);
        ears.within(move || {
            *count.lock().unwrap() += 1;
            if *count.lock().unwrap() > 2000 {
                return;
            }
            let handle = inside.lock().unwrap().clone();
            let Some(handle) = handle else { return };
            match what {
                0 => handle.reject(handle.status().generation()),
                1 => drop(handle.subscribe()),
                2 => drop(futures::FutureExt::now_or_never(handle.token())),
                3 => drop(futures::FutureExt::now_or_never(handle.shutdown(S))),
                _ => {
                    let last = inside.lock().unwrap().take();
                    drop(last);
                }
            }
        });
        let service: AuthService<_> = layer(&handle).layer(api([401, 401, 401, 401, 401, 401]));
        let _any = handle.token().await;
        for _ in 0..3 {
            tokio::time::advance(60 * S).await;
            let _any = service.clone().oneshot(request()).await;
            settle().await;
        }
        drop((handle, service));
        let last = held.lock().unwrap().take();
        drop(last);
        settle().await;
        assert!(*calls.lock().unwrap() > 5, "{what}");
        ears.within(|| ());
    }
}
