//! Younium's page, sentence by sentence, and each switch of its emulator.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tower_token::testing::{ApiOutcome, ErrorShape, Fault, ManualClock, YouniumEmulator, YouniumForbidden};

use crate::client::{Answer, Client};

const DAY: Duration = Duration::from_secs(86400);
const INSTANT: Duration = Duration::from_nanos(1);
const ENTITIES: [(&str, &str); 2] = [("1f0a", "Acme AB"), ("2b7c", "Ücretli Araçlar 有限公司")];

/// An emulator whose clock shows one day before the page's example, with a client beside it.
struct Fixture {
    younium: YouniumEmulator,
    client: Client,
    clock: ManualClock,
}

impl Fixture {
    async fn new() -> Fixture {
        let (younium, clock) = (YouniumEmulator::start().await.unwrap(), ManualClock::new());
        // Sat, 20 Sep 2025 11:12:01 GMT
        clock.set_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(1_758_366_721));
        younium.set_clock(clock.clone());
        Fixture { younium, client: Client::http1(), clock }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.younium.base_url())
    }

    fn post(&self, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        let request = Request::post(self.url("/auth/token")).header(header::CONTENT_TYPE, "application/json");
        request.body(Full::new(body.into())).unwrap()
    }

    fn login(&self) -> Request<Full<Bytes>> {
        self.post(json!({ "clientId": self.younium.client_id(), "secret": self.younium.secret() }).to_string())
    }

    fn invoices(&self, token: &str) -> Request<Full<Bytes>> {
        let request = Request::get(self.url("/Invoices")).header(header::AUTHORIZATION, format!("Bearer {token}"));
        request.header(header::CONTENT_TYPE, "application/json").body(Full::default()).unwrap()
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        self.client.send(request).await.unwrap()
    }

    async fn token(&self) -> String {
        let answer = self.send(self.login()).await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.json()["accessToken"].as_str().unwrap().to_owned()
    }

    async fn called(&self, token: &str) -> u16 {
        self.send(self.invoices(token)).await.status.as_u16()
    }
}

fn with_entity(mut request: Request<Full<Bytes>>, entity: &[u8]) -> Request<Full<Bytes>> {
    request.headers_mut().append("legal-entity", HeaderValue::from_bytes(entity).unwrap());
    request
}

/// A sentence of the page; what is done before, to an emulator that has served one login; a request; and the answer's status and
/// message, which is empty where the answer is none of the page's errors.
type Row = (&'static str, fn(&Fixture), fn(&Fixture, &str) -> Request<Full<Bytes>>, u16, &'static str);

