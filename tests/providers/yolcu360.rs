//! Yolcu360's page.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use tower_token::{
    AccessToken, ErrorKind, TokenError,
    provider::yolcu360::{BASE_URL, ErrorCode, Yolcu360},
    store::MemoryStore,
    testing::{ApiCall, ApiOutcome, ErrorShape, Fault, ManualClock, RefreshReuse, Yolcu360Emulator},
};

use crate::{
    client::{Answer, Client},
    page::{NotOurs, Row, hold, row},
};

const S: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86400);

/// Where a code may stand, as the module's docs name the places, and whether it is a text.
const SHAPES: [(ErrorShape, bool); 6] = [
    (ErrorShape::Flat, false),
    (ErrorShape::Flat, true),
    (ErrorShape::Nested, false),
    (ErrorShape::Nested, true),
    (ErrorShape::Word, false),
    (ErrorShape::Word, true),
];

#[tokio::test]
async fn the_page() {
    let sections = [introduction(), login(), refresh(), calls(), lifetimes(), practices(), codes(), troubleshooting()];
    hold(sections.into_iter().flatten().collect(), NOT_OURS).await;
}

/// An emulator, whose clock shows the hour before which the page's examples were answered, and a client of it.
struct Fixture {
    yolcu360: Yolcu360Emulator,
    clock: ManualClock,
    client: Client,
}

impl Fixture {
    async fn new() -> Fixture {
        let (yolcu360, clock) = (Yolcu360Emulator::start().await.unwrap(), ManualClock::new());
        // 2024-12-26T10:00:00Z
        clock.set_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(1_735_207_200));
        yolcu360.set_clock(clock.clone());
        let client = client(&yolcu360, &clock);
        Fixture { yolcu360, clock, client }
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

    /// What comes when the access token has run out, and the refresh token has not.
    async fn token_after_a_week(&self) -> Result<AccessToken, TokenError> {
        self.token_after(8 * DAY).await
    }

    /// What comes when the access token has run out, and the engine has noticed.
    async fn token_after(&self, time: Duration) -> Result<AccessToken, TokenError> {
        let _shown_by_the_token = self.client.attempt(|| self.clock.advance(time)).await;
        self.token().await
    }

    /// What a program that has just started gets.
    async fn first_token(&self) -> Result<AccessToken, TokenError> {
        client(&self.yolcu360, &self.clock).tokens.token().await
    }

    async fn call(&self) -> Answer {
        self.client.get(&format!("{}/locations?query=istanbul", base_url(&self.yolcu360))).await
    }

    /// Logins and refreshes.
    fn token_calls(&self) -> (u64, u64) {
        (self.yolcu360.login_endpoint().calls(), self.yolcu360.refresh_endpoint().calls())
    }

    /// Until the access token expires.
    fn left(&self) -> Option<Duration> {
        self.client.tokens.status().expires_in()
    }

    fn last_call(&self) -> ApiCall {
        self.yolcu360.calls().pop().unwrap()
    }
}

fn base_url(yolcu360: &Yolcu360Emulator) -> String {
    format!("{}/api/v1", yolcu360.base_url())
}

fn source(yolcu360: &Yolcu360Emulator) -> Yolcu360 {
    Yolcu360::new(yolcu360.key(), yolcu360.secret()).unwrap().base_url(base_url(yolcu360)).unwrap()
}

fn client(yolcu360: &Yolcu360Emulator, clock: &ManualClock) -> Client {
    let source = source(yolcu360);
    let origins = source.origins();
    Client::new(source, origins, clock)
}

/// A client with another key or secret.
fn client_of(fixture: &Fixture, key: &str, secret: &str) -> Client {
    let source = Yolcu360::new(key, secret).unwrap().base_url(base_url(&fixture.yolcu360)).unwrap();
    let origins = source.origins();
    Client::new(source, origins, &fixture.clock)
}

fn status(status: u16) -> Fault {
    Fault::status(StatusCode::from_u16(status).unwrap())
}

fn kind_and_code(error: &TokenError) -> (ErrorKind, Option<ErrorCode>) {
    (error.kind(), ErrorCode::of_error(error))
}

