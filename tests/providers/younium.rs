//! Younium's page.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_token::{
    AccessToken, BearerAuthLayer, ErrorKind, TokenError, TokenHandle,
    provider::younium::{Environment, LegalEntity, Younium},
    testing::{
        ApiCall, ApiOutcome, ErrorShape, Fault, ManualClock, ScriptedReply, ScriptedServer, YouniumEmulator, YouniumForbidden,
    },
};

use crate::{
    client::{Answer, Client, hyper},
    page::{NotOurs, Row, hold, row},
};

const S: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86400);
const TURKISH: &str = "Ücretli Araçlar 有限公司";
const ENTITIES: [(&str, &str); 2] = [("1f0a", "Acme AB"), ("2b7c", TURKISH)];

#[tokio::test]
async fn the_page() {
    let sections = [credentials(), token(), replies(), refusals(), calls(), legal_entity(), errors()];
    hold(sections.into_iter().flatten().collect(), NOT_OURS).await;
}

/// An emulator, whose clock shows one day before the end of the page's token, and a client of it.
struct Fixture {
    younium: YouniumEmulator,
    clock: ManualClock,
    client: Client,
}

impl Fixture {
    async fn new() -> Fixture {
        let (younium, clock) = (YouniumEmulator::start().await.unwrap(), ManualClock::new());
        // Sat, 20 Sep 2025 11:12:01 GMT
        clock.set_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(1_758_366_721));
        younium.set_clock(clock.clone());
        let client = client(&younium, &clock);
        Fixture { younium, clock, client }
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
        client(&self.younium, &self.clock).tokens.token().await
    }

    fn invoices(&self) -> Request<Full<Bytes>> {
        let url = format!("{}/Invoices", self.younium.base_url());
        Request::get(url).header(CONTENT_TYPE, "application/json").body(Full::default()).unwrap()
    }

    async fn call(&self) -> Answer {
        self.client.send(self.invoices()).await.unwrap()
    }

    /// A call by the layer that one call makes.
    async fn call_for(&self, legal_entity: &str) -> StatusCode {
        let layer = source(&self.younium).layer_for(legal_entity).unwrap();
        layer.layer(hyper()).oneshot(self.invoices()).await.unwrap().status()
    }

    fn logins(&self) -> u64 {
        self.younium.token_endpoint().calls()
    }

    fn left(&self) -> Option<Duration> {
        self.client.tokens.status().expires_in()
    }

    fn last_call(&self) -> ApiCall {
        self.younium.calls().pop().unwrap()
    }
}

fn source(younium: &YouniumEmulator) -> Younium {
    source_of(younium, &younium.client_id(), &younium.secret())
}

fn source_of(younium: &YouniumEmulator, client_id: &str, secret: &str) -> Younium {
    Younium::new(Environment::Production, client_id, secret).unwrap().base_url(younium.base_url()).unwrap()
}

fn client(younium: &YouniumEmulator, clock: &ManualClock) -> Client {
    let source = source(younium);
    let origins = source.origins();
    Client::new(source, origins, clock)
}

/// "Step 1", and where to go with what it gives.
fn credentials() -> Vec<Row> {
    let environments = [
        ("Production: https://api.younium.com/auth/token", Environment::Production, "https://api.younium.com"),
        ("Sandbox: https://api.sandbox.younium.com/auth/token", Environment::Sandbox, "https://api.sandbox.younium.com"),
        ("US Production: https://api.us.younium.com/auth/token", Environment::UsProduction, "https://api.us.younium.com"),
        (
            "US Sandbox: https://api.us.sandbox.younium.com/auth/token",
            Environment::UsSandbox,
            "https://api.us.sandbox.younium.com",
        ),
    ];
    let environment = |(says, environment, origin): (&'static str, Environment, &'static str)| {
        row([says], async move {
            let younium = Younium::new(environment, "id", "secret").unwrap();
            assert!(format!("{younium:?}").contains(&format!("\"{origin}/auth/token\"")), "{younium:?}");
            assert_eq!(format!("{:?}", younium.origins()), format!("{:?}", origin.parse::<tower_token::Origins>().unwrap()));
        })
    };
    environments.into_iter().map(environment).collect()
}