/// What the page says of answers; errors in the page's own form, which is no JSON.
#[tokio::test]
async fn the_page() {
    let nothing: fn(&Fixture) = |_| {};
    let several: fn(&Fixture) = |f| f.younium.set_legal_entities(ENTITIES);
    let rows: Vec<Row> = vec![
        ("Make a POST request to the /auth/token endpoint with your client credentials", nothing, |f, _| f.login(), 200, ""),
        (
            "Request Header: Content-Type: application/json",
            nothing,
            |f, _| Request::post(f.url("/auth/token")).body(f.login().into_body()).unwrap(),
            400,
            "The body is not application/json",
        ),
        (
            "Request Body: clientId",
            nothing,
            |f, _| f.post(json!({ "secret": f.younium.secret() }).to_string()),
            400,
            "The body is not an object with clientId and secret",
        ),
        (
            "Request Body: secret",
            nothing,
            |f, _| f.post(json!({ "clientId": f.younium.client_id() }).to_string()),
            400,
            "The body is not an object with clientId and secret",
        ),
        (
            "Request Body: an object",
            nothing,
            |f, _| f.post("clientId"),
            400,
            "The body is not an object with clientId and secret",
        ),
        (
            "400 or 401: Invalid credentials (client id)",
            nothing,
            |f, _| f.post(json!({ "clientId": "wrong", "secret": f.younium.secret() }).to_string()),
            401,
            "Invalid credentials",
        ),
        (
            "400 or 401: Invalid credentials (secret)",
            nothing,
            |f, _| f.post(json!({ "clientId": f.younium.client_id(), "secret": "wrong" }).to_string()),
            401,
            "Invalid credentials",
        ),
        ("or other authentication issues", |f| f.younium.disable(), |f, _| f.login(), 401, "Invalid credentials"),
        ("The access token is valid for 24 hours", |f| f.clock.advance(DAY - INSTANT), |f, t| f.invoices(t), 200, ""),
        ("Once expired", |f| f.clock.advance(DAY), |f, t| f.invoices(t), 401, "Token has expired"),
        ("you must request a new token", |f| f.clock.advance(DAY), |f, _| f.login(), 200, ""),
        ("Authorization: Bearer <JWT Token>", nothing, |f, t| f.invoices(t), 200, ""),
        ("legal-entity: <Legal Entity Id>", several, |f, t| with_entity(f.invoices(t), b"2b7c"), 200, ""),
        ("legal-entity: <Legal Entity Name>", several, |f, t| with_entity(f.invoices(t), b"Acme AB"), 200, ""),
        (
            "legal-entity: <Legal Entity Name>, in another script",
            several,
            |f, t| with_entity(f.invoices(t), ENTITIES[1].1.as_bytes()),
            200,
            "",
        ),
        (
            "legal-entity is required if your tenant has multiple",
            several,
            |f, t| f.invoices(t),
            403,
            "Missing legal-entity header",
        ),
        (
            "if your tenant has multiple: it has one",
            |f| f.younium.set_legal_entities([ENTITIES[0]]),
            |f, t| f.invoices(t),
            200,
            "",
        ),
        ("if your tenant has multiple: none are known", nothing, |f, t| with_entity(f.invoices(t), b"any"), 200, ""),
        (
            "401 Unauthorized: Token is missing",
            nothing,
            |f, _| Request::get(f.url("/Invoices")).body(Full::default()).unwrap(),
            401,
            "Token is missing",
        ),
        ("401 Unauthorized: has expired", |f| f.younium.expire_all(), |f, t| f.invoices(t), 401, "Token has expired"),
        ("401 Unauthorized: is invalid", nothing, |f, _| f.invoices("a.b.c"), 401, "Token is invalid"),
        ("is invalid: revoked", |f| f.younium.revoke_all(), |f, t| f.invoices(t), 401, "Token is invalid"),
        (
            "403 Forbidden: The request is authenticated",
            |f| f.younium.set_legal_entities(ENTITIES),
            |f, _| with_entity(f.invoices("a.b.c"), b"wrong"),
            401,
            "Token is invalid",
        ),
        ("Invalid legal-entity header", several, |f, t| with_entity(f.invoices(t), b"wrong"), 403, "Invalid legal-entity header"),
        (
            "Invalid legal-entity header: of a tenant with one",
            |f| f.younium.set_legal_entities([ENTITIES[0]]),
            |f, t| with_entity(f.invoices(t), b"2b7c"),
            403,
            "Invalid legal-entity header",
        ),
        (
            "Invalid legal-entity header: a name in Latin-1",
            |f| f.younium.set_legal_entities([("1", "Ü"), ("2", "U")]),
            |f, t| with_entity(f.invoices(t), b"\xdc"),
            403,
            "Invalid legal-entity header",
        ),
        (
            "Invalid legal-entity header: two of them",
            several,
            |f, t| with_entity(with_entity(f.invoices(t), b"1f0a"), b"2b7c"),
            403,
            "Invalid legal-entity header",
        ),
        (
            "Insufficient user permissions",
            |f| f.younium.deny_permissions(true),
            |f, t| f.invoices(t),
            403,
            "Insufficient user permissions",
        ),
        (
            "Restricted access to integrations or services",
            |f| f.younium.restrict(true),
            |f, t| f.invoices(t),
            403,
            "Restricted access to integrations or services",
        ),
    ];
    for (says, before, request, status, message) in rows {
        for client in [Client::http1(), Client::http2()] {
            let fixture = Fixture { client, ..Fixture::new().await };
            let token = fixture.token().await;
            before(&fixture);
            let answer = fixture.send(request(&fixture, &token)).await;
            assert_eq!(answer.status.as_u16(), status, "{says}");
            if !message.is_empty() {
                assert_eq!(answer.body, format!("{{\n    errors: [\"{message}\"]\n}}"), "{says}");
                assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
                assert!(serde_json::from_slice::<Value>(&answer.body).is_err());
            }
        }
    }
}

/// "Successful Response": fields, types, forms. The refresh token is a UUID, and there is no place to take it to.
#[tokio::test]
async fn the_successful_response() {
    let fixture = Fixture::new().await;
    let answer = fixture.send(fixture.login()).await;
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
    let mut reply = answer.json();
    let mut take = |field: &str| reply.as_object_mut().unwrap().remove(field).unwrap().as_str().unwrap().to_owned();
    let (access, refresh) = (take("accessToken"), take("refreshToken"));
    assert_eq!(reply, json!({ "expires": "Sun, 21 Sep 2025 11:12:01 GMT", "expiresIn": 86400 }));
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(&access).unwrap().claims;
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(1_758_366_721), &json!(1_758_453_121)));

    assert_eq!(refresh.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    assert!(refresh.chars().all(|c| c == '-' || c.is_ascii_hexdigit()));
    assert_eq!((&refresh[14..15], "89ab".contains(&refresh[19..20])), ("4", true), "version 4, RFC 9562");
    assert_ne!(fixture.send(fixture.login()).await.json()["refreshToken"], refresh);
    assert_eq!(fixture.called(&refresh).await, 401);
}

