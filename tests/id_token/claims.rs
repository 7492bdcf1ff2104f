//! Tokens that pass, and what they say.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use tower_token::{
    ErrorKind, TokenError,
    id_token::{Algorithm, Check, Expected, IdToken, Jwks, Verifier},
    testing::IdTokenKey,
};

use crate::{
    forged::at_hash,
    support::{
        ACCESS_TOKEN, CLIENT, EC, ED, ISSUER, NOW, PSS, RSA, check, claims, clock, expected, header, over, published, verifier,
    },
};

async fn verified(change: Value) -> IdToken {
    verifier().verify(&ED.sign(&claims(change)).unwrap(), expected()).await.unwrap()
}

/// Each algorithm, with its own `at_hash`.
#[tokio::test]
async fn each_algorithm() {
    let all = [Algorithm::Rs384, Algorithm::Rs512, Algorithm::Ps384, Algorithm::Ps512, Algorithm::Es384];
    let more: Vec<IdTokenKey> = all.into_iter().map(|algorithm| IdTokenKey::generate(algorithm).unwrap()).collect();
    for key in [&*RSA, &PSS, &EC, &ED].into_iter().chain(&more) {
        let hash = at_hash(key.algorithm(), ACCESS_TOKEN);
        let token = key.sign(&claims(json!({ "at_hash": hash }))).unwrap();
        let verifier = over(published(&[key.jwk()], clock()));
        let usual = [RSA.kid(), PSS.kid(), EC.kid(), ED.kid()].contains(&key.kid());
        let outcome = verifier.verify(&token, expected()).await;
        assert_eq!(check(&outcome), (!usual).then_some(Check::Algorithm), "{}", key.algorithm());

        let verifier = verifier.algorithms([key.algorithm()]);
        assert_eq!(check(&verifier.verify(&token, expected()).await), None, "{}", key.algorithm());
        let outcome = verifier.verify(&token, expected().access_token("another")).await;
        assert_eq!(check(&outcome), Some(Check::AccessTokenHash), "{}", key.algorithm());
        assert_eq!(check(&verifier.algorithms([]).verify(&token, expected()).await), Some(Check::Algorithm));
    }
}

/// A key that names no algorithm takes each of its kind; `Ed25519` is the new name of `EdDSA` (RFC 9864).
#[tokio::test]
async fn headers_that_pass() {
    let bare = |key: &IdTokenKey| {
        let mut jwk = key.jwk();
        jwk.as_object_mut().unwrap().remove("alg");
        jwk
    };
    let verifier = over(published(&[bare(&RSA), bare(&PSS), bare(&EC), bare(&ED)], clock()));
    for (key, header) in [
        (&*RSA, header(&RSA, json!({}))),
        (&PSS, header(&PSS, json!({}))),
        (&ED, header(&ED, json!({ "alg": "Ed25519" }))),
        (&ED, header(&ED, json!({ "typ": "jwt" }))),
        (&ED, header(&ED, json!({ "typ": "application/JWT", "b64": true }))),
        (&ED, header(&ED, json!({ "jku": "http://127.0.0.1:9/", "jwk": EC.jwk(), "x5c": ["x"], "x5u": 1, "cty": "JWT" }))),
        (&ED, json!({ "alg": "EdDSA" })),
        (&EC, json!({ "alg": "ES256" })),
    ] {
        let token = key.sign_raw(header.to_string(), claims(json!({})).to_string()).unwrap();
        assert_eq!(check(&verifier.verify(&token, expected()).await), None, "{header}");
    }
}

/// V2, V4, V5: audiences, dates with fractions, and the edges of the leeway.
#[tokio::test]
async fn claims_that_pass() {
    let verifier = verifier();
    for change in [
        json!({}),
        json!({ "aud": [CLIENT] }),
        json!({ "aud": [CLIENT, CLIENT] }),
        json!({ "azp": CLIENT }),
        json!({ "aud": ["other", CLIENT], "azp": CLIENT }),
        json!({ "exp": NOW as f64 + 0.5 }),
        json!({ "exp": 1.9e9 }),
        json!({ "exp": NOW - 59 }),
        json!({ "exp": NOW as f64 - 59.5 }),
        json!({ "exp": 253_402_300_799_u64 }),
        json!({ "iat": NOW + 60 }),
        json!({ "iat": NOW as f64 + 0.25 }),
        json!({ "iat": 0 }),
        json!({ "nbf": NOW + 60 }),
        json!({ "nbf": 0 }),
        json!({ "auth_time": NOW + 60 }),
        json!({ "auth_time": 0.5 }),
        json!({ "at_hash": at_hash(Algorithm::EdDsa, ACCESS_TOKEN) }),
        json!({ "acr": 1, "amr": "pwd", "email_verified": "true", "address": { "country": "ZA" } }),
    ] {
        let token = ED.sign(&claims(change.clone())).unwrap();
        assert_eq!(check(&verifier.verify(&token, expected()).await), None, "{change}");
    }
}

/// The leeway is one for all dates, and may be none.
#[tokio::test]
async fn without_a_leeway() {
    let verifier = verifier().leeway(Duration::ZERO);
    for (change, failed) in [
        (json!({ "exp": NOW }), Some(Check::Expiry)),
        (json!({ "exp": NOW as f64 + 0.5 }), None),
        (json!({ "iat": NOW as f64 + 0.5 }), Some(Check::IssuedAt)),
        (json!({ "nbf": NOW as f64 + 0.5 }), Some(Check::NotBefore)),
        (json!({ "auth_time": NOW as f64 + 0.5 }), Some(Check::AuthTime)),
        (json!({ "iat": NOW, "nbf": NOW, "auth_time": NOW }), None),
    ] {
        let token = ED.sign(&claims(change.clone())).unwrap();
        assert_eq!(check(&verifier.verify(&token, expected()).await), failed, "{change}");
    }
}