fn introduction() -> Vec<Row> {
    vec![
        row(
            [
                "Yolcu360 Agency API uses JWT (JSON Web Token) based authentication for secure access. To access the API, you \
                 first need to authenticate with your API credentials and obtain an access token.",
                "Login: Exchange credentials for JWT tokens using /auth/login",
                "Use Access Token: Include the access token in the Authorization header for all API calls",
            ],
            async {
                let fixture = Fixture::new().await;
                for calls in 1..=3 {
                    assert_eq!(fixture.call().await.status, StatusCode::OK);
                    assert_eq!((fixture.token_calls(), fixture.yolcu360.api().calls()), ((1, 0), calls));
                    assert_eq!(fixture.last_call().token, Some(1));
                }
            },
        ),
        row(
            [
                "Refresh Tokens: Use the refresh token to get new access tokens when they expire",
                "When your access token expires, use the refresh token to obtain a new access token without requiring the user \
                 to re-authenticate with API credentials.",
            ],
            async {
                let fixture = Fixture::ready().await;
                fixture.yolcu360.rotate_credentials().unwrap();
                assert_eq!(fixture.token_after_a_week().await.unwrap().generation(), 2);
                assert_eq!(fixture.token_calls(), (1, 1));
            },
        ),
    ]
}

/// "Login with API Key".
fn login() -> Vec<Row> {
    vec![
        row(
            [
                "Process of obtaining JWT tokens using your API Key and Secret Key.",
                "POST /auth/login",
                "curl -X POST https://api.pro.yolcu360.com/api/v1/auth/login",
                "-H \"Content-Type: application/json\"",
                "Success Response (200 OK):",
            ],
            async {
                // Another method, path or type of body has no 200.
                let fixture = Fixture::ready().await;
                assert_eq!(fixture.yolcu360.login_endpoint().answers(StatusCode::OK), 1);
                assert_eq!(BASE_URL, "https://api.pro.yolcu360.com/api/v1");
            },
        ),
        row(
            [
                "keystringYesYour API Key obtained from the agency portal",
                "\"key\": \"your_api_key_here\"",
                "secretstringYesYour API Secret Key obtained from the agency portal",
                "\"secret\": \"your_api_secret_here\"",
                "401 Unauthorized: Invalid API key or secret key",
            ],
            async {
                let fixture = Fixture::new().await;
                let (key, secret) = (fixture.yolcu360.key(), fixture.yolcu360.secret());
                assert!(client_of(&fixture, &format!(" {key}\n"), &secret).tokens.token().await.is_ok());
                for (key, secret) in [(&*key, "wrong"), ("wrong", &*secret), (&*secret, &*key)] {
                    let error = client_of(&fixture, key, secret).refused().await;
                    assert_eq!(kind_and_code(&error), (ErrorKind::Refused, Some(ErrorCode::InvalidKey)));
                }
                for missing in [("", &*secret), (&*key, " ")] {
                    assert_eq!(Yolcu360::new(missing.0, missing.1).unwrap_err().kind(), ErrorKind::Misconfigured);
                }
                // Without a code, and whatever the body.
                for shape in [ErrorShape::Flat, ErrorShape::Html, ErrorShape::Empty] {
                    fixture.yolcu360.login_endpoint().inject(status(401).shape(shape).times(1));
                    assert_eq!(kind_and_code(&fixture.first_token().await.unwrap_err()), (ErrorKind::Refused, None));
                }
            },
        ),
        row(["\"accessToken\": \"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9...\""], async {
            let fixture = Fixture::new().await;
            fixture.yolcu360.login_endpoint().inject(Fault::without("accessToken").times(1));
            assert_eq!(fixture.first_token().await.unwrap_err().kind(), ErrorKind::Transient);
            assert!(fixture.first_token().await.unwrap().expose_secret().starts_with("eyJ"));
        }),
        row(["\"refreshToken\": \"dGhpc2lzYXJlZnJlc2h0b2tlbg...\""], async {
            let fixture = Fixture::new().await;
            fixture.yolcu360.login_endpoint().inject(Fault::without("refreshToken").times(1));
            fixture.token().await.unwrap();
            fixture.client.renew().await.unwrap();
            assert_eq!(fixture.token_calls(), (2, 0), "there was nothing to refresh with");
            fixture.client.renew().await.unwrap();
            assert_eq!(fixture.token_calls(), (2, 1));
        }),
        row(["\"accessTokenExpireAt\": \"2024-12-26T10:30:00Z\""], async {
            let fixture = Fixture::new().await;
            fixture.yolcu360.use_example_lifetimes();
            fixture.token().await.unwrap();
            assert_eq!(fixture.left(), Some(30 * MINUTE));

            let fixture = Fixture::new().await;
            fixture.yolcu360.login_endpoint().inject(Fault::without("accessTokenExpireAt"));
            fixture.token().await.unwrap();
            assert_eq!(fixture.left(), None);
            fixture.yolcu360.expire_access_tokens();
            assert_eq!(fixture.call().await.status, StatusCode::OK, "the 401 path serves");
        }),
        row(["\"refreshTokenExpireAt\": \"2024-12-27T10:00:00Z\""], async {
            for (hours, token_calls) in [(23, (1, 1)), (24, (2, 0))] {
                let fixture = Fixture::new().await;
                fixture.yolcu360.use_example_lifetimes();
                fixture.token().await.unwrap();
                fixture.token_after(hours * HOUR).await.unwrap();
                assert_eq!(fixture.token_calls(), token_calls, "{hours}");
            }
            // Without it, the server has the last word.
            let fixture = Fixture::new().await;
            fixture.yolcu360.login_endpoint().inject(Fault::without("refreshTokenExpireAt"));
            fixture.token().await.unwrap();
            fixture.token_after(31 * DAY).await.unwrap();
            assert_eq!(fixture.token_calls(), (2, 1));
        }),
        row(
            [
                "\"user\": { \"id\": \"user_123456\", \"email\": \"agency@example.com\", \"firstName\": \"John\", \"lastName\": \"Doe\"",
            ],
            async {
                // Told for people: a login is one with or without it.
                let fixture = Fixture::new().await;
                for fault in [Fault::without("user"), Fault::with("user", "null"), Fault::with("user", r#"[{"id":7}]"#)] {
                    fixture.yolcu360.login_endpoint().inject(fault.times(1));
                    fixture.first_token().await.unwrap();
                }
            },
        ),
        row(["400 Bad Request: Invalid request format or missing fields"], async {
            let fixture = Fixture::new().await;
            for shape in [ErrorShape::Flat, ErrorShape::Html, ErrorShape::Empty] {
                fixture.yolcu360.login_endpoint().inject(status(400).shape(shape).times(1));
                assert_eq!(fixture.first_token().await.unwrap_err().kind(), ErrorKind::Misconfigured);
            }
        }),
        row(["500 Internal Server Error: Server error"], async {
            let fixture = Fixture::new().await;
            for endpoint in [fixture.yolcu360.login_endpoint(), fixture.yolcu360.refresh_endpoint()] {
                endpoint.inject(status(500).times(1));
            }
            assert_eq!(fixture.token().await.unwrap_err().kind(), ErrorKind::Transient);
            fixture.client.renew().await.unwrap();
            assert_eq!(fixture.client.renew().await, Err(ErrorKind::Transient));
            fixture.client.renew().await.unwrap();
            assert_eq!(fixture.token_calls(), (2, 2), "and the refresh token is kept");
        }),
    ]
}

/// "Refresh Access Token".
fn refresh() -> Vec<Row> {
    vec![
        row(
            [
                "POST /auth/refresh",
                "tokenstringYesValid refresh token from the login response",
                "curl -X POST https://api.pro.yolcu360.com/api/v1/auth/refresh",
                "\"token\": \"dGhpc2lzYXJlZnJlc2h0b2tlbg...\"",
                "const response = await fetch('/api/v1/auth/refresh', { method: 'POST', headers: {'Content-Type': 'application/json'}, \
                 body: JSON.stringify({token: refreshToken})",
            ],
            async {
                let fixture = Fixture::ready().await;
                fixture.client.renew().await.unwrap();
                assert_eq!(fixture.yolcu360.refresh_endpoint().answers(StatusCode::OK), 1);
                assert_eq!((fixture.yolcu360.presentations(), fixture.yolcu360.unknown_presentations()), (vec![1, 0], 0));
            },
        ),
        row(["\"refreshToken\": \"bmV3cmVmcmVzaHRva2VuaGVyZQ...\""], async {
            // To a server that takes the second use for a theft, none is.
            let fixture = Fixture::ready().await;
            fixture.yolcu360.set_refresh_reuse(RefreshReuse::KillsFamily);
            for _ in 0..5 {
                fixture.client.renew().await.unwrap();
            }
            assert_eq!(fixture.yolcu360.presentations(), [1, 1, 1, 1, 1, 0]);
            assert_eq!(fixture.token_calls(), (1, 5));
            assert_eq!(fixture.call().await.status, StatusCode::OK);

            // From a server that gives no new one, the old one goes on.
            let fixture = Fixture::ready().await;
            fixture.yolcu360.set_refresh_reuse(RefreshReuse::Tolerated);
            fixture.yolcu360.refresh_endpoint().inject(Fault::without("refreshToken"));
            fixture.client.renew().await.unwrap();
            fixture.client.renew().await.unwrap();
            assert_eq!((fixture.yolcu360.presentations()[0], fixture.token_calls()), (2, (1, 2)));
        }),
        row(["\"accessTokenExpireAt\": \"2024-12-26T11:30:00Z\"", "\"refreshTokenExpireAt\": \"2024-12-27T11:00:00Z\""], async {
            for (minutes, token_calls) in [(24 * 60 - 1, (1, 2)), (24 * 60, (2, 1))] {
                let fixture = Fixture::new().await;
                fixture.yolcu360.use_example_lifetimes();
                fixture.token().await.unwrap();
                fixture.token_after(HOUR).await.unwrap();
                assert_eq!((fixture.left(), fixture.token_calls()), (Some(30 * MINUTE), (1, 1)));
                fixture.token_after(minutes * MINUTE).await.unwrap();
                assert_eq!(fixture.token_calls(), token_calls);
            }
        }),
        row(["400 Bad Request: Invalid request format or missing token"], async {
            let fixture = Fixture::ready().await;
            fixture.yolcu360.refresh_endpoint().inject(status(400).times(1));
            assert_eq!(fixture.client.renew().await, Err(ErrorKind::Misconfigured));
            fixture.client.renew().await.unwrap();
            assert_eq!(fixture.token_calls(), (1, 2));
        }),
        row(["401 Unauthorized: Invalid or expired refresh token"], async {
            let fixture = Fixture::ready().await;
            for shape in [ErrorShape::Flat, ErrorShape::Html, ErrorShape::Empty] {
                fixture.yolcu360.refresh_endpoint().inject(status(401).shape(shape).times(1));
                fixture.client.renew().await.unwrap();
            }
            assert_eq!(fixture.token_calls(), (4, 3));
        }),
    ]
}

/// "Using Access Tokens".
fn calls() -> Vec<Row> {
    vec![
        row(
            [
                "Once you have an access token, include it in the Authorization header for all API requests:",
                "Authorization: Bearer YOUR_ACCESS_TOKEN",
                "curl -X GET https://api.pro.yolcu360.com/api/v1/locations?query=istanbul",
                "-H \"Authorization: Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9...\"",
            ],
            async {
                let fixture = Fixture::new().await;
                fixture.call().await;
                let call = fixture.last_call();
                assert_eq!((call.method.as_str(), call.path.as_str()), ("GET", "/api/v1/locations?query=istanbul"));
                assert_eq!((call.authorization_values, call.outcome), (1, ApiOutcome::Served));
            },
        ),
        row(["API communications: by the layer in one call, and to Yolcu360 alone"], async {
            let (ours, theirs) = (Fixture::new().await, Fixture::new().await);
            let layer = source(&ours.yolcu360).layer();
            let service = tower::Layer::layer(&layer, crate::client::hyper());
            for (fixture, outcome) in [(&ours, ApiOutcome::Served), (&theirs, ApiOutcome::TokenMissing)] {
                let url = format!("{}/orders", base_url(&fixture.yolcu360));
                let request = Request::get(url).body(Full::<Bytes>::default()).unwrap();
                tower::ServiceExt::oneshot(service.clone(), request).await.unwrap();
                assert_eq!(fixture.last_call().outcome, outcome);
            }
            assert_eq!((ours.token_calls(), theirs.token_calls()), ((1, 0), (0, 0)));
        }),
    ]
}

/// "Token Expiration and Best Practices".
fn lifetimes() -> Vec<Row> {
    vec![
        row(["Access Token Expiration: The access token expires after 1 week"], async {
            let fixture = Fixture::ready().await;
            assert_eq!(fixture.left(), Some(7 * DAY));
        }),
        row(["Refresh Token Expiration: The refresh token expires after 1 month"], async {
            for (days, token_calls) in [(29, (1, 1)), (30, (2, 0))] {
                let fixture = Fixture::ready().await;
                fixture.token_after(days * DAY).await.unwrap();
                assert_eq!(fixture.token_calls(), token_calls, "{days}");
            }
        }),
        row(
            [
                "Automatic Renewal: Implement automatic token refresh in your application",
                "Monitor Expiration Times: Use the accessTokenExpireAt field to refresh proactively",
                "// Check if token is close to expiring",
                "if (isTokenNearExpiry(token)) { token = await refreshAccessToken(); }",
                "Implement automatic token refresh logic",
                "Check token expiration times before making requests",
            ],
            async {
                let fixture = Fixture::ready().await;
                fixture.clock.advance(7 * DAY - HOUR - S);
                assert_eq!(fixture.call().await.status, StatusCode::OK);
                assert_eq!(fixture.token_calls(), (1, 0), "not yet");
                // Within the last hour, but before its second half; and no call waits for it.
                fixture.clock.advance(HOUR / 2 + S);
                fixture.yolcu360.refresh_endpoint().calls_reached(1).await;
                assert_eq!(fixture.call().await.status, StatusCode::OK);
                assert_eq!(fixture.yolcu360.outcomes(ApiOutcome::TokenExpired), 0);
            },
        ),
        row(
            [
                "Handle Expiration: Implement automatic refresh logic when receiving 401 errors",
                "// Handle expired token",
                "if (response.status === 401) { token = await refreshAccessToken(); return fetch(url, { ...options",
                "Handle 401 responses by refreshing tokens",
            ],
            async {
                for spoil in [Yolcu360Emulator::expire_access_tokens, Yolcu360Emulator::revoke_access_tokens] {
                    let fixture = Fixture::ready().await;
                    spoil(&fixture.yolcu360);
                    assert_eq!(fixture.call().await.status, StatusCode::OK);
                    assert_eq!((fixture.token_calls(), fixture.yolcu360.api().calls()), ((1, 1), 2));
                }
            },
        ),
        row(
            [
                "async function makeApiRequest(url, options = {}) {",
                "const response = await fetch(url, { ...options, headers: { ...options.headers, 'Authorization': `Bearer ${token}`",
                "return response;",
            ],
            async {
                // The request is the caller's, both times, but for one header; and so is the response.
                let fixture = Fixture::ready().await;
                fixture.yolcu360.expire_access_tokens();
                let request = Request::put(format!("{}/orders/7?full=1", base_url(&fixture.yolcu360)));
                let request = request.header("x-request-id", "r-7").body(Full::<Bytes>::from("the whole body")).unwrap();
                let answer = fixture.client.send(request).await.unwrap();
                assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"the whole body"[..]));
                for (call, token) in fixture.yolcu360.calls().iter().zip([1, 2]) {
                    assert_eq!((call.method.as_str(), call.path.as_str()), ("PUT", "/api/v1/orders/7?full=1"));
                    assert_eq!((&call.headers["x-request-id"], call.body_length), (&"r-7".parse().unwrap(), 14));
                    assert_eq!((call.authorization_values, call.token), (1, Some(token)));
                }
            },
        ),
        row(
            ["if (!response.ok) { // Refresh token expired, need to re-authenticate throw new Error('Authentication required');"],
            async {
                // A key and a secret re-authenticate; only without good ones it is required of a person.
                let fixture = Fixture::ready().await;
                fixture.yolcu360.revoke_refresh_tokens();
                fixture.client.renew().await.unwrap();
                assert_eq!(fixture.token_calls(), (2, 1));
                fixture.yolcu360.revoke_refresh_tokens();
                fixture.yolcu360.rotate_credentials().unwrap();
                let error = fixture.token_after_a_week().await.unwrap_err();
                assert_eq!(kind_and_code(&error), (ErrorKind::Refused, Some(ErrorCode::InvalidKey)));
                assert_eq!(fixture.token_calls(), (3, 2));
            },
        ),
        row(
            [
                "let token = getStoredAccessToken();",
                "const refreshToken = getStoredRefreshToken();",
                "const data = await response.json(); storeTokens(data.accessToken, data.refreshToken);",
            ],
            async {
                // Two programs, one after the other or side by side: one login over one store, two over none.
                for (shared, login_calls) in [(true, 1), (false, 2)] {
                    let fixture = Fixture::new().await;
                    let store = MemoryStore::new();
                    let program = || {
                        let store = if shared { store.clone() } else { MemoryStore::new() };
                        let source = source(&fixture.yolcu360).store(store);
                        let origins = source.origins();
                        Client::new(source, origins, &fixture.clock)
                    };
                    let (first, second) = (program(), program());
                    let tokens = [&first, &second].map(|program| program.tokens.token());
                    let [first_token, second_token] = tokens;
                    let same = first_token.await.unwrap().expose_secret() == second_token.await.unwrap().expose_secret();
                    assert_eq!((same, fixture.token_calls()), (shared, (login_calls, 0)));
                    first.renew().await.unwrap();
                    second.renew().await.unwrap();
                    assert!(fixture.yolcu360.presentations().iter().all(|times| *times <= 1));
                    // A third begins where they are, without a call.
                    if shared {
                        program().tokens.token().await.unwrap();
                        assert_eq!(fixture.token_calls().0, 1);
                    }
                }
            },
        ),
        row(["An answer that is lost costs no call, and ends in no logout"], async {
            let fixture = Fixture::ready().await;
            fixture.yolcu360.set_refresh_reuse(RefreshReuse::KillsFamily);
            fixture.yolcu360.refresh_endpoint().inject(Fault::lost().times(1));
            let _lost = fixture.client.renew().await;
            assert_eq!(fixture.call().await.status, StatusCode::OK);
            fixture.client.renew().await.unwrap();
            assert_eq!(fixture.call().await.status, StatusCode::OK);
        }),
    ]
}

