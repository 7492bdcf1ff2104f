//! The OAuth 2.0 grants over real sockets, against a server that answers as it is told.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::HashMap, error::Error, iter::successors, sync::Arc, time::Duration};

use tower_token::{
    ErrorKind, FetchContext, FetchReason, RefreshToken, TokenError, TokenSource, Transport,
    clock::{Clock, TokioClock},
    grant::oauth::{AuthorizationCode, Client, ClientCredentials, Login, Revocation, Server},
    testing::{ScriptedReply, ScriptedRequest, ScriptedServer},
};

const SECRET: &str = "CANARY:p%w \u{e4}";

fn clock() -> Arc<dyn Clock> {
    Arc::new(TokioClock)
}

fn client() -> Transport {
    Transport::client().unwrap()
}

fn form(bytes: &[u8]) -> HashMap<String, String> {
    form_urlencoded::parse(bytes).into_owned().collect()
}

/// S3, S4, S5: nothing of request, URL query and reply shows in an error or in its causes.
#[track_caller]
fn assert_silent(error: &TokenError) {
    for error in successors(Some(error as &dyn Error), |&error| error.source()) {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("CANARY"), "{shown}");
    }
}

/// What a server makes of the `Authorization` header, after RFC 6749 section 2.3.1.
fn credentials(request: &ScriptedRequest) -> (String, String) {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let header = request.headers["authorization"].to_str().unwrap();
    let pair = STANDARD.decode(header.strip_prefix("Basic ").unwrap()).unwrap();
    let pair = String::from_utf8(pair).unwrap();
    let (id, secret) = pair.split_once(':').unwrap();
    let decode = |text: &str| form(format!("x={text}").as_bytes()).remove("x").unwrap();
    (decode(id), decode(secret))
}

