use std::{
    convert::Infallible,
    sync::{Arc, LazyLock},
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use tower::service_fn;
use tower_token::{
    clock::Clock,
    id_token::{Algorithm, Check, Expected, IdToken, IdTokenError, Jwks, Verifier},
    testing::{IdTokenKey, ManualClock},
};

pub(crate) const ISSUER: &str = "https://issuer.test";
pub(crate) const CLIENT: &str = "client-1";
pub(crate) const NONCE: &str = "n-CANARY";
pub(crate) const ACCESS_TOKEN: &str = "access-CANARY";

/// When everything happens.
pub(crate) const NOW: u64 = 1_800_000_000;

/// RSA keys take their time, so one of each kind serves all tests.
pub(crate) static RSA: LazyLock<IdTokenKey> = LazyLock::new(|| IdTokenKey::generate(Algorithm::Rs256).unwrap());
pub(crate) static PSS: LazyLock<IdTokenKey> = LazyLock::new(|| IdTokenKey::generate(Algorithm::Ps256).unwrap());
pub(crate) static EC: LazyLock<IdTokenKey> = LazyLock::new(|| IdTokenKey::generate(Algorithm::Es256).unwrap());
pub(crate) static ED: LazyLock<IdTokenKey> = LazyLock::new(|| IdTokenKey::generate(Algorithm::EdDsa).unwrap());

pub(crate) fn clock() -> ManualClock {
    let clock = ManualClock::new();
    clock.set_wall(UNIX_EPOCH + Duration::from_secs(NOW));
    clock
}

/// Keys that come without a network.
pub(crate) fn published(keys: &[Value], clock: impl Clock) -> Jwks {
    let body = Arc::new(Bytes::from(json!({ "keys": keys }).to_string()));
    let service = service_fn(move |_: Request<Full<Bytes>>| {
        let body = Bytes::clone(&body);
        async move { Ok::<_, Infallible>(Response::new(Full::new(body))) }
    });
    Jwks::over(service, "https://issuer.test/jwks").unwrap().clock(clock)
}

pub(crate) fn over(keys: Jwks) -> Verifier {
    Verifier::new(keys, ISSUER, CLIENT).unwrap()
}

/// The issuer with its four keys.
pub(crate) fn verifier() -> Verifier {
    over(published(&[RSA.jwk(), PSS.jwk(), EC.jwk(), ED.jwk()], clock()))
}

pub(crate) fn expected() -> Expected<'static> {
    Expected::new().nonce(NONCE).access_token(ACCESS_TOKEN)
}

/// Good claims, with these members put in, or taken out where they are `Null`.
pub(crate) fn claims(change: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": CLIENT, "sub": "user-CANARY", "iat": NOW, "exp": NOW + 300, "nonce": NONCE,
        "user_email": "CANARY@person.test",
    });
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

pub(crate) fn header(key: &IdTokenKey, change: Value) -> Value {
    let mut header = json!({ "alg": key.algorithm().name(), "kid": key.kid(), "typ": "JWT" });
    for (name, value) in change.as_object().unwrap() {
        header[name] = value.clone();
    }
    header
}

pub(crate) fn check(outcome: &Result<IdToken, IdTokenError>) -> Option<Check> {
    outcome.as_ref().err().map(IdTokenError::check)
}

/// S3, S4: whatever is said of a token, nothing of it is shown.
pub(crate) fn shows_nothing(error: &IdTokenError) {
    let whole = tower_token::TokenError::from(error.clone());
    let shown = format!("{error} {error:?} {whole} {whole:?} {:?}", std::error::Error::source(&whole).map(ToString::to_string));
    assert!(!shown.contains("CANARY") && !shown.contains("eyJ") && !shown.contains("issuer.test"), "{shown}");
}
