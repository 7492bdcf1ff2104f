//! Yonne's page, sentence by sentence, and each switch of its emulator.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version, header};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower_token::testing::{ErrorShape, ManualClock, YonneCode, YonneEmulator};

use crate::client::{Answer, Client};

const METRICS: &str = "/api/courier/s2s/metrics/summary";
const SECOND: Duration = Duration::from_secs(1);

/// An emulator with a client beside it.
struct Fixture {
    yonne: YonneEmulator,
    client: Client,
}

impl Fixture {
    async fn new() -> Fixture {
        Fixture { yonne: YonneEmulator::start().await.unwrap(), client: Client::http1() }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.yonne.base_url())
    }

    fn token_url(&self) -> String {
        self.url("/api/courier/s2s/auth/token")
    }

    fn credentials(&self) -> String {
        json!({ "api_key": self.yonne.api_key(), "api_secret": self.yonne.api_secret() }).to_string()
    }

    async fn log_in(&self) -> Answer {
        self.client.post_json(&self.token_url(), self.credentials()).await
    }

    async fn token(&self) -> String {
        let answer = self.log_in().await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.json()["token"].as_str().unwrap().to_owned()
    }

    async fn call(&self, token: &str) -> Answer {
        self.client.get(&self.url(METRICS), Some(token)).await
    }
}

/// Status and code, as the default shape writes it; the code is null where the page has none.
fn verdict(answer: &Answer) -> (u16, Value) {
    (answer.status.as_u16(), answer.json()["code"].clone())
}

fn claims(token: &str) -> Value {
    jsonwebtoken::dangerous::insecure_decode::<Value>(token).unwrap().claims
}

/// "POST /api/courier/s2s/auth/token", and "Success response" with its fields and their types.
#[tokio::test]
async fn credentials_are_exchanged_for_a_jwt() {
    let fixture = Fixture::new().await;
    let answer = fixture.log_in().await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
    let mut reply = answer.json();
    let token = reply.as_object_mut().unwrap().remove("token").unwrap();
    assert_eq!(reply, json!({ "courier_id": 123, "courier_name": "Acme Logistics", "expires_in": 86400 }));

    let token = token.as_str().unwrap();
    assert_eq!(token.split('.').count(), 3);
    let first = claims(token);
    assert_eq!(first["courier_id"], 123);
    assert_eq!(first["exp"].as_u64().unwrap() - first["iat"].as_u64().unwrap(), 86400);
    let second = claims(&fixture.token().await);
    assert_ne!(first["jti"], second["jti"]);
}

/// "Credential prefixes".
#[tokio::test]
async fn credentials_have_their_prefixes() {
    let (ours, theirs) = (Fixture::new().await.yonne, Fixture::new().await.yonne);
    assert!(ours.api_key().starts_with("ck_live_") && ours.api_secret().starts_with("sk_live_"));
    assert_ne!((ours.api_key(), ours.api_secret()), (theirs.api_key(), theirs.api_secret()));
}

/// "attach that JWT as a Bearer token on every subsequent request": one token serves many, over both versions of HTTP.
#[tokio::test]
async fn the_token_serves_over_http1_and_http2() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    for (client, version) in [(Client::http1(), Version::HTTP_11), (Client::http2(), Version::HTTP_2)] {
        for path in [METRICS, "/api/courier/s2s/orders/7?page=2"] {
            let answer = client.get(&fixture.url(path), Some(&token)).await;
            assert_eq!((answer.status, answer.version), (StatusCode::OK, version));
            assert_eq!(answer.json()["courier_id"], 123);
            let call = fixture.yonne.calls().pop().unwrap();
            assert_eq!((call.path.as_str(), call.version, call.token), (path, version, Some(1)));
        }
        let login = client.post_json(&fixture.token_url(), fixture.credentials()).await;
        assert_eq!((login.status, login.version), (StatusCode::OK, version));
    }
    assert_eq!((fixture.yonne.api_calls(), fixture.yonne.unauthorized(), fixture.yonne.tokens_presented()), (4, 0, 1));
}