/// G9: a secret with everything in it, over each way to send it.
#[tokio::test]
async fn client_credentials() {
    let token = ScriptedReply::json(200, r#"{"access_token":"at","token_type":"Bearer","expires_in":"60","scope":"a"}"#);
    let server = ScriptedServer::start([token]).await.unwrap();
    let as_ = Server::new(format!("{}/token", server.base_url())).unwrap();
    for client_of in [Client::basic, Client::post] {
        let grant = ClientCredentials::new(&as_, client_of("my: app".to_owned(), SECRET.to_owned()).unwrap(), client()).unwrap();
        let mut grant = grant.scopes(["a"]).unwrap().param("audience", "https://api.test/?x=1&y").unwrap();
        let token = grant.fetch(FetchContext::new(FetchReason::First)).await.unwrap();
        assert_eq!((token.expose_secret(), token.granted_scopes()), ("at", &["a".to_owned()][..]));
    }
    let [basic, post] = &server.requests()[..] else { panic!("two requests") };
    assert_eq!(credentials(basic), ("my: app".to_owned(), SECRET.to_owned()));
    let fields = form(&basic.body);
    assert_eq!((fields["audience"].as_str(), fields.contains_key("client_secret")), ("https://api.test/?x=1&y", false));
    let fields = form(&post.body);
    assert_eq!((fields["client_id"].as_str(), fields["client_secret"].as_str()), ("my: app", SECRET));
    assert!(!post.headers.contains_key("authorization"));
}

/// G4, G5, G6: what a token endpoint may do instead of answering.
#[tokio::test]
async fn failures() {
    for (reply, kind, code) in [
        (
            ScriptedReply::json(400, r#"{"error":"invalid_scope","error_description":"CANARY"}"#),
            ErrorKind::Misconfigured,
            Some("invalid_scope"),
        ),
        (ScriptedReply::json(401, r#"{"error":"invalid_client"}"#), ErrorKind::Refused, Some("invalid_client")),
        (ScriptedReply::json(401, format!(r#"{{"error":"{}"}}"#, "CANARY:p")), ErrorKind::Refused, None),
        (ScriptedReply::new(400, "<html>CANARY"), ErrorKind::Transient, None),
        (ScriptedReply::new(400, ""), ErrorKind::Transient, None),
        (ScriptedReply::new(503, "").header("retry-after", "7"), ErrorKind::Transient, None),
        (ScriptedReply::new(307, "").header("location", "http://127.0.0.1:1/CANARY"), ErrorKind::Misconfigured, None),
        (ScriptedReply::truncated(200, r#"{"access_token":"CANARY"}"#, 20), ErrorKind::Transient, None),
        (ScriptedReply::endless(200, vec![b' '; 65536]), ErrorKind::Transient, None),
        (ScriptedReply::close(), ErrorKind::Transient, None),
        (ScriptedReply::raw("CANARY\r\n\r\n"), ErrorKind::Transient, None),
        (ScriptedReply::hang(), ErrorKind::Timeout, None),
    ] {
        let server = ScriptedServer::start([reply]).await.unwrap();
        let as_ = Server::new(format!("{}/token?key=CANARY", server.base_url())).unwrap();
        let transport = client().timeout(Duration::from_millis(500));
        let mut grant = ClientCredentials::new(&as_, Client::basic("id", SECRET).unwrap(), transport).unwrap();
        let error = grant.fetch(FetchContext::new(FetchReason::First)).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (kind, code), "{error}");
        assert_silent(&error);
    }
}

/// A server whose metadata, authorization, tokens and revocation are one script.
async fn authorization_server(issuer_path: &'static str, advertise: bool) -> (ScriptedServer, Server) {
    let base = Arc::new(std::sync::OnceLock::<String>::new());
    let known = Arc::clone(&base);
    let server = ScriptedServer::start_with(move |request| {
        let base = known.get().cloned().unwrap_or_default();
        match request.path.as_str() {
            path if path == format!("{issuer_path}/.well-known/openid-configuration") => ScriptedReply::json(
                200,
                format!(
                    r#"{{"issuer":"{base}{issuer_path}","authorization_endpoint":"{base}/authorize","token_endpoint":"{base}/token",
                    "revocation_endpoint":"{base}/revoke","jwks_uri":"{base}/jwks",
                    "authorization_response_iss_parameter_supported":{advertise}}}"#
                ),
            ),
            "/token" => ScriptedReply::json(
                200,
                r#"{"access_token":"CANARY-at","refresh_token":"CANARY-rt","expires_in":3600,"token_type":"bearer"}"#,
            ),
            "/revoke" => ScriptedReply::new(200, ""),
            _ => ScriptedReply::new(404, ""),
        }
    })
    .await
    .unwrap();
    base.set(server.base_url()).unwrap();
    let issuer = format!("{}{issuer_path}", server.base_url());
    let found = Server::discover(issuer, client(), &clock()).await.unwrap();
    (server, found)
}

async fn log_in(grant: &AuthorizationCode, more: &str) -> Result<Login, TokenError> {
    let (url, pending) = grant.begin()?;
    let state = form(url.query().unwrap().as_bytes()).remove("state").unwrap();
    pending.finish(&format!("http://127.0.0.1:9/cb?code=c-1&state={state}{more}")).await
}

/// Discovery, login, and the end of it.
#[tokio::test]
async fn a_users_login() {
    let (server, as_) = authorization_server("/tenant", true).await;
    let paths: Vec<String> = server.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/.well-known/oauth-authorization-server/tenant", "/tenant/.well-known/openid-configuration"]);
    assert!(as_.iss_in_callbacks());

    let public = Client::public("app").unwrap();
    let grant = AuthorizationCode::new(&as_, public.clone(), "http://127.0.0.1:9/cb", client()).unwrap();
    let silent = log_in(&grant, "").await.unwrap_err();
    assert_eq!(silent.kind(), ErrorKind::Refused, "RFC 9207: it names itself, and here it does not");
    let login = log_in(&grant, &format!("&iss={}/tenant", server.base_url())).await.unwrap();
    assert_eq!(login.access_token().expose_secret(), "CANARY-at");
    assert!(!format!("{login:?}").contains("CANARY"));

    let revocation = Revocation::new(&as_, public, client()).unwrap();
    revocation.revoke_refresh_token(login.refresh_token().unwrap()).await.unwrap();
    let requests = server.requests();
    let [.., exchange, revoke] = &requests[..] else { panic!("more requests") };
    let fields = form(&exchange.body);
    assert_eq!((fields["code"].as_str(), fields["client_id"].as_str(), fields["code_verifier"].len()), ("c-1", "app", 43));
    assert_eq!(form(&revoke.body)["token"], "CANARY-rt");
    assert_eq!(requests.len(), 4, "the refused callback's code was not exchanged");
}

/// G11: an authorization code that the server refuses.
#[tokio::test]
async fn a_refused_code() {
    let server = ScriptedServer::start([ScriptedReply::json(400, r#"{"error":"invalid_grant"}"#)]).await.unwrap();
    let as_ = Server::new(format!("{}/token", server.base_url())).unwrap();
    let as_ = as_.with_authorization_endpoint(format!("{}/authorize", server.base_url())).unwrap();
    let client_ = Client::post("app", SECRET).unwrap();
    let grant = AuthorizationCode::new(&as_, client_, "http://127.0.0.1:9/cb", client()).unwrap();
    let error = log_in(&grant, "").await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("invalid_grant")));
    assert_eq!(error.to_string(), "the token endpoint refused the credentials (400 invalid_grant)");
    assert_silent(&error);
}

/// G12, G15: metadata that is not to be had, or not to be believed.
#[tokio::test]
async fn metadata_that_is_no_good() {
    let other = r#"{"issuer":"https://evil.test/CANARY","token_endpoint":"https://evil.test/t"}"#;
    for (replies, kind, asked) in [
        (vec![ScriptedReply::json(200, other)], ErrorKind::Misconfigured, 1),
        (vec![ScriptedReply::new(404, "")], ErrorKind::Misconfigured, 2),
        (vec![ScriptedReply::new(404, ""), ScriptedReply::json(200, other)], ErrorKind::Misconfigured, 2),
        (vec![ScriptedReply::new(200, "<html>CANARY")], ErrorKind::Transient, 2),
        (vec![ScriptedReply::new(503, "").header("retry-after", "5")], ErrorKind::Transient, 1),
        (vec![ScriptedReply::new(302, "").header("location", "http://127.0.0.1:1/CANARY")], ErrorKind::Misconfigured, 2),
        (vec![ScriptedReply::endless(200, vec![b' '; 65536])], ErrorKind::Transient, 1),
        (vec![ScriptedReply::close()], ErrorKind::Transient, 1),
    ] {
        let server = ScriptedServer::start(replies).await.unwrap();
        let error = Server::discover(server.base_url(), client(), &clock()).await.unwrap_err();
        assert_eq!((error.kind(), server.requests().len()), (kind, asked), "{error}");
        assert_silent(&error);
    }
}

/// RFC 7009 sections 2.2 and 2.2.1: the status alone says that it is done, and a 503 that it may not be.
#[tokio::test]
async fn a_revocation_that_fails() {
    let unavailable = ScriptedReply::new(503, "CANARY").header("retry-after", "5");
    let server = ScriptedServer::start([unavailable, ScriptedReply::truncated(200, "CANARY", 3)]).await.unwrap();
    let as_ = Server::new("https://as.test/token").unwrap();
    let as_ = as_.with_revocation_endpoint(format!("{}/revoke", server.base_url())).unwrap();
    let revocation = Revocation::new(&as_, Client::basic("id", SECRET).unwrap(), client()).unwrap();
    let error = revocation.revoke_refresh_token(&RefreshToken::new("CANARY-rt")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert_silent(&error);
    revocation.revoke_refresh_token(&RefreshToken::new("CANARY-rt")).await.unwrap();
}