/// The page's example has a Thursday that was a Sunday.
#[tokio::test]
async fn the_weekday_can_be_wrong() {
    let fixture = Fixture::new().await;
    fixture.younium.write_wrong_weekday(true);
    assert_eq!(fixture.send(fixture.login()).await.json()["expires"], "Thu, 21 Sep 2025 11:12:01 GMT");
}

/// Other lifetimes hold for tokens issued afterwards, and are said in both ways.
#[tokio::test]
async fn the_lifetime_can_be_set() {
    let fixture = Fixture::new().await;
    let long = fixture.token().await;
    fixture.younium.set_token_lifetime(Duration::from_millis(1500));
    let reply = fixture.send(fixture.login()).await.json();
    assert_eq!((&reply["expires"], &reply["expiresIn"]), (&json!("Sat, 20 Sep 2025 11:12:02 GMT"), &json!(1.5)));
    let short = reply["accessToken"].as_str().unwrap();
    fixture.clock.advance(Duration::from_millis(1500) - INSTANT);
    assert_eq!(fixture.called(short).await, 200);
    fixture.clock.advance(INSTANT);
    assert_eq!((fixture.called(short).await, fixture.called(&long).await), (401, 200));
}

/// Credentials rotate and are disabled; tokens got with them stay valid.
#[tokio::test]
async fn credentials() {
    let fixture = Fixture::new().await;
    let (old, token) = (fixture.login(), fixture.token().await);
    fixture.younium.rotate_credentials().unwrap();
    assert_eq!(fixture.send(old).await.status, StatusCode::UNAUTHORIZED);
    fixture.younium.disable();
    fixture.younium.set_refusal_status(StatusCode::BAD_REQUEST);
    assert_eq!(fixture.send(fixture.login()).await.status, StatusCode::BAD_REQUEST);
    assert_eq!((fixture.called(&token).await, fixture.younium.refused_logins()), (200, 2));
    fixture.younium.enable();
    assert_eq!(fixture.send(fixture.login()).await.status, StatusCode::OK);
    assert_eq!(fixture.younium.token_endpoint().calls(), 4);
}

/// A single token is revoked; the others live on, and a foreign one is not ours to revoke.
#[tokio::test]
async fn one_token_is_revoked() {
    let (fixture, other) = (Fixture::new().await, Fixture::new().await);
    let (first, second) = (fixture.token().await, fixture.younium.mint_token().unwrap());
    assert!(fixture.younium.revoke(&first));
    assert!(!fixture.younium.revoke(&other.token().await));
    assert_eq!((fixture.called(&first).await, fixture.called(&second).await), (401, 200));
    assert_eq!(fixture.younium.outcomes(ApiOutcome::TokenRevoked), 1);
    assert_eq!((fixture.younium.tokens_issued(), fixture.younium.tokens_presented()), (2, 2));
}

/// Each reason of a 403 is counted, and passes; calls are recorded with their legal entity.
#[tokio::test]
async fn reasons_of_a_403_are_counted() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    let status = async |request| fixture.send(request).await.status.as_u16();
    fixture.younium.set_legal_entities(ENTITIES);
    assert_eq!(status(fixture.invoices(&token)).await, 403);
    let name = ENTITIES[1].1.as_bytes();
    type Switch = fn(&YouniumEmulator, bool);
    let switches: [(Switch, YouniumForbidden); 2] = [
        (YouniumEmulator::deny_permissions, YouniumForbidden::Permissions),
        (YouniumEmulator::restrict, YouniumForbidden::Restricted),
    ];
    for (switch, reason) in switches {
        switch(&fixture.younium, true);
        assert_eq!(status(with_entity(fixture.invoices(&token), b"wrong")).await, 403);
        assert_eq!((status(with_entity(fixture.invoices(&token), name)).await, fixture.younium.forbidden(reason)), (403, 1));
        switch(&fixture.younium, false);
        assert_eq!((status(with_entity(fixture.invoices(&token), name)).await, fixture.younium.forbidden(reason)), (200, 1));
    }
    let entities = [YouniumForbidden::MissingLegalEntity, YouniumForbidden::InvalidLegalEntity];
    assert_eq!(entities.map(|reason| fixture.younium.forbidden(reason)), [1, 2]);
    assert_eq!([ApiOutcome::Forbidden, ApiOutcome::Served].map(|outcome| fixture.younium.outcomes(outcome)), [5, 2]);
    let call = fixture.younium.calls().pop().unwrap();
    assert_eq!((call.path.as_str(), call.outcome, call.token), ("/Invoices", ApiOutcome::Served, Some(1)));
    assert_eq!(
        (call.headers["legal-entity"].as_bytes(), &call.headers[header::CONTENT_TYPE]),
        (name, &HeaderValue::from_static("application/json"))
    );
}

