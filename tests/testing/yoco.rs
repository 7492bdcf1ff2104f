//! Yoco's page, sentence by sentence, the specifications that it leans on, and each switch of its emulator.

use std::{collections::HashMap, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower_token::testing::{ApiOutcome, ErrorShape, Fault, ManualClock, RefreshReuse, YocoEmulator, YocoSignature};
use url::Url;

use crate::client::{Answer, Client};

const REDIRECT_URI: &str = "https://client.example/callback";
const SCOPES: &str = "offline_access openid business/orders:read";
const SECOND: Duration = Duration::from_secs(1);
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// An emulator with a client beside it.
struct Fixture {
    yoco: YocoEmulator,
    client: Client,
    id: String,
    secret: String,
}

impl Fixture {
    async fn new() -> Fixture {
        let yoco = YocoEmulator::start().await.unwrap();
        Fixture { id: yoco.client_id(), secret: yoco.client_secret(), yoco, client: Client::http1() }
    }

    async fn with_clock() -> (Fixture, ManualClock) {
        let (fixture, clock) = (Fixture::new().await, ManualClock::new());
        fixture.yoco.set_clock(clock.clone());
        (fixture, clock)
    }

    /// A good authorization request, with some parameters replaced, added, or with an empty value left out.
    fn login_url(&self, changes: &[(&str, &str)]) -> String {
        let good = [
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", REDIRECT_URI),
            ("scope", SCOPES),
            ("state", "the state"),
        ];
        Url::parse_with_params(&self.yoco.authorization_url(), changed(&good, changes)).unwrap().to_string()
    }

    /// What the redirect carries.
    fn log_in(&self, changes: &[(&str, &str)]) -> HashMap<String, String> {
        let callback = Url::parse(&self.yoco.authorize(&self.login_url(changes)).unwrap()).unwrap();
        callback.query_pairs().into_owned().collect()
    }

    fn code(&self, changes: &[(&str, &str)]) -> String {
        self.log_in(changes)["code"].clone()
    }

    fn orders(&self) -> String {
        format!("{}/v1/orders", self.yoco.base_url())
    }

    /// The request of the page.
    async fn redeem(&self, code: &str, changes: &[(&str, &str)]) -> Answer {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", &self.id),
            ("client_secret", &self.secret),
            ("redirect_uri", REDIRECT_URI),
        ];
        self.client.post_form(&self.yoco.token_url(), &changed(&form, changes)).await
    }

    async fn tokens(&self) -> Value {
        let answer = self.redeem(&self.code(&[]), &[]).await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.json()
    }

    async fn refresh(&self, token: &Value, changes: &[(&str, &str)]) -> Answer {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token.as_str().unwrap()),
            ("client_id", &self.id),
            ("client_secret", &self.secret),
        ];
        self.client.post_form(&self.yoco.token_url(), &changed(&form, changes)).await
    }

    async fn call(&self, token: &Value) -> u16 {
        self.client.get(&self.orders(), token.as_str()).await.status.as_u16()
    }

    async fn keys(&self) -> JwkSet {
        let answer = self.client.bare(Method::GET, &self.yoco.keys_url()).await;
        serde_json::from_value(answer.json()).unwrap()
    }
}

fn changed<'a>(good: &[(&'a str, &'a str)], changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = good.iter().filter(|(name, _)| !changes.iter().any(|(other, _)| other == name));
    kept.chain(changes.iter().filter(|(_, value)| !value.is_empty())).copied().collect()
}

/// Status and error code.
fn verdict(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.json()["error"].as_str().unwrap_or_default().to_owned())
}

fn claims(token: &Value) -> Value {
    jsonwebtoken::dangerous::insecure_decode::<Value>(token.as_str().unwrap()).unwrap().claims
}

/// Whether the key that the token names is published, and has signed it. Claims are not looked at.
fn is_signed(token: &Value, keys: &JwkSet) -> bool {
    let token = token.as_str().unwrap();
    let Ok(header) = jsonwebtoken::decode_header(token) else { return false };
    let Some(key) = header.kid.and_then(|kid| keys.find(&kid).cloned()) else { return false };
    let mut validation = Validation::new(header.alg);
    (validation.validate_exp, validation.validate_aud) = (false, false);
    validation.required_spec_claims.clear();
    jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(&key).unwrap(), &validation).is_ok()
}

/// What the page's sentences speak of.
struct Facts {
    fixture: Fixture,
    reply: Value,
    without_scopes: Value,
    claims: Value,
    keys: JwkSet,
    called: u16,
    refreshed: Value,
}

impl Facts {
    fn str<'a>(&'a self, claim: &str) -> Option<&'a str> {
        self.claims[claim].as_str().filter(|value| !value.is_empty())
    }
}

