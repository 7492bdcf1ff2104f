//! S3, S4, S7: no secret in any `{:?}` or `{}`.

use std::time::Duration;

use http::Request;
use tower::{Layer, ServiceExt, service_fn};
use tower_token::{
    AccessToken, AuthError, BearerAuthLayer, FetchContext, FetchReason, Origins, StaticToken, TokenError, TokenHandle,
    provider::yonne::{ErrorCode, Yonne},
    source_fn,
    testing::YonneEmulator,
};

use crate::support::{API, get, origins};

const CANARY: &str = "canary-secret-0123456789";

/// Neither as it is, nor its first eight characters, nor in base64 or percent-encoding.
#[track_caller]
fn clean(text: &str) {
    for form in [CANARY, &CANARY[..8], "Y2FuYXJ5", "canary%2Dsecret"] {
        assert!(!text.contains(form), "{form} in {text}");
    }
}

#[test]
fn a_token_and_what_holds_it() {
    let token = AccessToken::new(CANARY).unwrap();
    clean(&format!("{token:?} {:#?}", StaticToken::from(token.clone())));
    let handle = TokenHandle::new(StaticToken::new(CANARY).unwrap());
    let layer = BearerAuthLayer::new(origins(), handle.clone());
    clean(&format!("{layer:?} {handle:?} {:?}", TokenHandle::builder(StaticToken::from(token))));
    clean(&format!("{:?}", handle.status()));
    clean(&format!("{:?}", FetchContext::new(FetchReason::First)));
}

#[test]
fn errors_of_bad_input() {
    for bad in [format!("{CANARY}\rx"), format!("{CANARY} x"), format!("ä{CANARY}"), format!("\u{7f}{CANARY}")] {
        let error = AccessToken::new(bad.as_str()).unwrap_err();
        clean(&format!("{error} {error:?}"));
    }
}

#[test]
fn wrapped_errors_are_kept_and_not_shown() {
    for error in [TokenError::transient(CANARY), TokenError::refused(CANARY), TokenError::misconfigured(CANARY)] {
        clean(&format!("{error} {error:?} {:?}", AuthError::<std::io::Error>::Token(error.clone())));
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), CANARY, "the user's error as it is");
        let coded = error.with_code(CANARY);
        clean(&format!("{coded} {coded:?}"));
    }
}

#[test]
fn origins_with_a_password() {
    let error = format!("https://user:{CANARY}@api.example.com").parse::<Origins>().unwrap_err();
    clean(&format!("{error} {error:?}"));
}

#[test]
fn keys_with_the_wrong_prefix() {
    let (key, secret) = (format!("ck_live_{CANARY}"), format!("sk_live_{CANARY}"));
    for (bad_key, bad_secret, named) in
        [(CANARY, &*secret, "ck_live_"), (&*key, CANARY, "sk_live_"), (&*secret, &*key, "swapped"), ("", &*secret, "empty")]
    {
        let error = Yonne::new(bad_key, bad_secret).unwrap_err();
        clean(&format!("{error} {error:?}"));
        assert!(error.to_string().contains(named), "it says what is wrong: {error}");
    }
    clean(&format!("{:?}", Yonne::new(key, secret).unwrap()));
}

#[tokio::test]
async fn a_request_with_the_header_on_and_the_futures_around_it() {
    let echo =
        service_fn(
            |request: Request<String>| async move { Ok::<_, std::io::Error>(http::Response::new(format!("{request:?}"))) },
        );
    let service = BearerAuthLayer::new(origins(), StaticToken::new(CANARY).unwrap()).layer(echo);
    for _ in 0..3 {
        let response = service.clone().oneshot(get(API)).await.unwrap();
        assert!(response.body().contains("authorization"));
        clean(response.body());
    }
}

#[tokio::test]
async fn a_panicking_source() {
    let handle = TokenHandle::new(source_fn(|_| async { panic!("{CANARY}") }));
    let error = handle.token().await.unwrap_err();
    clean(&format!("{error} {error:?} {:?}", handle.status()));
}

/// S4: the vendor's error body is in no error; its code is reachable.
#[tokio::test]
async fn a_vendors_error() {
    let yonne = YonneEmulator::start().await.unwrap();
    yonne.disable();
    let source = Yonne::new(yonne.api_key(), yonne.api_secret()).unwrap().base_url(yonne.base_url()).unwrap();
    let handle = TokenHandle::new(source);
    let error = handle.ready(Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(ErrorCode::of_error(&error), Some(ErrorCode::S2sDisabled));
    let shown = format!("{error} {error:?} {handle:?}");
    for secret in [yonne.api_key(), yonne.api_secret()] {
        assert!(!shown.contains(&secret) && !shown.contains(&secret[8..16]), "{shown}");
    }
}
