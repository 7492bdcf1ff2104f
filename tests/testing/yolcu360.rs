//! Yolcu360's page, sentence by sentence, and each switch of its emulator.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tower_token::testing::{ApiOutcome, ErrorShape, ManualClock, RefreshReuse, Yolcu360Code, Yolcu360Emulator};

use crate::client::{Answer, Client};

const LOGIN: &str = "/api/v1/auth/login";
const REFRESH: &str = "/api/v1/auth/refresh";
const LOCATIONS: &str = "/api/v1/locations?query=istanbul";
const DAY: Duration = Duration::from_secs(86400);
const INSTANT: Duration = Duration::from_nanos(1);

/// An emulator whose clock shows the time of the page's example, with a client beside it.
pub(crate) struct Fixture {
    pub(crate) yolcu360: Yolcu360Emulator,
    pub(crate) client: Client,
    pub(crate) clock: ManualClock,
}

/// What a login or a refresh gave.
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Fixture {
    pub(crate) async fn new() -> Fixture {
        let (yolcu360, clock) = (Yolcu360Emulator::start().await.unwrap(), ManualClock::new());
        // 2024-12-26T10:00:00Z
        clock.set_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(1_735_207_200));
        yolcu360.set_clock(clock.clone());
        Fixture { yolcu360, client: Client::http1(), clock }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.yolcu360.base_url())
    }

    fn credentials(&self) -> String {
        json!({ "key": self.yolcu360.key(), "secret": self.yolcu360.secret() }).to_string()
    }

    pub(crate) fn login(&self) -> Request<Full<Bytes>> {
        self.post(LOGIN, self.credentials())
    }

    pub(crate) fn refresh(&self, token: &str) -> Request<Full<Bytes>> {
        self.post(REFRESH, json!({ "token": token }).to_string())
    }

    pub(crate) fn locations(&self, token: &str) -> Request<Full<Bytes>> {
        let request = Request::get(self.url(LOCATIONS)).header(header::AUTHORIZATION, format!("Bearer {token}"));
        request.body(Full::default()).unwrap()
    }

    fn post(&self, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        let request = Request::post(self.url(path)).header(header::CONTENT_TYPE, "application/json");
        request.body(Full::new(body.into())).unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        self.client.send(request).await.unwrap()
    }

    pub(crate) async fn tokens(&self) -> Tokens {
        Tokens::of(&self.send(self.login()).await)
    }

    /// Status and code of a refresh.
    pub(crate) async fn refreshed(&self, token: &str) -> (u16, Value) {
        verdict(&self.send(self.refresh(token)).await)
    }

    pub(crate) async fn called(&self, token: &str) -> u16 {
        self.send(self.locations(token)).await.status.as_u16()
    }
}

impl Tokens {
    pub(crate) fn of(answer: &Answer) -> Tokens {
        assert_eq!(answer.status, StatusCode::OK);
        let reply = answer.json();
        let text = |field: &str| reply[field].as_str().unwrap().to_owned();
        Tokens { access: text("accessToken"), refresh: text("refreshToken") }
    }
}

/// Status and code, as the default shape writes it; the code is null where there is none.
fn verdict(answer: &Answer) -> (u16, Value) {
    (answer.status.as_u16(), answer.json()["code"].clone())
}

