//! reqwest under token calls.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use tower_token::{
    ErrorKind, TokenHandle,
    adapter::reqwest::transport,
    clock::{Clock, TokioClock},
    grant::TokenEndpoint,
    testing::{ScriptedReply, ScriptedServer},
};

fn clock() -> Arc<dyn Clock> {
    Arc::new(TokioClock)
}

fn post(url: String) -> http::Request<Full<Bytes>> {
    http::Request::post(url).body(Full::new(Bytes::from_static(b"secret=canary"))).unwrap()
}

/// G6: a redirect is handed up, and the secret stays here.
#[tokio::test]
async fn no_redirect_is_followed() {
    let elsewhere = ScriptedServer::start([ScriptedReply::new(200, "")]).await.unwrap();
    let away = ScriptedReply::new(307, "").header("location", elsewhere.base_url());
    let server = ScriptedServer::start([away]).await.unwrap();
    let reply = transport().unwrap().send(post(server.base_url()), &clock()).await.unwrap();
    assert_eq!((reply.status().as_u16(), elsewhere.connections()), (307, 0));
}

/// F2: nothing is sent twice below the engine, and no connection is kept that may be dead when it is needed.
#[tokio::test]
async fn nothing_is_sent_twice_and_no_connection_is_kept() {
    let server = ScriptedServer::start([ScriptedReply::new(200, ""), ScriptedReply::close()]).await.unwrap();
    let transport = transport().unwrap();
    assert_eq!(transport.send(post(server.base_url()), &clock()).await.unwrap().status(), 200);
    let error = transport.send(post(server.base_url()), &clock()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert_eq!((server.requests().len(), server.connections()), (2, 2));
}

/// What goes out is the call, with this crate's name, and no wish for a body that would have to be unpacked.
#[tokio::test]
async fn the_call_is_sent_as_it_is() {
    let server = ScriptedServer::start([ScriptedReply::new(200, "")]).await.unwrap();
    transport().unwrap().send(post(server.base_url()), &clock()).await.unwrap();
    let request = &server.requests()[0];
    assert_eq!(&request.body[..], b"secret=canary");
    assert!(request.headers["user-agent"].to_str().unwrap().starts_with("tower-token/"));
    assert_eq!(request.headers["content-length"], "13");
    assert!(!request.headers.contains_key("accept-encoding") && !request.headers.contains_key("referer"));
}

/// G4, S4: an authorization server that answers HTML: a failure that may pass, whose text has nothing of the page.
#[tokio::test]
async fn html_is_a_failure_that_may_pass() {
    for status in [200, 400, 502] {
        let page = "<html><title>canary</title></html>";
        let server = ScriptedServer::start([ScriptedReply::new(status, page).header("content-type", "text/html")]).await.unwrap();
        let endpoint = TokenEndpoint::post(server.base_url()).secret("key", "key");
        let source = endpoint.source(transport().unwrap(), [("key", "canary")]).unwrap();
        let error = TokenHandle::new(source).token().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transient, "{status}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
