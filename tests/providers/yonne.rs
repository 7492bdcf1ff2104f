//! Yonne's page.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use tower::{Layer, ServiceExt};
use tower_token::{
    AccessToken, ErrorKind, Origins, TokenError, TokenHandle,
    middleware::OnUnavailable,
    provider::yonne::{BASE_URL, ErrorCode, Yonne},
    testing::{ErrorShape, ManualClock, ScriptedReply, ScriptedServer, YonneCode, YonneEmulator},
};

use crate::{
    client::{Answer, Client, hyper},
    page::{NotOurs, Row, hold, row},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86400);
const SHAPES: [ErrorShape; 3] = [ErrorShape::Flat, ErrorShape::Nested, ErrorShape::Word];

#[tokio::test]
async fn the_page() {
    let sections = [exchange(), reply(), calls(), lifetime(), prefixes(), errors()];
    hold(sections.into_iter().flatten().collect(), NOT_OURS).await;
}

/// An emulator and a client of it.
struct Fixture {
    yonne: YonneEmulator,
    clock: ManualClock,
    client: Client,
}

impl Fixture {
    async fn new() -> Fixture {
        let (yonne, clock) = (YonneEmulator::start().await.unwrap(), ManualClock::new());
        yonne.set_clock(clock.clone());
        let client = client(&yonne, &clock);
        Fixture { yonne, clock, client }
    }

    /// That has logged in.
    async fn ready() -> Fixture {
        let fixture = Fixture::new().await;
        fixture.token().await.unwrap();
        fixture
    }

    async fn token(&self) -> Result<AccessToken, TokenError> {
        self.client.tokens.token().await
    }

    /// What a program that has just started gets.
    async fn first_token(&self) -> Result<AccessToken, TokenError> {
        client(&self.yonne, &self.clock).tokens.token().await
    }

    async fn call(&self) -> Answer {
        self.client.get(&format!("{}/api/courier/s2s/metrics/summary", self.yonne.base_url())).await
    }

    fn left(&self) -> Option<Duration> {
        self.client.tokens.status().expires_in()
    }
}

fn source(yonne: &YonneEmulator) -> Yonne {
    source_of(&yonne.base_url(), &yonne.api_key(), &yonne.api_secret())
}

fn source_of(base_url: &str, key: &str, secret: &str) -> Yonne {
    Yonne::new(key, secret).unwrap().base_url(base_url).unwrap()
}

fn client(yonne: &YonneEmulator, clock: &ManualClock) -> Client {
    let source = source(yonne);
    let origins = source.origins();
    Client::new(source, origins, clock)
}