/// The page, a row for each sentence.
#[tokio::test]
async fn the_page_holds() {
    let fixture = Fixture::new().await;
    let reply = fixture.tokens().await;
    let code = fixture.code(&[("scope", "business/orders:read")]);
    let facts = Facts {
        without_scopes: fixture.redeem(&code, &[]).await.json(),
        claims: claims(&reply["id_token"]),
        keys: fixture.keys().await,
        called: fixture.call(&reply["access_token"]).await,
        refreshed: fixture.refresh(&reply["refresh_token"], &[]).await.json(),
        reply,
        fixture,
    };
    type Check = fn(&Facts) -> bool;
    let rows: [(&str, Check); 19] = [
        ("Once you receive the authorization code, exchange it for the id_token, access_token and refresh_token.", |facts| {
            ["id_token", "access_token", "refresh_token"].iter().all(|name| facts.reply[name].is_string())
        }),
        ("POST /oauth2/token", |facts| {
            facts.fixture.yoco.token_url() == format!("{}/oauth2/token", facts.fixture.yoco.base_url())
        }),
        ("Successful token exchange returns:", |facts| {
            facts.reply.as_object().unwrap().keys().collect::<Vec<_>>()
                == ["access_token", "expires_in", "id_token", "refresh_token", "scope", "token_type"]
        }),
        (r#""expires_in": 1209599"#, |facts| facts.reply["expires_in"] == 1_209_599),
        (r#""scope": "offline_access openid business/orders:read""#, |facts| facts.reply["scope"] == SCOPES),
        (r#""token_type": "bearer""#, |facts| facts.reply["token_type"] == "bearer"),
        ("The id_token is only included if your application requested the openid scope.", |facts| {
            facts.without_scopes.get("id_token").is_none() && facts.without_scopes["access_token"].is_string()
        }),
        (
            "The id_token is a JSON Web Token (JWT) that contains information about the user who authenticated with Yoco.",
            |facts| facts.str("sub") == Some(&facts.fixture.yoco.user_id()),
        ),
        ("It can be verified using the corresponding public keys published in the JWKS.", |facts| {
            is_signed(&facts.reply["id_token"], &facts.keys)
        }),
        ("The JWKS are available at the following URLs", |facts| {
            facts.fixture.yoco.keys_url().ends_with("/.well-known/jwks.json") && facts.keys.keys.len() == 1
        }),
        ("user_id: The unique identifier for the Yoco merchant. It is the same as sub.", |facts| {
            facts.str("user_id").is_some() && facts.str("user_id") == facts.str("sub")
        }),
        ("user_name: The full name of the merchant.", |facts| facts.str("user_name").is_some()),
        ("user_email: The email address of the merchant.", |facts| facts.str("user_email").unwrap().contains('@')),
        ("default_business_id: The unique identifier for the merchant's default business.", |facts| {
            facts.str("default_business_id").is_some()
        }),
        ("business_ids: A list of all business identifiers for which the user has administrative access.", |facts| {
            facts.claims["business_ids"].as_array().unwrap().contains(&facts.claims["default_business_id"])
        }),
        ("authorized_business_id: The unique identifier for the business that the user authorised.", |facts| {
            facts.claims["business_ids"].as_array().unwrap().contains(&facts.claims["authorized_business_id"])
        }),
        ("The access_token is used to authenticate requests to the Yoco API.", |facts| facts.called == 200),
        ("The refresh_token is used to obtain a new access_token without requiring the user to re-authenticate.", |facts| {
            facts.refreshed["access_token"].is_string() && facts.refreshed["access_token"] != facts.reply["access_token"]
        }),
        ("It is obtained when the offline_access scope is requested.", |facts| {
            facts.without_scopes.get("refresh_token").is_none()
        }),
    ];
    for (sentence, holds) in rows {
        assert!(holds(&facts), "{sentence}");
    }
}

/// "This token is a secure credential": nothing shows it.
#[tokio::test]
async fn debug_shows_no_secret() {
    let fixture = Fixture::new().await;
    fixture.tokens().await;
    let shown = format!("{:?} {:?}", fixture.yoco, fixture.yoco.token_endpoint().hold());
    assert!(!shown.contains("yoco_") && !shown.contains("eyJ"), "{shown}");
}

/// The reply is not to be cached (RFC 6749 section 5.1), and is the same over both versions of HTTP.
#[tokio::test]
async fn the_token_endpoint_over_http1_and_http2() {
    for client in [Client::http1(), Client::http2()] {
        let fixture = Fixture { client, ..Fixture::new().await };
        let answer = fixture.redeem(&fixture.code(&[]), &[]).await;
        assert_eq!(answer.status, StatusCode::OK);
        for (name, value) in [("content-type", "application/json"), ("cache-control", "no-store"), ("pragma", "no-cache")] {
            assert_eq!(answer.headers[name], value);
        }
    }
}

/// OpenID Connect Core 1.0 sections 2 and 3.1.3.6.
#[tokio::test]
async fn the_id_token_is_openid_connect() {
    let (fixture, clock) = Fixture::with_clock().await;
    clock.set_wall(std::time::UNIX_EPOCH + 1_800_000_000 * SECOND);
    let reply = fixture.redeem(&fixture.code(&[("nonce", "n-0S6_WzA2Mj")]), &[]).await.json();
    let claims = claims(&reply["id_token"]);
    assert_eq!(claims["iss"], fixture.yoco.base_url());
    assert_eq!(claims["aud"], json!([fixture.id]));
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(1_800_000_000), &json!(1_800_003_600)));
    assert_eq!(claims["nonce"], "n-0S6_WzA2Mj");
    let hash = Sha256::digest(reply["access_token"].as_str().unwrap());
    assert_eq!(claims["at_hash"], URL_SAFE_NO_PAD.encode(&hash[..16]));

    // Section 12.2: the same issuer, subject and audience, a new time, and no nonce.
    clock.advance(60 * SECOND);
    let refreshed = fixture.refresh(&reply["refresh_token"], &[]).await.json();
    let again = self::claims(&refreshed["id_token"]);
    for claim in ["iss", "sub", "aud"] {
        assert_eq!(again[claim], claims[claim]);
    }
    assert_eq!((&again["iat"], again.get("nonce")), (&json!(1_800_000_060), None));
    assert_ne!(again["at_hash"], claims["at_hash"]);
}

/// OpenID Connect Discovery 1.0 section 3: where everything is, and what of it there is.
#[tokio::test]
async fn the_metadata_tell_the_truth() {
    let fixture = Fixture::new().await;
    let metadata = || async { fixture.client.bare(Method::GET, &fixture.yoco.metadata_url()).await.json() };
    let found = metadata().await;
    assert_eq!(fixture.yoco.metadata_url(), format!("{}/.well-known/openid-configuration", fixture.yoco.base_url()));
    for (field, value) in [
        ("issuer", json!(fixture.yoco.base_url())),
        ("authorization_endpoint", json!(fixture.yoco.authorization_url())),
        ("token_endpoint", json!(fixture.yoco.token_url())),
        ("revocation_endpoint", json!(fixture.yoco.revocation_url())),
        ("jwks_uri", json!(fixture.yoco.keys_url())),
        ("response_types_supported", json!(["code"])),
        ("subject_types_supported", json!(["public"])),
        ("id_token_signing_alg_values_supported", json!(["RS256"])),
        ("token_endpoint_auth_methods_supported", json!(["client_secret_post"])),
        ("code_challenge_methods_supported", json!(["S256"])),
        ("authorization_response_iss_parameter_supported", json!(false)),
    ] {
        assert_eq!(found[field], value, "{field}");
    }

    fixture.yoco.accept_basic(true);
    fixture.yoco.send_issuer(Some("https://iam.yoco.com"));
    fixture.yoco.set_issuer("https://iam.yoco.com");
    fixture.yoco.sign_with(YocoSignature::Es256).unwrap();
    let found = metadata().await;
    assert_eq!(found["issuer"], "https://iam.yoco.com");
    assert_eq!(found["token_endpoint_auth_methods_supported"], json!(["client_secret_post", "client_secret_basic"]));
    assert_eq!(found["authorization_response_iss_parameter_supported"], true);
    assert_eq!(found["id_token_signing_alg_values_supported"], json!(["RS256", "ES256"]));
    assert_eq!(claims(&fixture.tokens().await["id_token"])["iss"], "https://iam.yoco.com");
    assert_eq!(fixture.yoco.issuer(), "https://iam.yoco.com");
}

/// RFC 6749 section 4.1.2.1, RFC 7636 section 4.4.1: what the redirect says of a request that is not good.
#[tokio::test]
async fn authorization_requests_that_are_refused() {
    let fixture = Fixture::new().await;
    let repeated = format!("{}&scope=openid", fixture.login_url(&[]));
    for (changes, error) in [
        (&[("response_type", "")][..], "invalid_request"),
        (&[("response_type", "token")], "unsupported_response_type"),
        (&[("scope", "")], "invalid_scope"),
        (&[("scope", "openid profile")], "invalid_scope"),
        (&[("scope", "openid  offline_access")], "invalid_scope"),
        (&[("code_challenge", CHALLENGE)], "invalid_request"),
        (&[("code_challenge", VERIFIER), ("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge_method", "S256")], "invalid_request"),
        (&[("code_challenge", "short"), ("code_challenge_method", "S256")], "invalid_request"),
    ] {
        let answer = fixture.log_in(changes);
        assert_eq!((answer["error"].as_str(), answer.get("code")), (error, None), "{changes:?}");
        assert_eq!(answer["state"], "the state");
    }
    assert!(fixture.yoco.authorize(&repeated).unwrap().contains("error=invalid_request"));
    assert_eq!(fixture.yoco.refusals("invalid_scope"), 3);
    assert_eq!(fixture.log_in(&[("state", "")]).get("state"), None);
    assert!(fixture.log_in(&[("prompt", "consent")]).contains_key("code"), "unrecognized parameters are ignored");

    fixture.yoco.require_pkce(true);
    assert_eq!(fixture.log_in(&[])["error"], "invalid_request");
    assert!(fixture.log_in(&[("code_challenge", CHALLENGE), ("code_challenge_method", "S256")]).contains_key("code"));
}

/// RFC 6749 section 4.1.2.1: "MUST NOT automatically redirect the user-agent to the invalid redirection URI", over HTTP and
/// without.
#[tokio::test]
async fn a_stranger_is_not_redirected() {
    let fixture = Fixture::new().await;
    let rows: [&[(&str, &str)]; 6] = [
        &[("client_id", "")],
        &[("client_id", "another")],
        &[("redirect_uri", "")],
        &[("redirect_uri", "https://client.example/callback/")],
        &[("redirect_uri", "https://client.example/callback?a=b")],
        &[("redirect_uri", "https://evil.example/callback")],
    ];
    for changes in rows {
        let url = fixture.login_url(changes);
        let answer = fixture.client.bare(Method::GET, &url).await;
        assert_eq!((answer.status, answer.headers.get(header::LOCATION)), (StatusCode::BAD_REQUEST, None), "{changes:?}");
        assert!(fixture.yoco.authorize(&url).is_err(), "{changes:?}");
    }
    let twice = |more: &str| format!("{}&{more}", fixture.login_url(&[]));
    assert!(fixture.yoco.authorize(&twice("redirect_uri=https%3A%2F%2Fclient.example%2Fcallback")).is_err());
    assert!(fixture.yoco.authorize(&twice(&format!("client_id={}", fixture.id))).is_err());
    for url in ["https://iam.yoco.com/oauth2/auth?x=y", "nonsense", &fixture.yoco.base_url(), &fixture.yoco.token_url()] {
        assert!(fixture.yoco.authorize(url).is_err(), "{url}");
    }
}

/// Over HTTP, the browser is sent to the redirect URI by a 302; its query, if it has one, is retained.
#[tokio::test]
async fn a_browser_is_redirected() {
    let fixture = Fixture::new().await;
    fixture.yoco.register_redirect_uri("https://client.example/yoco?tenant=7");
    for (uri, start) in [
        (REDIRECT_URI, "https://client.example/callback?code=yoco_ac_"),
        ("https://client.example/yoco?tenant=7", "https://client.example/yoco?tenant=7&code=yoco_ac_"),
    ] {
        let answer = fixture.client.bare(Method::GET, &fixture.login_url(&[("redirect_uri", uri)])).await;
        let location = answer.headers[header::LOCATION].to_str().unwrap();
        assert_eq!(answer.status, StatusCode::FOUND);
        assert!(location.starts_with(start) && location.ends_with("&state=the+state"), "{location}");
        let code = Url::parse(location).unwrap().query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        assert_eq!(fixture.redeem(&code, &[("redirect_uri", uri)]).await.status, StatusCode::OK);
    }
    assert_eq!(fixture.yoco.authorization_endpoint().answers(StatusCode::FOUND), 2);
    let posted = fixture.client.post_form(&fixture.yoco.authorization_url(), &[]).await;
    assert_eq!((posted.status, &posted.headers[header::ALLOW]), (StatusCode::METHOD_NOT_ALLOWED, &"GET".parse().unwrap()));
}

/// RFC 8252 section 7.3: "The authorization server MUST allow any port to be specified at the time of the request for loopback IP
/// redirect URIs".
#[tokio::test]
async fn a_loopback_redirect_may_have_any_port() {
    let fixture = Fixture::new().await;
    fixture.yoco.register_redirect_uri("http://127.0.0.1/cb");
    fixture.yoco.register_redirect_uri("http://[::1]:8000/cb");
    for (uri, allowed) in [
        ("http://127.0.0.1:51004/cb", true),
        ("http://127.0.0.1/cb", true),
        ("http://[::1]:51004/cb", true),
        ("http://127.0.0.1:51004/other", false),
        ("http://127.0.0.1:51004/cb?a=b", false),
        ("http://127.0.0.1:51004/cb#a", false),
        ("https://127.0.0.1:51004/cb", false),
        ("http://localhost:51004/cb", false),
        ("http://127.0.0.2:51004/cb", false),
        ("http://127.0.0.1.evil.example:51004/cb", false),
    ] {
        let callback = fixture.yoco.authorize(&fixture.login_url(&[("redirect_uri", uri)]));
        assert_eq!(callback.is_ok_and(|callback| callback.starts_with(&format!("{uri}?code="))), allowed, "{uri}");
    }
}

/// Refused requests of the token endpoint: RFC 6749 sections 2.3.1, 4.1.3 and 5.2, RFC 7636 section 4.6. None of them uses the
/// code up.
#[tokio::test]
async fn token_requests_that_are_refused() {
    let fixture = Fixture::new().await;
    let pkce = [("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
    let (plain, bound) = (fixture.code(&[]), fixture.code(&pkce));
    let short = &VERIFIER[1..];
    for (code, changes, status, error) in [
        (&plain, &[("grant_type", "")][..], 400, "invalid_request"),
        (&plain, &[("grant_type", "password")], 400, "unsupported_grant_type"),
        (&plain, &[("code", "")], 400, "invalid_request"),
        (&plain, &[("code", "yoco_ac_unknown")], 400, "invalid_grant"),
        (&plain, &[("redirect_uri", "")], 400, "invalid_request"),
        (&plain, &[("redirect_uri", "https://client.example/other")], 400, "invalid_grant"),
        (&plain, &[("client_id", "")], 401, "invalid_client"),
        (&plain, &[("client_id", "another")], 401, "invalid_client"),
        (&plain, &[("client_secret", "")], 401, "invalid_client"),
        (&plain, &[("client_secret", "wrong")], 401, "invalid_client"),
        (&plain, &[("code_verifier", VERIFIER)], 400, "invalid_grant"),
        (&bound, &[], 400, "invalid_grant"),
        (&bound, &[("code_verifier", CHALLENGE)], 400, "invalid_grant"),
        (&bound, &[("code_verifier", short)], 400, "invalid_grant"),
        (&plain, &[("scope", "openid"), ("scope", "openid")], 400, "invalid_request"),
        (&plain, &[("grant_type", "refresh_token")], 400, "invalid_request"),
        (&plain, &[("grant_type", "refresh_token"), ("refresh_token", "yoco_rt_unknown")], 400, "invalid_grant"),
    ] {
        let answer = fixture.redeem(code, changes).await;
        assert_eq!(verdict(&answer), (status, error.to_owned()), "{changes:?}");
        assert_eq!(answer.headers.contains_key(header::WWW_AUTHENTICATE), status == 401);
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    }
    assert_eq!((fixture.yoco.refusals("invalid_client"), fixture.yoco.tokens_issued()), (4, 0));
    assert_eq!(fixture.redeem(&plain, &[]).await.status, StatusCode::OK);
    assert_eq!(fixture.redeem(&bound, &[("code_verifier", VERIFIER)]).await.status, StatusCode::OK);
}

/// "Content-Type: application/x-www-form-urlencoded", and POST.
#[tokio::test]
async fn a_token_request_is_a_posted_form() {
    let fixture = Fixture::new().await;
    let url = fixture.yoco.token_url();
    let form = format!("grant_type=authorization_code&code={}&client_id={}", fixture.code(&[]), fixture.id);
    let form = format!("{form}&client_secret={}&redirect_uri=https%3A%2F%2Fclient.example%2Fcallback", fixture.secret);
    for (media_type, status) in [("application/json", 400), ("", 400), ("application/x-www-form-urlencoded;charset=UTF-8", 200)] {
        let request = Request::post(&url).header(header::CONTENT_TYPE, media_type).body(Full::from(form.clone())).unwrap();
        assert_eq!(fixture.client.send(request).await.unwrap().status, status, "{media_type}");
    }
    let got = fixture.client.bare(Method::GET, &format!("{url}?{form}")).await;
    assert_eq!((got.status, &got.headers[header::ALLOW]), (StatusCode::METHOD_NOT_ALLOWED, &"POST".parse().unwrap()));
    // Section 2.3.1: "The parameters can only be transmitted in the request-body".
    assert_eq!(verdict(&fixture.client.post_form(&format!("{url}?{form}"), &[]).await), (401, "invalid_client".to_owned()));
}

/// RFC 6749 section 2.3.1: Basic, form-encoded, where it is accepted; never beside the body.
#[tokio::test]
async fn the_client_may_use_basic_where_it_is_accepted() {
    let fixture = Fixture::new().await;
    let encode =
        |id: &str, secret: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}")));
    let (good, bad) = (encode(&fixture.id, &fixture.secret), encode(&fixture.id, "wrong"));
    // An underscore may be written as %5F.
    let escaped = encode(&fixture.id, &fixture.secret.replace('_', "%5F"));
    let send = async |authorization: &str, more: &str| {
        let body = format!("grant_type=refresh_token&refresh_token=unknown{more}");
        let request = Request::post(fixture.yoco.token_url())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::AUTHORIZATION, authorization);
        fixture.client.send(request.body(Full::from(body)).unwrap()).await.unwrap()
    };
    let answer = send(&good, "").await;
    assert_eq!(verdict(&answer), (401, "invalid_client".to_owned()));
    assert_eq!(answer.headers[header::WWW_AUTHENTICATE], r#"Basic realm="yoco""#);

    fixture.yoco.accept_basic(true);
    let also = format!("&client_id={}", fixture.id);
    let twice = format!("{also}&client_secret={}", fixture.secret);
    for (authorization, more, error) in [
        (&good, "", "invalid_grant"),
        (&good, &*also, "invalid_grant"),
        (&escaped, "", "invalid_grant"),
        (&bad, "", "invalid_client"),
        (&good, "&client_id=another", "invalid_client"),
        (&good, &twice, "invalid_request"),
        (&"Bearer x".to_owned(), "", "invalid_client"),
    ] {
        assert_eq!(verdict(&send(authorization, more).await).1, error, "{more}");
    }
}

/// RFC 6749 section 4.1.2: a code is used once; the second use ends what the first gave.
#[tokio::test]
async fn a_code_is_used_once() {
    let fixture = Fixture::new().await;
    let (other, code) = (fixture.tokens().await, fixture.code(&[]));
    let reply = fixture.redeem(&code, &[]).await.json();
    let refreshed = fixture.refresh(&reply["refresh_token"], &[]).await.json();
    assert_eq!(fixture.call(&reply["access_token"]).await, 200);

    assert_eq!(verdict(&fixture.redeem(&code, &[]).await), (400, "invalid_grant".to_owned()));
    for token in [&reply["access_token"], &refreshed["access_token"]] {
        assert_eq!(fixture.call(token).await, 401);
    }
    assert_eq!(verdict(&fixture.refresh(&refreshed["refresh_token"], &[]).await), (400, "invalid_grant".to_owned()));
    assert_eq!(fixture.call(&other["access_token"]).await, 200, "another login is not touched");
}

/// What a used refresh token does, for each rotation.
#[tokio::test]
async fn refresh_tokens_rotate() {
    for (reuse, rotates, old, new, access, presentations) in [
        (RefreshReuse::KillsFamily, true, 400, 400, 401, &[2, 1][..]),
        (RefreshReuse::Refused, true, 400, 200, 200, &[2, 1, 0]),
        (RefreshReuse::Tolerated, true, 200, 200, 200, &[2, 1, 0, 0]),
        (RefreshReuse::KillsFamily, false, 200, 200, 200, &[3]),
    ] {
        let fixture = Fixture::new().await;
        let shown = format!("{reuse:?} {rotates}");
        // A used token kills its family unless told otherwise, and tokens rotate.
        if reuse != RefreshReuse::KillsFamily {
            fixture.yoco.set_refresh_reuse(reuse);
        }
        if !rotates {
            fixture.yoco.rotate_refresh_tokens(false);
        }
        let first = fixture.tokens().await;
        let second = fixture.refresh(&first["refresh_token"], &[]).await.json();
        assert_eq!(second.get("refresh_token").is_some(), rotates, "{shown}");
        let newest = if rotates { &second["refresh_token"] } else { &first["refresh_token"] };
        assert_eq!(newest != &first["refresh_token"], rotates);
        assert!(newest.as_str().unwrap().starts_with("yoco_rt_"));

        let status = |answer: Answer| answer.status.as_u16();
        assert_eq!(status(fixture.refresh(&first["refresh_token"], &[]).await), old, "{shown}");
        assert_eq!(fixture.call(&second["access_token"]).await, access, "{shown}");
        assert_eq!(status(fixture.refresh(newest, &[]).await), new, "{shown}");
        assert_eq!(fixture.yoco.presentations(), presentations, "{shown}");
        assert_eq!((fixture.yoco.token_calls("refresh_token"), fixture.yoco.token_calls("authorization_code")), (3, 1));
        assert_eq!(fixture.yoco.unknown_presentations(), 0);
        fixture.refresh(&json!("unknown"), &[]).await;
        assert_eq!(fixture.yoco.unknown_presentations(), 1);
    }
}

/// RFC 6749 section 6: a refresh may ask for less, and never for more; what was granted stays.
#[tokio::test]
async fn a_refresh_may_ask_for_less() {
    let fixture = Fixture::new().await;
    let code = fixture.code(&[("scope", "offline_access openid")]);
    let first = fixture.redeem(&code, &[]).await.json();
    let more = fixture.refresh(&first["refresh_token"], &[("scope", "openid business/orders:read")]).await;
    assert_eq!(verdict(&more), (400, "invalid_scope".to_owned()));
    let less = fixture.refresh(&first["refresh_token"], &[("scope", "offline_access")]).await.json();
    assert_eq!((&less["scope"], less.get("id_token")), (&json!("offline_access"), None));
    let full = fixture.refresh(&less["refresh_token"], &[]).await.json();
    assert_eq!(full["scope"], "offline_access openid");
    assert!(full["id_token"].is_string());
}

/// RFC 7009: a revoked refresh token takes its login with it, an access token only itself, and an unknown one is no error.
#[tokio::test]
async fn tokens_are_revoked_by_the_client() {
    let fixture = Fixture::new().await;
    let client = [("client_id", &*fixture.id), ("client_secret", &*fixture.secret)];
    let revoke = async |token: &str| {
        let form = [&client[..], &[("token", token), ("token_type_hint", "refresh_token")]].concat();
        fixture.client.post_form(&fixture.yoco.revocation_url(), &form).await.status.as_u16()
    };
    let tokens = fixture.tokens().await;
    assert_eq!(revoke("unknown").await, 200);
    assert_eq!(revoke(tokens["access_token"].as_str().unwrap()).await, 200);
    assert_eq!(fixture.call(&tokens["access_token"]).await, 401);
    let next = fixture.refresh(&tokens["refresh_token"], &[]).await.json();
    assert_eq!(revoke(next["refresh_token"].as_str().unwrap()).await, 200);
    assert_eq!(fixture.call(&next["access_token"]).await, 401);
    assert_eq!(verdict(&fixture.refresh(&next["refresh_token"], &[]).await), (400, "invalid_grant".to_owned()));

    let wrong = fixture
        .client
        .post_form(&fixture.yoco.revocation_url(), &[("token", "x"), ("client_id", "x"), ("client_secret", "x")])
        .await;
    assert_eq!(verdict(&wrong), (401, "invalid_client".to_owned()));
    assert_eq!(
        verdict(&fixture.client.post_form(&fixture.yoco.revocation_url(), &client).await),
        (400, "invalid_request".to_owned())
    );
    let got = fixture.client.bare(Method::GET, &fixture.yoco.revocation_url()).await;
    assert_eq!(got.status, StatusCode::METHOD_NOT_ALLOWED);
}

/// RFC 6750 section 3.1, status and challenge.
#[tokio::test]
async fn calls_need_a_bearer_token() {
    let fixture = Fixture::new().await;
    let (good, refresh) = fixture.yoco.mint_tokens().unwrap();
    let invalid = r#"Bearer error="invalid_token""#;
    for (values, status, challenge) in [
        (vec![], 401, Some("Bearer")),
        (vec![format!("Bearer {good}")], 200, None),
        (vec![format!("bearer {good}")], 200, None),
        (vec![format!("OAuth {good}")], 401, Some("Bearer")),
        (vec!["Bearer unknown".to_owned()], 401, Some(invalid)),
        (vec![format!("Bearer {refresh}")], 401, Some(invalid)),
        (vec![format!("Bearer {good}"), format!("Bearer {good}")], 400, Some(r#"Bearer error="invalid_request""#)),
    ] {
        let mut request = Request::get(fixture.orders()).body(Full::default()).unwrap();
        for value in &values {
            request.headers_mut().append(header::AUTHORIZATION, value.parse().unwrap());
        }
        let answer = fixture.client.send(request).await.unwrap();
        let said = answer.headers.get(header::WWW_AUTHENTICATE).map(|value| value.to_str().unwrap());
        assert_eq!((answer.status.as_u16(), said), (status, challenge), "{values:?}");
    }
    assert_eq!(fixture.yoco.refusals("invalid_token"), 2);
    let answers = |status| fixture.yoco.api().answers(status);
    assert_eq!((answers(StatusCode::OK), answers(StatusCode::UNAUTHORIZED), answers(StatusCode::BAD_REQUEST)), (2, 4, 1));
    let outcomes = [ApiOutcome::Served, ApiOutcome::TokenMissing, ApiOutcome::TokenInvalid];
    assert_eq!(outcomes.map(|outcome| fixture.yoco.outcomes(outcome)), [2, 1, 4]);
    let tokens: Vec<_> = fixture.yoco.calls().into_iter().map(|call| (call.token, call.authorization_values)).collect();
    let (ours, none) = (Some(1), None);
    assert_eq!(tokens, [(none, 0), (ours, 1), (ours, 1), (none, 1), (none, 1), (none, 1), (ours, 2)]);
    assert_eq!(fixture.yoco.tokens_presented(), 3, "a refresh token is no access token, and counts as one");

    fixture.yoco.allow_scope("business/refunds:write");
    fixture.yoco.need_scope(Some("business/orders:read business/refunds:write"));
    let answer = fixture.client.get(&fixture.orders(), Some(&good)).await;
    let challenge = r#"Bearer error="insufficient_scope", scope="business/orders:read business/refunds:write""#;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.headers[header::WWW_AUTHENTICATE], challenge);
    assert_eq!(fixture.yoco.outcomes(ApiOutcome::Forbidden), 1);
    let (wider, _) = fixture.yoco.mint_tokens().unwrap();
    assert_eq!(fixture.call(&json!(wider)).await, 200);
}

/// A body comes back byte for byte; a path outside is nobody's.
#[tokio::test]
async fn bodies_come_back() {
    let fixture = Fixture::new().await;
    let (token, _) = fixture.yoco.mint_tokens().unwrap();
    let request = Request::post(format!("{}/v1/refunds", fixture.yoco.base_url()))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "text/x-parcel");
    let answer = fixture.client.send(request.body(Full::from("parcel")).unwrap()).await.unwrap();
    assert_eq!((&*answer.body, &answer.headers[header::CONTENT_TYPE]), (&b"parcel"[..], &"text/x-parcel".parse().unwrap()));
    let facts = fixture.client.get(&fixture.orders(), Some(&token)).await.json();
    assert_eq!(facts, json!({ "method": "GET", "path": "/v1/orders" }));
    for path in ["/", "/v1", "/v1/", "/oauth2", "/.well-known/jwks.json/"] {
        let answer = fixture.client.get(&format!("{}{path}", fixture.yoco.base_url()), Some(&token)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}

/// Each lifetime, to the nanosecond, by the emulator's clock.
#[tokio::test]
async fn lifetimes_are_exact() {
    let (fixture, clock) = Fixture::with_clock().await;
    let pass = |lifetime: Duration| {
        let clock = clock.clone();
        clock.advance(lifetime - Duration::from_nanos(1));
        move || clock.advance(Duration::from_nanos(1))
    };
    let tokens = fixture.tokens().await;
    let last = pass(1_209_599 * SECOND);
    assert_eq!(fixture.call(&tokens["access_token"]).await, 200);
    last();
    assert_eq!(fixture.call(&tokens["access_token"]).await, 401);

    let (early, late) = (fixture.code(&[]), fixture.code(&[]));
    let last = pass(600 * SECOND);
    assert_eq!(fixture.redeem(&early, &[]).await.status, StatusCode::OK);
    last();
    assert_eq!(verdict(&fixture.redeem(&late, &[]).await), (400, "invalid_grant".to_owned()));

    fixture.yoco.rotate_refresh_tokens(false);
    fixture.yoco.set_refresh_lifetime(60 * SECOND);
    let (_, refresh) = fixture.yoco.mint_tokens().unwrap();
    let last = pass(60 * SECOND);
    assert_eq!(fixture.refresh(&json!(refresh), &[]).await.status, StatusCode::OK);
    last();
    assert_eq!(verdict(&fixture.refresh(&json!(refresh), &[]).await), (400, "invalid_grant".to_owned()));

    fixture.yoco.set_access_lifetime(Duration::from_millis(1500));
    fixture.yoco.set_code_lifetime(SECOND);
    let code = fixture.code(&[]);
    clock.advance(SECOND);
    assert_eq!(fixture.redeem(&code, &[]).await.status, StatusCode::BAD_REQUEST);
    fixture.yoco.set_code_lifetime(2 * SECOND);
    assert_eq!(fixture.tokens().await["expires_in"], 1.5);
}

/// Each switch that takes something away, and what is left.
#[tokio::test]
async fn tokens_can_be_taken_away() {
    type Switch = fn(&YocoEmulator);
    for (name, switch, access, refresh, code) in [
        ("revoke access", YocoEmulator::revoke_access_tokens as Switch, 401, 200, 200),
        ("revoke all", YocoEmulator::revoke_all, 401, 400, 200),
        ("expire access", YocoEmulator::expire_access_tokens, 401, 200, 200),
        ("expire refresh", YocoEmulator::expire_refresh_tokens, 200, 400, 200),
        ("expire codes", YocoEmulator::expire_codes, 200, 200, 400),
        ("disable", YocoEmulator::disable_client, 200, 401, 401),
        ("disable and enable", |yoco| (yoco.disable_client(), yoco.enable_client()).0, 200, 200, 200),
        ("rotate the secret", |yoco| yoco.rotate_client_secret().unwrap(), 200, 401, 401),
    ] {
        let fixture = Fixture::new().await;
        let ((token, renewal), issued) = (fixture.yoco.mint_tokens().unwrap(), fixture.code(&[]));
        switch(&fixture.yoco);
        assert_eq!(fixture.call(&json!(token)).await, access, "{name}");
        let outcome = match name {
            "expire access" => ApiOutcome::TokenExpired,
            _ if access == 401 => ApiOutcome::TokenRevoked,
            _ => ApiOutcome::Served,
        };
        assert_eq!(fixture.yoco.outcomes(outcome), 1, "{name}");
        assert_eq!(fixture.refresh(&json!(renewal), &[]).await.status, refresh, "{name}");
        assert_eq!(fixture.redeem(&issued, &[]).await.status, code, "{name}");
    }
    let fixture = Fixture::new().await;
    let ((first, refresh), (second, _)) = (fixture.yoco.mint_tokens().unwrap(), fixture.yoco.mint_tokens().unwrap());
    assert!(fixture.yoco.revoke(&refresh) && fixture.yoco.revoke(&second) && !fixture.yoco.revoke("unknown"));
    assert_eq!((fixture.call(&json!(first)).await, fixture.call(&json!(second)).await), (401, 401));

    fixture.yoco.disable_client();
    assert!(fixture.yoco.authorize(&fixture.login_url(&[])).is_err());
}

/// The user says no, consents to less, or is another one; the redirect is tampered with.
#[tokio::test]
async fn the_user_can_be_told_what_to_do() {
    let fixture = Fixture::new().await;
    fixture.yoco.deny(Some("access_denied"));
    let answer = fixture.log_in(&[]);
    assert_eq!((&*answer["error"], &*answer["state"], answer.get("code")), ("access_denied", "the state", None));
    assert_eq!(fixture.log_in(&[("scope", "")])["error"], "invalid_scope");
    fixture.yoco.deny(None);

    fixture.yoco.consent_to(Some("openid business/orders:read"));
    let reply = fixture.tokens().await;
    assert_eq!((&reply["scope"], reply.get("refresh_token")), (&json!("openid business/orders:read"), None));
    fixture.yoco.consent_to(None);

    let before = fixture.tokens().await;
    let first = fixture.yoco.user_id();
    fixture.yoco.switch_user().unwrap();
    let subject = |reply: Value| claims(&reply["id_token"])["sub"].clone();
    let second = subject(fixture.tokens().await);
    assert!(second == fixture.yoco.user_id() && second != first);
    assert_eq!(subject(fixture.refresh(&before["refresh_token"], &[]).await.json()), first);

    assert_eq!(fixture.log_in(&[]).get("iss"), None);
    fixture.yoco.send_issuer(Some(&fixture.yoco.issuer()));
    fixture.yoco.forge_state(Some("forged"));
    let answer = fixture.log_in(&[]);
    assert_eq!((&answer["iss"], &*answer["state"]), (&fixture.yoco.base_url(), "forged"));
    assert_eq!(fixture.log_in(&[("response_type", "token")])["iss"], fixture.yoco.base_url());
    fixture.yoco.send_issuer(Some("https://evil.example"));
    assert_eq!(fixture.log_in(&[])["iss"], "https://evil.example");
    fixture.yoco.send_issuer(None);
    fixture.yoco.forge_state(None);
    let answer = fixture.log_in(&[]);
    assert_eq!((answer.get("iss"), &*answer["state"]), (None, "the state"));
}

/// Each signature: the header, and whether a verifier that trusts the published keys takes it.
#[tokio::test]
async fn id_tokens_are_signed_well_and_badly() {
    let fixture = Fixture::new().await;
    for (signature, algorithm, has_kid, good) in [
        (YocoSignature::Rs256, "RS256", true, true),
        (YocoSignature::Es256, "ES256", true, true),
        (YocoSignature::WithoutKid, "RS256", false, false),
        (YocoSignature::Unsigned, "none", false, false),
        (YocoSignature::PublicKeyAsSecret, "HS256", true, false),
        (YocoSignature::Stranger, "RS256", true, false),
        (YocoSignature::UnknownKey, "RS256", true, false),
    ] {
        fixture.yoco.sign_with(signature).unwrap();
        let reply = fixture.tokens().await;
        let parts: Vec<_> = reply["id_token"].as_str().unwrap().split('.').collect();
        let head: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
        assert_eq!((&head["alg"], head.get("kid").is_some()), (&json!(algorithm), has_kid), "{signature:?}");
        let keys = fixture.keys().await;
        if algorithm != "HS256" {
            assert_eq!(is_signed(&reply["id_token"], &keys), good, "{signature:?}");
        }
        assert_eq!(parts[2].is_empty(), signature == YocoSignature::Unsigned);
        // A forgery is wrong in nothing else, or it would be refused for that.
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        assert_eq!((&claims["sub"], &claims["aud"]), (&json!(fixture.yoco.user_id()), &json!([fixture.id])), "{signature:?}");
        // The stranger borrows a published name, the unknown key has one of its own.
        let named = head["kid"].as_str().is_some_and(|kid| keys.find(kid).is_some());
        assert_eq!(named, has_kid && signature != YocoSignature::UnknownKey, "{signature:?}");
        // Without a kid it is the RSA key that has signed.
        if signature == YocoSignature::WithoutKid {
            let key = keys.keys.iter().find(|key| DecodingKey::from_jwk(key).is_ok()).unwrap();
            let mut validation = Validation::new(Algorithm::RS256);
            validation.validate_aud = false;
            let key = DecodingKey::from_jwk(key).unwrap();
            assert!(jsonwebtoken::decode::<Value>(reply["id_token"].as_str().unwrap(), &key, &validation).is_ok());
        }
    }
}

/// HS256 with the public key as the secret: the forgery is a true one, which a verifier that believes the header takes.
#[tokio::test]
async fn the_confused_algorithm_is_a_true_forgery() {
    let fixture = Fixture::new().await;
    fixture.yoco.sign_with(YocoSignature::PublicKeyAsSecret).unwrap();
    let reply = fixture.tokens().await;
    let keys = fixture.client.bare(Method::GET, &fixture.yoco.keys_url()).await.json();
    let part = |name: &str| URL_SAFE_NO_PAD.decode(keys["keys"][0][name].as_str().unwrap()).unwrap();
    // RSAPublicKey (RFC 8017 appendix A.1.1), in DER: 256 bytes of modulus with a zero before them, 3 of exponent.
    let (modulus, exponent) = (part("n"), part("e"));
    let public = [&[0x30, 0x82, 1, 10, 2, 0x82, 1, 1, 0][..], &modulus, &[2, 3], &exponent].concat();
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_aud = false;
    let key = DecodingKey::from_secret(&public);
    assert!(jsonwebtoken::decode::<Value>(reply["id_token"].as_str().unwrap(), &key, &validation).is_ok());
}

/// OpenID Connect Core 1.0 section 10.1.1: new keys sign, old ones verify until they are retired; ES256 is rotated too.
#[tokio::test]
async fn keys_rotate() {
    let fixture = Fixture::new().await;
    let old = fixture.tokens().await["id_token"].clone();
    let before = fixture.keys().await;
    fixture.yoco.rotate_keys().unwrap();
    let new = fixture.tokens().await["id_token"].clone();
    let between = fixture.keys().await;
    assert!(!is_signed(&new, &before), "a cached set does not have the key");
    assert!(is_signed(&old, &between) && is_signed(&new, &between));
    fixture.yoco.withdraw_former_keys();
    let after = fixture.keys().await;
    assert!(!is_signed(&old, &after) && is_signed(&new, &after));

    fixture.yoco.sign_with(YocoSignature::Es256).unwrap();
    assert_eq!(fixture.keys().await.keys.len(), 2);
    fixture.yoco.rotate_keys().unwrap();
    assert_eq!(fixture.keys().await.keys.len(), 4);
    fixture.yoco.withdraw_former_keys();
    assert!(is_signed(&fixture.tokens().await["id_token"], &fixture.keys().await));
    assert_eq!(fixture.keys().await.keys.len(), 2);
}

/// Claims can be wrong, of another type, or missing; the signature is right all the same.
#[tokio::test]
async fn claims_are_forged() {
    let (fixture, clock) = Fixture::with_clock().await;
    let first = fixture.tokens().await;
    for (claim, value) in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("another")),
        ("nonce", json!("replayed")),
        ("exp", json!("tomorrow")),
        ("sub", json!("somebody else")),
    ] {
        fixture.yoco.forge_claim(claim, &value);
        let reply = fixture.redeem(&fixture.code(&[("nonce", "mine")]), &[]).await.json();
        assert_eq!(claims(&reply["id_token"])[claim], value);
        assert_ne!(claims(&first["id_token"])[claim], value);
        assert!(is_signed(&reply["id_token"], &fixture.keys().await));
    }
    let refreshed = fixture.refresh(&first["refresh_token"], &[]).await.json();
    assert_eq!(claims(&refreshed["id_token"])["sub"], "somebody else", "another subject on a refresh");
    fixture.yoco.omit_claim("sub");
    assert_eq!(claims(&fixture.tokens().await["id_token"]).get("sub"), None);
    fixture.yoco.forge_nothing();
    assert_eq!(claims(&fixture.tokens().await["id_token"])["sub"], fixture.yoco.user_id());

    fixture.yoco.set_id_token_lifetime(Duration::ZERO);
    let expired = claims(&fixture.tokens().await["id_token"]);
    assert_eq!(expired["exp"], expired["iat"]);
    drop(clock);
    fixture.yoco.id_token_on_refresh(false);
    assert_eq!(fixture.refresh(&refreshed["refresh_token"], &[]).await.json().get("id_token"), None);
    assert!(fixture.tokens().await["id_token"].is_string());
}

/// Faults come in the order in which they were told, each so often; what is done and what is not.
#[tokio::test]
async fn the_token_endpoint_fails_on_demand() {
    let fixture = Fixture::new().await;
    let token = fixture.yoco.token_endpoint();
    let down = Fault::status(StatusCode::SERVICE_UNAVAILABLE).shape(ErrorShape::Html).times(2);
    token.inject(down.header(header::RETRY_AFTER, HeaderValue::from(3)));
    token.inject(Fault::without("access_token").times(1));
    let (_, refresh) = fixture.yoco.mint_tokens().unwrap();
    let refresh = json!(refresh);
    for _ in 0..2 {
        let answer = fixture.refresh(&refresh, &[]).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            (&answer.headers["retry-after"], &answer.headers["content-type"]),
            (&"3".parse().unwrap(), &"text/html".parse().unwrap())
        );
    }
    let spoilt = fixture.refresh(&refresh, &[]).await.json();
    assert_eq!(spoilt.get("access_token"), None);
    // The first two did nothing, the third rotated.
    let next = fixture.refresh(&spoilt["refresh_token"], &[]).await.json();
    assert!(next["access_token"].is_string());
    assert_eq!(fixture.yoco.presentations(), [3, 1, 0]);
    assert_eq!((token.answers(StatusCode::SERVICE_UNAVAILABLE), token.answers(StatusCode::OK)), (2, 2));

    token.inject(Fault::repeated("access_token", r#""second""#).times(1));
    let twice = fixture.refresh(&next["refresh_token"], &[]).await;
    assert_eq!(std::str::from_utf8(&twice.body).unwrap().matches(r#""access_token":"#).count(), 2);
    token.inject(Fault::with("expires_in", "soon").times(1));
    let wrong = fixture.refresh(&twice.json()["refresh_token"], &[]).await;
    assert!(std::str::from_utf8(&wrong.body).unwrap().contains(r#""expires_in":soon,"#));

    token.inject(Fault::status(StatusCode::BAD_REQUEST).code("slow_down"));
    let answer = fixture.refresh(&refresh, &[]).await;
    assert_eq!(verdict(&answer), (400, "slow_down".to_owned()));
    token.clear_faults();
    assert_eq!(fixture.redeem(&fixture.code(&[]), &[]).await.status, StatusCode::OK);
}

/// The answer is lost after the request was applied: the rotated token is gone for the client, over both versions of HTTP.
#[tokio::test]
async fn an_answer_can_be_lost() {
    for client in [Client::http1(), Client::http2()] {
        let fixture = Fixture { client, ..Fixture::new().await };
        let (_, refresh) = fixture.yoco.mint_tokens().unwrap();
        let form =
            format!("grant_type=refresh_token&refresh_token={refresh}&client_id={}&client_secret={}", fixture.id, fixture.secret);
        let send = async || {
            let request = Request::post(fixture.yoco.token_url())
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Full::from(form.clone()));
            fixture.client.send(request.unwrap()).await
        };
        fixture.yoco.token_endpoint().inject(Fault::cut().times(1));
        assert!(send().await.is_err());
        assert_eq!(fixture.yoco.tokens_issued(), 1, "nothing was done");
        fixture.yoco.token_endpoint().inject(Fault::lost().times(1));
        assert!(send().await.is_err());
        assert_eq!((fixture.yoco.tokens_issued(), fixture.yoco.token_endpoint().unanswered()), (2, 2));
        assert_eq!(verdict(&send().await.unwrap()), (400, "invalid_grant".to_owned()));
        assert_eq!(fixture.yoco.presentations(), [3, 0]);
    }
}

/// A body that is cut short: the head promises all of it, a part comes, and the connection ends.
#[tokio::test]
async fn a_body_can_be_truncated() {
    let fixture = Fixture::new().await;
    fixture.yoco.keys_endpoint().inject(Fault::truncated(9).times(1));
    let mut stream = TcpStream::connect(fixture.yoco.address()).await.unwrap();
    stream.write_all(b"GET /.well-known/jwks.json HTTP/1.1\r\nhost: yoco\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(body, r#"{"keys":["#);
    let promised = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert!(promised.parse::<usize>().unwrap() > 300, "{promised}");

    fixture.yoco.keys_endpoint().inject(Fault::shortened(9).times(1));
    let clipped = fixture.client.bare(Method::GET, &fixture.yoco.keys_url()).await;
    assert_eq!((clipped.status, &*clipped.body), (StatusCode::OK, &br#"{"keys":["#[..]));
    assert_eq!(fixture.keys().await.keys.len(), 1);
}

/// A limit on the rate, by the clock; calls that are one too many are not acted upon.
#[tokio::test]
async fn calls_are_limited() {
    let (fixture, clock) = Fixture::with_clock().await;
    let token = fixture.yoco.token_endpoint();
    token.announce_retry_after(true);
    token.limit(2, 60 * SECOND);
    let rows = [(0, 200, ""), (20, 200, ""), (0, 429, "40"), (30, 429, "10"), (10, 200, ""), (0, 429, "20"), (20, 200, "")];
    for (pass, status, wait) in rows {
        clock.advance(pass * SECOND);
        let answer = fixture.redeem(&fixture.code(&[]), &[]).await;
        let said = answer.headers.get(header::RETRY_AFTER).map_or("", |value| value.to_str().unwrap());
        assert_eq!((answer.status.as_u16(), said), (status, wait), "{pass}");
    }
    assert_eq!((token.calls(), fixture.yoco.tokens_issued()), (7, 4));
    assert_eq!(fixture.yoco.token_calls("authorization_code"), 7);
    token.unlimit();
    assert_eq!(fixture.redeem(&fixture.code(&[]), &[]).await.status, StatusCode::OK);

    let access = fixture.tokens().await["access_token"].clone();
    fixture.yoco.api().limit(0, SECOND);
    assert_eq!((fixture.call(&access).await, fixture.yoco.outcomes(ApiOutcome::RateLimited)), (429, 1));
}

/// Held calls are acted upon when they are let go, held answers before that.
#[tokio::test]
async fn calls_and_answers_can_be_held() {
    let fixture = Fixture::new().await;
    let token = fixture.yoco.token_endpoint();
    let (code, other) = (fixture.code(&[]), fixture.code(&[]));
    let hold = token.hold();
    let (answer, ()) = tokio::join!(fixture.redeem(&code, &[]), async {
        token.calls_reached(1).await;
        assert_eq!((token.calls(), fixture.yoco.token_calls("authorization_code"), fixture.yoco.tokens_issued()), (1, 0, 0));
        assert!(!fixture.keys().await.keys.is_empty(), "other endpoints go on");
        hold.release();
    });
    assert_eq!(answer.status, StatusCode::OK);

    let hold = token.hold_answers();
    let (answer, ()) = tokio::join!(fixture.redeem(&other, &[]), async {
        token.answers_reached(2).await;
        assert_eq!(fixture.yoco.tokens_issued(), 2);
        fixture.yoco.revoke_all();
        drop(hold);
    });
    assert_eq!(fixture.call(&answer.json()["access_token"]).await, 401);
}

/// Refused connections end without a byte, and come back on the same port; stopping closes it.
#[tokio::test]
async fn it_can_be_unreachable_and_stopped() {
    let fixture = Fixture::new().await;
    let gone = async || {
        let mut stream = TcpStream::connect(fixture.yoco.address()).await.unwrap();
        // A reset is as good as an end.
        stream.read(&mut [0]).await.unwrap_or(0) == 0
    };
    fixture.yoco.refuse_connections(true);
    assert!(gone().await);
    fixture.yoco.refuse_connections(false);
    assert_eq!(fixture.keys().await.keys.len(), 1);
    assert_eq!(fixture.yoco.connections(), 2);
    let address = fixture.yoco.address();
    fixture.yoco.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
}
