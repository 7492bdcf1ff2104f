//! Over real HTTP on loopback: the emulator of Yonne, a hyper client, and the layer between them.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures::future::join_all;
use http::{HeaderName, Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{Layer, Service, ServiceExt};
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_token::{
    AuthError, BearerAuthLayer, ErrorKind, Origins, TokenError, TokenHandle,
    middleware::{HeaderStyle, NotReplayed},
    provider::yonne::{ErrorCode, Yonne},
    testing::{ManualClock, ScriptedReply, ScriptedServer, YonneCall, YonneCode, YonneEmulator},
};

const S: Duration = Duration::from_secs(1);

pub(crate) type Hyper<B = Full<Bytes>> = Client<HttpConnector, B>;

pub(crate) fn hyper<B: http_body::Body<Data: Send> + Send>(h2: bool) -> Hyper<B> {
    Client::builder(TokioExecutor::new()).http2_only(h2).build_http()
}

/// An emulator, and a handle on its tokens.
pub(crate) async fn yonne() -> (YonneEmulator, TokenHandle) {
    let yonne = YonneEmulator::start().await.unwrap();
    let handle = TokenHandle::new(source(&yonne));
    (yonne, handle)
}

fn source(yonne: &YonneEmulator) -> Yonne {
    Yonne::new(yonne.api_key(), yonne.api_secret()).unwrap().base_url(yonne.base_url()).unwrap()
}

pub(crate) fn layer(yonne: &YonneEmulator, handle: &TokenHandle) -> BearerAuthLayer {
    BearerAuthLayer::new(yonne.base_url().parse::<Origins>().unwrap(), handle.clone())
}

fn summary(yonne: &YonneEmulator) -> Request<Full<Bytes>> {
    Request::get(format!("{}/api/courier/s2s/metrics/summary", yonne.base_url())).body(Full::default()).unwrap()
}

pub(crate) async fn text<B: http_body::Body<Error: std::fmt::Debug>>(response: Response<B>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// E1.
#[tokio::test]
async fn a_hundred_concurrent_first_requests_make_one_token_call() {
    let (yonne, handle) = yonne().await;
    let hold = yonne.hold_token_calls();
    let client = layer(&yonne, &handle).layer(hyper(true));
    let calls = (0..100).map(|_| client.clone().oneshot(summary(&yonne)));
    let release = async {
        yonne.token_calls_reached(1).await;
        hold.release();
    };
    let (answers, ()) = futures::join!(join_all(calls), release);
    assert!(answers.into_iter().all(|answer| answer.unwrap().status() == StatusCode::OK));
    assert_eq!((yonne.token_calls(), yonne.api_calls()), (1, 100));
}

/// E1, R1: a thousand requests meet a revoked token at the same moment.
#[tokio::test]
async fn a_burst_of_a_thousand_401s_makes_one_token_call() {
    let (yonne, handle) = yonne().await;
    handle.token().await.unwrap();
    yonne.revoke_all();
    let hold = yonne.hold_api_calls();
    let layer = layer(&yonne, &handle);
    // Ten connections: a server takes so many streams on one.
    let clients: Vec<_> = (0..10).map(|_| layer.layer(hyper(true))).collect();
    let calls = (0..1000).map(|n| clients[n % 10].clone().oneshot(summary(&yonne)));
    let release = async {
        yonne.api_calls_reached(1000).await;
        hold.release();
    };
    let (answers, ()) = futures::join!(join_all(calls), release);
    assert!(answers.into_iter().all(|answer| answer.unwrap().status() == StatusCode::OK));
    assert_eq!((yonne.token_calls(), yonne.api_calls(), yonne.unauthorized()), (2, 2000, 1000));
}

/// E15.
#[tokio::test]
async fn a_late_401_of_a_superseded_token_makes_no_token_call() {
    let (yonne, handle) = yonne().await;
    let client = layer(&yonne, &handle).layer(hyper(false));
    let first = handle.token().await.unwrap();
    yonne.revoke_all();
    let hold = yonne.hold_api_calls();
    let late = tokio::spawn(client.oneshot(summary(&yonne)));
    yonne.api_calls_reached(1).await;
    handle.reject(first.generation());
    while handle.token().await.unwrap().generation() == first.generation() {
        tokio::task::yield_now().await;
    }
    assert_eq!(yonne.token_calls(), 2);
    hold.release();
    assert_eq!(late.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!((yonne.token_calls(), yonne.api_calls()), (2, 2));
}

/// R1.
#[tokio::test]
async fn a_second_401_comes_back_as_it_is_after_two_requests() {
    let (tokens, handle) = yonne().await;
    // Another instance, which knows none of the first one's tokens.
    let api = YonneEmulator::start().await.unwrap();
    let response = layer(&api, &handle).layer(hyper(false)).oneshot(summary(&api)).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(ErrorCode::of(StatusCode::UNAUTHORIZED, &body), Some(ErrorCode::TokenInvalid), "the body is whole");
    assert_eq!((api.api_calls(), tokens.token_calls()), (2, 2));
}

/// R3: a stream is sent once, and the 401 comes back whole while the token is renewed.
#[tokio::test]
async fn a_stream_is_handed_its_401_whole_and_never_sent_twice() {
    for h2 in [false, true] {
        let (yonne, handle) = yonne().await;
        handle.token().await.unwrap();
        yonne.revoke_all();
        let client = layer(&yonne, &handle).layer(hyper::<BoxBody<Bytes, Infallible>>(h2));
        let chunks = || futures::stream::iter((0..100).map(|n| Ok(http_body::Frame::data(Bytes::from(vec![n; 1000])))));
        let upload = || {
            let body = BodyExt::boxed(StreamBody::new(chunks()));
            Request::post(format!("{}/api/courier/s2s/upload", yonne.base_url())).body(body).unwrap()
        };
        let response = client.clone().oneshot(upload()).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(response.extensions().get::<NotReplayed>().is_some());
        assert!(text(response).await.contains("TOKEN_INVALID"));
        assert_eq!(yonne.api_calls(), 1);

        let response = client.oneshot(upload()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "the next one finds the new token");
        assert_eq!(text(response).await.len(), 100_000);
        assert_eq!(yonne.calls().iter().map(|call: &YonneCall| call.body_length).collect::<Vec<_>>(), [100_000; 2]);
    }
}

/// R3, R11: the replay carries the same body and one header.
#[tokio::test]
async fn a_replay_is_the_same_request_with_one_new_header() {
    for h2 in [false, true] {
        let (yonne, handle) = yonne().await;
        handle.token().await.unwrap();
        yonne.revoke_all();
        let request = Request::put(format!("{}/api/courier/s2s/orders/7?full=1", yonne.base_url()))
            .header("content-type", "text/plain")
            .body(Full::<Bytes>::from("the whole body"))
            .unwrap();
        let response = layer(&yonne, &handle).layer(hyper(h2)).oneshot(request).await.unwrap();
        assert_eq!(text(response).await, "the whole body");
        let calls = yonne.calls();
        let shape = |call: &YonneCall| (call.method.clone(), call.path.clone(), call.authorization_values, call.body_length);
        assert_eq!(calls.len(), 2);
        assert_eq!(shape(&calls[0]), shape(&calls[1]));
        assert_eq!((calls[0].authorization_values, calls[0].token, calls[1].token), (1, Some(1), Some(2)));
    }
}

/// R6: the 401 is drained, so that its connection carries the replay too.
#[tokio::test]
async fn a_replay_uses_the_connection_of_its_401_again() {
    let (yonne, clock) = (YonneEmulator::start().await.unwrap(), ManualClock::new());
    let handle = TokenHandle::builder(source(&yonne)).clock(clock.clone()).build();
    let client = layer(&yonne, &handle).layer(hyper(false));
    handle.token().await.unwrap();
    for _ in 0..50 {
        // Past its youth, so that the rejection is not held against the endpoint.
        clock.advance(20 * S);
        yonne.revoke_all();
        let response = client.clone().oneshot(summary(&yonne)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        text(response).await;
    }
    assert_eq!(yonne.unauthorized(), 50);
    // One for all the calls, and one for each token call, whose client keeps none.
    assert_eq!(yonne.connections(), 1 + yonne.token_calls());
}

/// S1, X1: a redirect followed outside the layer is judged hop by hop; the foreign one gets nothing.
#[tokio::test]
async fn a_redirect_to_a_foreign_origin_gets_no_token() {
    let (yonne, handle) = yonne().await;
    let foreign = ScriptedServer::start([ScriptedReply::json(401, "{}")]).await.unwrap();
    let home =
        ScriptedServer::start([ScriptedReply::new(307, "").header("location", format!("{}/elsewhere", foreign.base_url()))])
            .await
            .unwrap();
    let origins = home.base_url().parse::<Origins>().unwrap();
    let client =
        FollowRedirectLayer::new().layer(BearerAuthLayer::new(origins, handle.clone()).layer(hyper::<Full<Bytes>>(false)));
    let request = Request::get(format!("{}/start", home.base_url())).body(Full::default()).unwrap();
    let response = client.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "the foreign 401 is handed on");
    assert!(home.requests()[0].headers.contains_key("authorization"));
    assert_eq!(foreign.requests().len(), 1);
    assert!(!foreign.requests()[0].headers.contains_key("authorization"));
    assert_eq!(yonne.token_calls(), 1, "R10: and renews nothing");
}

/// What the guide warns of: a follower under the layer goes where the layer does not look.
#[tokio::test]
async fn a_follower_inside_the_layer_takes_a_custom_header_along_and_brings_a_foreign_401_back() {
    for (name, leaks) in [(AUTHORIZATION, false), (HeaderName::from_static("x-api-key"), true)] {
        let (yonne, handle) = yonne().await;
        let foreign = ScriptedServer::start([ScriptedReply::json(401, "{}")]).await.unwrap();
        let elsewhere = format!("{}/elsewhere", foreign.base_url());
        let home = ScriptedServer::start([ScriptedReply::new(307, "").header("location", elsewhere)]).await.unwrap();
        let layer = BearerAuthLayer::new(home.base_url().parse().unwrap(), handle).header(HeaderStyle::bare(name.clone()));
        let client = layer.layer(FollowRedirectLayer::new().layer(hyper::<Full<Bytes>>(false)));
        let request = Request::get(format!("{}/start", home.base_url())).body(Full::default()).unwrap();
        assert_eq!(client.oneshot(request).await.unwrap().status(), StatusCode::UNAUTHORIZED);
        assert!(home.requests().iter().all(|request| request.headers.contains_key(&name)));
        assert!(foreign.requests().iter().all(|request| request.headers.contains_key(&name) == leaks), "{name}");
        assert_eq!((home.requests().len(), foreign.requests().len()), (2, 2), "sent again after the stranger's 401");
        assert_eq!(yonne.token_calls(), 2, "for which the token was renewed");
    }
}

/// E5.
#[tokio::test]
async fn dropping_every_caller_in_mid_refresh_still_stores_the_new_token() {
    let (yonne, handle) = yonne().await;
    let hold = yonne.hold_token_calls();
    let client = layer(&yonne, &handle).layer(hyper(false));
    let callers: Vec<_> = (0..10).map(|_| tokio::spawn(client.clone().oneshot(summary(&yonne)))).collect();
    yonne.token_calls_reached(1).await;
    for caller in &callers {
        caller.abort();
    }
    for caller in callers {
        assert!(caller.await.unwrap_err().is_cancelled());
    }
    hold.release();
    handle.ready(10 * S).await.unwrap();
    assert_eq!((yonne.token_calls(), yonne.api_calls()), (1, 0));
}

/// E3: the refresh fails early, and no caller sees anything of it; the next one succeeds.
#[tokio::test]
async fn a_failed_early_refresh_is_invisible_to_callers() {
    let (yonne, clock) = (YonneEmulator::start().await.unwrap(), ManualClock::new());
    yonne.set_clock(clock.clone());
    let handle = TokenHandle::builder(source(&yonne)).clock(clock.clone()).build();
    let client = layer(&yonne, &handle).layer(hyper(false));
    let call = async || client.clone().oneshot(summary(&yonne)).await.unwrap().status();
    assert_eq!(call().await, StatusCode::OK);
    yonne.token_endpoint_down(true);
    // In the refresh window of a 24 h token, which is the hour before the last half hour.
    clock.advance(84_600 * S);
    yonne.token_calls_reached(2).await;
    while handle.status().failures() == 0 {
        assert_eq!(call().await, StatusCode::OK);
    }
    assert_eq!(call().await, StatusCode::OK);
    assert_eq!(handle.current().unwrap().generation(), 1);
    yonne.token_endpoint_down(false);
    clock.advance(S);
    yonne.token_calls_reached(3).await;
    while handle.current().unwrap().generation() == 1 {
        assert_eq!(call().await, StatusCode::OK);
    }
    assert_eq!(yonne.unauthorized(), 0);
}

/// H5.
#[tokio::test]
async fn with_no_token_to_be_had_the_api_is_never_called() {
    let (yonne, handle) = yonne().await;
    let mut client = layer(&yonne, &handle).layer(hyper(false));
    for (disabled, kind, code) in
        [(false, ErrorKind::Transient, YonneCode::DbError), (true, ErrorKind::Refused, YonneCode::S2sDisabled)]
    {
        yonne.db_down(!disabled);
        if disabled {
            yonne.disable();
        }
        handle.reset();
        for _ in 0..3 {
            let answer = client.ready().await.unwrap().call(summary(&yonne)).await;
            let Err(AuthError::Token(error)) = answer else { panic!("it was sent") };
            assert_eq!(error.kind(), kind);
            assert_eq!(error.code(), Some(code.as_str()));
        }
    }
    assert_eq!(yonne.api_calls(), 0);
    assert!(yonne.token_calls() <= 3, "{}", yonne.token_calls());
}

/// On a call only 401 concerns the layer: what else Yonne's page lists is handed back, and its code is the caller's to read.
#[tokio::test]
async fn other_refusals_are_handed_back_and_refresh_nothing() {
    let (yonne, handle) = yonne().await;
    handle.token().await.unwrap();
    let client = layer(&yonne, &handle).layer(hyper(false));
    let call = async || {
        let response = client.clone().oneshot(summary(&yonne)).await.unwrap();
        let status = response.status();
        (status.as_u16(), ErrorCode::of(status, &response.into_body().collect().await.unwrap().to_bytes()))
    };
    yonne.disable();
    assert_eq!(call().await, (403, Some(ErrorCode::S2sDisabled)));
    yonne.enable();
    yonne.delete_courier();
    assert_eq!(call().await, (404, Some(ErrorCode::CourierNotFound)));
    yonne.restore_courier();
    yonne.db_down(true);
    assert_eq!(call().await, (503, Some(ErrorCode::DbError)));
    yonne.db_down(false);
    assert_eq!(call().await, (200, None));
    assert_eq!(yonne.token_calls(), 1);
}

/// Whatever a token endpoint answers is a typed error that says what was wrong, and never a panic.
#[tokio::test]
async fn bad_replies_are_typed_errors() {
    let html = "<html><body>canary login</body></html>";
    let huge = format!(r#"{{"token":"{}"}}"#, "x".repeat(10 << 20));
    for (reply, kind) in [
        (ScriptedReply::json(200, html), ErrorKind::Transient),
        (ScriptedReply::json(200, ""), ErrorKind::Transient),
        (ScriptedReply::json(200, r#"{"expires_in":86400}"#), ErrorKind::Transient),
        (ScriptedReply::json(200, r#"{"token":"canary\r\nx: y","expires_in":1}"#), ErrorKind::Transient),
        (ScriptedReply::json(200, &huge), ErrorKind::Transient),
        (ScriptedReply::json(401, html), ErrorKind::Transient),
        (ScriptedReply::new(307, "").header("location", "https://elsewhere.example/"), ErrorKind::Misconfigured),
        (ScriptedReply::close(), ErrorKind::Transient),
        (ScriptedReply::truncated(200, r#"{"token":"canary","expires_in":86400}"#, 12), ErrorKind::Transient),
    ] {
        let server = ScriptedServer::start([reply]).await.unwrap();
        let source = Yonne::new("ck_live_x", "sk_live_x").unwrap().base_url(server.base_url()).unwrap();
        let error: TokenError = TokenHandle::new(source).token().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
}

/// A person who reads the log learns why, though not where.
#[tokio::test]
async fn a_refused_connection_is_named() {
    let (yonne, handle) = yonne().await;
    yonne.stop().await;
    let error = handle.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert!(error.to_string().ends_with(": connection refused"), "{error}");
}