/// "Authentication errors": code and status, how it comes about, and that it passes where it is to pass.
#[tokio::test]
async fn each_code_has_its_status() {
    type Switch = fn(&YonneEmulator);
    let rows: [(Switch, u16, YonneCode, &str, Switch); 5] = [
        (YonneEmulator::revoke_all, 401, YonneCode::TokenInvalid, "TOKEN_INVALID", |_| {}),
        (YonneEmulator::expire_all, 401, YonneCode::TokenExpired, "TOKEN_EXPIRED", |_| {}),
        (YonneEmulator::delete_courier, 404, YonneCode::CourierNotFound, "COURIER_NOT_FOUND", YonneEmulator::restore_courier),
        (YonneEmulator::disable, 403, YonneCode::S2sDisabled, "S2S_DISABLED", YonneEmulator::enable),
        (|yonne| yonne.db_down(true), 503, YonneCode::DbError, "DB_ERROR", |yonne| yonne.db_down(false)),
    ];
    for (break_it, status, code, text, mend_it) in rows {
        let fixture = Fixture::new().await;
        let token = fixture.token().await;
        break_it(&fixture.yonne);
        assert_eq!(verdict(&fixture.call(&token).await), (status, json!(text)));
        assert_eq!((code.as_str(), code.status().as_u16(), fixture.yonne.answers(code)), (text, status, 1));
        assert_eq!(fixture.yonne.unauthorized(), u64::from(status == 401));
        assert_eq!(fixture.yonne.calls()[0].code, Some(code));

        // A token that is gone is gone; all else is over when it is mended, with credentials and token intact.
        mend_it(&fixture.yonne);
        assert_eq!(fixture.call(&token).await.status.is_success(), status != 401, "{text}");
        assert_eq!(fixture.call(&fixture.token().await).await.status, StatusCode::OK, "{text}");
    }
}

/// "TOKEN_MISSING: No Authorization header".
#[tokio::test]
async fn a_call_without_a_header_misses_its_token() {
    let fixture = Fixture::new().await;
    let answer = fixture.client.get(&fixture.url(METRICS), None).await;
    assert_eq!(verdict(&answer), (401, json!("TOKEN_MISSING")));
    assert_eq!(fixture.yonne.answers(YonneCode::TokenMissing), 1);
    let call = &fixture.yonne.calls()[0];
    assert_eq!((call.authorization_values, call.token), (0, None));
}

/// "TOKEN_INVALID: Bad signature or wrong token type". The signature is checked before anything that the token claims.
#[tokio::test]
async fn only_tokens_of_the_token_endpoint_are_valid() {
    let (fixture, other) = (Fixture::new().await, Fixture::new().await);
    let (token, next) = (fixture.token().await, fixture.token().await);
    let part = |token: &str, index| token.split('.').nth(index).unwrap().to_owned();
    let (head, payload, signature) = (part(&token, 0), part(&token, 1), part(&token, 2));
    // {"alg":"none","typ":"JWT"}
    let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";

    for (why, bad) in [
        ("another payload", format!("{head}.{}.{signature}", part(&next, 1))),
        ("another signature", format!("{head}.{payload}.{}", part(&next, 2))),
        ("no signature", format!("{head}.{payload}.")),
        ("alg none, unsigned", format!("{unsigned}.{payload}.")),
        ("alg none, signed", format!("{unsigned}.{payload}.{signature}")),
        ("another server's", other.token().await),
        ("wrong type", fixture.yonne.mint_session_token().unwrap()),
        ("no JWT", "abc".to_owned()),
        ("the secret", fixture.yonne.api_secret()),
    ] {
        assert_eq!(verdict(&fixture.call(&bad).await), (401, json!("TOKEN_INVALID")), "{why}");
    }
    assert_eq!(fixture.yonne.tokens_presented(), 9);
    assert_eq!(fixture.call(&token).await.status, StatusCode::OK);
    assert_eq!(fixture.call(&fixture.yonne.mint_token().unwrap()).await.status, StatusCode::OK);
}

