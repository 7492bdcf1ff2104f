//! S3 to S6: whole flows, with every trace, every `{:?}`, every error and every panic message written down, and no secret in it.
//!
//! A program of its own, since subscriber and panic hook are the program's.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::HashMap,
    error::Error,
    fmt::Debug,
    io,
    panic::PanicHookInfo,
    sync::{LazyLock, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_token::{
    AccessToken, AuthError, BearerAuthLayer, FetchContext, FetchReason, Origins, StaticToken, TokenError, TokenHandle, Transport,
    adapter::hyper::HyperClient,
    clock::{Clock, TokioClock},
    grant::oauth,
    middleware::HeaderStyle,
    provider::yonne::Yonne,
    refresh::TokenHandleBuilder,
    source_fn,
    testing::{ScriptedReply, ScriptedRequest, ScriptedServer, YonneEmulator},
};

const S: Duration = Duration::from_secs(1);

/// Everything that was written down, by all tests of this program.
static RECORD: LazyLock<Mutex<String>> = LazyLock::new(|| {
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::TRACE);
    subscriber.with_ansi(false).with_writer(|| Traces).init();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        note_panic(panic);
        usual(panic);
    }));
    #[cfg(feature = "metrics")]
    metrics::set_global_recorder(labels::Labels).unwrap_or_else(|_| panic!("this program has one recorder"));
    Mutex::default()
});

/// What a recorder is told of each metric: its name and its labels.
#[cfg(feature = "metrics")]
mod labels {
    use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

    pub(super) struct Labels;

    fn note(key: &Key) {
        super::show(key);
    }

    impl Recorder for Labels {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            note(key);
            Counter::noop()
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            note(key);
            Gauge::noop()
        }

        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            note(key);
            Histogram::noop()
        }
    }
}

fn record() -> MutexGuard<'static, String> {
    RECORD.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

struct Traces;

impl io::Write for Traces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        record().push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A panic of a source's own, whose message is the source's, is in this file. Any other is noted with its message.
fn note_panic(panic: &PanicHookInfo<'_>) {
    let own = panic.location().is_some_and(|location| location.file().ends_with("canary.rs"));
    let line = if own { "panicked in a source\n".to_owned() } else { format!("panicked: {panic}\n") };
    record().push_str(&line);
}

/// Writes down what a value shows of itself.
fn show(value: &impl Debug) {
    let text = format!("{value:?}\n{value:#?}\n");
    record().push_str(&text);
}

/// An error, and all that it is made of.
fn show_error(error: &TokenError) {
    show(error);
    let text = format!("{error} {:?} {:?}\n", error.code(), error.kind());
    record().push_str(&text);
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = format!("{error} {error:?}\n");
        record().push_str(&text);
        cause = error.source();
    }
}

/// Letters and digits of base 64, from a start that may be in the middle of a group.
fn base64(secret: &str, skipped: usize, last: [char; 2]) -> String {
    let digits: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(last).collect();
    let bytes: Vec<u8> = std::iter::repeat_n(0, skipped).chain(secret.bytes()).collect();
    let groups = bytes.chunks_exact(3).skip(usize::from(skipped > 0));
    let bits = groups.map(|group| u32::from_be_bytes([0, group[0], group[1], group[2]]));
    bits.flat_map(|bits| [18, 12, 6, 0].map(|shift| digits[(bits >> shift & 63) as usize])).collect()
}

/// As it is, its beginning, and what becomes of it in headers, URLs, forms and `{:?}` of bytes.
fn forms(secret: &str) -> Vec<String> {
    let each = |byte: fn(u8) -> String| secret.bytes().map(byte).collect::<Vec<_>>();
    let mut forms = vec![secret.to_owned(), secret[..8].to_owned()];
    for last in [['+', '/'], ['-', '_']] {
        forms.extend((0..3).map(|skipped| base64(secret, skipped, last)));
    }
    forms.push(each(|byte| format!("%{byte:02X}")).concat());
    forms.push(each(|byte| format!("%{byte:02x}")).concat());
    forms.push(each(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).into() } else { format!("%{byte:02X}") }).concat());
    forms.push(each(|byte| format!("{byte:02x}")).concat());
    forms.push(each(|byte| byte.to_string()).join(", "));
    forms
}