/// "Step 1": the request.
fn exchange() -> Vec<Row> {
    vec![
        row(
            [
                "S2S authentication is a two-step process: exchange your credentials for a JWT, then attach that JWT as a Bearer \
                 token on every subsequent request.",
                "POST /api/courier/s2s/auth/token",
                "curl --request POST \"https://api.yonne.app/api/courier/s2s/auth/token\"",
                "--header \"Content-Type: application/json\"",
                "const res = await fetch(\"https://api.yonne.app/api/courier/s2s/auth/token\", { method: \"POST\", headers: { \
                 \"Content-Type\": \"application/json\" }, body: JSON.stringify({",
            ],
            async {
                // Another method, path or type of body is not answered with a token.
                let fixture = Fixture::new().await;
                for calls in 1..=3 {
                    assert_eq!(fixture.call().await.status, StatusCode::OK);
                    assert_eq!((fixture.yonne.token_calls(), fixture.yonne.api_calls()), (1, calls));
                    assert_eq!(fixture.yonne.calls().pop().unwrap().token, Some(1));
                }
                assert_eq!(BASE_URL, "https://api.yonne.app");
            },
        ),
        row(["\"api_key\": \"ck_live_xxxxxxxxxxxx\"", "\"api_secret\": \"sk_live_xxxxxxxxxxxx\""], async {
            let fixture = Fixture::new().await;
            let (url, key, secret) = (fixture.yonne.base_url(), fixture.yonne.api_key(), fixture.yonne.api_secret());
            let token = async |key: &str, secret: &str| TokenHandle::new(source_of(&url, key, secret)).token().await;
            assert!(token(&format!(" {key}\n"), &secret).await.is_ok());
            // No code of the page's is for wrong credentials: the status is what there is.
            for (key, secret) in [(&*key, "sk_live_wrong"), ("ck_live_wrong", &*secret)] {
                assert_eq!(token(key, secret).await.unwrap_err().kind(), ErrorKind::Refused);
            }
            fixture.yonne.rotate_credentials().unwrap();
            assert_eq!(token(&key, &secret).await.unwrap_err().kind(), ErrorKind::Refused);
            assert_eq!(fixture.yonne.refused_logins(), 3);
        }),
        row(
            [
                "Store them securely in environment variables immediately",
                "api_key: process.env.COURIER_API_KEY, api_secret: process.env.COURIER_API_SECRET",
            ],
            async {
                // COURIER_API_KEY and COURIER_API_SECRET, which are not set here.
                let error = Yonne::from_env().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Misconfigured);
                assert!(error.to_string().contains("COURIER_API_"), "{error}");
            },
        ),
        row(["they cannot be retrieved again (only regenerated via rotate)"], async {
            let fixture = Fixture::ready().await;
            fixture.yonne.rotate_credentials().unwrap();
            assert_eq!(fixture.client.renew().await, Err(ErrorKind::Refused));
            assert_eq!(fixture.call().await.status, StatusCode::OK, "the token at hand is still good");
            fixture.client.tokens.replace_source(source(&fixture.yonne));
            fixture.client.renew().await.unwrap();
            assert_eq!(fixture.call().await.status, StatusCode::OK);
        }),
    ]
}