/// "Step 2": the request.
fn token() -> Vec<Row> {
    vec![
        row(
            [
                "All requests to the Younium API must be authenticated using a JWT access token.",
                "Make a POST request to the /auth/token endpoint with your client credentials.",
                "Content-Type: application/json",
            ],
            async {
                // Another method, path or type of body has no 200.
                let fixture = Fixture::new().await;
                for _ in 0..3 {
                    assert_eq!(fixture.call().await.status, StatusCode::OK);
                }
                assert_eq!((fixture.younium.token_endpoint().answers(StatusCode::OK), fixture.logins()), (1, 1));
            },
        ),
        row(
            [
                "The Client ID and Secret Key will now be displayed and will be used to generate the JWT token.",
                "\"clientId\": \"<Client Id>\"",
                "\"secret\": \"<Secret Key>\"",
            ],
            async {
                let fixture = Fixture::new().await;
                let (id, secret) = (fixture.younium.client_id(), fixture.younium.secret());
                let token = async |id: &str, secret: &str| {
                    TokenHandle::new(source_of(&fixture.younium, id, secret)).token().await.map_err(|error| error.kind())
                };
                assert!(token(&format!(" {id}\n"), &secret).await.is_ok());
                for (id, secret) in [(&*id, "wrong"), ("wrong", &*secret), (&*secret, &*id)] {
                    assert_eq!(token(id, secret).await.unwrap_err(), ErrorKind::Refused);
                }
                for (id, secret) in [("", &*secret), (&*id, "\n")] {
                    let error = Younium::new(Environment::Production, id, secret).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Misconfigured);
                }
            },
        ),
    ]
}

/// "Successful Response".
fn replies() -> Vec<Row> {
    vec![
        row(["\"expires\": \"Thu, 21 Sep 2025 11:12:01 GMT\""], async {
            // That was a Sunday, and it is said with and without its own day of the week.
            for wrong in [true, false] {
                let fixture = Fixture::new().await;
                fixture.younium.write_wrong_weekday(wrong);
                fixture.younium.token_endpoint().inject(Fault::without("expiresIn"));
                fixture.token().await.unwrap();
                assert_eq!(fixture.left(), Some(DAY), "{wrong}");
            }
        }),
        row(["\"expiresIn\": 86400"], async {
            let fixture = Fixture::ready().await;
            assert_eq!(fixture.left(), Some(DAY));
            // It comes before the other, and a shorter one is followed.
            for seconds in ["60", "\"60\""] {
                let fixture = Fixture::new().await;
                fixture.younium.token_endpoint().inject(Fault::with("expiresIn", seconds));
                fixture.token().await.unwrap();
                assert_eq!(fixture.left(), Some(60 * S));
            }
            // What cannot be read gives way to the other.
            let fixture = Fixture::new().await;
            fixture.younium.token_endpoint().inject(Fault::with("expiresIn", "null").times(1));
            fixture.token().await.unwrap();
            assert_eq!(fixture.left(), Some(DAY), "`expires` stands in");
        }),
        row(["\"accessToken\": \"eyJhbGciOiJSUzI1NiIsInR5cC...\""], async {
            let fixture = Fixture::new().await;
            fixture.younium.token_endpoint().inject(Fault::without("accessToken").times(1));
            assert_eq!(fixture.first_token().await.unwrap_err().kind(), ErrorKind::Transient);
            assert!(fixture.first_token().await.unwrap().expose_secret().starts_with("eyJ"));
        }),
        row(["\"refreshToken\": \"4baf4774-5ef9-4983-a8d8-f4fdae7f7000\""], async {
            // No endpoint takes it, so that a renewal is a login.
            let fixture = Fixture::ready().await;
            fixture.client.renew().await.unwrap();
            assert_eq!((fixture.logins(), fixture.younium.api().calls()), (2, 0));
            fixture.younium.token_endpoint().inject(Fault::without("refreshToken"));
            fixture.client.renew().await.unwrap();
        }),
        row(["The access token is valid for 24 hours."], async {
            let fixture = Fixture::ready().await;
            fixture.clock.advance(DAY - HOUR - S);
            assert_eq!(fixture.call().await.status, StatusCode::OK);
            assert_eq!(fixture.logins(), 1);
        }),
        row(["Once expired, you must request a new token."], async {
            let fixture = Fixture::ready().await;
            fixture.client.attempt(|| fixture.clock.advance(DAY)).await.unwrap();
            assert_eq!(fixture.call().await.status, StatusCode::OK);
            // And before that, so that no call finds it expired.
            fixture.clock.advance(DAY - HOUR / 2);
            fixture.younium.token_endpoint().calls_reached(3).await;
            assert_eq!(fixture.call().await.status, StatusCode::OK);
            assert_eq!(fixture.younium.outcomes(ApiOutcome::TokenExpired), 0);
        }),
    ]
}