/// "in the Authorization header: Authorization: Bearer": one value, that scheme, in any case.
#[tokio::test]
async fn the_header_is_one_bearer_value() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    let good = format!("Bearer {token}");
    for (values, status) in [
        (vec![good.clone()], 200),
        (vec![format!("bearer {token}")], 200),
        (vec![good.clone(), good.clone()], 401),
        (vec![format!("OAuth {token}")], 401),
        (vec![token.clone()], 401),
        (vec![String::new()], 401),
    ] {
        let mut request = Request::get(fixture.url(METRICS)).body(Full::default()).unwrap();
        for value in &values {
            request.headers_mut().append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        let answer = fixture.client.send(request).await.unwrap();
        assert_eq!(answer.status.as_u16(), status, "{values:?}");
        let call = fixture.yonne.calls().pop().unwrap();
        assert_eq!((call.authorization_values, call.status.as_u16()), (values.len(), status));
        assert_eq!(call.code, (status == 401).then_some(YonneCode::TokenInvalid));
    }
}

/// "Seconds until the token expires", "TOKEN_EXPIRED: Token is older than 24 hours": to the second, by the emulator's clock.
#[tokio::test]
async fn a_token_lives_24_hours() {
    let (fixture, clock) = (Fixture::new().await, ManualClock::new());
    fixture.yonne.set_clock(clock.clone());
    let token = fixture.token().await;
    clock.advance(86399 * SECOND);
    assert_eq!(fixture.call(&token).await.status, StatusCode::OK);
    clock.advance(SECOND);
    assert_eq!(verdict(&fixture.call(&token).await), (401, json!("TOKEN_EXPIRED")));

    // Time passes for the server while the machine that both run on is suspended.
    let token = fixture.token().await;
    clock.suspend(86400 * SECOND);
    assert_eq!(verdict(&fixture.call(&token).await), (401, json!("TOKEN_EXPIRED")));
}

/// Lifetimes below a second are exact, and said in the reply. They hold for tokens issued afterwards.
#[tokio::test]
async fn the_lifetime_can_be_set() {
    let (fixture, clock) = (Fixture::new().await, ManualClock::new());
    fixture.yonne.set_clock(clock.clone());
    let long = fixture.token().await;
    let millis = Duration::from_millis;
    for (lifetime, said) in [(millis(2000), json!(2)), (millis(1500), json!(1.5)), (millis(1), json!(0.001))] {
        fixture.yonne.set_token_lifetime(lifetime);
        let reply = fixture.log_in().await.json();
        assert_eq!(reply["expires_in"], said);
        let token = reply["token"].as_str().unwrap();
        clock.advance(lifetime - Duration::from_nanos(1));
        assert_eq!(fixture.call(token).await.status, StatusCode::OK, "{lifetime:?}");
        clock.advance(Duration::from_nanos(1));
        assert_eq!(verdict(&fixture.call(token).await), (401, json!("TOKEN_EXPIRED")), "{lifetime:?}");
    }
    fixture.yonne.set_token_lifetime(Duration::ZERO);
    let reply = fixture.log_in().await.json();
    assert_eq!(reply["expires_in"], 0);
    assert_eq!(verdict(&fixture.call(reply["token"].as_str().unwrap()).await), (401, json!("TOKEN_EXPIRED")));
    assert_eq!(fixture.call(&long).await.status, StatusCode::OK);
}

/// A single token can be revoked; the others live on. A foreign one is not ours to revoke.
#[tokio::test]
async fn one_token_is_revoked() {
    let fixture = Fixture::new().await;
    let (first, second) = (fixture.token().await, fixture.token().await);
    assert!(fixture.yonne.revoke(&first));
    assert!(!fixture.yonne.revoke("abc"));
    assert_eq!(verdict(&fixture.call(&first).await), (401, json!("TOKEN_INVALID")));
    assert_eq!(fixture.call(&second).await.status, StatusCode::OK);
    assert_eq!(fixture.yonne.calls().iter().map(|call| call.token).collect::<Vec<_>>(), [Some(1), Some(2)]);
}

