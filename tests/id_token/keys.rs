//! The keys of an issuer, over real sockets: rotation, outages, floods, hostile sets.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use tower::service_fn;
use tower_token::{
    ErrorKind, TokenError,
    id_token::{Algorithm, Check, IdTokenError, Jwks, Verifier},
    testing::{IdTokenKey, ManualClock, ScriptedReply, ScriptedServer},
};

use crate::support::{ED, RSA, check, claims, clock, expected, header, over, shows_nothing};

const COOL_DOWN: Duration = Duration::from_secs(30);
const MAX_AGE: Duration = Duration::from_secs(3600);

/// An issuer whose answer can be changed.
struct Issuer {
    server: ScriptedServer,
    reply: Arc<Mutex<ScriptedReply>>,
    clock: ManualClock,
    verifier: Verifier,
}

impl Issuer {
    async fn start(reply: ScriptedReply) -> Issuer {
        let reply = Arc::new(Mutex::new(reply));
        let current = Arc::clone(&reply);
        let server = ScriptedServer::start_with(move |_| current.lock().unwrap().clone()).await.unwrap();
        let clock = clock();
        let keys = Jwks::new(format!("{}/jwks?tenant=CANARY", server.base_url())).unwrap().clock(clock.clone());
        Issuer { server, reply, clock, verifier: over(keys) }
    }

    async fn with(keys: &Value) -> Issuer {
        Issuer::start(ScriptedReply::json(200, keys)).await
    }

    fn answers(&self, reply: ScriptedReply) {
        *self.reply.lock().unwrap() = reply;
    }

    fn requests(&self) -> usize {
        self.server.requests().len()
    }

    async fn check(&self, token: &str) -> Option<Check> {
        check(&self.verifier.verify(token, expected()).await)
    }

    /// The error of a first fetch.
    async fn failure(&self) -> TokenError {
        let error = self.verifier.verify(&fresh(&ED), expected()).await.unwrap_err();
        assert_eq!(error.check(), Check::Keys);
        shows_nothing(&error);
        error.into()
    }
}

/// A token that does not expire while a test moves the clock.
fn fresh(key: &IdTokenKey) -> String {
    key.sign(&claims(json!({ "exp": 4_000_000_000_u32 }))).unwrap()
}

fn unknown(kid: &str) -> String {
    ED.sign_raw(header(&ED, json!({ "kid": kid })).to_string(), "{}").unwrap()
}

/// V7: an unknown `kid` brings the new keys, once a cool-down; what is withdrawn is believed for an hour at most.
#[tokio::test]
async fn rotation() {
    let mut key = IdTokenKey::generate(Algorithm::Es256).unwrap();
    let issuer = Issuer::with(&key.jwk_set()).await;
    let former = fresh(&key);
    for _ in 0..3 {
        assert_eq!(issuer.check(&former).await, None);
    }
    assert_eq!(issuer.requests(), 1);
    let request = issuer.server.requests().remove(0);
    assert_eq!((request.method.as_str(), request.path.as_str(), request.body.len()), ("GET", "/jwks?tenant=CANARY", 0));
    assert_eq!(request.headers["accept"], "application/jwk-set+json, application/json");

    key.rotate().unwrap();
    issuer.answers(ScriptedReply::json(200, key.jwk_set()));
    let current = fresh(&key);
    issuer.clock.advance(COOL_DOWN - Duration::from_millis(1));
    assert_eq!((issuer.check(&current).await, issuer.requests()), (Some(Check::Key), 1));
    issuer.clock.advance(Duration::from_millis(1));
    assert_eq!((issuer.check(&current).await, issuer.requests()), (None, 2));
    assert_eq!((issuer.check(&former).await, issuer.requests()), (None, 2));

    key.withdraw_former();
    issuer.answers(ScriptedReply::json(200, key.jwk_set()));
    issuer.clock.advance(MAX_AGE - Duration::from_millis(1));
    assert_eq!((issuer.check(&former).await, issuer.requests()), (None, 2));
    issuer.clock.advance(Duration::from_millis(1));
    assert_eq!((issuer.check(&former).await, issuer.requests()), (Some(Check::Key), 3));
    assert_eq!((issuer.check(&current).await, issuer.requests()), (None, 3));
}