/// "Implementation Best Practices" and "Security Considerations".
fn practices() -> Vec<Row> {
    vec![
        row(
            [
                "Store Tokens Securely: Never store tokens in client-side code or logs",
                "Never expose API keys: Don't include API keys in client-side code, logs, or version control",
            ],
            async {
                let fixture = Fixture::ready().await;
                let (key, secret) = (fixture.yolcu360.key(), fixture.yolcu360.secret());
                let token = fixture.token().await.unwrap();
                fixture.yolcu360.disable();
                let error = fixture.token_after_a_week().await.unwrap_err();
                let layer = source(&fixture.yolcu360).layer();
                let shown =
                    format!("{:?} {layer:?} {:?} {token:?} {error} {error:?}", source(&fixture.yolcu360), fixture.client.tokens);
                for part in [&*key, &*secret, token.expose_secret()] {
                    assert!(!shown.contains(part), "{shown}");
                }
            },
        ),
        row(
            [
                "Secure Transmission: Always use HTTPS for authentication requests",
                "HTTPS only: Always use HTTPS for API communications",
            ],
            async {
                assert!(BASE_URL.starts_with("https://"));
                let yolcu360 = || Yolcu360::new("key", "secret").unwrap();
                assert_eq!(
                    yolcu360().base_url("http://api.pro.yolcu360.com/api/v1").unwrap_err().kind(),
                    ErrorKind::Misconfigured
                );
                let origins = format!("{:?}", yolcu360().origins());
                assert!(origins.contains("https://api.pro.yolcu360.com") && !origins.contains("http://"), "{origins}");
            },
        ),
        row(["Rotate keys regularly: Generate new API keys periodically"], async {
            let fixture = Fixture::ready().await;
            fixture.yolcu360.rotate_credentials().unwrap();
            fixture.client.tokens.replace_source(source(&fixture.yolcu360));
            fixture.client.renew().await.unwrap();
            assert_eq!(fixture.call().await.status, StatusCode::OK);
            assert_eq!(fixture.yolcu360.login_endpoint().answers(StatusCode::OK), 2);
        }),
    ]
}