/// "they cannot be retrieved again (only regenerated via rotate)": the old pair is refused, its tokens are not.
#[tokio::test]
async fn rotated_credentials_replace_the_old() {
    let fixture = Fixture::new().await;
    let (old, token) = (fixture.credentials(), fixture.token().await);
    fixture.yonne.rotate_credentials().unwrap();
    assert_eq!(verdict(&fixture.client.post_json(&fixture.token_url(), old).await), (401, Value::Null));
    assert_eq!(fixture.yonne.refused_logins(), 1);
    assert_eq!(fixture.call(&token).await.status, StatusCode::OK);
    assert_eq!(fixture.log_in().await.status, StatusCode::OK);
}

/// What the token endpoint refuses, and how: only the codes of the page are codes.
#[tokio::test]
async fn logins_that_are_refused() {
    let fixture = Fixture::new().await;
    let (url, key, secret) = (fixture.token_url(), fixture.yonne.api_key(), fixture.yonne.api_secret());
    for (body, status) in [
        (json!({ "api_key": key, "api_secret": "sk_live_wrong" }).to_string(), 401),
        (json!({ "api_key": "ck_live_wrong", "api_secret": secret }).to_string(), 401),
        (json!({ "api_key": secret, "api_secret": key }).to_string(), 401),
        (json!({ "api_key": key }).to_string(), 400),
        (json!({ "api_key": key, "api_secret": 5 }).to_string(), 400),
        ("{".to_owned(), 400),
        (String::new(), 400),
    ] {
        assert_eq!(verdict(&fixture.client.post_json(&url, body.clone()).await), (status, Value::Null), "{body}");
    }
    let form = Request::post(&url).body(Full::from(fixture.credentials())).unwrap();
    assert_eq!(fixture.client.send(form).await.unwrap().status, StatusCode::BAD_REQUEST);
    let get = fixture.client.bare(Method::GET, &url).await;
    assert_eq!((get.status, &get.headers[header::ALLOW]), (StatusCode::METHOD_NOT_ALLOWED, &HeaderValue::from_static("POST")));
    assert_eq!((fixture.yonne.token_calls(), fixture.yonne.refused_logins(), fixture.yonne.tokens_issued()), (9, 3, 0));
    assert_eq!((fixture.yonne.api_calls(), fixture.yonne.unauthorized()), (0, 0));
}

/// Whatever is wrong on the admin's side is wrong at the token endpoint too.
#[tokio::test]
async fn outages_reach_the_token_endpoint() {
    let fixture = Fixture::new().await;
    fixture.yonne.disable();
    assert_eq!(verdict(&fixture.log_in().await), (403, json!("S2S_DISABLED")));
    fixture.yonne.delete_courier();
    assert_eq!(verdict(&fixture.log_in().await), (404, json!("COURIER_NOT_FOUND")));
    fixture.yonne.db_down(true);
    assert_eq!(verdict(&fixture.log_in().await), (503, json!("DB_ERROR")));
}

/// The token endpoint can be down alone.
#[tokio::test]
async fn calls_go_on_without_the_token_endpoint() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    fixture.yonne.token_endpoint_down(true);
    assert_eq!(verdict(&fixture.log_in().await), (503, Value::Null));
    assert_eq!(fixture.call(&token).await.status, StatusCode::OK);
    fixture.yonne.token_endpoint_down(false);
    assert_eq!(fixture.log_in().await.status, StatusCode::OK);
}