/// A sentence of the page; what is done before, to an emulator that has served one login; a request; and the answer's status
/// and code.
type Row = (&'static str, fn(&Fixture), fn(&Fixture, &Tokens) -> Request<Full<Bytes>>, u16, Value);

/// What the page says of answers.
#[tokio::test]
async fn the_page() {
    let nothing: fn(&Fixture) = |_| {};
    let none = Value::Null;
    let rows: Vec<Row> = vec![
        ("Login: Exchange credentials for JWT tokens using /auth/login", nothing, |f, _| f.login(), 200, none.clone()),
        (
            "Refresh Tokens: Use the refresh token to get new access tokens",
            nothing,
            |f, t| f.refresh(&t.refresh),
            200,
            none.clone(),
        ),
        ("when they expire", |f| f.clock.advance(7 * DAY), |f, t| f.refresh(&t.refresh), 200, none.clone()),
        (
            "without requiring the user to re-authenticate with API credentials",
            |f| f.yolcu360.rotate_credentials().unwrap(),
            |f, t| f.refresh(&t.refresh),
            200,
            none.clone(),
        ),
        (
            "key | string | Required",
            nothing,
            |f, _| f.post(LOGIN, json!({ "secret": f.yolcu360.secret() }).to_string()),
            400,
            json!(1001),
        ),
        (
            "secret | string | Required",
            nothing,
            |f, _| f.post(LOGIN, json!({ "key": f.yolcu360.key() }).to_string()),
            400,
            json!(1001),
        ),
        (
            "key | string",
            nothing,
            |f, _| f.post(LOGIN, json!({ "key": 5, "secret": f.yolcu360.secret() }).to_string()),
            400,
            json!(1001),
        ),
        ("400 Bad Request: Invalid request format", nothing, |f, _| f.post(LOGIN, "{"), 400, json!(1001)),
        ("400 Bad Request: missing fields", nothing, |f, _| f.post(LOGIN, "{}"), 400, json!(1001)),
        (
            "-H Content-Type: application/json",
            nothing,
            |f, _| Request::post(f.url(LOGIN)).body(Full::from(f.credentials())).unwrap(),
            400,
            json!(1001),
        ),
        (
            "401 Unauthorized: Invalid API key",
            nothing,
            |f, _| f.post(LOGIN, json!({ "key": "wrong", "secret": f.yolcu360.secret() }).to_string()),
            401,
            json!(1002),
        ),
        (
            "401 Unauthorized: Invalid secret key",
            nothing,
            |f, _| f.post(LOGIN, json!({ "key": f.yolcu360.key(), "secret": "wrong" }).to_string()),
            401,
            json!(1002),
        ),
        ("500 Internal Server Error: Server error (login)", |f| f.yolcu360.down(true), |f, _| f.login(), 500, json!(1500)),
        ("token | string | Required", nothing, |f, _| f.post(REFRESH, json!({ "token": null }).to_string()), 400, json!(1001)),
        ("400 Bad Request: Invalid request format (refresh)", nothing, |f, _| f.post(REFRESH, "token"), 400, json!(1001)),
        ("400 Bad Request: missing token", nothing, |f, _| f.post(REFRESH, "{}"), 400, json!(1001)),
        ("401 Unauthorized: Invalid refresh token", nothing, |f, _| f.refresh("wrong"), 401, json!(1004)),
        (
            "401 Unauthorized: expired refresh token",
            |f| f.clock.advance(30 * DAY),
            |f, t| f.refresh(&t.refresh),
            401,
            json!(1004),
        ),
        ("Valid refresh token from the login response", nothing, |f, t| f.refresh(&t.access), 401, json!(1004)),
        (
            "500 Internal Server Error: Server error (refresh)",
            |f| f.yolcu360.down(true),
            |f, t| f.refresh(&t.refresh),
            500,
            json!(1500),
        ),
        ("Authorization: Bearer YOUR_ACCESS_TOKEN", nothing, |f, t| f.locations(&t.access), 200, none.clone()),
        (
            "include it in the Authorization header for all API requests: any other path",
            nothing,
            |f, _| Request::get(f.url("/api/v1/search")).body(Full::default()).unwrap(),
            401,
            none.clone(),
        ),
        (
            "include it in the Authorization header",
            nothing,
            |f, _| Request::get(f.url(LOCATIONS)).body(Full::default()).unwrap(),
            401,
            none.clone(),
        ),
        ("the access token, not the refresh token", nothing, |f, t| f.locations(&t.refresh), 401, none.clone()),
        (
            "The access token expires after 1 week: before",
            |f| f.clock.advance(7 * DAY - INSTANT),
            |f, t| f.locations(&t.access),
            200,
            none.clone(),
        ),
        ("The access token expires after 1 week", |f| f.clock.advance(7 * DAY), |f, t| f.locations(&t.access), 401, none.clone()),
        (
            "The refresh token expires after 1 month: before",
            |f| f.clock.advance(30 * DAY - INSTANT),
            |f, t| f.refresh(&t.refresh),
            200,
            none,
        ),
        ("API key is disabled or suspended", |f| f.yolcu360.disable(), |f, _| f.login(), 403, json!(1003)),
        ("API key is disabled or suspended (refresh)", |f| f.yolcu360.disable(), |f, t| f.refresh(&t.refresh), 403, json!(1003)),
        ("API key is disabled or suspended (call)", |f| f.yolcu360.disable(), |f, t| f.locations(&t.access), 403, json!(1003)),
        ("Rate limit exceeded", |f| f.yolcu360.login_endpoint().limit(0, DAY), |f, _| f.login(), 429, json!(1005)),
        (
            "Rate limit exceeded (refresh)",
            |f| f.yolcu360.refresh_endpoint().limit(0, DAY),
            |f, t| f.refresh(&t.refresh),
            429,
            json!(1005),
        ),
        ("Rate limit exceeded (call)", |f| f.yolcu360.api().limit(0, DAY), |f, t| f.locations(&t.access), 429, json!(1005)),
        ("Internal server error", |f| f.yolcu360.down(true), |f, t| f.locations(&t.access), 500, json!(1500)),
    ];
    for (says, before, request, status, code) in rows {
        let fixture = Fixture::new().await;
        let tokens = fixture.tokens().await;
        before(&fixture);
        assert_eq!(verdict(&fixture.send(request(&fixture, &tokens)).await), (status, code), "{says}");
    }
}

/// "Success Response (200 OK)", of login and refresh alike: fields, types, forms.
#[tokio::test]
async fn the_success_responses() {
    let fixture = Fixture::new().await;
    fixture.yolcu360.use_example_lifetimes();
    let login = fixture.send(fixture.login()).await;
    fixture.clock.advance(Duration::from_secs(3600));
    let first = Tokens::of(&login);
    let refresh = fixture.send(fixture.refresh(&first.refresh)).await;
    let second = Tokens::of(&refresh);
    assert!(first.access != second.access && first.refresh != second.refresh);

    for (answer, access_until, refresh_until) in
        [(login, "2024-12-26T10:30:00Z", "2024-12-27T10:00:00Z"), (refresh, "2024-12-26T11:30:00Z", "2024-12-27T11:00:00Z")]
    {
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
        let tokens = Tokens::of(&answer);
        // {"alg":"HS256","typ":"JWT"}, in whichever order.
        let jwt = jsonwebtoken::decode_header(&tokens.access).unwrap();
        assert_eq!((jwt.alg, jwt.typ.as_deref()), (jsonwebtoken::Algorithm::HS256, Some("JWT")));
        let mut reply = answer.json();
        let fields = reply.as_object_mut().unwrap();
        fields.remove("accessToken").unwrap();
        fields.remove("refreshToken").unwrap();
        let user = json!({ "id": "user_123456", "email": "agency@example.com", "firstName": "John", "lastName": "Doe" });
        assert_eq!(reply, json!({ "accessTokenExpireAt": access_until, "refreshTokenExpireAt": refresh_until, "user": user }));
    }
}

/// The prose's lifetimes are said in the reply as well; others can be set, each alone, for tokens issued afterwards.
#[tokio::test]
async fn lifetimes() {
    let fixture = Fixture::new().await;
    let until = async |field: &str| fixture.send(fixture.login()).await.json()[field].clone();
    assert_eq!(until("accessTokenExpireAt").await, "2025-01-02T10:00:00Z");
    assert_eq!(until("refreshTokenExpireAt").await, "2025-01-25T10:00:00Z");
    let long = fixture.tokens().await;

    fixture.yolcu360.set_access_lifetime(Duration::from_millis(1500));
    assert_eq!(until("accessTokenExpireAt").await, "2024-12-26T10:00:01.5Z");
    fixture.yolcu360.set_refresh_lifetime(2 * DAY);
    assert_eq!(until("refreshTokenExpireAt").await, "2024-12-28T10:00:00Z");
    let short = fixture.tokens().await;
    fixture.clock.advance(Duration::from_millis(1500) - INSTANT);
    assert_eq!(fixture.called(&short.access).await, 200);
    fixture.clock.advance(INSTANT);
    assert_eq!((fixture.called(&short.access).await, fixture.called(&long.access).await), (401, 200));
    fixture.clock.advance(2 * DAY);
    assert_eq!(fixture.refreshed(&short.refresh).await, (401, json!(1004)));
    assert_eq!(fixture.refreshed(&long.refresh).await, (200, Value::Null));
}

/// A refresh spends its token; what a second presentation does is a switch: to it, its successor, and the access tokens.
#[tokio::test]
async fn a_refresh_token_is_spent() {
    for (reuse, again, successor, access) in [
        (RefreshReuse::Refused, 401, 200, 200),
        (RefreshReuse::Tolerated, 200, 200, 200),
        (RefreshReuse::KillsFamily, 401, 401, 401),
    ] {
        let fixture = Fixture::new().await;
        fixture.yolcu360.set_refresh_reuse(reuse);
        let (first, other) = (fixture.tokens().await, fixture.tokens().await);
        let second = Tokens::of(&fixture.send(fixture.refresh(&first.refresh)).await);
        assert_eq!(fixture.called(&first.access).await, 200, "the old access token outlives the refresh");
        assert_eq!(fixture.refreshed(&first.refresh).await.0, again, "{reuse:?}");
        assert_eq!((fixture.called(&first.access).await, fixture.called(&second.access).await), (access, access), "{reuse:?}");
        assert_eq!(fixture.refreshed(&second.refresh).await.0, successor, "{reuse:?}");
        // Another login's tokens are not concerned.
        assert_eq!((fixture.called(&other.access).await, fixture.refreshed(&other.refresh).await.0), (200, 200), "{reuse:?}");
    }
}

/// Tokens die one by one or together, and each kind alone.
#[tokio::test]
async fn tokens_are_revoked_and_expired() {
    type Switch = fn(&Fixture, &Tokens);
    let rows: [(Switch, ApiOutcome, u16); 6] = [
        (|f, t| assert!(f.yolcu360.revoke(&t.access)), ApiOutcome::TokenRevoked, 200),
        (|f, t| assert!(f.yolcu360.revoke(&t.refresh)), ApiOutcome::Served, 401),
        (|f, _| f.yolcu360.revoke_access_tokens(), ApiOutcome::TokenRevoked, 200),
        (|f, _| f.yolcu360.revoke_refresh_tokens(), ApiOutcome::Served, 401),
        (|f, _| f.yolcu360.expire_access_tokens(), ApiOutcome::TokenExpired, 200),
        (|f, _| f.yolcu360.expire_refresh_tokens(), ApiOutcome::Served, 401),
    ];
    for (row, (switch, outcome, refreshed)) in rows.into_iter().enumerate() {
        let fixture = Fixture::new().await;
        let tokens = fixture.tokens().await;
        switch(&fixture, &tokens);
        let status = if outcome == ApiOutcome::Served { 200 } else { 401 };
        assert_eq!((fixture.called(&tokens.access).await, fixture.yolcu360.outcomes(outcome)), (status, 1), "{row}");
        assert_eq!(fixture.refreshed(&tokens.refresh).await.0, refreshed, "{row}");
        // What is issued afterwards is good.
        assert_eq!(fixture.called(&fixture.yolcu360.mint_access_token().unwrap()).await, 200, "{row}");
        assert_eq!(fixture.refreshed(&fixture.yolcu360.mint_refresh_token().unwrap()).await.0, 200, "{row}");
        assert!(!fixture.yolcu360.revoke("abc"));
    }
}

/// Each presentation of a refresh token is counted, whatever the answer, under the token's own place.
#[tokio::test]
async fn presentations_are_counted() {
    let fixture = Fixture::new().await;
    let minted = fixture.yolcu360.mint_refresh_token().unwrap();
    let first = fixture.tokens().await;
    fixture.yolcu360.refresh_endpoint().limit(0, DAY);
    assert_eq!(fixture.refreshed(&first.refresh).await.0, 429);
    fixture.yolcu360.refresh_endpoint().unlimit();
    assert_eq!(fixture.refreshed(&first.refresh).await.0, 200);
    assert_eq!(fixture.refreshed(&first.refresh).await.0, 401);
    assert_eq!(fixture.refreshed(&minted).await.0, 200);
    assert_eq!(fixture.refreshed("abc").await.0, 401);
    assert_eq!(fixture.yolcu360.presentations(), [1, 3, 0, 0]);
    assert_eq!(fixture.yolcu360.unknown_presentations(), 1);
    assert_eq!((fixture.yolcu360.login_endpoint().calls(), fixture.yolcu360.refresh_endpoint().calls()), (1, 5));
    assert_eq!(fixture.yolcu360.answers(Yolcu360Code::InvalidRefreshToken), 2);
}

/// "Rotate keys regularly": the old pair is refused, its tokens are not. Each emulator has a pair of its own.
#[tokio::test]
async fn rotated_credentials_replace_the_old() {
    let (fixture, other) = (Fixture::new().await, Fixture::new().await);
    assert_ne!((fixture.yolcu360.key(), fixture.yolcu360.secret()), (other.yolcu360.key(), other.yolcu360.secret()));
    let (old, tokens) = (fixture.login(), fixture.tokens().await);
    fixture.yolcu360.rotate_credentials().unwrap();
    assert_eq!(verdict(&fixture.send(old).await), (401, json!(1002)));
    assert_eq!((fixture.called(&tokens.access).await, fixture.refreshed(&tokens.refresh).await.0), (200, 200));
    assert_eq!(fixture.send(fixture.login()).await.status, StatusCode::OK);
    assert_eq!(other.called(&tokens.access).await, 401, "another server's token");
}

/// What is switched off comes back, tokens included.
#[tokio::test]
async fn outages_pass() {
    let fixture = Fixture::new().await;
    let tokens = fixture.tokens().await;
    type Switch = fn(&Yolcu360Emulator);
    let rows: [(Switch, Yolcu360Code, Switch); 2] = [
        (Yolcu360Emulator::disable, Yolcu360Code::KeyDisabled, Yolcu360Emulator::enable),
        (|yolcu360| yolcu360.down(true), Yolcu360Code::Internal, |yolcu360| yolcu360.down(false)),
    ];
    for (break_it, code, mend_it) in rows {
        break_it(&fixture.yolcu360);
        assert_eq!(verdict(&fixture.send(fixture.login()).await), (code.status().as_u16(), json!(code.number())));
        assert_eq!(fixture.called(&tokens.access).await, code.status().as_u16());
        assert_eq!(fixture.yolcu360.answers(code), 2);
        mend_it(&fixture.yolcu360);
        assert_eq!((fixture.called(&tokens.access).await, fixture.send(fixture.login()).await.status.as_u16()), (200, 200));
    }
    // A refusal spends nothing.
    fixture.yolcu360.disable();
    assert_eq!(fixture.refreshed(&tokens.refresh).await, (403, json!(1003)));
    fixture.yolcu360.enable();
    assert_eq!(fixture.refreshed(&tokens.refresh).await.0, 200);
}

/// What the page is silent on: the status of 1003 and 1005, the shape of an error, the type of its code, a challenge.
#[tokio::test]
async fn guesses_can_be_changed() {
    let fixture = Fixture::new().await;
    let yolcu360 = &fixture.yolcu360;
    yolcu360.disable();
    let message = "API key is disabled or suspended";
    let refused = async || fixture.send(fixture.login()).await;
    assert_eq!(refused().await.json(), json!({ "code": 1003, "message": message }));
    yolcu360.write_codes_as_text(true);
    for (shape, body) in [
        (ErrorShape::Flat, json!({ "code": "1003", "message": message })),
        (ErrorShape::Nested, json!({ "error": { "code": "1003", "message": message } })),
        (ErrorShape::Word, json!({ "error": "1003", "message": message })),
        (ErrorShape::Errors, json!({ "errors": [message] })),
    ] {
        yolcu360.set_error_shape(shape);
        assert_eq!(refused().await.json(), body);
    }
    yolcu360.set_error_shape(ErrorShape::Empty);
    yolcu360.set_status(Yolcu360Code::KeyDisabled, StatusCode::UNAUTHORIZED);
    let answer = refused().await;
    assert_eq!((answer.status, answer.body.len()), (StatusCode::UNAUTHORIZED, 0));
    yolcu360.set_status(Yolcu360Code::RateLimited, StatusCode::SERVICE_UNAVAILABLE);
    yolcu360.login_endpoint().limit(0, DAY);
    assert_eq!(refused().await.status, StatusCode::SERVICE_UNAVAILABLE);

    let challenge = HeaderValue::from_static(r#"Bearer error="invalid_token""#);
    let of = async || fixture.send(fixture.locations("abc")).await.headers.get(header::WWW_AUTHENTICATE).cloned();
    assert_eq!(of().await, None);
    yolcu360.set_challenge(Some(challenge.clone()));
    assert_eq!(of().await, Some(challenge));
}

/// Codes and statuses are the page's.
#[test]
fn codes() {
    for (code, number, status) in [
        (Yolcu360Code::InvalidRequest, 1001, 400),
        (Yolcu360Code::InvalidKey, 1002, 401),
        (Yolcu360Code::KeyDisabled, 1003, 403),
        (Yolcu360Code::InvalidRefreshToken, 1004, 401),
        (Yolcu360Code::RateLimited, 1005, 429),
        (Yolcu360Code::Internal, 1500, 500),
    ] {
        assert_eq!((code.number(), code.status().as_u16()), (number, status));
    }
}

/// Calls are recorded one by one and counted by outcome; a body comes back, and no record holds a token.
#[tokio::test]
async fn calls_are_recorded() {
    let fixture = Fixture::new().await;
    let tokens = fixture.tokens().await;
    let bearer = |token: &str| HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    let rows: [(Vec<HeaderValue>, u16, ApiOutcome, Option<u64>); 4] = [
        (vec![], 401, ApiOutcome::TokenMissing, None),
        (vec![bearer(&tokens.access); 2], 401, ApiOutcome::TokenInvalid, Some(1)),
        (vec![bearer("abc")], 401, ApiOutcome::TokenInvalid, None),
        (vec![bearer(&tokens.access)], 200, ApiOutcome::Served, Some(1)),
    ];
    for (values, status, outcome, token) in rows {
        let mut request = Request::post(fixture.url(LOCATIONS)).header("x-agency", "7").body(Full::from("body")).unwrap();
        for value in &values {
            request.headers_mut().append(header::AUTHORIZATION, value.clone());
        }
        let answer = fixture.send(request).await;
        assert_eq!(answer.status.as_u16(), status, "{outcome:?}");
        let call = fixture.yolcu360.calls().pop().unwrap();
        assert_eq!((call.outcome, call.status, call.token), (outcome, Some(answer.status), token));
        assert_eq!((call.method, call.path.as_str(), call.body_length), (Method::POST, LOCATIONS, 4));
        assert_eq!((call.authorization_values, call.headers.get(header::AUTHORIZATION)), (values.len(), None));
        assert_eq!(call.headers["x-agency"], "7");
        if outcome == ApiOutcome::Served {
            assert_eq!(answer.body, "body");
        }
    }
    let facts = fixture.send(fixture.locations(&tokens.access)).await.json();
    assert_eq!(facts, json!({ "method": "GET", "path": "/api/v1/locations", "query": "query=istanbul" }));
    let outcomes = [ApiOutcome::Served, ApiOutcome::TokenMissing, ApiOutcome::TokenInvalid, ApiOutcome::TokenExpired];
    assert_eq!(outcomes.map(|outcome| fixture.yolcu360.outcomes(outcome)), [2, 1, 2, 0]);
    assert_eq!(
        (fixture.yolcu360.tokens_issued(), fixture.yolcu360.tokens_presented(), fixture.yolcu360.api().calls()),
        (1, 2, 5)
    );
}

/// Other methods and paths than the page's.
#[tokio::test]
async fn other_methods_and_paths() {
    let fixture = Fixture::new().await;
    for path in [LOGIN, REFRESH] {
        let answer = fixture.client.bare(Method::GET, &fixture.url(path)).await;
        assert_eq!((answer.status.as_u16(), &answer.headers[header::ALLOW]), (405, &HeaderValue::from_static("POST")));
    }
    for path in ["/", "/api/v1", "/api/v1/", "/auth/login"] {
        assert_eq!(fixture.client.bare(Method::POST, &fixture.url(path)).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

/// Refused connections end without a byte; when it is stopped, the port is closed.
#[tokio::test]
async fn connections() {
    let fixture = Fixture::new().await;
    fixture.yolcu360.refuse_connections(true);
    assert!(fixture.client.send(fixture.login()).await.is_err());
    fixture.yolcu360.refuse_connections(false);
    assert_eq!(fixture.send(fixture.login()).await.status, StatusCode::OK);
    assert!(fixture.yolcu360.connections() >= 2);
    let address = fixture.yolcu360.address();
    fixture.yolcu360.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
}

/// S3: no `Debug` shows a credential, a token, or a query.
#[tokio::test]
async fn debug_shows_no_secret() {
    let fixture = Fixture::new().await;
    let tokens = fixture.tokens().await;
    fixture.called(&tokens.access).await;
    let yolcu360 = &fixture.yolcu360;
    let shown = format!("{yolcu360:?} {:?} {:?}", yolcu360.calls(), yolcu360.api());
    for secret in [yolcu360.key(), yolcu360.secret(), tokens.access, tokens.refresh, "istanbul".to_owned()] {
        assert!(!shown.contains(&secret), "{shown}");
    }
}