/// The body of an error with its quotes, and a challenge, on which the page is silent.
#[tokio::test]
async fn errors_take_other_shapes() {
    let fixture = Fixture::new().await;
    fixture.younium.disable();
    fixture.younium.set_error_shape(ErrorShape::Errors);
    assert_eq!(fixture.send(fixture.login()).await.json(), json!({ "errors": ["Invalid credentials"] }));
    fixture.younium.set_error_shape(ErrorShape::Empty);
    let answer = fixture.send(fixture.invoices("abc")).await;
    assert_eq!((answer.body.len(), answer.headers.get(header::WWW_AUTHENTICATE)), (0, None));
    fixture.younium.set_challenge(Some(HeaderValue::from_static("Bearer")));
    assert_eq!(fixture.send(fixture.invoices("abc")).await.headers[header::WWW_AUTHENTICATE], "Bearer");
}

/// Each part fails, waits and is limited by itself; a fault looks like the page's errors, unless it is told not to.
#[tokio::test]
async fn both_parts_fail_by_themselves() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    let down = || Fault::status(StatusCode::SERVICE_UNAVAILABLE).times(1);
    fixture.younium.token_endpoint().inject(down());
    assert_eq!(fixture.called(&token).await, 200);
    assert_eq!(fixture.send(fixture.login()).await.body, "{\n    errors: [\"Injected fault\"]\n}");
    fixture.younium.api().inject(down());
    assert_eq!((fixture.called(&token).await, fixture.younium.outcomes(ApiOutcome::Faulted)), (503, 1));
    fixture.younium.token_endpoint().inject(Fault::without("expiresIn").times(1));
    let reply = fixture.send(fixture.login()).await.json();
    assert_eq!((reply.get("expiresIn"), reply["expires"].is_string()), (None, true));

    fixture.younium.token_endpoint().limit(0, DAY);
    fixture.younium.token_endpoint().announce_retry_after(true);
    let answer = fixture.send(fixture.login()).await;
    assert_eq!((answer.status.as_u16(), &answer.headers[header::RETRY_AFTER]), (429, &HeaderValue::from_static("86400")));
    assert_eq!(fixture.called(&token).await, 200);
    fixture.younium.api().limit(0, DAY);
    assert_eq!((fixture.called(&token).await, fixture.younium.outcomes(ApiOutcome::RateLimited)), (429, 1));

    fixture.younium.api().unlimit();
    let hold = fixture.younium.api().hold();
    let arrived = fixture.younium.api().calls();
    let (status, ()) = tokio::join!(fixture.called(&token), async {
        fixture.younium.api().calls_reached(arrived + 1).await;
        fixture.younium.revoke_all();
        hold.release();
    });
    assert_eq!(status, 401);
}

/// Bodies come back, any path is served, and only POST asks for a token.
#[tokio::test]
async fn any_path_is_served() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    for path in ["/", "/Invoices/7/lines", "/auth/refresh"] {
        let request = Request::put(fixture.url(path)).header(header::AUTHORIZATION, format!("Bearer {token}"));
        let answer = fixture.send(request.body(Full::from("body")).unwrap()).await;
        assert_eq!((answer.status, answer.body.as_ref()), (StatusCode::OK, b"body".as_ref()), "{path}");
    }
    let get = fixture.client.bare(Method::GET, &fixture.url("/auth/token")).await;
    assert_eq!((get.status.as_u16(), &get.headers[header::ALLOW]), (405, &HeaderValue::from_static("POST")));
}

/// Refused connections end without a byte; when it is stopped, the port is closed.
#[tokio::test]
async fn connections() {
    let fixture = Fixture::new().await;
    fixture.younium.refuse_connections(true);
    assert!(fixture.client.send(fixture.login()).await.is_err());
    fixture.younium.refuse_connections(false);
    assert_eq!(fixture.send(fixture.login()).await.status, StatusCode::OK);
    assert!(fixture.younium.connections() >= 2);
    let address = fixture.younium.address();
    fixture.younium.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
}

/// S3: no `Debug` shows a credential or a token.
#[tokio::test]
async fn debug_shows_no_secret() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    fixture.called(&token).await;
    let younium = &fixture.younium;
    let shown = format!("{younium:?} {:?} {:?}", younium.calls(), younium.token_endpoint());
    for secret in [younium.client_id(), younium.secret(), token] {
        assert!(!shown.contains(&secret), "{shown}");
    }
}