/// "Error Codes": what each means at the login, at a refresh, and on a call.
fn codes() -> Vec<Row> {
    use ErrorKind::{Misconfigured, Refused, Transient};
    type Switch = fn(&Yolcu360Emulator);
    struct Code {
        says: &'static str,
        code: ErrorCode,
        at_login: ErrorKind,
        /// `None`: key and secret log in.
        at_refresh: Option<ErrorKind>,
        token_calls: (u64, u64),
        /// How the emulator comes to say it, where it does by itself.
        switch: Option<Switch>,
    }
    let table = [
        Code {
            says: "1001Invalid request format",
            code: ErrorCode::InvalidRequest,
            at_login: Misconfigured,
            at_refresh: Some(Misconfigured),
            token_calls: (1, 1),
            switch: None,
        },
        Code {
            says: "1002Invalid API key or secret key",
            code: ErrorCode::InvalidKey,
            at_login: Refused,
            at_refresh: None,
            token_calls: (2, 1),
            switch: None,
        },
        Code {
            says: "1003API key is disabled or suspended",
            code: ErrorCode::KeyDisabled,
            at_login: Refused,
            at_refresh: Some(Refused),
            token_calls: (2, 1),
            switch: Some(Yolcu360Emulator::disable),
        },
        Code {
            says: "1004Invalid or expired refresh token",
            code: ErrorCode::InvalidRefreshToken,
            at_login: Refused,
            at_refresh: None,
            token_calls: (2, 1),
            switch: None,
        },
        Code {
            says: "1005Rate limit exceeded",
            code: ErrorCode::RateLimited,
            at_login: Transient,
            at_refresh: Some(Transient),
            token_calls: (1, 1),
            switch: Some(|yolcu360| {
                for endpoint in [yolcu360.login_endpoint(), yolcu360.refresh_endpoint(), yolcu360.api()] {
                    endpoint.limit(0, MINUTE);
                }
            }),
        },
        Code {
            says: "1500Internal server error",
            code: ErrorCode::Internal,
            at_login: Transient,
            at_refresh: Some(Transient),
            token_calls: (1, 1),
            switch: Some(|yolcu360| yolcu360.down(true)),
        },
    ];
    let check = |Code { says, code, at_login, at_refresh, token_calls, switch }: Code| {
        row([says], async move {
            // At the login and at a refresh, wherever it stands, and whatever the status.
            let statuses = [400, 401, 403, 429, 500, 503];
            for ((shape, _), usual) in SHAPES.into_iter().zip(statuses) {
                let fixture = Fixture::new().await;
                fixture.yolcu360.set_error_shape(shape);
                let fault = || status(usual).code(code.as_str()).times(1);
                fixture.yolcu360.login_endpoint().inject(fault());
                let error = fixture.first_token().await.unwrap_err();
                assert_eq!(kind_and_code(&error), (at_login, Some(code.clone())), "{shape:?} {usual}");
                fixture.token().await.unwrap();
                fixture.yolcu360.refresh_endpoint().inject(fault());
                if at_refresh == Some(Refused) {
                    fixture.yolcu360.login_endpoint().inject(fault());
                }
                let refreshed = fixture.token_after_a_week().await;
                let expected = at_refresh.map(|kind| (kind, Some(code.clone())));
                assert_eq!(refreshed.err().as_ref().map(kind_and_code), expected, "{shape:?} {usual}");
                // One login beside the two above.
                assert_eq!(fixture.token_calls(), (token_calls.0 + 1, token_calls.1), "{shape:?} {usual}");
            }
            // By the emulator's own rules.
            let Some(switch) = switch else { return };
            for (shape, text) in SHAPES {
                let fixture = Fixture::ready().await;
                fixture.yolcu360.set_error_shape(shape);
                fixture.yolcu360.write_codes_as_text(text);
                switch(&fixture.yolcu360);
                let answer = fixture.call().await;
                assert_eq!(ErrorCode::of(answer.status, &answer.body), Some(code.clone()), "it is handed up");
                assert_eq!(fixture.token_calls(), (1, 0), "and renews nothing");
                let error = fixture.first_token().await.unwrap_err();
                assert_eq!(kind_and_code(&error), (at_login, Some(code.clone())), "{shape:?}");
                let error = fixture.token_after_a_week().await.unwrap_err();
                assert_eq!(kind_and_code(&error), (at_refresh.unwrap(), Some(code.clone())), "{shape:?}");
            }
        })
    };
    let mut rows: Vec<Row> = table.into_iter().map(check).collect();
    rows.push(row(["1003: a person must act, and then all is well again"], async {
        let fixture = Fixture::ready().await;
        fixture.yolcu360.disable();
        assert_eq!(fixture.client.renew().await, Err(Refused));
        assert_eq!(fixture.client.tokens.status().next_attempt(), Some(5 * MINUTE));
        fixture.yolcu360.enable();
        assert_eq!(fixture.call().await.status, StatusCode::OK, "the token at hand is still good");
        fixture.client.renew().await.unwrap();
    }));
    rows.push(row(["1004: by each way to it, a silent login"], async {
        for spoil in [Yolcu360Emulator::expire_refresh_tokens, Yolcu360Emulator::revoke_refresh_tokens] {
            let fixture = Fixture::ready().await;
            spoil(&fixture.yolcu360);
            fixture.client.renew().await.unwrap();
            assert_eq!(fixture.token_calls(), (2, 1));
        }
    }));
    rows.push(row(["1005: it is backed off from, as long as the server says"], async {
        let fixture = Fixture::ready().await;
        let endpoint = fixture.yolcu360.refresh_endpoint();
        endpoint.limit(0, 100 * S);
        assert_eq!(fixture.client.renew().await, Err(Transient));
        assert!(fixture.client.tokens.status().next_attempt().unwrap() <= S);
        endpoint.announce_retry_after(true);
        assert_eq!(fixture.client.renew().await, Err(Transient));
        assert!(fixture.client.tokens.status().next_attempt().unwrap() >= 100 * S);
        endpoint.unlimit();
        fixture.client.renew().await.unwrap();
        assert_eq!(fixture.token_calls(), (1, 3), "with the refresh token from before");
    }));
    rows
}