/// "Error Response".
fn refusals() -> Vec<Row> {
    vec![
        row(
            [
                "If authentication fails, you may receivean error response:",
                "errors: [\"<Error message>\"]",
                "400 or 401: Invalid credentials or other authentication issues.",
            ],
            async {
                // At once, whatever the body, which is no JSON on the page.
                let shapes = [
                    ErrorShape::UnquotedErrors,
                    ErrorShape::Errors,
                    ErrorShape::Flat,
                    ErrorShape::Text,
                    ErrorShape::Html,
                    ErrorShape::Empty,
                ];
                for (shape, status) in shapes.into_iter().flat_map(|shape| [(shape, 400), (shape, 401)]) {
                    let fixture = Fixture::new().await;
                    fixture.younium.set_error_shape(shape);
                    fixture.younium.set_refusal_status(StatusCode::from_u16(status).unwrap());
                    fixture.younium.disable();
                    let error = fixture.token().await.unwrap_err();
                    assert_eq!((error.kind(), fixture.logins()), (ErrorKind::Refused, 1), "{shape:?} {status}");
                    assert!(error.to_string().ends_with(&format!("refused the credentials ({status})")), "{error}");
                    assert_eq!(fixture.client.tokens.status().next_attempt(), Some(300 * S), "a person must act");
                    fixture.younium.enable();
                    fixture.client.renew().await.unwrap();
                }
            },
        ),
        row(["Not on the page: what is no refusal"], async {
            for (status, kind) in [(429, ErrorKind::Transient), (500, ErrorKind::Transient), (503, ErrorKind::Transient)] {
                let fixture = Fixture::ready().await;
                fixture.younium.token_endpoint().inject(Fault::status(StatusCode::from_u16(status).unwrap()).times(1));
                assert_eq!(fixture.client.renew().await, Err(kind), "{status}");
                assert_eq!(fixture.call().await.status, StatusCode::OK, "the token at hand is still good");
            }
        }),
    ]
}

/// "Step 3".
fn calls() -> Vec<Row> {
    vec![
        row(["Authorization: Bearer <JWT Token>"], async {
            let fixture = Fixture::new().await;
            fixture.call().await;
            let call = fixture.last_call();
            assert_eq!((call.authorization_values, call.token, call.outcome), (1, Some(1), ApiOutcome::Served));
        }),
        row(["Content-Type: application/json, on a call: the caller's, and left alone"], async {
            let fixture = Fixture::new().await;
            fixture.call().await;
            let call = fixture.last_call();
            assert_eq!(call.headers.get_all(CONTENT_TYPE).iter().collect::<Vec<_>>(), ["application/json"]);
        }),
    ]
}