/// Nothing that was written down so far shows any of these.
#[track_caller]
fn assert_unseen<T: AsRef<str>>(secrets: impl IntoIterator<Item = T>) {
    let record = record().clone();
    for secret in secrets {
        let secret = secret.as_ref();
        // The prefixes are public, and so is the head of a JWT; its parts are looked for one by one.
        let secret = secret.trim_start_matches("ck_live_").trim_start_matches("sk_live_");
        let parts = secret.split('.').filter(|part| part.len() >= 12);
        for form in parts.flat_map(forms) {
            if let Some(line) = record.lines().find(|line| line.contains(&form)) {
                panic!("{form} is in: {line}");
            }
        }
    }
}

#[track_caller]
fn assert_seen(texts: &[&str]) {
    let record = record().clone();
    for text in texts {
        assert!(record.contains(text), "nothing of {text} was written down: this test looks at nothing");
    }
}

fn client(h2: bool) -> HyperClient<Full<Bytes>> {
    let client = if h2 { HyperClient::http2() } else { HyperClient::http1() };
    show(&client);
    client.unwrap()
}

fn yonne_at(server: &str, yonne: &YonneEmulator) -> Yonne {
    Yonne::new(yonne.api_key(), yonne.api_secret()).unwrap().base_url(server).unwrap()
}

/// The forms would be found if they were there.
#[test]
fn what_is_looked_for_is_what_leaks() {
    let secret = "a/secret+of~mine";
    assert!(forms(secret).contains(&"a%2Fsecret%2Bof%7Emine".to_owned()));
    assert!("Basic a2V5OmEvc2VjcmV0K29mfm1pbmU=".contains(&base64(secret, 1, ['+', '/'])));
    assert!(format!("{:?}", secret.as_bytes()).contains(forms(secret).last().unwrap()));
}

/// First token, refresh, 401 and replay, a refusal, another source, a shutdown.
async fn flow(h2: bool) {
    let yonne = YonneEmulator::start().await.unwrap();
    // The login, too, goes out over this protocol.
    let source = Yonne::over(client(h2), yonne.api_key(), yonne.api_secret()).unwrap().base_url(yonne.base_url()).unwrap();
    show(&source);
    let handle = TokenHandle::new(source);
    let layer = BearerAuthLayer::new(yonne.base_url().parse::<Origins>().unwrap(), handle.clone()).expose_generation(true);
    // What a logging middleware under the layer would write.
    let logged = ServiceBuilder::new().map_request(|request: Request<Full<Bytes>>| {
        show(&request);
        request
    });
    let service = layer.layer(logged.service(client(h2)));
    let mut secrets = vec![yonne.api_key(), yonne.api_secret()];
    let call = async || {
        let url = format!("{}/api/courier/s2s/metrics/summary", yonne.base_url());
        let future = service.clone().oneshot(Request::get(url).body(Full::default()).unwrap());
        let outcome = future.await;
        match &outcome {
            Ok(response) => show(response),
            Err(AuthError::Token(error)) => show_error(error),
            Err(error) => panic!("{error}"),
        }
        show(&outcome.as_ref().err());
        show(&(&layer, &handle, handle.status(), handle.current()));
        outcome.map(|response| response.status()).ok()
    };
    call().await;
    secrets.extend(handle.current().map(|token| token.expose_secret().to_owned()));
    handle.reset();
    yonne.token_calls_reached(2).await;
    while handle.status().generation() < 2 {
        tokio::task::yield_now().await;
    }
    secrets.extend(handle.current().map(|token| token.expose_secret().to_owned()));
    yonne.revoke_all();
    call().await;
    secrets.extend(handle.current().map(|token| token.expose_secret().to_owned()));
    yonne.disable();
    handle.reset();
    call().await;
    handle.replace_source_and_reject(yonne_at(&yonne.base_url(), &yonne));
    assert_eq!(call().await, None, "there is no token to be had");
    show(&service);
    handle.shutdown(S).await.unwrap();
    show(&handle);
    assert_eq!(secrets.len(), 5);
    // Our own signals were among what is looked through.
    #[cfg(feature = "tracing")]
    assert_seen(&["tower_token.fetch{", "token published", "fetch failed", "token rejected", "request sent again"]);
    #[cfg(feature = "metrics")]
    assert_seen(&[
        "tower_token_fetches_total",
        "tower_token_replays_total",
        "tower_token_unavailable_total",
        "tower_token_state",
    ]);
    assert_unseen(secrets);
}

#[tokio::test]
async fn whole_flows_over_http1() {
    flow(false).await;
    assert_seen(&["hyper_util::", "Sensitive"]);
}

#[tokio::test]
async fn whole_flows_over_http2() {
    flow(true).await;
    // The last is what h2's own decoder says of the header on the server's side.
    assert_seen(&["hyper_util::", "h2::", "h2::codec::framed_write: send frame=Headers", "kind=LiteralNeverIndexed"]);
}

