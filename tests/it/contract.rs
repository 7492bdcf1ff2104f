//! tower's contract: readiness, permits, errors, and services and bodies of every kind.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::{BodyExt, Empty, Full, combinators::BoxBody};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, limit::ConcurrencyLimitLayer, service_fn};
use tower_token::{
    AuthError, BearerAuthLayer, ErrorKind, OAuthHeaderLayer, Origins, StaticToken, TokenError, TokenHandle,
    middleware::{
        CallerHeader, Challenge, CloneBody, Generation, HeaderStyle, Kept, KnownOrEmpty, Never, NotReplayed, OnUnavailable,
        ReplayPolicy, ReplayWith,
    },
};

use crate::support::{API, Api, Mint, get, origins};

/// H3: it panics if it is called without having been ready.
#[derive(Default)]
struct Strict {
    ready: bool,
    api: Api,
}

impl Clone for Strict {
    fn clone(&self) -> Strict {
        Strict { ready: false, api: self.api.clone() }
    }
}

impl Service<Request<String>> for Strict {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without having been ready");
        ready(Ok(self.api.answer(&request)))
    }
}

/// H3.
#[tokio::test]
async fn the_service_is_ready_at_each_call_the_replay_included() {
    let api = Api::accepting("token-2");
    let mint = Mint::default();
    let mut service = BearerAuthLayer::new(origins(), mint.source()).layer_over(Strict { ready: false, api: api.clone() });
    for _ in 0..3 {
        assert_eq!(service.ready().await.unwrap().call(get(API)).await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(api.seen(), ["Bearer token-1", "Bearer token-2", "Bearer token-2", "Bearer token-2"]);
}

trait LayerOver<S> {
    type Service;
    fn layer_over(&self, service: S) -> Self::Service;
}

impl<S, L: tower::Layer<S>> LayerOver<S> for L {
    type Service = L::Service;
    fn layer_over(&self, service: S) -> L::Service {
        self.layer(service)
    }
}

/// Replay and cold start need the one permit that the first future held.
#[tokio::test(start_paused = true)]
async fn a_cold_start_and_a_replay_finish_over_a_concurrency_limit_of_one() {
    let (api, mint) = (Api::accepting("token-2"), Mint::default());
    let service = ServiceBuilder::new()
        .layer(BearerAuthLayer::new(origins(), mint.source()))
        .layer(ConcurrencyLimitLayer::new(1))
        .service(api.service());
    let calls = (0..10).map(|_| service.clone().oneshot(get(API)));
    let answers = tokio::time::timeout(Duration::from_secs(60), futures::future::join_all(calls)).await.expect("no deadlock");
    assert!(answers.into_iter().all(|answer| answer.unwrap().status() == StatusCode::OK));
    assert_eq!(mint.fetches(), 2);
}

/// Waiting callers hold no permit, so they wait side by side.
#[tokio::test(start_paused = true)]
async fn ten_callers_on_a_hanging_source_fail_within_one_wait() {
    let (api, mint) = (Api::default(), Mint::default());
    mint.hold(true);
    let service = ServiceBuilder::new()
        .layer(BearerAuthLayer::new(origins(), mint.source()).wait(Duration::from_secs(5)))
        .layer(ConcurrencyLimitLayer::new(1))
        .service(api.service());
    let start = tokio::time::Instant::now();
    let calls = (0..10).map(|_| service.clone().oneshot(get(API)));
    for answer in futures::future::join_all(calls).await {
        let Err(AuthError::Token(error)) = answer else { panic!("it was sent") };
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }
    assert!(start.elapsed() < Duration::from_millis(5_100), "{:?}", start.elapsed());
    assert!(api.seen().is_empty());
}

/// A service that is called through one value keeps no permit while it stands idle after a refused call either.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_sent_gives_its_permit_back() {
    let (api, mint) = (Api::default(), Mint::default());
    mint.down(true);
    let service = ServiceBuilder::new()
        .layer(BearerAuthLayer::new(origins(), mint.source()))
        .layer(ConcurrencyLimitLayer::new(1))
        .service(api.service());
    let (mut idle, other) = (service.clone(), service);
    for uri in [API, "/relative"] {
        idle.ready().await.unwrap().call(get(uri)).await.unwrap_err();
        // Foreign, so that it needs no token, only the permit.
        let foreign = other.clone().oneshot(get("https://elsewhere.example/"));
        tokio::time::timeout(Duration::from_secs(1), foreign).await.expect("the permit is free").unwrap();
    }
}

/// A 401 during an outage is waited out without the permit.
#[tokio::test(start_paused = true)]
async fn a_rejected_request_holds_no_permit_while_it_waits() {
    let (api, mint) = (Api::accepting("token-2"), Mint::default());
    let handle = TokenHandle::new(mint.source());
    let service = ServiceBuilder::new()
        .layer(BearerAuthLayer::new(origins(), handle.clone()))
        .layer(ConcurrencyLimitLayer::new(1))
        .service(api.service());
    handle.token().await.unwrap();
    mint.hold(true);
    let mut waiting = tokio_test::task::spawn(service.clone().oneshot(get(API)));
    assert!(waiting.poll().is_pending());
    assert_eq!(api.seen(), ["Bearer token-1"], "it has its 401 and waits for the next token");
    let other = service.clone().oneshot(get("https://elsewhere.example/"));
    tokio::time::timeout(Duration::from_secs(1), other).await.expect("the permit is free").unwrap();
    mint.hold(false);
    assert_eq!(waiting.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_uri_without_authority_is_an_error_unless_it_is_said_where_it_goes() {
    let (api, mint) = (Api::default(), Mint::default());
    let layer = BearerAuthLayer::new(origins(), mint.source());
    for uri in ["/orders", "*", "api.example.com:443"] {
        let Err(AuthError::Token(error)) = layer.layer_over(api.service()).oneshot(get(uri)).await else { panic!("{uri}") };
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        assert!(error.to_string().contains("relative_as"), "{error}");
    }
    let any = BearerAuthLayer::new(Origins::any(), mint.source());
    assert!(any.layer_over(api.service()).oneshot(get("/orders")).await.is_err());
    assert!(api.seen().is_empty(), "not sent");
    assert_eq!(mint.fetches(), 0, "and nothing fetched");
    let told = BearerAuthLayer::new(origins().relative_as("https://api.example.com").unwrap(), mint.source());
    told.layer_over(api.service()).oneshot(get("/orders")).await.unwrap();
    assert_eq!(api.seen(), ["Bearer token-1"]);
}

/// S1, S2.
#[tokio::test]
async fn a_foreign_origin_and_plain_http_get_no_header_and_no_attention() {
    let (api, mint) = (Api::accepting("nothing"), Mint::default());
    let service = BearerAuthLayer::new(origins(), mint.source()).layer_over(api.service());
    for uri in [
        "https://evil.example/",
        "http://api.example.com/",
        "https://api.example.com:8443/",
        "https://api.example.com.evil.example/",
    ] {
        let response = service.clone().oneshot(get(uri)).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "handed back as it is");
    }
    assert_eq!(api.seen(), ["-"; 4]);
    assert_eq!(mint.fetches(), 0);
}

/// S2: the plain origin does not even make a list.
#[test]
fn plain_http_is_refused_where_the_list_is_made() {
    let error = "http://api.example.com".parse::<Origins>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert!(error.to_string().contains("parse_allowing_plain_http"), "{error}");
    assert!("not a URL".parse::<Origins>().is_err());
    assert!("".parse::<Origins>().is_err());
}

/// H4: nothing to do with the engine: no wait, no fetch, no replay.
#[tokio::test]
async fn a_callers_own_header_is_kept_and_left_alone() {
    let (api, mint) = (Api::accepting("token-1"), Mint::default());
    let request = || Request::get(API).header(AUTHORIZATION, "Basic own").body(String::new()).unwrap();
    let layer = BearerAuthLayer::new(origins(), mint.source());
    let response = layer.layer_over(api.service()).oneshot(request()).await.unwrap();
    assert_eq!((response.status(), mint.fetches()), (StatusCode::UNAUTHORIZED, 0));
    let replacing = layer.caller_header(CallerHeader::Replace);
    assert_eq!(replacing.layer_over(api.service()).oneshot(request()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(api.seen(), ["Basic own", "Bearer token-1"]);
}

/// H5.
#[tokio::test]
async fn without_a_token_the_service_is_not_called_unless_bare_requests_are_wanted() {
    let (api, mint) = (Api::default(), Mint::default());
    mint.down(true);
    let handle = TokenHandle::new(mint.source());
    let layer = BearerAuthLayer::new(origins(), handle);
    for _ in 0..2 {
        // The first waits for the attempt, the second fails at once: the same error either way.
        let Err(AuthError::Token(error)) = layer.layer_over(api.service()).oneshot(get(API)).await else { panic!("it was sent") };
        assert_eq!(error.kind(), ErrorKind::Transient);
        assert!(error.retry_at().is_some());
    }
    assert!(api.seen().is_empty());
    layer.on_unavailable(OnUnavailable::SendBare).layer_over(api.service()).oneshot(get(API)).await.unwrap();
    assert_eq!(api.seen(), ["-"]);
}

/// Nothing but `Clone + Send`: `BoxCloneService` is not `Sync`, and these bodies are not `Clone`.
#[tokio::test]
async fn it_works_over_any_service_and_any_body() {
    let (api, mint) = (Api::accepting("token-2"), Mint::default());
    let handle = TokenHandle::new(mint.source());
    handle.token().await.unwrap();
    handle.reject(1);
    handle.ready(Duration::from_secs(1)).await.unwrap();
    let layer = BearerAuthLayer::new(origins(), handle);

    let boxed: BoxBody<Bytes, Infallible> = Empty::new().boxed();
    let request = Request::get(API).body(boxed).unwrap();
    assert!(layer.layer_over(api.service()).oneshot(request).await.is_ok());
    let request = Request::get(API).body(axum_core::body::Body::empty()).unwrap();
    assert!(layer.clone().replay(KnownOrEmpty).layer_over(api.service()).oneshot(request).await.is_ok());
    let request = Request::get(API).body(()).unwrap();
    assert!(layer.clone().replay(CloneBody).layer_over(api.service()).oneshot(request).await.is_ok());
    let request = Request::get(API).body(std::io::empty()).unwrap();
    assert!(layer.replay(Never).layer_over(api.service()).oneshot(request).await.is_ok());
}

#[tokio::test]
async fn it_stacks_between_layers_whose_errors_are_boxed() {
    let (api, mint) = (Api::default(), Mint::default());
    let service = ServiceBuilder::new()
        .timeout(Duration::from_secs(30))
        .map_err(AuthError::into_boxed)
        .layer(BearerAuthLayer::new(origins(), mint.source()))
        .timeout(Duration::from_secs(10))
        .service(api.service::<String>());
    let answer: Result<_, BoxError> = service.clone().oneshot(get(API)).await;
    assert_eq!(answer.unwrap().status(), StatusCode::OK);
    let error = service.oneshot(get("/relative")).await.unwrap_err();
    assert!(error.is::<TokenError>(), "not wrapped: {error:?}");
}

/// The README's five lines, with a closure for the client: every type is inferred.
#[tokio::test]
async fn five_lines_infer_every_type() -> Result<(), BoxError> {
    let client =
        service_fn(|request: Request<Full<Bytes>>| async move { Ok::<_, Infallible>(Response::new(request.into_body())) });

    let origins = "https://api.example.com".parse::<Origins>()?;
    let client = ServiceBuilder::new().layer(BearerAuthLayer::new(origins, StaticToken::new("secret")?)).service(client);
    let response = client.oneshot(Request::get(API).body(Full::default())?).await?;

    assert_eq!(response.status(), StatusCode::OK);
    Ok(())
}

/// R3: whatever the policy keeps is sent again, whatever it does not keep is handed its 401.
#[tokio::test]
async fn each_policy_replays_what_it_keeps() {
    let upper = ReplayWith(|body: &String| (!body.is_empty()).then(|| body.to_uppercase()));
    for (body, replayed) in [("text", true), ("", false)] {
        let (api, mint) = (Api::accepting("token-2"), Mint::default());
        let layer = BearerAuthLayer::new(origins(), mint.source()).replay(upper);
        let request = Request::put(API).body(body.to_owned()).unwrap();
        let response = layer.layer_over(api.service()).oneshot(request).await.unwrap();
        assert_eq!(response.status() == StatusCode::OK, replayed, "{body:?}");
        assert_eq!(response.extensions().get::<NotReplayed>().is_none(), replayed);
        assert_eq!(api.seen().len(), if replayed { 2 } else { 1 });
    }
}

#[tokio::test]
async fn unwatched_answers_are_left_alone() {
    let (api, mint) = (Api::accepting("nothing"), Mint::default());
    let service = BearerAuthLayer::new(origins(), mint.source()).watch(false).layer_over(api.service());
    for _ in 0..3 {
        assert_eq!(service.clone().oneshot(get(API)).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!((api.seen().len(), mint.fetches()), (3, 1));
}

#[tokio::test]
async fn a_predicate_of_ones_own_decides_alone() {
    let mint = Mint::default();
    let forbidding = service_fn(|request: Request<String>| async move {
        let fresh = request.headers()[AUTHORIZATION] == "Bearer token-2";
        let status = if fresh { StatusCode::OK } else { StatusCode::FORBIDDEN };
        Ok::<_, Infallible>(Response::builder().status(status).body(String::new()).unwrap())
    });
    let layer = BearerAuthLayer::new(origins(), mint.source()).rejected_when(|status, _| status == StatusCode::FORBIDDEN);
    assert_eq!(layer.layer_over(forbidding).oneshot(get(API)).await.unwrap().status(), StatusCode::OK);
}

/// R8: a scope that is missing is not mended by another token of the same kind.
#[tokio::test]
async fn an_insufficient_scope_is_surfaced_and_not_refreshed() {
    let mint = Mint::default();
    let answer = service_fn(|_: Request<String>| async {
        let response = Response::builder()
            .status(StatusCode::FORBIDDEN)
            .header("www-authenticate", r#"Bearer error="insufficient_scope", scope="orders:write""#);
        Ok::<_, Infallible>(response.body(String::new()).unwrap())
    });
    let response = BearerAuthLayer::new(origins(), mint.source()).layer_over(answer).oneshot(get(API)).await.unwrap();
    let challenge = response.extensions().get::<Challenge>().expect("the challenge is beside it");
    assert_eq!(challenge.scope.as_deref(), Some("orders:write"));
    assert_eq!(mint.fetches(), 1);
}

/// R12: a protocol that says "unauthenticated" inside a 200 is not replayed; its user tells the engine which token was meant.
#[tokio::test]
async fn a_rejection_inside_a_200_is_the_users_to_report() {
    let (api, mint) = (Api::default(), Mint::default());
    let handle = TokenHandle::new(mint.source());
    let service = BearerAuthLayer::new(origins(), handle.clone()).expose_generation(true).layer_over(api.service());
    let sent = service.clone().oneshot(get(API)).await.unwrap();
    let Some(&Generation(generation)) = sent.extensions().get() else { panic!("no generation") };
    let mut health = handle.subscribe();
    handle.reject(generation);
    health.wait_for(|status| status.generation() == 2).await.unwrap();
    handle.reject(generation);
    assert_eq!(service.oneshot(get(API)).await.unwrap().into_body(), "answer to Bearer token-2");
    assert_eq!(mint.fetches(), 2, "E15: the same report again is about a token that is gone");
}

#[tokio::test]
async fn the_generation_that_a_response_was_sent_with_is_told_on_request() {
    let (api, mint) = (Api::accepting("token-2"), Mint::default());
    let layer = BearerAuthLayer::new(origins(), mint.source());
    let silent = layer.layer_over(api.service()).oneshot(get(API)).await.unwrap();
    assert!(silent.extensions().get::<Generation>().is_none());
    for watch in [true, false] {
        let service = layer.clone().watch(watch).expose_generation(true).layer_over(api.service());
        let response = service.oneshot(get(API)).await.unwrap();
        assert_eq!(response.extensions().get(), Some(&Generation(2)), "watch({watch})");
    }
}

#[tokio::test]
async fn scheme_and_header_are_the_layers() {
    let (api, token) = (Api::default(), StaticToken::new("secret").unwrap());
    OAuthHeaderLayer::new(origins(), token.clone()).layer_over(api.service()).oneshot(get(API)).await.unwrap();
    assert_eq!(api.seen(), ["OAuth secret"]);
    let echo = service_fn(|request: Request<String>| async move {
        Ok::<_, Infallible>(Response::new(format!("{:?}", request.headers()["x-key"])))
    });
    let style = HeaderStyle::bare(http::HeaderName::from_static("x-key"));
    let response = BearerAuthLayer::new(origins(), token).header(style).layer_over(echo).oneshot(get(API)).await.unwrap();
    assert_eq!(response.body(), "Sensitive");
}

/// A static token that a server refuses: the 401 comes back each time, with a `Refused` beside it and no second send.
#[tokio::test(start_paused = true)]
async fn a_refused_static_token_is_handed_its_401s() {
    let api = Api::accepting("another");
    let service = BearerAuthLayer::new(origins(), StaticToken::new("secret").unwrap()).layer_over(api.service());
    for _ in 0..3 {
        let response = service.clone().oneshot(get(API)).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.body(), "answer to Bearer secret", "handed back whole");
        assert_eq!(response.extensions().get::<TokenError>().unwrap().kind(), ErrorKind::Refused);
    }
    assert_eq!(api.seen(), ["Bearer secret"; 3]);
}

/// H1: a warm clone looks at the generation each time; after a refresh it sends the new token.
#[tokio::test]
async fn a_warm_clone_sends_the_new_token_after_a_refresh() {
    let (api, mint) = (Api::default(), Mint::default());
    let handle = TokenHandle::new(mint.source());
    let mut service = BearerAuthLayer::new(origins(), handle.clone()).layer_over(api.service());
    for _ in 0..3 {
        service.ready().await.unwrap().call(get(API)).await.unwrap();
    }
    handle.reject(1);
    while handle.current().unwrap().generation() == 1 {
        tokio::task::yield_now().await;
    }
    for _ in 0..3 {
        service.ready().await.unwrap().call(get(API)).await.unwrap();
    }
    assert_eq!(api.seen()[2..], ["Bearer token-1", "Bearer token-2", "Bearer token-2", "Bearer token-2"]);
}

/// The generation is that of the token that was sent last.
#[tokio::test]
async fn after_a_replay_the_generation_is_the_new_tokens() {
    let (api, mint) = (Api::accepting("token-2"), Mint::default());
    let service = BearerAuthLayer::new(origins(), mint.source()).expose_generation(true).layer_over(api.service());
    let response = service.oneshot(get(API)).await.unwrap();
    assert_eq!((response.status(), response.extensions().get()), (StatusCode::OK, Some(&Generation(2))));
}

/// R8: the challenge of the second answer is put beside it as well, and also with a predicate of one's own.
#[tokio::test]
async fn a_challenge_is_surfaced_wherever_it_comes() {
    let answer = || {
        service_fn(|request: Request<String>| async move {
            let response = match request.headers()[AUTHORIZATION] == "Bearer token-1" {
                true => Response::builder().status(401),
                false => Response::builder().status(403).header("www-authenticate", r#"Bearer error="insufficient_scope""#),
            };
            Ok::<_, Infallible>(response.body(String::new()).unwrap())
        })
    };
    for predicate in [false, true] {
        let mut layer = BearerAuthLayer::new(origins(), Mint::default().source());
        if predicate {
            layer = layer.rejected_when(|status, _| status == StatusCode::UNAUTHORIZED);
        }
        let response = layer.layer_over(answer()).oneshot(get(API)).await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert!(response.extensions().get::<Challenge>().is_some(), "predicate: {predicate}");
    }
}

/// H5: also when the request has waited.
#[tokio::test(start_paused = true)]
async fn a_bare_request_goes_out_after_its_wait() {
    let (api, mint) = (Api::default(), Mint::default());
    mint.hold(true);
    let layer = BearerAuthLayer::new(origins(), mint.source()).on_unavailable(OnUnavailable::SendBare);
    let start = tokio::time::Instant::now();
    layer.layer_over(api.service()).oneshot(get(API)).await.unwrap();
    assert_eq!(api.seen(), ["-"]);
    assert_eq!(start.elapsed().as_secs(), 20, "the default wait");
}

/// A body that cannot be made again is found out before the 401 is given up.
#[tokio::test]
async fn a_kept_body_that_fails_to_come_back_leaves_the_401_whole() {
    #[derive(Clone)]
    struct Forgetful;
    impl ReplayPolicy<String> for Forgetful {
        fn keep(&self, _: &mut String) -> Option<Kept<String>> {
            Some(Kept::later(|| None))
        }
    }
    let (api, mint) = (Api::accepting("token-2"), Mint::default());
    let layer = BearerAuthLayer::new(origins(), mint.source()).replay(Forgetful);
    let response = layer.layer_over(api.service()).oneshot(get(API)).await.unwrap();
    assert_eq!((response.status(), response.body().as_str()), (StatusCode::UNAUTHORIZED, "answer to Bearer token-1"));
    assert!(response.extensions().get::<NotReplayed>().is_some());
    assert_eq!(api.seen().len(), 1);
}

/// What nobody looks at is not kept.
#[tokio::test]
async fn an_unwatched_body_is_not_kept() {
    let mint = Mint::default();
    let policy = ReplayWith(|_: &String| -> Option<String> { panic!("kept") });
    let layer = BearerAuthLayer::new(origins(), mint.source()).watch(false).replay(policy);
    layer.layer_over(Api::default().service()).oneshot(get(API)).await.unwrap();
}