/// "legal-entity".
fn legal_entity() -> Vec<Row> {
    vec![
        row(
            ["legal-entity: <Legal Entity Id or Name>", "legal-entity is required if your tenant has multiple legal entities."],
            async {
                let fixture = Fixture::new().await;
                fixture.younium.set_legal_entities(ENTITIES);
                for id_or_name in ["1f0a", "Acme AB", "2b7c", TURKISH] {
                    assert_eq!(fixture.call_for(id_or_name).await, StatusCode::OK, "{id_or_name}");
                    let headers = fixture.last_call().headers;
                    let sent: Vec<_> = headers.get_all("legal-entity").iter().map(|value| value.as_bytes()).collect();
                    assert_eq!(sent, [id_or_name.as_bytes()]);
                }
                // A tenant with one needs none.
                fixture.younium.set_legal_entities([ENTITIES[0]]);
                assert_eq!(fixture.call().await.status, StatusCode::OK);
                assert!(!fixture.last_call().headers.contains_key("legal-entity"));
                for split in ["Acme\r\nx-admin: 1", "Acme\n", "\r"] {
                    let error = source(&fixture.younium).layer_for(split).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Misconfigured);
                }
            },
        ),
        row(["legal-entity, for two of them over one login, and a request's own before either"], async {
            let fixture = Fixture::new().await;
            fixture.younium.set_legal_entities(ENTITIES);
            let younium = source(&fixture.younium);
            let origins = younium.origins();
            let tokens = TokenHandle::new(younium);
            for (layered, own, sent) in [("1f0a", None, "1f0a"), ("2b7c", None, "2b7c"), ("1f0a", Some("Acme AB"), "Acme AB")] {
                let service = ServiceBuilder::new()
                    .layer(BearerAuthLayer::new(origins.clone(), tokens.clone()))
                    .layer(LegalEntity::new(layered, origins.clone()).unwrap().layer())
                    .service(hyper());
                let mut request = fixture.invoices();
                if let Some(own) = own {
                    request.headers_mut().insert("legal-entity", own.parse().unwrap());
                }
                assert_eq!(service.oneshot(request).await.unwrap().status(), StatusCode::OK);
                let headers = fixture.last_call().headers;
                assert_eq!(headers.get_all("legal-entity").iter().collect::<Vec<_>>(), [sent]);
            }
            assert_eq!(fixture.logins(), 1);
        }),
        row(["legal-entity, and a 401: the second sending has it too"], async {
            let fixture = Fixture::new().await;
            fixture.younium.set_legal_entities(ENTITIES);
            let layer = source(&fixture.younium).layer_for(TURKISH).unwrap();
            let service = layer.layer(hyper());
            service.clone().oneshot(fixture.invoices()).await.unwrap();
            fixture.younium.revoke_all();
            assert_eq!(service.oneshot(fixture.invoices()).await.unwrap().status(), StatusCode::OK);
            let calls = fixture.younium.calls();
            let headers = calls.iter().map(|call| call.headers.get_all("legal-entity").iter().count());
            assert_eq!((headers.collect::<Vec<_>>(), fixture.logins()), (vec![1, 1, 1], 2));
        }),
        row(["legal-entity, and a redirect: a stranger sees neither it nor the token"], async {
            let fixture = Fixture::new().await;
            let foreign = ScriptedServer::start([ScriptedReply::json(200, "{}")]).await.unwrap();
            let elsewhere = ScriptedReply::new(307, "").header("location", format!("{}/elsewhere", foreign.base_url()));
            let home = ScriptedServer::start([elsewhere]).await.unwrap();
            let token = TokenHandle::new(source(&fixture.younium));
            let origins: tower_token::Origins = home.base_url().parse().unwrap();
            let service = ServiceBuilder::new()
                .layer(FollowRedirectLayer::new())
                .layer(BearerAuthLayer::new(origins.clone(), token))
                .layer(LegalEntity::new(TURKISH, origins).unwrap().layer())
                .service(hyper());
            let request = Request::get(format!("{}/start", home.base_url())).body(Full::<Bytes>::default()).unwrap();
            assert_eq!(service.oneshot(request).await.unwrap().status(), StatusCode::OK);
            for (server, seen) in [(&home, true), (&foreign, false)] {
                let requests = server.requests();
                assert_eq!(requests.len(), 1);
                for name in ["authorization", "legal-entity"] {
                    assert_eq!(requests[0].headers.contains_key(name), seen, "{name}");
                }
            }
        }),
    ]
}