/// S4: a token server that says the secret back, wherever a reply has room for it.
#[tokio::test]
async fn replies_that_echo_the_secret() {
    const SECRET: &str = "sk_live_c4naryEchoSecret/0123456789";
    let echo = |request: &ScriptedRequest| String::from_utf8_lossy(&request.body).into_owned();
    let replies: [fn(String) -> ScriptedReply; 14] = [
        |body| ScriptedReply::json(200, body),
        |body| ScriptedReply::json(400, body),
        |body| ScriptedReply::json(401, body),
        |body| ScriptedReply::new(500, body),
        |body| ScriptedReply::new(200, format!("<html>{body}</html>")),
        |body| ScriptedReply::truncated(200, body, 70),
        |body| ScriptedReply::raw(format!("{body}\r\n\r\n")),
        |_| ScriptedReply::json(200, format!(r#"{{"token":"{SECRET} x"}}"#)),
        |_| ScriptedReply::json(200, format!(r#"{{"token":"{SECRET}\u0000"}}"#)),
        |_| ScriptedReply::json(200, format!(r#"{{"token":"t","expires_in":"{SECRET}"}}"#)),
        |_| ScriptedReply::json(401, format!(r#"{{"code":"{SECRET}"}}"#)),
        |_| ScriptedReply::json(403, format!(r#"{{"error":{{"code":"{SECRET}","message":"{SECRET}"}}}}"#)),
        |_| ScriptedReply::new(302, "").header("location", format!("https://u:{SECRET}@elsewhere.example/?{SECRET}")),
        |_| ScriptedReply::new(401, "").header("www-authenticate", format!(r#"Bearer error="{SECRET}""#)),
    ];
    for reply in replies {
        let server = ScriptedServer::start_with(move |request| {
            show(request);
            let reply = reply(echo(request));
            show(&reply);
            reply
        })
        .await
        .unwrap();
        let handle = TokenHandle::new(Yonne::new("ck_live_c4naryEchoKey", SECRET).unwrap().base_url(server.base_url()).unwrap());
        match handle.token().await {
            Ok(token) => show(&token),
            Err(error) => show_error(&error),
        }
        show(&(&handle, handle.status()));
        assert!(String::from_utf8_lossy(&server.requests()[0].body).contains(SECRET), "it was sent");
    }
    assert_unseen([SECRET, "c4naryEchoKey"]);
}

/// S3 to S5: a user's login, with a server that says back what it does not like.
#[tokio::test]
async fn a_users_login() {
    // None has eight characters in common with another, so that each must be recognised by itself.
    const SECRET: &str = "c4naryClientSecret~0123456789";
    const CODE: &str = "c4naryCode~qwertzuiop";
    const BAD_CODE: &str = "c4naryBadCode~yxcvbnmlkj";
    const ACCESS: &str = "c4naryAccess~9876543210";
    const REFRESH: &str = "c4naryRefresh~poiuztrewq";
    const ID_TOKEN: &str = "e30.eyJzdWIiOiJjNG5hcnlTdWJqZWN0In0.c4narySignature";
    let form = |bytes: &[u8]| form_urlencoded::parse(bytes).into_owned().collect::<HashMap<_, _>>();
    let server = ScriptedServer::start_with(move |request| {
        show(request);
        let sent = form(&request.body);
        let reply = match sent.get("code") {
            Some(code) if code == CODE => ScriptedReply::json(
                200,
                format!(r#"{{"access_token":"{ACCESS}","refresh_token":"{REFRESH}","id_token":"{ID_TOKEN}"}}"#),
            ),
            Some(code) => ScriptedReply::json(400, format!(r#"{{"error":"{code}","{}":0}}"#, sent["code_verifier"])),
            None => ScriptedReply::json(400, format!(r#"{{"error":"{}"}}"#, sent["token"])),
        };
        show(&reply);
        reply
    })
    .await
    .unwrap();
    let at = |path: &str| format!("{}{path}", server.base_url());
    let as_ = oauth::Server::new(at("/token")).and_then(|as_| as_.with_authorization_endpoint(at("/authorize")));
    let as_ = as_.and_then(|as_| as_.with_revocation_endpoint(at("/revoke"))).unwrap();
    let mut secrets = [SECRET, CODE, BAD_CODE, ACCESS, REFRESH, ID_TOKEN].map(str::to_owned).to_vec();
    for client in [oauth::Client::basic("my-app", SECRET), oauth::Client::post("my-app", SECRET)] {
        let client = client.unwrap();
        let transport = Transport::client().unwrap();
        let grant = oauth::AuthorizationCode::new(&as_, client.clone(), at("/callback"), transport.clone()).unwrap();
        let grant = grant.on_id_token(async |id_token| {
            show(&id_token);
            Ok(())
        });
        let revocation = oauth::Revocation::new(&as_, client.clone(), transport).unwrap();
        show(&(&as_, &client, &grant, grant.refresh_grant(), &revocation));
        for (parameters, is_login) in [
            (format!("code={CODE}&state=S"), true),
            (format!("code={BAD_CODE}&state=S"), false),
            (format!("code={CODE}&state={CODE}"), false),
            ("error=S&state=S".to_owned(), false),
        ] {
            let (url, pending) = grant.begin().unwrap();
            show(&pending);
            let mut asked = form(url.query().unwrap().as_bytes());
            let [state, nonce] = ["state", "nonce"].map(|name| asked.remove(name).unwrap());
            let callback = parameters.replace("=S", &format!("={state}"));
            secrets.extend([state, nonce]);
            match pending.finish(&callback).await {
                Ok(login) => {
                    assert!(is_login);
                    show(&login);
                    show_error(&revocation.revoke_refresh_token(login.refresh_token().unwrap()).await.unwrap_err());
                }
                Err(error) => {
                    assert!(!is_login);
                    show_error(&error);
                }
            }
        }
    }
    let sent: Vec<_> = server.requests().into_iter().map(|request| form(&request.body)).collect();
    secrets.extend(sent.iter().filter_map(|form| form.get("code_verifier").cloned()));
    assert_eq!((sent.len(), secrets.len()), (6, 6 + 16 + 4), "a callback that is refused sends nothing");
    assert_seen(&["UnverifiedIdToken", "Pending", "Login {", "the login has failed"]);
    assert_unseen(secrets);
}

/// S3, S7: sources that fail in every way, with the secret in what they fail with.
#[tokio::test]
async fn sources_that_fail_with_the_secret_in_their_mouth() {
    const SECRET: &str = "c4naryFailure~0123456789";
    let mut calls = 0;
    let handle = TokenHandle::new(source_fn(move |cx: FetchContext| {
        show(&cx);
        calls += 1;
        assert!(calls != 1, "{SECRET} in the closure");
        async move {
            match calls {
                2 => panic!("{SECRET} in the future"),
                3 => Err(TokenError::transient(SECRET)),
                4 => Err(TokenError::transient(io::Error::other(SECRET)).with_code(SECRET)),
                5 => Err(TokenError::misconfigured(SECRET)),
                6 => Err(TokenError::refused(format!("https://u:{SECRET}@example.com/?key={SECRET}"))),
                7 => AccessToken::new(format!("{SECRET}\r\nx-injected: yes")),
                _ => AccessToken::new(SECRET),
            }
        }
    }));
    let layer = BearerAuthLayer::new("https://api.example.com".parse::<Origins>().unwrap(), handle.clone());
    let service = layer.layer(tower::service_fn(async |request: Request<String>| {
        show(&request);
        Ok::<_, io::Error>(Response::new(String::new()))
    }));
    for call in 1..=8 {
        handle.reset();
        let request = Request::get("https://api.example.com/").body(String::new()).unwrap();
        let answer = service.clone().oneshot(request).await;
        show(&(&answer, &handle, handle.status()));
        match answer {
            Ok(response) => assert_eq!((call, response.status()), (8, StatusCode::OK)),
            Err(error) => {
                // Its `source()` is the user's error as it is, and so not ours to hide.
                let text = format!("{error} {:?}", error);
                record().push_str(&text);
                show(&error.into_boxed().to_string());
            }
        }
    }
    assert_seen(&["panicked in a source"]);
    assert_unseen([SECRET]);
}

/// S1, S5: a redirect, with the token in a header that logs know nothing of, and a password in the URL.
#[tokio::test]
async fn a_redirect_under_a_header_of_ones_own() {
    const SECRET: &str = "c4naryRedirect~0123456789";
    let foreign = ScriptedServer::start([ScriptedReply::json(401, "{}")]).await.unwrap();
    let elsewhere = ScriptedReply::new(307, "").header("location", format!("{}/elsewhere", foreign.base_url()));
    let home = ScriptedServer::start([elsewhere]).await.unwrap();
    let layer = BearerAuthLayer::new(home.base_url().parse::<Origins>().unwrap(), StaticToken::new(SECRET).unwrap())
        .header(HeaderStyle::bare(HeaderName::from_static("x-api-key")));
    let logged = ServiceBuilder::new().map_request(|request: Request<Full<Bytes>>| {
        show(&request);
        request
    });
    let client = FollowRedirectLayer::new().layer(layer.layer(logged.service(client(false))));
    show(&layer);
    let response = client.oneshot(Request::get(home.base_url()).body(Full::default()).unwrap()).await.unwrap();
    show(&response);
    assert_eq!(home.requests()[0].headers["x-api-key"], SECRET);
    show(&(home.requests(), foreign.requests()));
    assert_seen(&[r#""x-api-key": Sensitive"#]);
    assert_unseen([SECRET]);
}

/// S3: whatever holds a secret without being on its way.
#[tokio::test]
async fn values_that_hold_a_secret() {
    const SECRET: &str = "c4naryValue~0123456789";
    let token = AccessToken::new(SECRET).unwrap().expires_in(S).scopes(["read"]);
    show(&(&token, StaticToken::from(token.clone()), FetchContext::new(FetchReason::First)));
    let builder: TokenHandleBuilder = TokenHandle::builder(StaticToken::from(token.clone()));
    show(&builder);
    let (handle, driver) = builder.pair();
    show(&(&handle, &driver));
    let echo = tower::service_fn(|request: Request<Full<Bytes>>| async {
        let (parts, body) = request.into_parts();
        Ok::<_, io::Error>(Response::builder().header("x-echo", &parts.headers[AUTHORIZATION]).body(body).unwrap())
    });
    let transport = Transport::new(echo);
    let request = Request::post("https://api.example.com/").header(AUTHORIZATION, SECRET).body(Full::from(SECRET)).unwrap();
    let clock: std::sync::Arc<dyn Clock> = std::sync::Arc::new(TokioClock);
    let reply = transport.send(request, &clock).await.unwrap();
    assert_eq!(reply.body(), SECRET.as_bytes());
    show(&(&transport, &reply));
    let layer = BearerAuthLayer::new("https://api.example.com".parse::<Origins>().unwrap(), StaticToken::from(token));
    let mut service = layer.layer(tower::service_fn(async |_: Request<String>| Ok::<_, io::Error>(Response::new(String::new()))));
    let request = Request::get("https://api.example.com/").body(String::new()).unwrap();
    let future = service.ready().await.unwrap().call(request);
    show(&future);
    future.await.unwrap().into_body().collect().await.unwrap();
    let Err(error) = format!("https://u:{SECRET}@example.com").parse::<Origins>() else { panic!("user info is refused") };
    show_error(&error);
    assert_unseen([SECRET]);
}

/// Login, 401 and replay, and a refusal, with reqwest under the token calls and by both of its adapters.
#[cfg(feature = "reqwest-middleware")]
#[tokio::test]
async fn whole_flows_over_reqwest() {
    use tower_token::adapter::{
        reqwest::{ReqwestService, transport},
        reqwest_middleware::{AuthMiddleware, client},
    };

    let yonne = YonneEmulator::start().await.unwrap();
    let origins = yonne.base_url().parse::<Origins>().unwrap();
    let source = Yonne::over(transport().unwrap(), yonne.api_key(), yonne.api_secret()).unwrap();
    let handle = TokenHandle::new(source.base_url(yonne.base_url()).unwrap());
    let layer = BearerAuthLayer::new(origins.clone(), handle.clone());
    let (reqwest, service) = (client(layer.clone()).unwrap(), layer.layer(ReqwestService::new(&origins).unwrap()));
    show(&(&reqwest, &service, AuthMiddleware::new_redirect_free(layer)));
    let mut secrets = vec![yonne.api_key(), yonne.api_secret()];
    let url = format!("{}/api/courier/s2s/metrics/summary", yonne.base_url());
    for refused in [false, false, true] {
        let response = reqwest.get(&url).send().await.unwrap();
        show(&response);
        assert_eq!(response.status() == StatusCode::UNAUTHORIZED, refused);
        let request = Request::get(&url).body(Full::<Bytes>::default()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        show(&response);
        response.extensions().get::<TokenError>().iter().for_each(|error| show_error(error));
        secrets.extend(handle.current().map(|token| token.expose_secret().to_owned()));
        if !refused && secrets.len() == 4 {
            yonne.disable();
        }
        yonne.revoke_all();
    }
    show(&(reqwest.get(&url).send().await, &handle));
    assert_seen(&["AuthMiddleware", "ReqwestService"]);
    assert_unseen(secrets);
}