/// "Success response".
fn reply() -> Vec<Row> {
    /// The time that is left of a token that came in this reply.
    async fn left_of(body: &str) -> Result<Option<Duration>, ErrorKind> {
        let server = ScriptedServer::start([ScriptedReply::json(200, body)]).await.unwrap();
        let clock = ManualClock::new();
        let handle = TokenHandle::builder(source_of(&server.base_url(), "ck_live_x", "sk_live_x")).clock(clock).build();
        handle.token().await.map(|_| handle.status().expires_in()).map_err(|error| error.kind())
    }
    vec![
        row(["\"token\": \"<jwt>\"", "token | The JWT to attach to all S2S requests"], async {
            let fixture = Fixture::ready().await;
            assert_eq!(fixture.token().await.unwrap().expose_secret().split('.').count(), 3);
            assert_eq!(
                left_of(r#"{"courier_id":123,"courier_name":"Acme Logistics","expires_in":86400}"#).await,
                Err(ErrorKind::Transient)
            );
        }),
        row(
            ["\"courier_id\": 123", "\"courier_name\": \"Acme Logistics\"", "courier_id | Your courier ID on the platform"],
            async {
                // Told for people: a token is one with or without them.
                for body in [
                    r#"{"token":"jwt","courier_id":123,"courier_name":"Acme Logistics","expires_in":86400}"#,
                    r#"{"token":"jwt","courier_id":"123","courier_name":null,"expires_in":86400}"#,
                    r#"{"token":"jwt","expires_in":86400}"#,
                ] {
                    assert_eq!(left_of(body).await, Ok(Some(DAY)), "{body}");
                }
            },
        ),
        row(["\"expires_in\": 86400", "expires_in | Seconds until the token expires — always 86400 (24 hours)"], async {
            let fixture = Fixture::ready().await;
            assert_eq!(fixture.left(), Some(DAY));
            // Should it not be always so, the reply is followed.
            fixture.yonne.set_token_lifetime(HOUR);
            fixture.client.renew().await.unwrap();
            assert_eq!(fixture.left(), Some(HOUR));
            assert_eq!(left_of(r#"{"token":"jwt","expires_in":"60"}"#).await, Ok(Some(MINUTE)));
            assert_eq!(left_of(r#"{"token":"jwt"}"#).await, Ok(None));
        }),
    ]
}

/// "Step 2".
fn calls() -> Vec<Row> {
    vec![
        row(
            [
                "All protected S2S endpoints require the token in the Authorization header:",
                "Authorization: Bearer <token>",
                "curl --request GET \"https://api.yonne.app/api/courier/s2s/metrics/summary\"",
                "--header \"Authorization: Bearer <token>\"",
            ],
            async {
                let (ours, theirs) = (Fixture::new().await, Fixture::new().await);
                let service = source(&ours.yonne).layer().layer(hyper());
                for (fixture, status) in [(&ours, 200), (&theirs, 401)] {
                    let url = format!("{}/api/courier/s2s/metrics/summary", fixture.yonne.base_url());
                    let request = Request::get(url).body(Full::<Bytes>::default()).unwrap();
                    assert_eq!(service.clone().oneshot(request).await.unwrap().status(), status);
                    let call = fixture.yonne.calls().pop().unwrap();
                    assert_eq!(call.authorization_values, usize::from(status == 200), "and none for strangers");
                }
                assert_eq!((ours.yonne.token_calls(), theirs.yonne.token_calls()), (1, 0));
            },
        ),
        row(["api.yonne.app is where a token goes, by https alone"], async {
            let yonne = || Yonne::new("ck_live_x", "sk_live_x").unwrap();
            assert_eq!(format!("{:?}", yonne().origins()), format!("{:?}", "https://api.yonne.app".parse::<Origins>().unwrap()));
            assert_eq!(yonne().base_url("http://api.yonne.app").unwrap_err().kind(), ErrorKind::Misconfigured);
        }),
    ]
}

/// "Token lifetime and refresh".
fn lifetime() -> Vec<Row> {
    vec![
        row(["The JWT is valid for 24 hours."], async {
            let fixture = Fixture::ready().await;
            fixture.clock.advance(DAY - HOUR - Duration::from_secs(1));
            assert_eq!(fixture.call().await.status, StatusCode::OK);
            assert_eq!(fixture.yonne.token_calls(), 1);
        }),
        row(
            [
                "Implement a simple refresh strategy in your integration:",
                "async function getToken() { let token = null; let tokenExpiry = null;",
                "if (token && Date.now() < tokenExpiry - 60_000) { return token; // reuse while still valid (with 1-min buffer)",
                "const data = await res.json(); token = data.token;",
                "tokenExpiry = Date.now() + data.expires_in * 1000;",
            ],
            async {
                // An hour's buffer, of which the second half is never needed.
                let fixture = Fixture::ready().await;
                fixture.client.attempt(|| fixture.clock.advance(DAY - HOUR / 2)).await.unwrap();
                assert_eq!((fixture.yonne.token_calls(), fixture.left()), (2, Some(DAY)));
                assert_eq!(fixture.call().await.status, StatusCode::OK);
                // The page's buffer of a minute, with a token that lives for five.
                fixture.yonne.set_token_lifetime(5 * MINUTE);
                fixture.client.renew().await.unwrap();
                fixture.client.attempt(|| fixture.clock.advance(4 * MINUTE + MINUTE / 2)).await.unwrap();
                assert_eq!(fixture.call().await.status, StatusCode::OK);
                assert_eq!(fixture.yonne.unauthorized(), 0);
            },
        ),
    ]
}

/// "Credential prefixes".
fn prefixes() -> Vec<Row> {
    vec![row(["ck_live_ | api_key", "sk_live_ | api_secret"], async {
        assert!(Yonne::new("ck_live_x", "sk_live_x").is_ok());
        for (key, secret) in
            [("sk_live_x", "ck_live_x"), ("ck_test_x", "sk_live_x"), ("ck_live_x", "x"), ("ck_live_", "sk_live_x")]
        {
            let error = Yonne::new(key, secret).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misconfigured);
            assert!(error.to_string().contains("`api_"), "{error}");
        }
    })]
}

/// "Authentication errors": what each means on a call, and at the token endpoint, of which the page does not speak.
fn errors() -> Vec<Row> {
    use ErrorKind::{Refused, Transient};
    type Switch = fn(&YonneEmulator);
    let rejected = |says: [&'static str; 2], spoil: Switch, code: YonneCode, read: ErrorCode| {
        row(says, async move {
            let fixture = Fixture::ready().await;
            spoil(&fixture.yonne);
            assert_eq!(fixture.call().await.status, StatusCode::OK, "a new token, and a second sending");
            assert_eq!((fixture.yonne.answers(code), fixture.yonne.token_calls(), fixture.yonne.api_calls()), (1, 2, 2));
            for error in at_the_token_endpoint(401, code).await {
                assert_eq!((error.kind(), ErrorCode::of_error(&error)), (Refused, Some(read.clone())));
            }
        })
    };
    let handed_up =
        |says: [&'static str; 1], switch: Switch, mend: Switch, status: u16, kind, code: YonneCode, read: ErrorCode| {
            row(says, async move {
                for shape in SHAPES {
                    let fixture = Fixture::ready().await;
                    fixture.yonne.set_error_shape(shape);
                    switch(&fixture.yonne);
                    let answer = fixture.call().await;
                    let read_there = ErrorCode::of(answer.status, &answer.body);
                    assert_eq!((answer.status.as_u16(), read_there), (status, Some(read.clone())));
                    assert_eq!((fixture.yonne.api_calls(), fixture.yonne.token_calls()), (1, 1), "once, and nothing is renewed");
                    mend(&fixture.yonne);
                    assert_eq!(fixture.call().await.status, StatusCode::OK, "with the same token");
                    assert_eq!(fixture.yonne.tokens_issued(), 1);
                }
                for error in at_the_token_endpoint(status, code).await {
                    assert_eq!((error.kind(), ErrorCode::of_error(&error)), (kind, Some(read.clone())));
                }
            })
        };
    let mut rows = vec![
        row(["TOKEN_MISSING | 401 | No Authorization header", "Add Authorization: Bearer <token> to your request"], async {
            // The layer adds it. Only one that was told to send without has none.
            let fixture = Fixture::new().await;
            fixture.yonne.token_endpoint_down(true);
            let service = source(&fixture.yonne).layer().on_unavailable(OnUnavailable::SendBare).layer(hyper());
            let url = format!("{}/api/courier/s2s/metrics/summary", fixture.yonne.base_url());
            let request = Request::get(url).body(Full::<Bytes>::default()).unwrap();
            assert_eq!(service.oneshot(request).await.unwrap().status(), StatusCode::UNAUTHORIZED);
            assert_eq!(fixture.yonne.answers(YonneCode::TokenMissing), 1);
            for error in at_the_token_endpoint(401, YonneCode::TokenMissing).await {
                assert_eq!((error.kind(), ErrorCode::of_error(&error)), (Refused, Some(ErrorCode::TokenMissing)));
            }
        }),
        rejected(
            ["TOKEN_EXPIRED | 401 | Token is older than 24 hours", "Re-authenticate to get a fresh token"],
            YonneEmulator::expire_all,
            YonneCode::TokenExpired,
            ErrorCode::TokenExpired,
        ),
        rejected(
            [
                "TOKEN_INVALID | 401 | Bad signature or wrong token type",
                "Ensure you’re using a token from /api/courier/s2s/auth/token",
            ],
            YonneEmulator::revoke_all,
            YonneCode::TokenInvalid,
            ErrorCode::TokenInvalid,
        ),
        handed_up(
            ["COURIER_NOT_FOUND | 404 | The courier_id in the token no longer exists"],
            YonneEmulator::delete_courier,
            YonneEmulator::restore_courier,
            404,
            Refused,
            YonneCode::CourierNotFound,
            ErrorCode::CourierNotFound,
        ),
        handed_up(
            ["S2S_DISABLED | 403 | Integration has been disabled by admin"],
            YonneEmulator::disable,
            YonneEmulator::enable,
            403,
            Refused,
            YonneCode::S2sDisabled,
            ErrorCode::S2sDisabled,
        ),
        handed_up(
            ["DB_ERROR | 503 | Platform database unreachable"],
            |yonne| yonne.db_down(true),
            |yonne| yonne.db_down(false),
            503,
            Transient,
            YonneCode::DbError,
            ErrorCode::DbError,
        ),
    ];
    rows.push(row(["DB_ERROR: Retry with exponential backoff"], async {
        // At the token endpoint it is ours to do; on a call, whether it may be sent twice is the caller's to know.
        let fixture = Fixture::new().await;
        fixture.yonne.db_down(true);
        assert_eq!(fixture.token().await.unwrap_err().kind(), Transient);
        for most in [1, 2, 4, 8, 16, 32, 60, 60] {
            let next = fixture.client.tokens.status().next_attempt().unwrap();
            let (least, most) = (Duration::from_secs(most) / 2, Duration::from_secs(most));
            assert!(least <= next && next <= most, "{next:?} is not up to {most:?}");
            let calls = fixture.yonne.token_calls();
            assert_eq!(fixture.client.attempt(|| fixture.clock.advance(next)).await, Err(Transient));
            assert_eq!(fixture.yonne.token_calls(), calls + 1);
        }
        fixture.yonne.db_down(false);
        fixture.client.attempt(|| fixture.clock.advance(MINUTE)).await.unwrap();
    }));
    rows.push(row(
        [
            "A 403 S2S_DISABLED response means your integration was turned off on the admin side.",
            "Your credentials are still intact — the Yonne admin just needs to re-enable the integration via toggle.",
        ],
        async {
            let fixture = Fixture::new().await;
            fixture.yonne.disable();
            let error = fixture.first_token().await.unwrap_err();
            assert_eq!((error.kind(), ErrorCode::of_error(&error)), (Refused, Some(ErrorCode::S2sDisabled)));
            assert_eq!(fixture.token().await.unwrap_err().kind(), Refused);
            assert_eq!(fixture.client.tokens.status().next_attempt(), Some(5 * MINUTE), "a person must act");
            fixture.yonne.enable();
            fixture.client.attempt(|| fixture.clock.advance(5 * MINUTE)).await.unwrap();
            assert_eq!(fixture.call().await.status, StatusCode::OK);
        },
    ));
    rows
}

/// The errors of logins that are refused with this code, at each place where it may stand.
async fn at_the_token_endpoint(status: u16, code: YonneCode) -> Vec<TokenError> {
    let mut errors = Vec::new();
    let code = code.as_str();
    for body in [
        format!(r#"{{"code":"{code}"}}"#),
        format!(r#"{{"code":{status},"error":"{code}"}}"#),
        format!(r#"{{"error":{{"code":"{code}"}}}}"#),
        format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#),
    ] {
        let server = ScriptedServer::start([ScriptedReply::json(status, &body)]).await.unwrap();
        let source = source_of(&server.base_url(), "ck_live_x", "sk_live_x");
        errors.push(TokenHandle::new(source).token().await.unwrap_err());
    }
    errors
}

const NOT_OURS: &NotOurs = &[
    ("Your api_key and api_secret are shown once when the Yonne admin generates them.", "it is between two persons"),
    (
        "COURIER_NOT_FOUND: Contact Yonne support",
        "what a person does about it; the code is theirs to read, for which there is a row",
    ),
    (
        "S2S_DISABLED: Contact your Yonne account manager",
        "what a person does about it; the code is theirs to read, for which there is a row",
    ),
];