/// V5: a nonce that was not sent, and an access token that is not there, are not asked for.
#[tokio::test]
async fn what_is_not_expected_is_not_asked_for() {
    let verifier = verifier();
    let token = ED.sign(&claims(json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" }))).unwrap();
    assert_eq!(check(&verifier.verify(&token, Expected::new()).await), None);
    let token = ED.sign(&claims(json!({ "nonce": null }))).unwrap();
    assert_eq!(check(&verifier.verify(&token, Expected::new().access_token(ACCESS_TOKEN)).await), None);
    assert_eq!(check(&verifier.verify(&token, Expected::new().nonce("")).await), Some(Check::Nonce));
}

/// The claims that every token has, and the program's own.
#[tokio::test]
async fn what_a_token_says() {
    #[derive(serde::Deserialize)]
    struct Merchant<'a> {
        user_email: &'a str,
        business_ids: Vec<u32>,
    }
    #[derive(Debug, serde::Deserialize)]
    struct Other {
        #[expect(dead_code, reason = "it is never there")]
        user_email: u32,
    }
    let token = verified(json!({ "auth_time": 0.5, "azp": CLIENT, "aud": [CLIENT, "b"], "business_ids": [1, 2] })).await;
    assert_eq!((token.issuer(), token.subject(), token.authorized_party()), (ISSUER, "user-CANARY", Some(CLIENT)));
    assert_eq!(token.audience(), [CLIENT, "b"]);
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    assert_eq!((token.issued_at(), token.expires_at()), (at(NOW), at(NOW + 300)));
    assert_eq!(token.auth_time(), Some(UNIX_EPOCH + Duration::from_millis(500)));

    let merchant: Merchant<'_> = token.claims().unwrap();
    assert_eq!((merchant.user_email, merchant.business_ids), ("CANARY@person.test", vec![1, 2]));
    let error = token.claims::<Other>().unwrap_err();
    assert_eq!(error.check(), Check::OwnClaims);
    assert!(!format!("{error} {error:?}").contains("CANARY"));

    // Personal data, and whatever else belongs to one login, is not for logs.
    let shown = format!("{token:?} {:?} {:?}", expected(), verifier());
    assert!(!shown.contains("CANARY"), "{shown}");
}

/// V6: after a refresh, the same person at the same issuer for the same client.
#[tokio::test]
async fn the_same_login() {
    let first = verified(json!({ "aud": [CLIENT, "b"], "azp": CLIENT })).await;
    for (change, same) in [
        (json!({ "aud": [CLIENT, "b"], "azp": CLIENT }), true),
        (json!({ "aud": ["b", CLIENT, "b"], "azp": CLIENT, "iat": NOW + 9, "exp": NOW + 900, "auth_time": 5 }), true),
        (json!({ "aud": [CLIENT, "b"], "azp": CLIENT, "nonce": null }), true),
        (json!({ "aud": [CLIENT, "b"], "azp": CLIENT, "sub": "user-canary" }), false),
        (json!({ "aud": [CLIENT], "azp": CLIENT }), false),
        (json!({ "aud": [CLIENT, "b", "c"], "azp": CLIENT }), false),
        (json!({ "aud": [CLIENT, "c"], "azp": CLIENT }), false),
        (json!({ "aud": CLIENT }), false),
        (json!({ "aud": [CLIENT, "b"], "azp": CLIENT, "nonce": "another" }), false),
    ] {
        let token = ED.sign(&claims(change.clone())).unwrap();
        let new = verifier().verify(&token, Expected::new()).await.unwrap();
        let outcome = first.same_login(&new);
        assert_eq!(outcome.as_ref().err().map(|error| error.check()), (!same).then_some(Check::SameLogin), "{change}");
        if let Err(error) = outcome {
            assert_eq!(TokenError::from(error).kind(), ErrorKind::Refused);
        }
    }
    let only = verified(json!({})).await;
    for change in [json!({ "azp": CLIENT }), json!({ "iss": "https://other.test" })] {
        let keys = published(&[ED.jwk()], clock());
        let issuer = change["iss"].as_str().unwrap_or(ISSUER);
        let token = ED.sign(&claims(change.clone())).unwrap();
        let new = Verifier::new(keys, issuer, CLIENT).unwrap().verify(&token, Expected::new()).await.unwrap();
        assert!(only.same_login(&new).is_err(), "{change}");
    }
    // And not the other way round: the first login had no nonce that could have been sent back.
    let bare = verifier().verify(&ED.sign(&claims(json!({ "nonce": null }))).unwrap(), Expected::new()).await.unwrap();
    assert!(bare.same_login(&only).is_err() && only.same_login(&bare).is_ok());
}

#[test]
fn a_verifier_has_an_issuer_and_a_client() {
    let keys = || Jwks::new("https://issuer.test/jwks").unwrap();
    for (issuer, client, text) in
        [("", CLIENT, "the issuer of the id_tokens is empty"), (ISSUER, "", "the client id of the id_tokens is empty")]
    {
        let error = Verifier::new(keys(), issuer, client).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Misconfigured, text));
    }
}