/// A machine that was asleep has old keys too: the wall clock says so.
#[tokio::test]
async fn keys_age_while_the_machine_sleeps() {
    let issuer = Issuer::with(&ED.jwk_set()).await;
    assert_eq!(issuer.check(&fresh(&ED)).await, None);
    issuer.clock.advance(COOL_DOWN);
    issuer.clock.suspend(MAX_AGE);
    assert_eq!((issuer.check(&fresh(&ED)).await, issuer.requests()), (None, 2));
}

/// V7: keys serve on while they cannot be fetched, however old; the cool-down counts from each attempt.
#[tokio::test]
async fn a_failed_fetch_keeps_the_keys() {
    let issuer = Issuer::with(&ED.jwk_set()).await;
    assert_eq!(issuer.check(&fresh(&ED)).await, None);
    let mut requests = 1;
    for broken in [
        ScriptedReply::new(503, "<html>"),
        ScriptedReply::new(404, ""),
        ScriptedReply::new(200, "<html>"),
        ScriptedReply::json(200, "{}"),
        ScriptedReply::truncated(200, r#"{"keys":[]}"#, 5),
        ScriptedReply::raw("nonsense"),
        ScriptedReply::close(),
        ScriptedReply::new(302, "").header("location", "/elsewhere"),
    ] {
        issuer.answers(broken.clone());
        issuer.clock.advance(COOL_DOWN);
        assert_eq!(issuer.check(&unknown("other")).await, Some(Check::Key), "{broken:?}");
        requests += 1;
        assert_eq!(issuer.check(&fresh(&ED)).await, None, "{broken:?}");
        assert_eq!(issuer.check(&unknown("other")).await, Some(Check::Key), "{broken:?}");
        assert_eq!(issuer.requests(), requests, "{broken:?}");
    }
    issuer.clock.advance(MAX_AGE * 24 * 7);
    for _ in 0..2 {
        assert_eq!(issuer.check(&fresh(&ED)).await, None);
    }
    assert_eq!(issuer.requests(), requests + 1);
}

/// V7: with no keys at all, callers share the error of the attempt until the cool-down is over.
#[tokio::test]
async fn a_first_fetch_that_fails() {
    let issuer = Issuer::start(ScriptedReply::new(503, "CANARY")).await;
    for _ in 0..3 {
        let error = issuer.failure().await;
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::Transient, "the issuer's key set could not be fetched (503)")
        );
    }
    assert_eq!(issuer.requests(), 1);
    issuer.answers(ScriptedReply::json(200, ED.jwk_set()));
    issuer.clock.advance(COOL_DOWN);
    assert_eq!(issuer.check(&fresh(&ED)).await, None);
}

/// V7: a fetch that hangs ends with the transport's timeout, and holds up nobody whose key is there.
#[tokio::test]
async fn a_fetch_that_hangs() {
    let issuer = Issuer::with(&ED.jwk_set()).await;
    assert_eq!(issuer.check(&fresh(&ED)).await, None);
    issuer.answers(ScriptedReply::hang());
    issuer.clock.advance(COOL_DOWN);
    let verifier = issuer.verifier.clone();
    let waiting = tokio::spawn(async move { check(&verifier.verify(&unknown("other"), expected()).await) });
    issuer.server.requests_reached(2).await;
    assert_eq!(issuer.check(&fresh(&ED)).await, None);

    issuer.clock.until_sleeping(1).await;
    issuer.clock.advance(Duration::from_secs(15));
    assert_eq!(waiting.await.unwrap(), Some(Check::Key));
    assert_eq!(issuer.check(&fresh(&ED)).await, None);
}

