//! Yoco's page "Obtaining tokens".

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt, service_fn};
use tower_token::{
    ErrorKind, TokenError, TokenHandle, Transport,
    clock::{Clock, TokioClock},
    grant::oauth::{Login, Server, UserLogin},
    id_token::{Check, IdTokenError},
    provider::yoco::{Environment, ErrorCode, Merchant, Yoco},
    store::{MemoryStore, TokenStore},
    testing::{YocoEmulator, YocoSignature},
};
use url::Url;

use crate::client::hyper;

const REDIRECT_URI: &str = "https://client.example/callback";
const SCOPES: &str = "offline_access openid business/orders:read";

/// What went over the wire to the identity provider.
#[derive(Clone)]
struct Sent {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    form: HashMap<String, String>,
}

/// An emulator, an app that is registered with it, and what the app has sent.
struct World {
    emulator: YocoEmulator,
    yoco: Yoco,
    sent: Arc<Mutex<Vec<Sent>>>,
}

fn environment(emulator: &YocoEmulator) -> Environment {
    Environment::at(emulator.base_url())
        .unwrap()
        .authorization_endpoint(emulator.authorization_url())
        .revocation_endpoint(emulator.revocation_url())
        .api_base(format!("{}/v1", emulator.base_url()))
}

/// hyper, with a look at what passes through.
fn watched(sent: &Arc<Mutex<Vec<Sent>>>) -> Transport {
    let (sent, client) = (Arc::clone(sent), hyper());
    Transport::new(service_fn(move |request: Request<Full<Bytes>>| {
        let (sent, client) = (Arc::clone(&sent), client.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let form = url::form_urlencoded::parse(&body).into_owned().collect();
            let (method, uri, headers) = (parts.method.clone(), parts.uri.clone(), parts.headers.clone());
            sent.lock().unwrap().push(Sent { method, uri, headers, form });
            client.request(Request::from_parts(parts, Full::new(body))).await.map_err(tower_token::BoxError::from)
        }
    }))
}

impl World {
    async fn new() -> World {
        let (emulator, sent) = (YocoEmulator::start().await.unwrap(), Arc::default());
        let (id, secret) = (emulator.client_id(), emulator.client_secret());
        let yoco = Yoco::over(watched(&sent), environment(&emulator), id, secret, REDIRECT_URI).unwrap();
        World { yoco: yoco.scopes(["business/orders:read"]).unwrap(), emulator, sent }
    }

    async fn log_in(&self) -> Result<Login, TokenError> {
        let (url, pending) = self.yoco.begin().unwrap();
        pending.finish(&self.emulator.authorize(&url.to_string()).unwrap()).await
    }

    async fn logged_in<T: TokenStore>(&self, user: &UserLogin<T>) {
        user.begin(self.log_in().await.unwrap()).await.unwrap();
    }

    async fn call<T: TokenStore>(&self, user: &UserLogin<T>) -> StatusCode {
        let client = self.yoco.layer(user).unwrap().layer(hyper());
        client
            .oneshot(Request::get(format!("{}/v1/orders", self.emulator.base_url())).body(Full::default()).unwrap())
            .await
            .unwrap()
            .status()
    }

    fn token_requests(&self, grant_type: &str) -> Vec<Sent> {
        let of = |sent: &&Sent| sent.form.get("grant_type").is_some_and(|one| one == grant_type);
        self.sent.lock().unwrap().iter().filter(of).cloned().collect()
    }
}

