//! The page on Yandex's tokens, sentence by sentence, and each switch of its emulator.

use std::{collections::HashMap, time::Duration};

use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use serde_json::json;
use tokio::net::TcpStream;
use tower_token::testing::{ApiOutcome, ErrorShape, Fault, ManualClock, YandexEmulator};
use url::Url;

use crate::client::{Answer, Client};

const TEST: &str = "/api/v1/test";
const SECOND: Duration = Duration::from_secs(1);
const SCREEN: &str = "https://oauth.yandex.com/verification_code";

/// An emulator with a client beside it.
struct Fixture {
    yandex: YandexEmulator,
    client: Client,
}

impl Fixture {
    async fn new() -> Fixture {
        Fixture { yandex: YandexEmulator::start().await.unwrap(), client: Client::http1() }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.yandex.base_url())
    }

    /// "Open the link."
    fn link(&self, more: &str) -> String {
        let (url, id) = (self.yandex.authorization_url(), self.yandex.client_id());
        format!("{url}?response_type=token&client_id={id}{more}")
    }

    fn token(&self) -> String {
        fragment(&self.yandex.authorize(&self.link("")).unwrap())["access_token"].clone()
    }

    async fn call(&self, authorization: &str) -> Answer {
        self.call_at(&self.url(TEST), &[authorization]).await
    }

    async fn call_at(&self, url: &str, authorization: &[&str]) -> Answer {
        let mut request = Request::get(url).body(Full::default()).unwrap();
        for value in authorization {
            request.headers_mut().append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        self.client.send(request).await.unwrap()
    }

    /// "Make sure the token works."
    async fn works(&self, token: &str) -> bool {
        let answer = self.call(&format!("OAuth {token}")).await;
        assert_eq!(answer.body == r#"{"message":"OK"}"#, answer.status == StatusCode::OK);
        answer.status == StatusCode::OK
    }
}

/// What the page with the token is told.
fn fragment(screen: &str) -> HashMap<String, String> {
    let url = Url::parse(screen).unwrap();
    assert!(screen.starts_with(SCREEN) && url.query().is_none(), "{screen}");
    url::form_urlencoded::parse(url.fragment().unwrap().as_bytes()).into_owned().collect()
}

/// The page's sentences on how a token is got, and how it is sent.
#[tokio::test]
async fn the_page_holds() {
    let fixture = Fixture::new().await;
    let answer = fixture.client.bare(Method::GET, &fixture.link("&state=a%26b")).await;
    let location = answer.headers[header::LOCATION].to_str().unwrap().to_owned();
    let screen = fragment(&location);
    let token = &screen["access_token"];
    let good = fixture.call(&format!("OAuth {token}")).await;
    for (sentence, holds) in [
        (
            "https://oauth.yandex.com/authorize?response_type=token&client_id=<ClientID-of-your-app>",
            answer.status == StatusCode::FOUND
                && fixture.yandex.authorization_url() == format!("{}/authorize", fixture.yandex.base_url()),
        ),
        (
            "In the Redirect URI field, enter this URL: https://oauth.yandex.com/verification_code.",
            location.starts_with(&format!("{SCREEN}#")),
        ),
        ("Copy the string that appears on the screen: this is your OAuth token.", !token.is_empty()),
        ("courier.yandex.ru/api/v1/test", fixture.yandex.calls().pop().is_some_and(|call| call.path == "/api/v1/test")),
        ("Authorization: OAuth <your-OAuth-token>", good.status == StatusCode::OK),
        (r#"The response should be: {"message":"OK"}."#, good.body == r#"{"message":"OK"}"#),
        (
            "For more information about OAuth, see OAuth implementation in Yandex.",
            screen["token_type"] == "bearer" && screen["expires_in"] == "31536000" && screen["state"] == "a&b",
        ),
    ] {
        assert!(holds, "{sentence}");
    }
    assert_eq!(good.headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(fragment(&fixture.yandex.authorize(&fixture.link("")).unwrap()).get("state"), None);
}

/// "Token lifetime is not limited." "The token may become invalid if:", each with what ends it; a new one is got as before.
#[tokio::test]
async fn tokens_become_invalid() {
    type Switch = fn(&YandexEmulator, &str);
    let rows: [(&str, Switch, bool, bool); 6] = [
        ("Token lifetime is not limited.", |_, _| {}, true, true),
        ("It has been revoked.", |yandex, token| assert!(yandex.revoke(token)), false, true),
        ("It has been revoked, and so have all.", |yandex, _| yandex.revoke_all(), false, false),
        (
            "The user changes the password to the account the token was issued to.",
            |yandex, _| yandex.change_password(),
            false,
            false,
        ),
        (
            "The user of the account the token was issued to clicks Log out of all Yandex services.",
            |yandex, _| yandex.log_out_of_all_services(),
            false,
            false,
        ),
        ("Another server's token is not ours to revoke.", |yandex, _| assert!(!yandex.revoke("another")), true, true),
    ];
    for (sentence, switch, works, other_works) in rows {
        let (fixture, clock) = (Fixture::new().await, ManualClock::new());
        fixture.yandex.set_clock(clock.clone());
        let (token, other) = (fixture.token(), fixture.token());
        clock.advance(100 * 366 * 86400 * SECOND);
        assert!(fixture.works(&token).await && fixture.works(&other).await, "{sentence}");
        switch(&fixture.yandex, &token);
        assert_eq!((fixture.works(&token).await, fixture.works(&other).await), (works, other_works), "{sentence}");
        assert_eq!(fixture.call(&format!("OAuth {token}")).await.status == StatusCode::UNAUTHORIZED, !works);
        // "If your token was revoked, you need to get a new one."
        assert!(fixture.works(&fixture.token()).await, "{sentence}");
    }
}

/// "The token must be created for a user who's an administrator in the company."
#[tokio::test]
async fn only_an_administrators_token_works() {
    let fixture = Fixture::new().await;
    let before = fixture.token();
    fixture.yandex.log_in_as_administrator(false);
    let theirs = fixture.token();
    assert_eq!(fixture.call(&format!("OAuth {theirs}")).await.status, StatusCode::FORBIDDEN);
    assert!(fixture.works(&before).await);
    fixture.yandex.log_in_as_administrator(true);
    assert!(fixture.works(&fixture.yandex.mint_token().unwrap()).await);
}

/// "unauthorized_client error when receiving an OAuth token", and what RFC 6749 section 4.2.2.1 adds.
#[tokio::test]
async fn authorization_requests_that_are_refused() {
    let fixture = Fixture::new().await;
    let old = fixture.token();
    let error = |link: &str| {
        let screen = fragment(&fixture.yandex.authorize(link).unwrap());
        assert_eq!((screen.get("access_token"), screen["state"].as_str()), (None, "s"));
        screen["error"].clone()
    };
    fixture.yandex.restrict_account(true);
    assert_eq!(error(&fixture.link("&state=s")), "unauthorized_client");
    assert_eq!(fixture.yandex.refusals("unauthorized_client"), 1);
    let answer = fixture.client.bare(Method::GET, &fixture.link("")).await;
    assert_eq!(answer.headers[header::LOCATION], format!("{SCREEN}#error=unauthorized_client"));
    assert!(fixture.works(&old).await);
    fixture.yandex.restrict_account(false);

    fixture.yandex.deny(Some("access_denied"));
    assert_eq!(error(&fixture.link("&state=s")), "access_denied");
    fixture.yandex.deny(None);
    let (url, id) = (fixture.yandex.authorization_url(), fixture.yandex.client_id());
    assert_eq!(error(&format!("{url}?response_type=code&client_id={id}&state=s")), "unsupported_response_type");
    assert_eq!(error(&format!("{url}?client_id={id}&state=s")), "invalid_request");
    assert_eq!(error(&fixture.link("&state=s&scope=a&scope=b")), "invalid_request");
    assert_eq!(fixture.yandex.tokens_issued(), 1);

    let encoded = "&redirect_uri=https%3A%2F%2Foauth.yandex.com%2Fverification_code";
    assert!(fixture.yandex.authorize(&fixture.link(encoded)).is_ok());
    for bad in [
        format!("{url}?response_type=token&client_id=another"),
        format!("{url}?response_type=token"),
        fixture.link(&format!("&client_id={id}")),
        fixture.link("&redirect_uri=https%3A%2F%2Fevil.example"),
        fixture.link(&format!("{encoded}{encoded}")),
    ] {
        let answer = fixture.client.bare(Method::GET, &bad).await;
        assert_eq!((answer.status, answer.headers.get(header::LOCATION)), (StatusCode::BAD_REQUEST, None), "{bad}");
        assert!(fixture.yandex.authorize(&bad).is_err(), "{bad}");
    }
    for foreign in ["https://oauth.yandex.com/authorize?response_type=token", &url, &fixture.url(TEST)] {
        assert!(fixture.yandex.authorize(foreign).is_err(), "{foreign}");
    }
    let posted = fixture.client.bare(Method::POST, &fixture.link("")).await;
    assert_eq!(posted.status, StatusCode::METHOD_NOT_ALLOWED);
}

/// The scheme is `OAuth`, once, and no other: `Bearer` with a good token is refused.
#[tokio::test]
async fn the_header_is_one_oauth_value() {
    let fixture = Fixture::new().await;
    let token = fixture.token();
    let (good, url) = (format!("OAuth {token}"), fixture.url(TEST));
    for (values, status) in [
        (&[&*good][..], 200),
        (&[&format!("oauth {token}")], 200),
        (&[], 401),
        (&[&format!("Bearer {token}")], 401),
        (&[&token], 401),
        (&["OAuth unknown"], 401),
        (&[&good, &good], 401),
    ] {
        assert_eq!(fixture.call_at(&url, values).await.status, status, "{values:?}");
    }
    let api = fixture.yandex.api();
    assert_eq!((api.answers(StatusCode::OK), api.answers(StatusCode::UNAUTHORIZED), api.calls()), (2, 5, 7));
    let outcomes = [ApiOutcome::Served, ApiOutcome::TokenMissing, ApiOutcome::TokenInvalid];
    assert_eq!(outcomes.map(|outcome| fixture.yandex.outcomes(outcome)), [2, 1, 4]);
    // Two of the values were of another scheme, and one came twice.
    assert_eq!(fixture.yandex.tokens_presented(), 2);
    let tokens: Vec<_> = fixture.yandex.calls().into_iter().map(|call| (call.token, call.authorization_values)).collect();
    let (ours, theirs) = (Some(1), None);
    assert_eq!(tokens, [(ours, 1), (ours, 1), (theirs, 0), (theirs, 1), (theirs, 1), (theirs, 1), (ours, 2)]);
}

/// The shape of a 401 and its challenge, on both of which the page is silent.
#[tokio::test]
async fn errors_take_other_shapes() {
    let fixture = Fixture::new().await;
    let answer = fixture.call("OAuth unknown").await;
    assert_eq!(
        (answer.json(), answer.headers.get(header::WWW_AUTHENTICATE)),
        (json!({ "message": "The token is unknown" }), None)
    );

    let challenge = HeaderValue::from_static(r#"OAuth realm="api""#);
    fixture.yandex.set_challenge(Some(challenge.clone()));
    fixture.yandex.set_error_shape(ErrorShape::Empty);
    let answer = fixture.call("OAuth unknown").await;
    assert_eq!((answer.body.len(), &answer.headers[header::WWW_AUTHENTICATE]), (0, &challenge));
    fixture.yandex.log_in_as_administrator(false);
    let answer = fixture.call(&format!("OAuth {}", fixture.token())).await;
    assert_eq!(
        (answer.status, answer.headers.get(header::WWW_AUTHENTICATE)),
        (StatusCode::FORBIDDEN, None),
        "a 403 is no challenge"
    );
}

/// `GET /api/v1/test` says that the token works; other calls come back, over both versions of HTTP.
#[tokio::test]
async fn bodies_come_back() {
    for client in [Client::http1(), Client::http2()] {
        let fixture = Fixture { client, ..Fixture::new().await };
        let token = fixture.token();
        let send = async |method: Method, path: &str, body: &'static str| {
            let request = Request::builder().method(method).uri(format!("{}{path}", fixture.yandex.base_url()));
            let request = request.header(header::AUTHORIZATION, format!("OAuth {token}")).body(Full::from(body));
            fixture.client.send(request.unwrap()).await.unwrap()
        };
        assert_eq!(send(Method::POST, "/api/v1/companies/1/orders", "parcel").await.body, "parcel");
        let facts = send(Method::GET, "/api/v1/companies/1/orders?page=2", "").await.json();
        assert_eq!(facts, json!({ "method": "GET", "path": "/api/v1/companies/1/orders" }));
        let posted = send(Method::POST, "/api/v1/test", "").await;
        assert_eq!((posted.status, &posted.headers[header::ALLOW]), (StatusCode::METHOD_NOT_ALLOWED, &"GET".parse().unwrap()));
        for path in ["/", "/api/v1", "/api/v1/", "/verification_code"] {
            assert_eq!(send(Method::GET, path, "").await.status, StatusCode::NOT_FOUND, "{path}");
        }
    }
}

/// What the redirect says of the lifetime can be said otherwise, or not at all; the token does not care.
#[tokio::test]
async fn expires_in_can_be_set() {
    let fixture = Fixture::new().await;
    for (seconds, said) in [(Some(0), Some("0")), (None, None)] {
        fixture.yandex.set_expires_in(seconds);
        let screen = fragment(&fixture.yandex.authorize(&fixture.link("")).unwrap());
        assert_eq!(screen.get("expires_in").map(String::as_str), said);
        assert!(fixture.works(&screen["access_token"]).await);
    }
}

/// Faults, limits and holds of the API and of the authorization endpoint.
#[tokio::test]
async fn it_fails_and_waits_on_demand() {
    let (fixture, clock) = (Fixture::new().await, ManualClock::new());
    fixture.yandex.set_clock(clock.clone());
    let (api, authorization) = (fixture.yandex.api(), fixture.yandex.authorization_endpoint());
    let token = fixture.token();
    let good = format!("OAuth {token}");

    api.inject(Fault::status(StatusCode::BAD_GATEWAY).times(1));
    api.inject(Fault::status(StatusCode::OK).shape(ErrorShape::Empty).after_acting().times(1));
    api.inject(Fault::with("message", "1").times(1));
    assert_eq!(fixture.call(&good).await.body, r#"{"message":"Injected fault"}"#);
    assert_eq!(fixture.call(&good).await.body, "");
    assert_eq!(fixture.call(&good).await.body, r#"{"message":1}"#);
    assert!(fixture.works(&token).await);
    assert_eq!((fixture.yandex.outcomes(ApiOutcome::Faulted), fixture.yandex.outcomes(ApiOutcome::Served)), (1, 3));

    authorization.inject(Fault::lost().times(1));
    let request = Request::get(fixture.link("")).body(Full::default()).unwrap();
    assert!(fixture.client.send(request).await.is_err());
    assert_eq!((fixture.yandex.tokens_issued(), authorization.unanswered()), (2, 1));

    for (endpoint, url) in [(api, fixture.url(TEST)), (authorization, fixture.link(""))] {
        let send = async || fixture.call_at(&url, &[&good]).await;
        endpoint.announce_retry_after(true);
        endpoint.limit(1, 10 * SECOND);
        let status = send().await.status;
        assert_ne!(status, StatusCode::TOO_MANY_REQUESTS);
        let limited = send().await;
        assert_eq!(
            (limited.status, &limited.headers[header::RETRY_AFTER]),
            (StatusCode::TOO_MANY_REQUESTS, &"10".parse().unwrap())
        );
        clock.advance(10 * SECOND);
        assert_eq!(send().await.status, status);
        endpoint.unlimit();
        assert_eq!(send().await.status, status);
    }

    let (calls, hold) = (api.calls(), api.hold());
    let (answer, ()) = tokio::join!(fixture.call(&good), async {
        api.calls_reached(calls + 1).await;
        fixture.yandex.revoke_all();
        hold.release();
    });
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let (fresh, hold) = (format!("OAuth {}", fixture.token()), api.hold_answers());
    let (answer, ()) = tokio::join!(fixture.call(&fresh), async {
        api.answers_reached(calls + 2).await;
        fixture.yandex.revoke_all();
        hold.release();
    });
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(fixture.call(&fresh).await.status, StatusCode::UNAUTHORIZED);
}

/// Refused connections come back on the same port; stopping closes it. Nothing shows a token.
#[tokio::test]
async fn it_can_be_unreachable_and_stopped() {
    let Fixture { yandex, client } = Fixture::new().await;
    yandex.mint_token().unwrap();
    let shown = format!("{yandex:?}");
    assert!(!shown.contains("yandex_") && !shown.contains(&yandex.client_id()), "{shown}");
    let url = format!("{}{TEST}", yandex.base_url());
    yandex.refuse_connections(true);
    let request = || Request::get(&url).body(Full::default()).unwrap();
    assert!(client.send(request()).await.is_err());
    yandex.refuse_connections(false);
    assert_eq!(client.send(request()).await.unwrap().status, StatusCode::UNAUTHORIZED);
    assert_eq!(yandex.connections(), 2);
    let address = yandex.address();
    yandex.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
}