/// V7: one fetch for all who wait; who goes away, even the one that began it, changes nothing for the others.
#[tokio::test]
async fn single_flight() {
    let issuer = Issuer::with(&ED.jwk_set()).await;
    let hold = issuer.server.hold();
    let spawn = || {
        let verifier = issuer.verifier.clone();
        tokio::spawn(async move { check(&verifier.verify(&fresh(&ED), expected()).await) })
    };
    let first = spawn();
    issuer.server.requests_reached(1).await;
    let others: Vec<_> = (0..50).map(|_| spawn()).collect();
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    // They all wait: whoever is not cancelled has nothing else to be woken by than the end of the fetch.
    tokio::task::yield_now().await;
    hold.release();
    for other in others {
        assert_eq!(other.await.unwrap(), None);
    }
    assert_eq!(issuer.requests(), 1);
}

/// V7: all of them gone, the fetch still ends well.
#[tokio::test]
async fn a_fetch_that_nobody_waits_for() {
    let issuer = Issuer::with(&ED.jwk_set()).await;
    let hold = issuer.server.hold();
    let verifier = issuer.verifier.clone();
    let only = tokio::spawn(async move { check(&verifier.verify(&fresh(&ED), expected()).await) });
    issuer.server.requests_reached(1).await;
    only.abort();
    assert!(only.await.unwrap_err().is_cancelled());
    hold.release();
    assert_eq!((issuer.check(&fresh(&ED)).await, issuer.requests()), (None, 1));
}