fn query(url: &str) -> HashMap<String, String> {
    Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

/// The check of an id_token that failed.
fn check_of(error: &TokenError) -> Option<Check> {
    std::error::Error::source(error)?.downcast_ref::<IdTokenError>().map(IdTokenError::check)
}

/// What the page's sentences speak of.
struct Facts {
    since: SystemTime,
    emulator: YocoEmulator,
    authorization: HashMap<String, String>,
    callback: HashMap<String, String>,
    exchange: Sent,
    login: Login,
    merchant: Merchant,
    keys_asked_of: String,
    forged: TokenError,
    called: StatusCode,
    called_after_expiry: StatusCode,
    logins: u64,
    refresh: Sent,
    without_offline_access: Login,
    shown: String,
    secrets: Vec<String>,
}

impl Facts {
    async fn gather() -> Facts {
        let (world, since) = (World::new().await, SystemTime::now());
        let (url, pending) = world.yoco.begin().unwrap();
        let callback = world.emulator.authorize(&url.to_string()).unwrap();
        let login = pending.finish(&callback).await.unwrap();
        let merchant = world.yoco.merchant(&login).await.unwrap();

        let user = world.yoco.user();
        world.logged_in(&user).await;
        let called = world.call(&user).await;
        world.emulator.expire_access_tokens();
        let called_after_expiry = world.call(&user).await;
        let logins = world.emulator.token_calls("authorization_code");

        world.emulator.consent_to(Some("openid"));
        let without_offline_access = world.log_in().await.unwrap();
        world.emulator.consent_to(None);
        world.emulator.sign_with(YocoSignature::Stranger).unwrap();
        let forged = world.log_in().await.unwrap_err();

        let shown = format!("{:?} {user:?} {:?} {login:?} {merchant:?} {forged:?} {forged}", world.yoco, user.source());
        let secrets =
            [login.access_token().expose_secret(), login.refresh_token().unwrap().expose_secret(), login.id_token().unwrap()];
        let keys = world.sent.lock().unwrap().iter().find(|sent| sent.method == Method::GET).unwrap().uri.path().to_owned();
        Facts {
            since,
            authorization: query(&url.to_string()),
            callback: query(&callback),
            exchange: world.token_requests("authorization_code").remove(0),
            keys_asked_of: keys,
            refresh: world.token_requests("refresh_token").remove(0),
            secrets: secrets.map(str::to_owned).to_vec(),
            emulator: world.emulator,
            login,
            merchant,
            forged,
            called,
            called_after_expiry,
            logins,
            without_offline_access,
            shown,
        }
    }

    fn sent(&self, name: &str) -> &str {
        &self.exchange.form[name]
    }

    /// The claims of the id_token as they came.
    fn claims(&self) -> serde_json::Value {
        jsonwebtoken::dangerous::insecure_decode(self.login.id_token().unwrap()).unwrap().claims
    }
}

type Row = (&'static str, fn(&Facts) -> bool);

/// What the page says, and how it shows that the provider does it.
const PAGE: [Row; 39] = [
    ("Once you receive the authorization code, exchange it for the id_token, access_token and refresh_token.", |facts| {
        facts.login.id_token().is_some() && facts.login.refresh_token().is_some()
    }),
    ("Sandbox https://iam.yocosandbox.com/oauth2/token", |_| {
        Environment::sandbox().token_endpoint() == "https://iam.yocosandbox.com/oauth2/token"
    }),
    ("Live https://iam.yoco.com/oauth2/token", |_| Environment::live().token_endpoint() == "https://iam.yoco.com/oauth2/token"),
    ("POST /oauth2/token", |facts| facts.exchange.method == Method::POST && facts.exchange.uri.path() == "/oauth2/token"),
    ("Content-Type: application/x-www-form-urlencoded", |facts| {
        facts.exchange.headers[header::CONTENT_TYPE] == "application/x-www-form-urlencoded"
    }),
    ("grant_type=authorization_code", |facts| facts.sent("grant_type") == "authorization_code"),
    ("code=AUTHORIZATION_CODE", |facts| facts.sent("code") == facts.callback["code"]),
    ("client_id=YOUR_CLIENT_ID", |facts| facts.sent("client_id") == facts.emulator.client_id()),
    ("client_secret=YOUR_CLIENT_SECRET", |facts| {
        facts.sent("client_secret") == facts.emulator.client_secret()
            && !facts.exchange.headers.contains_key(header::AUTHORIZATION)
    }),
    ("redirect_uri=YOUR_REDIRECT_URI", |facts| {
        facts.sent("redirect_uri") == REDIRECT_URI && facts.authorization["redirect_uri"] == REDIRECT_URI
    }),
    (r#""access_token": "<ACCESS_TOKEN>""#, |facts| facts.login.access_token().expose_secret().starts_with("yoco_at")),
    (r#""expires_in": 1209599"#, |facts| {
        let left = facts.login.access_token().expiry().unwrap().duration_since(facts.since).unwrap().as_secs();
        (1_209_599..1_209_599 + 60).contains(&left)
    }),
    (r#""id_token": "<ID_TOKEN>""#, |facts| facts.login.id_token().is_some_and(|token| token.split('.').count() == 3)),
    (r#""refresh_token": "<REFRESH_TOKEN>""#, |facts| {
        facts.login.refresh_token().is_some_and(|token| token.expose_secret().starts_with("yoco_rt"))
    }),
    (r#""scope": "offline_access openid business/orders:read""#, |facts| {
        facts.authorization["scope"] == SCOPES && facts.login.scopes().join(" ") == SCOPES
    }),
    (r#""token_type": "bearer""#, |facts| facts.called == StatusCode::OK),
    ("The id_token is only included if your application requested the openid scope.", |facts| {
        facts.authorization["scope"].split(' ').any(|scope| scope == "openid")
    }),
    ("The id_token is a JSON Web Token (JWT) that contains information about the user who authenticated with Yoco.", |facts| {
        facts.merchant.id() == facts.emulator.user_id()
    }),
    ("It can be verified using the corresponding public keys published in the JWKS.", |facts| {
        facts.keys_asked_of == "/.well-known/jwks.json" && check_of(&facts.forged) == Some(Check::Signature)
    }),
    ("Sandbox https://iam.yocosandbox.com/.well-known/jwks.json", |_| {
        Environment::sandbox().jwks_uri() == Some("https://iam.yocosandbox.com/.well-known/jwks.json")
    }),
    ("Live https://iam.yoco.com/.well-known/jwks.json", |_| {
        Environment::live().jwks_uri() == Some("https://iam.yoco.com/.well-known/jwks.json")
    }),
    ("sub: The unique identifier for the Yoco merchant.", |facts| {
        facts.claims()["sub"] == facts.merchant.id() && facts.login.subject() == Some(facts.merchant.id())
    }),
    ("user_id: The unique identifier for the Yoco merchant.", |facts| facts.claims()["user_id"] == facts.merchant.id()),
    ("user_id: It is the same as sub.", |facts| facts.claims()["user_id"] == facts.claims()["sub"]),
    ("user_name: The full name of the merchant.", |facts| facts.claims()["user_name"] == facts.merchant.name().unwrap()),
    ("user_email: The email address of the merchant.", |facts| facts.claims()["user_email"] == facts.merchant.email().unwrap()),
    ("default_business_id: The unique identifier for the merchant's default business.", |facts| {
        facts.claims()["default_business_id"] == facts.merchant.default_business_id().unwrap()
    }),
    ("business_ids: A list of all business identifiers for which the user has administrative access.", |facts| {
        !facts.merchant.business_ids().is_empty()
            && facts.claims()["business_ids"] == serde_json::json!(facts.merchant.business_ids())
    }),
    ("authorized_business_id: The unique identifier for the business that the user authorised.", |facts| {
        facts.claims()["authorized_business_id"] == facts.merchant.authorized_business_id().unwrap()
    }),
    ("The access_token is used to authenticate requests to the Yoco API.", |facts| facts.called == StatusCode::OK),
    ("access_token: This token is a secure credential", |facts| !facts.shown.contains(&facts.secrets[0])),
    ("access_token: and must be stored securely.", |facts| !facts.shown.contains("yoco_at")),
    ("The refresh_token is used to obtain a new access_token", |facts| {
        facts.called_after_expiry == StatusCode::OK && facts.refresh.form["refresh_token"].starts_with("yoco_rt")
    }),
    ("without requiring the user to re-authenticate.", |facts| facts.logins == 2),
    ("It is obtained when the offline_access scope is requested.", |facts| {
        facts.authorization["scope"].starts_with("offline_access") && facts.without_offline_access.refresh_token().is_none()
    }),
    ("refresh_token: This token is a secure credential", |facts| !facts.shown.contains(&facts.secrets[1])),
    ("refresh_token: and must be stored securely.", |facts| !facts.shown.contains("yoco_rt")),
    // Personal data stay out of sight, too.
    ("information about the user", |facts| {
        !facts.shown.contains(&facts.secrets[2]) && !facts.shown.contains(facts.merchant.email().unwrap())
    }),
    ("You now have the necessary tokens to make authenticated requests to the Yoco API.", |facts| {
        facts.called == StatusCode::OK && facts.emulator.api().answers(StatusCode::OK) == 2
    }),
];

/// What the page says, and why no code answers to it.
const NOT_OURS: [(&str, &str); 11] = [
    ("Obtaining tokens", "a title"),
    ("Exchanging authorization code for tokens", "a title"),
    ("Obtain token endpoint", "a title"),
    ("Request; Response format; id_token; access_token; refresh_token", "titles"),
    ("Environment, Token URL; Environment, JWKS URL; Claim, Description", "the heads of tables"),
    ("the numbers before the lines of the examples", "the page's layout"),
    ("Successful token exchange returns:", "its fields have a row each"),
    ("The JWKS are available at the following URLs:", "they have a row each"),
    (
        "The JWT contains several claims; the following are the most relevant:",
        "each has a row; which others there are is not said",
    ),
    (
        "JWT.io is a useful tool for decoding and verifying JWTs.",
        "a site for a person to use, and no place for a merchant's data",
    ),
    ("At this stage, the OAuth flow is complete!", "it goes on with a refresh in two weeks, which the page mentions above"),
];

#[tokio::test]
async fn the_page_holds() {
    let facts = Facts::gather().await;
    for (sentence, holds) in PAGE {
        assert!(holds(&facts), "{sentence}");
    }
    let mut sentences: Vec<&str> =
        PAGE.iter().map(|(sentence, _)| *sentence).chain(NOT_OURS.map(|(sentence, _)| sentence)).collect();
    sentences.sort_unstable();
    sentences.dedup();
    assert_eq!(sentences.len(), PAGE.len() + NOT_OURS.len(), "a sentence is there once");
}

/// What the page does not mention and the specifications want: RFC 6749 section 4.1.1, RFC 7636, OpenID Connect Core 3.1.2.1.
#[tokio::test]
async fn state_nonce_and_pkce_are_sent() {
    let world = World::new().await;
    world.emulator.require_pkce(true);
    let (url, pending) = world.yoco.begin().unwrap();
    let asked = query(&url.to_string());
    assert_eq!((&*asked["response_type"], &*asked["code_challenge_method"]), ("code", "S256"));
    assert!(["state", "nonce", "code_challenge"].iter().all(|name| asked[*name].len() == 43));
    pending.finish(&world.emulator.authorize(&url.to_string()).unwrap()).await.unwrap();
    assert!(world.token_requests("authorization_code")[0].form["code_verifier"].len() >= 43);

    world.emulator.forge_state(Some("another"));
    assert_eq!(world.log_in().await.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(world.emulator.token_calls("authorization_code"), 1, "the code of another login is not sent");
}

/// V1 to V5, by way of the provider: which check refuses a login whose id_token is not as it should be.
#[tokio::test]
async fn forged_id_tokens_are_refused() {
    let world = World::new().await;
    for (claim, value, check) in [
        ("iss", Some(r#""https://evil.example""#), Some(Check::Issuer)),
        ("aud", Some(r#"["another"]"#), Some(Check::Audience)),
        ("azp", Some(r#""another""#), Some(Check::AuthorizedParty)),
        ("sub", None, Some(Check::Subject)),
        ("sub", Some("7"), Some(Check::Subject)),
        ("exp", Some("1"), Some(Check::Expiry)),
        ("exp", Some(r#""9999999999""#), Some(Check::Expiry)),
        ("iat", Some("9999999999"), Some(Check::IssuedAt)),
        ("nonce", None, Some(Check::Nonce)),
        ("nonce", Some(r#""another""#), Some(Check::Nonce)),
        ("at_hash", Some(r#""another""#), Some(Check::AccessTokenHash)),
        ("user_id", Some(r#""another""#), None),
        ("user_name", Some("7"), Some(Check::OwnClaims)),
        ("business_ids", Some(r#""b-1""#), Some(Check::OwnClaims)),
    ] {
        match value {
            Some(value) => world.emulator.forge_claim(claim, value),
            None => world.emulator.omit_claim(claim),
        }
        let error = world.log_in().await.unwrap_err();
        assert_eq!((error.kind(), check_of(&error)), (ErrorKind::Refused, check), "{claim}: {value:?}");
        world.emulator.forge_nothing();
    }
    for (signature, kind) in [
        (YocoSignature::Unsigned, ErrorKind::Refused),
        (YocoSignature::PublicKeyAsSecret, ErrorKind::Refused),
        (YocoSignature::Stranger, ErrorKind::Refused),
        (YocoSignature::UnknownKey, ErrorKind::Transient),
    ] {
        world.emulator.sign_with(signature).unwrap();
        assert_eq!(world.log_in().await.unwrap_err().kind(), kind, "{signature:?}");
    }
    world.emulator.sign_with(YocoSignature::WithoutKid).unwrap();
    world.log_in().await.unwrap();
}

/// "The following are the most relevant": none but `sub` need be there.
#[tokio::test]
async fn missing_claims_are_tolerated() {
    let world = World::new().await;
    let optional = ["user_id", "user_name", "user_email", "default_business_id", "business_ids", "authorized_business_id"];
    for null in [false, true] {
        for claim in optional {
            if null { world.emulator.forge_claim(claim, "null") } else { world.emulator.omit_claim(claim) }
        }
        let login = world.log_in().await.unwrap();
        let merchant = world.yoco.merchant(&login).await.unwrap();
        assert_eq!(merchant.id(), world.emulator.user_id());
        assert_eq!((merchant.name(), merchant.email(), merchant.default_business_id()), (None, None, None));
        assert_eq!((merchant.authorized_business_id(), merchant.business_ids().len()), (None, 0));
    }
}

/// Without an id_token nobody knows whose login it is.
#[tokio::test]
async fn a_login_without_openid_is_refused() {
    let world = World::new().await;
    world.emulator.consent_to(Some("offline_access"));
    assert_eq!(world.log_in().await.unwrap_err().kind(), ErrorKind::Refused);
}

/// A login that the app did not check is checked when it is asked whose it is.
#[tokio::test]
async fn a_merchant_is_verified_whoever_made_the_login() {
    let (world, stranger) = (World::new().await, World::new().await);
    let login = stranger.log_in().await.unwrap();
    assert_eq!(check_of(&world.yoco.merchant(&login).await.unwrap_err()), Some(Check::Key));
}

/// V6, F1: a refresh that brings another merchant's id_token ends the login, after a restart too; one whose id_token fails a check
/// is an error and costs no refresh token.
#[tokio::test]
async fn the_id_token_of_a_refresh_is_checked() {
    let world = World::new().await;
    let store = MemoryStore::new();
    // Each is a process of its own.
    let user = || world.yoco.user_in(store.clone());
    let record = async || store.read().await.unwrap().unwrap();
    world.logged_in(&user()).await;
    let begun = record().await;
    assert_eq!(begun.subject(), Some(&*world.emulator.user_id()));

    world.emulator.expire_access_tokens();
    world.emulator.forge_claim("iss", r#""https://evil.example""#);
    assert_eq!(world.call(&user()).await, StatusCode::UNAUTHORIZED);
    let kept = record().await;
    assert!(kept.refresh_token().is_some() && kept.refresh_token() != begun.refresh_token());

    world.emulator.forge_nothing();
    assert_eq!(world.call(&user()).await, StatusCode::OK);

    world.emulator.expire_access_tokens();
    world.emulator.forge_claim("sub", r#""another""#);
    world.emulator.forge_claim("user_id", r#""another""#);
    assert_eq!(world.call(&user()).await, StatusCode::UNAUTHORIZED);
    assert!(record().await.refresh_token().is_none());
    assert_eq!(world.emulator.presentations(), [1, 1, 1, 0]);
}

/// The codes, typed, from the callback and from the token endpoint.
#[tokio::test]
async fn the_codes() {
    let world = World::new().await;
    for (code, listed, kind) in [
        ("access_denied", ErrorCode::AccessDenied, ErrorKind::Refused),
        ("invalid_scope", ErrorCode::InvalidScope, ErrorKind::Misconfigured),
        ("temporarily_unavailable", ErrorCode::TemporarilyUnavailable, ErrorKind::Transient),
        ("new_one", ErrorCode::Other("new_one".to_owned()), ErrorKind::Refused),
    ] {
        world.emulator.deny(Some(code));
        let error = world.log_in().await.unwrap_err();
        assert_eq!((error.kind(), ErrorCode::of_error(&error)), (kind, Some(listed)), "{code}");
    }
    world.emulator.deny(None);

    let (url, pending) = world.yoco.begin().unwrap();
    let callback = world.emulator.authorize(&url.to_string()).unwrap();
    world.emulator.expire_codes();
    let error = pending.finish(&callback).await.unwrap_err();
    assert_eq!((error.kind(), ErrorCode::of_error(&error)), (ErrorKind::Refused, Some(ErrorCode::InvalidGrant)));

    // Of a refresh it ends the login.
    let user = world.yoco.user();
    world.emulator.set_access_lifetime(Duration::ZERO);
    world.logged_in(&user).await;
    world.emulator.revoke_all();
    let error = TokenHandle::new(user.source()).token().await.unwrap_err();
    assert_eq!((error.kind(), ErrorCode::of_error(&error)), (ErrorKind::Refused, Some(ErrorCode::InvalidGrant)));
    assert!(user.needs_login().await.unwrap());

    world.emulator.rotate_client_secret().unwrap();
    let error = world.log_in().await.unwrap_err();
    assert_eq!((error.kind(), ErrorCode::of_error(&error)), (ErrorKind::Refused, Some(ErrorCode::InvalidClient)));
}

/// F19: the refresh token is revoked at Yoco, where it is known how, and the login is over.
#[tokio::test]
async fn a_logout() {
    let world = World::new().await;
    let user = world.yoco.user();
    world.logged_in(&user).await;
    user.end().await.unwrap();
    assert_eq!(world.emulator.revocation_endpoint().answers(StatusCode::OK), 1);
    assert!(user.needs_login().await.unwrap());
    assert_eq!(TokenHandle::new(user.source()).token().await.unwrap_err().kind(), ErrorKind::Refused);

    world.logged_in(&user).await;
    assert_eq!(world.call(&user).await, StatusCode::OK, "and begins again");
}

/// S1: the token goes to the API, and nowhere else.
#[tokio::test]
async fn other_origins_get_no_token() {
    let (world, stranger) = (World::new().await, World::new().await);
    let user = world.yoco.user();
    world.logged_in(&user).await;
    let client = world.yoco.layer(&user).unwrap().layer(hyper());
    let request = Request::get(format!("{}/v1/orders", stranger.emulator.base_url())).body(Full::<Bytes>::default()).unwrap();
    let response = client.oneshot(request).await.unwrap();
    assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer", "it was asked without a token");
}

/// Should Yoco publish its metadata, they say what the page does not.
#[tokio::test]
async fn discovered() {
    let emulator = YocoEmulator::start().await.unwrap();
    let clock: Arc<dyn Clock> = Arc::new(TokioClock);
    let server = Server::discover(emulator.issuer(), Transport::client().unwrap(), &clock).await.unwrap();
    let yoco = Yoco::new(Environment::from(server), emulator.client_id(), emulator.client_secret(), REDIRECT_URI).unwrap();
    let (url, pending) = yoco.begin().unwrap();
    let login = pending.finish(&emulator.authorize(&url.to_string()).unwrap()).await.unwrap();
    assert_eq!(yoco.merchant(&login).await.unwrap().id(), emulator.user_id());
    assert_eq!(yoco.layer(&yoco.user()).unwrap_err().kind(), ErrorKind::Misconfigured, "the API is not in them");
}

/// Another process finishes what this one has begun.
#[tokio::test]
async fn a_login_is_resumed() {
    let world = World::new().await;
    let (url, pending) = world.yoco.begin().unwrap();
    let exported = pending.export();
    let callback = world.emulator.authorize(&url.to_string()).unwrap();
    world.yoco.resume(&exported).unwrap().finish(&callback).await.unwrap();
}

/// An app is shared by the tasks of a server.
#[test]
fn an_app_is_shared() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<Yoco>();
    shared::<UserLogin>();
    shared::<Merchant>();
}