/// "Common Authentication Errors".
fn errors() -> Vec<Row> {
    type Switch = fn(&YouniumEmulator);
    let forbidden =
        |says: &'static str, reason: YouniumForbidden, entity: Option<&'static str>, switch: Switch, text: &'static str| {
            row([says], async move {
                let fixture = Fixture::ready().await;
                switch(&fixture.younium);
                let mut request = fixture.invoices();
                if let Some(entity) = entity {
                    request.headers_mut().insert("legal-entity", entity.parse().unwrap());
                }
                let answer = fixture.client.send(request).await.unwrap();
                assert_eq!(answer.status, StatusCode::FORBIDDEN);
                assert!(String::from_utf8_lossy(&answer.body).contains(text), "the reason is the caller's to read");
                assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
                assert_eq!(fixture.younium.forbidden(reason), 1, "it is sent once");
                let status = fixture.client.tokens.status();
                assert_eq!((fixture.logins(), status.rejections(), status.generation()), (1, 0, 1), "and renews nothing");
            })
        };
    let unauthorized = |says: &'static str, spoil: Switch, outcome: ApiOutcome| {
        row([says], async move {
            let fixture = Fixture::ready().await;
            spoil(&fixture.younium);
            assert_eq!(fixture.call().await.status, StatusCode::OK);
            let outcomes = [outcome, ApiOutcome::Served].map(|outcome| fixture.younium.outcomes(outcome));
            assert_eq!((outcomes, fixture.logins()), ([1, 1], 2));
        })
    };
    vec![
        unauthorized("Token is missing, has expired, or is invalid.", YouniumEmulator::expire_all, ApiOutcome::TokenExpired),
        unauthorized("401 Unauthorized", YouniumEmulator::revoke_all, ApiOutcome::TokenRevoked),
        row(["401: Token is missing, since the layer was told to send without one"], async {
            let fixture = Fixture::new().await;
            fixture.younium.token_endpoint().inject(Fault::status(StatusCode::SERVICE_UNAVAILABLE).times(1));
            let younium = source(&fixture.younium);
            let bare = tower_token::middleware::OnUnavailable::SendBare;
            let service = younium.layer().on_unavailable(bare).layer(hyper());
            assert_eq!(service.oneshot(fixture.invoices()).await.unwrap().status(), StatusCode::UNAUTHORIZED);
            assert_eq!(fixture.last_call().outcome, ApiOutcome::TokenMissing);
        }),
        forbidden(
            "Invalid or missing legal-entity header.",
            YouniumForbidden::MissingLegalEntity,
            None,
            |younium| younium.set_legal_entities(ENTITIES),
            "Missing legal-entity header",
        ),
        forbidden(
            "403 Forbidden: The request is authenticated, but access is blocked.",
            YouniumForbidden::InvalidLegalEntity,
            Some("Nobody AB"),
            |younium| younium.set_legal_entities(ENTITIES),
            "Invalid legal-entity header",
        ),
        forbidden(
            "Insufficient user permissions.",
            YouniumForbidden::Permissions,
            None,
            |younium| younium.deny_permissions(true),
            "Insufficient user permissions",
        ),
        forbidden(
            "Restricted access to integrations or services.",
            YouniumForbidden::Restricted,
            None,
            |younium| younium.restrict(true),
            "Restricted access",
        ),
    ]
}

const NOT_OURS: &NotOurs = &[
    (
        "This guide explains how to generate the required credentials, acquire a JWT token, and use it to make authenticated API calls.",
        "it is about the page",
    ),
    ("Open the User Profile Menu in the top-right corner (click your user name).", PORTAL),
    ("Go to Privacy & Security.", PORTAL),
    ("Select Personal Tokens in the left-hand panel.", PORTAL),
    ("Click Generate Token.", PORTAL),
    ("Enter a descriptive name for the token and click Create.", PORTAL),
];

const PORTAL: &str = "a person does, in the portal";