/// A body comes back byte for byte, whatever its type; a path outside the API is nobody's.
#[tokio::test]
async fn bodies_come_back() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    let body: Bytes = (0..=255).cycle().take(300_000).collect();
    for client in [Client::http1(), Client::http2()] {
        for method in [Method::POST, Method::PUT, Method::PATCH] {
            let request = Request::builder()
                .method(method)
                .uri(fixture.url("/api/courier/s2s/orders"))
                .header(header::AUTHORIZATION, format!("Bearer {token}"))
                .header(header::CONTENT_TYPE, "application/x-parcel");
            let answer = client.send(request.body(Full::new(body.clone())).unwrap()).await.unwrap();
            assert_eq!((answer.status, &answer.body), (StatusCode::OK, &body));
            assert_eq!(answer.headers[header::CONTENT_TYPE], "application/x-parcel");
            assert_eq!(fixture.yonne.calls().pop().unwrap().body_length, body.len());
        }
    }
    for path in ["/", "/api/courier", "/api/courier/s2s", "/api/courier/s2s/"] {
        assert_eq!(fixture.client.get(&fixture.url(path), Some(&token)).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

/// The shape of errors and a challenge, on both of which the page is silent.
#[tokio::test]
async fn errors_take_other_shapes() {
    let fixture = Fixture::new().await;
    let missing = || async { fixture.client.get(&fixture.url(METRICS), None).await };
    let message = "No Authorization header";
    for (shape, body) in [
        (ErrorShape::Flat, json!({ "code": "TOKEN_MISSING", "message": message })),
        (ErrorShape::Nested, json!({ "error": { "code": "TOKEN_MISSING", "message": message } })),
        (ErrorShape::Word, json!({ "error": "TOKEN_MISSING", "message": message })),
    ] {
        fixture.yonne.set_error_shape(shape);
        assert_eq!(missing().await.json(), body);
    }
    fixture.yonne.set_error_shape(ErrorShape::Empty);
    let answer = missing().await;
    assert_eq!((answer.status, answer.body.len()), (StatusCode::UNAUTHORIZED, 0));

    let challenge = HeaderValue::from_static(r#"Bearer error="invalid_token""#);
    let of = |headers: &HeaderMap| headers.get(header::WWW_AUTHENTICATE).cloned();
    assert_eq!(of(&answer.headers), None);
    fixture.yonne.set_challenge(Some(challenge.clone()));
    assert_eq!(of(&missing().await.headers), Some(challenge));
    fixture.yonne.disable();
    let token = fixture.yonne.mint_token().unwrap();
    assert_eq!(of(&fixture.call(&token).await.headers), None, "a 403 is no challenge");
}

/// Held calls arrive, are counted, and are judged when they are let go.
#[tokio::test]
async fn calls_can_be_held() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;

    let hold = fixture.yonne.hold_token_calls();
    let (first, second, ()) = tokio::join!(fixture.log_in(), fixture.log_in(), async {
        fixture.yonne.token_calls_reached(3).await;
        assert_eq!((fixture.yonne.token_calls(), fixture.yonne.tokens_issued()), (3, 1));
        // Calls with a token go on meanwhile.
        assert_eq!(fixture.call(&token).await.status, StatusCode::OK);
        hold.release();
    });
    assert_eq!((first.status, second.status), (StatusCode::OK, StatusCode::OK));

    let hold = fixture.yonne.hold_api_calls();
    let (answer, ()) = tokio::join!(fixture.call(&token), async {
        fixture.yonne.api_calls_reached(2).await;
        fixture.yonne.revoke_all();
        drop(hold);
    });
    assert_eq!(verdict(&answer), (401, json!("TOKEN_INVALID")));
}

/// A delayed answer is made before the delay: its token grows old on the way.
#[tokio::test]
async fn answers_can_be_slow() {
    let (fixture, clock) = (Fixture::new().await, ManualClock::new());
    fixture.yonne.set_clock(clock.clone());
    fixture.yonne.set_token_delay(10 * SECOND);
    fixture.yonne.set_token_lifetime(11 * SECOND);
    let pass = async |seconds| {
        clock.until_sleeping(1).await;
        assert_eq!(clock.next_due(), Some(seconds * SECOND));
        clock.advance(seconds * SECOND);
    };
    let (token, ()) = tokio::join!(fixture.token(), pass(10));
    assert_eq!(fixture.call(&token).await.status, StatusCode::OK);

    fixture.yonne.set_api_delay(3 * SECOND);
    let (answer, ()) = tokio::join!(fixture.call(&token), pass(3));
    assert_eq!(answer.status, StatusCode::OK);
    fixture.yonne.set_api_delay(Duration::ZERO);
    assert_eq!(verdict(&fixture.call(&token).await), (401, json!("TOKEN_EXPIRED")));
}

/// Refused connections end without a byte, open ones included, and come back on the same port.
#[tokio::test]
async fn connections_can_be_refused() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    let open = TcpStream::connect(fixture.yonne.address()).await.unwrap();
    fixture.yonne.refuse_connections(true);
    assert_closed(open).await;
    assert_closed(TcpStream::connect(fixture.yonne.address()).await.unwrap()).await;

    fixture.yonne.refuse_connections(false);
    assert_eq!(fixture.call(&token).await.status, StatusCode::OK);
    assert_eq!(fixture.yonne.connections(), 4);
}

/// An early refusal does not wait for the body; by default it does.
#[tokio::test]
async fn a_refusal_may_come_before_the_body() {
    let fixture = Fixture::new().await;
    let head = format!("POST {METRICS} HTTP/1.1\r\nhost: yonne\r\ncontent-length: 4\r\n\r\n");
    for early in [true, false] {
        fixture.yonne.answer_early(early);
        let calls = fixture.yonne.api_calls();
        let mut stream = TcpStream::connect(fixture.yonne.address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        fixture.yonne.api_calls_reached(calls + 1).await;
        if !early {
            stream.write_all(b"body").await.unwrap();
        }
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 401");
        assert_eq!(fixture.yonne.calls().pop().unwrap().body_length, if early { 0 } else { 4 });
    }
    // A call that is let in is read to its end either way.
    fixture.yonne.answer_early(true);
    let token = fixture.token().await;
    let request = Request::post(fixture.url(METRICS)).header(header::AUTHORIZATION, format!("Bearer {token}"));
    assert_eq!(fixture.client.send(request.body(Full::from("body")).unwrap()).await.unwrap().body, "body");
}

/// When it is dropped, connections close, held calls end and the port is free.
#[tokio::test]
async fn dropping_it_ends_everything() {
    for client in [Client::http1(), Client::http2()] {
        let fixture = Fixture { client, ..Fixture::new().await };
        let address = fixture.yonne.address();
        let idle = TcpStream::connect(address).await.unwrap();
        let hold = fixture.yonne.hold_token_calls();
        let (url, body, client) = (fixture.token_url(), fixture.credentials(), fixture.client.clone());
        let held = tokio::spawn(async move {
            let request = Request::post(url).body(Full::from(body)).unwrap();
            client.send(request).await.is_err()
        });
        fixture.yonne.token_calls_reached(1).await;
        drop(fixture);
        assert!(held.await.unwrap(), "the held call fails");
        assert_closed(idle).await;
        // The port closes when the runtime gets to it.
        while TcpStream::connect(address).await.is_ok() {}
        drop(hold);
    }
}

/// `stop` returns when the port is closed.
#[tokio::test]
async fn stopping_it_closes_the_port() {
    let Fixture { yonne, client } = Fixture::new().await;
    let url = format!("{}{METRICS}", yonne.base_url());
    assert_eq!(client.get(&url, None).await.status, StatusCode::UNAUTHORIZED);
    let address = yonne.address();
    yonne.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
}

/// Neither `Debug` shows a credential or a token.
#[tokio::test]
async fn debug_shows_no_secret() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    fixture.call(&token).await;
    let shown = format!("{:?} {:?} {:?}", fixture.yonne, fixture.yonne.calls(), fixture.yonne.hold_api_calls());
    assert!(!shown.contains("_live_") && !shown.contains("eyJ"), "{shown}");
}

async fn assert_closed(mut stream: TcpStream) {
    let mut byte = [0];
    // A reset is as good as an end.
    assert_eq!(stream.read(&mut byte).await.unwrap_or(0), 0);
}