/// V8: a flood of unknown `kid`s costs a fetch per cool-down, and holds up no good one.
#[tokio::test]
async fn a_flood_of_kids() {
    let issuer = Issuer::with(&ED.jwk_set()).await;
    let good = fresh(&ED);
    let kid = ED.kid();
    assert_eq!(issuer.check(&good).await, None);
    for number in 0..100_000_u32 {
        // One cool-down passes in the middle of it.
        if number == 50_000 {
            issuer.clock.advance(COOL_DOWN);
        }
        let head = base64::Engine::encode(
            &base64::engine::general_purpose::URL_SAFE_NO_PAD,
            format!(r#"{{"alg":"EdDSA","kid":"{kid}{number}"}}"#),
        );
        assert_eq!(issuer.check(&format!("{head}.e30.AA")).await, Some(Check::Key));
        if number % 1000 == 0 {
            assert_eq!(issuer.check(&good).await, None);
        }
    }
    assert_eq!(issuer.requests(), 2);
}

/// V10: a hostile set takes nothing from the good key in it.
#[tokio::test]
async fn hostile_keys() {
    let good = RSA.jwk();
    let with = |change: Value| {
        let mut key = good.clone();
        key["kid"] = "bad".into();
        key.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        key
    };
    let short = |bytes: usize| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, vec![0xff; bytes]);
    for bad in [
        with(json!({ "n": short(64) })),
        with(json!({ "n": short(128) })),
        with(json!({ "e": "AQ" })),
        with(json!({ "use": "enc" })),
        with(json!({ "key_ops": ["encrypt"] })),
        with(json!({ "alg": "RSA-OAEP" })),
        with(json!({ "alg": "HS256" })),
        with(json!({ "d": "AQAB" })),
        with(json!({ "kty": "oct", "k": "AQAB" })),
        with(json!({ "kty": "unheard of" })),
        with(json!({ "kid": 7 })),
    ] {
        let issuer = Issuer::with(&json!({ "keys": [bad, 1, null, good] })).await;
        let token = RSA.sign_raw(header(&RSA, json!({ "kid": "bad" })).to_string(), claims(json!({})).to_string()).unwrap();
        assert_eq!(issuer.check(&token).await, Some(Check::Key), "{bad}");
        assert_eq!(issuer.check(&fresh(&RSA)).await, None, "{bad}");
    }

    // A second key under the good one's name does not take its place; nor does a first one that will not do.
    let twin = IdTokenKey::generate(Algorithm::Rs256).unwrap();
    let mut second = twin.jwk();
    second["kid"] = RSA.kid().into();
    let issuer = Issuer::with(&json!({ "keys": [with(json!({ "kid": RSA.kid(), "use": "enc" })), good, second] })).await;
    assert_eq!(issuer.check(&fresh(&RSA)).await, None);
    let other = twin.sign_raw(header(&RSA, json!({})).to_string(), claims(json!({})).to_string()).unwrap();
    assert_eq!(issuer.check(&other).await, Some(Check::Signature));

    // A key without a name is meant by a token without one, and by no other.
    let mut unnamed = good.clone();
    unnamed.as_object_mut().unwrap().remove("kid");
    let issuer = Issuer::with(&json!({ "keys": [unnamed] })).await;
    let token = RSA.sign_raw(r#"{"alg":"RS256"}"#, claims(json!({})).to_string()).unwrap();
    assert_eq!((issuer.check(&token).await, issuer.check(&fresh(&RSA)).await), (None, Some(Check::Key)));
}

/// G5, G6, V10: sets that are none, or too much; and the kind of each failure.
#[tokio::test]
async fn hostile_sets() {
    use ErrorKind::{Misconfigured, Transient};
    let many = |count: usize| json!({ "keys": vec![json!({}); count] });
    for (reply, kind, text) in [
        (ScriptedReply::json(200, many(10_000)), Transient, "the issuer's key set has more than 100 keys"),
        (ScriptedReply::json(200, many(101)), Transient, "the issuer's key set has more than 100 keys"),
        (ScriptedReply::new(200, vec![b' '; (256 << 10) + 1]), Transient, "the issuer's key set is larger than 256 KiB"),
        (ScriptedReply::endless(200, vec![b' '; 4096]), Transient, "the issuer's key set could not be fetched"),
        (ScriptedReply::new(200, "CANARY"), Transient, "the issuer's key set is not a JSON object with unique members"),
        (ScriptedReply::json(200, r#"{"keys":"CANARY"}"#), Transient, "the issuer's key set has no list of `keys`"),
        (ScriptedReply::close(), Transient, "the issuer's key set could not be fetched"),
        (ScriptedReply::new(302, ""), Misconfigured, "the issuer's key set is elsewhere (302); redirects are never followed"),
    ] {
        let issuer = Issuer::start(reply.clone()).await;
        let error = issuer.failure().await;
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, text), "{reply:?}");
    }
    // A set with nothing in it is a set: it ends what was there before, and no token is anybody's.
    let issuer = Issuer::with(&RSA.jwk_set()).await;
    assert_eq!(issuer.check(&fresh(&RSA)).await, None);
    issuer.answers(ScriptedReply::json(200, json!({ "keys": [] })));
    issuer.clock.advance(MAX_AGE);
    assert_eq!(issuer.check(&fresh(&RSA)).await, Some(Check::Key));
}

/// G6: whoever answers for the issuer's URL does not get to name another one.
#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = ScriptedServer::start([ScriptedReply::json(200, ED.jwk_set())]).await.unwrap();
    for status in [301, 302, 303, 307, 308] {
        let issuer = Issuer::start(ScriptedReply::new(status, "").header("location", elsewhere.base_url())).await;
        assert_eq!(issuer.failure().await.kind(), ErrorKind::Misconfigured, "{status}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

/// G6: keys come by https, or from loopback.
#[test]
fn where_keys_may_come_from() {
    for good in ["https://issuer.test/jwks", "http://127.0.0.1:1/jwks?x=1", "http://[::1]/"] {
        assert!(Jwks::new(good).is_ok(), "{good}");
    }
    for (bad, text) in [
        ("http://issuer.test/jwks", "the URL of the issuer's keys must be https; plain http is for loopback alone"),
        ("https://u:CANARY@issuer.test/", "the URL of the issuer's keys has user info: leave out what is before the `@`"),
        ("https://issuer.test/#CANARY", "the URL of the issuer's keys must not have a fragment"),
        ("jwks.json", "the URL of the issuer's keys must be absolute, as https://host/path"),
    ] {
        let error = Jwks::new(bad).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Misconfigured, text));
    }
    // S5.
    let shown = format!("{:?}", Jwks::new("https://issuer.test/jwks?tenant=CANARY").unwrap());
    assert_eq!(shown, "Jwks { url: \"https://issuer.test/jwks\", keys: 0, .. }");
}

/// E6: a transport that panics costs an attempt, not the cache.
#[tokio::test]
async fn a_fetch_that_panics() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let service = service_fn(move |_: Request<Full<Bytes>>| {
        let call = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            assert_ne!(call, 0, "on purpose");
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(ED.jwk_set().to_string()))))
        }
    });
    let clock = clock();
    let verifier = over(Jwks::over(service, "https://issuer.test/jwks").unwrap().clock(clock.clone()));
    for _ in 0..2 {
        let error: TokenError = verifier.verify(&fresh(&ED), expected()).await.unwrap_err().into();
        assert_eq!(error.to_string(), "the fetch of the issuer's key set was abandoned");
    }
    clock.advance(COOL_DOWN);
    assert_eq!(check(&verifier.verify(&fresh(&ED), expected()).await), None);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