fn troubleshooting() -> Vec<Row> {
    vec![
        row(["Ensure you're using the correct environment (staging vs production)"], async {
            let (staging, production) = (Fixture::new().await, Fixture::new().await);
            let (key, secret) = (staging.yolcu360.key(), staging.yolcu360.secret());
            let mixed_up = client_of(&production, &key, &secret).refused().await;
            assert_eq!(kind_and_code(&mixed_up), (ErrorKind::Refused, Some(ErrorCode::InvalidKey)));
            assert!(client_of(&staging, &key, &secret).tokens.token().await.is_ok());
        }),
        row(["Without the vendor: a connection that nobody answers"], async {
            let fixture = Fixture::ready().await;
            fixture.yolcu360.refuse_connections(true);
            assert_eq!(fixture.client.renew().await, Err(ErrorKind::Transient));
            fixture.token().await.unwrap();
            fixture.yolcu360.refuse_connections(false);
            // Whether the refresh token has arrived nobody knows, so it is not sent any more.
            fixture.client.attempt(|| fixture.clock.advance(MINUTE)).await.unwrap();
            assert_eq!((fixture.token_calls(), fixture.yolcu360.presentations()[0]), ((2, 0), 0));
        }),
    ]
}

const NOT_OURS: &NotOurs = &[
    ("Get API Credentials: Obtain your API key and secret key from the agency portal", "a person does, once"),
    (
        "Use environment variables: Store API credentials in secure environment variables",
        "the page names none, so the program does",
    ),
    ("Limit key permissions: Use the minimum required permissions for your API keys", "a person does, in the portal"),
    (
        "Secure storage: Store tokens in secure, encrypted storage",
        "a `TokenStore` of the program's choice; by default nothing is stored",
    ),
    (
        "Token scope: Access tokens are scoped to your organization's resources",
        "the server sees to it, and the page names no scopes",
    ),
    ("Logout handling: Clear stored tokens when users log out", "a key and a secret are no user; nobody logs out"),
    ("Verify your API key and secret key are correct", "what a person does about `Refused` with 1002, for which there is a row"),
    (
        "Check that your API key is active in the agency portal",
        "what a person does about `Refused` with 1003, for which there is a row",
    ),
];