/// L2, L3: without a runtime there is an error, and nothing has cooled down; with keys at hand none is needed.
#[test]
fn outside_a_runtime() {
    let clock = clock();
    let verifier = over(crate::support::published(&[ED.jwk()], clock.clone()));
    let outside = || futures::executor::block_on(verifier.verify(&fresh(&ED), expected()));
    let error = outside().unwrap_err();
    assert_eq!((error.check(), TokenError::from(error).kind()), (Check::Keys, ErrorKind::Misconfigured));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(check(&runtime.block_on(verifier.verify(&fresh(&ED), expected()))), None);
    drop(runtime);
    assert_eq!(check(&outside()), None);
    // Old keys, and nobody to fetch new ones: they serve.
    clock.advance(MAX_AGE);
    assert_eq!(check(&outside()), None);
}

/// L3: the runtime of a fetch goes away in the middle of it; the next one, on another, is not held up by what it left.
#[test]
fn a_runtime_that_goes_away() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let service = service_fn(move |_: Request<Full<Bytes>>| {
        let call = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            if call == 0 {
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(ED.jwk_set().to_string()))))
        }
    });
    let clock = clock();
    let verifier = over(Jwks::over(service, "https://issuer.test/jwks").unwrap().clock(clock.clone()));
    let first = runtime();
    first.block_on(async {
        let (verifier, sleeper) = (verifier.clone(), clock.clone());
        let _waiting = tokio::spawn(async move { verifier.verify(&fresh(&ED), expected()).await.is_ok() });
        sleeper.until_sleeping(1).await;
    });
    drop(first);

    let second = runtime();
    let outcome = second.block_on(verifier.verify(&fresh(&ED), expected()));
    assert_eq!(outcome.as_ref().err().map(IdTokenError::check), Some(Check::Keys));
    clock.advance(COOL_DOWN);
    assert_eq!(check(&second.block_on(verifier.verify(&fresh(&ED), expected()))), None);
}

fn shared<T: Send + Sync + Clone + 'static>() {}

/// What is shared between threads can be, and its futures can be spawned.
#[test]
fn auto_traits() {
    fn sent<T: Send>(_: T) {}
    shared::<Jwks>();
    shared::<Verifier>();
    shared::<IdTokenError>();
    shared::<tower_token::id_token::IdToken>();
    let verifier = crate::support::verifier();
    sent(verifier.verify("", expected()));
}
