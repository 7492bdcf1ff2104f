//! Tokens that must not pass, each with the check that stops it.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower_token::{
    id_token::{Algorithm, Check, Expected},
    testing::IdTokenKey,
};

use crate::support::{
    ACCESS_TOKEN, CLIENT, EC, ED, ISSUER, NONCE, NOW, PSS, RSA, check, claims, clock, expected, header, over, published,
    shows_nothing, verifier,
};

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token over good claims, with a header of its own and the signature of this key.
fn headed(key: &IdTokenKey, header: &Value) -> String {
    key.sign_raw(header.to_string(), claims(json!({})).to_string()).unwrap()
}

/// A good token's parts.
fn parts(key: &IdTokenKey) -> [String; 3] {
    let token = key.sign(&claims(json!({}))).unwrap();
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

/// A token signed with HS256 and a secret that everybody knows.
fn hmac(header: &Value, secret: &[u8]) -> String {
    let message = format!("{}.{}", base64(header.to_string()), base64(claims(json!({})).to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", base64(tag))
}

/// V1, V9, V11, V12: form, header, key and signature.
fn forged_envelopes() -> Vec<(&'static str, String, Check)> {
    let good = RSA.sign(&claims(json!({}))).unwrap();
    let [head, body, signature] = parts(&RSA);
    let other_body = base64(claims(json!({ "sub": "admin" })).to_string());
    let jwk = RSA.jwk();
    let n = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    let foreign = IdTokenKey::generate(Algorithm::Es256).unwrap();
    let with = |change| header(&RSA, change);
    let der = |r: &[u8], s: &[u8]| [&[0x30, (r.len() + s.len() + 4) as u8, 2, r.len() as u8], r, &[2, s.len() as u8], s].concat();
    let [ec_head, ec_body, ec_signature] = parts(&EC);
    let ec_raw = URL_SAFE_NO_PAD.decode(&ec_signature).unwrap();
    let (r, s) = ec_raw.split_at(32);
    vec![
        ("empty", String::new(), Check::Form),
        ("one part", head.clone(), Check::Form),
        ("two parts", format!("{head}.{body}"), Check::Form),
        ("four parts", format!("{good}.{signature}"), Check::Form),
        ("six parts", format!("{good}.{good}"), Check::Form),
        ("five parts: a JWE", format!("{good}.{head}.{body}"), Check::Encryption),
        ("huge", format!("{head}.{}.{signature}", "A".repeat(1 << 20)), Check::Length),
        ("padding", format!("{head}.{body}.{signature}=="), Check::Form),
        ("standard base64", format!("{head}.{body}.{}+/", &signature[2..]), Check::Form),
        ("trailing bits", format!("{head}.{body}.{}", bump(&signature)), Check::Form),
        ("a blank at the end", format!("{good} "), Check::Form),
        ("a line break inside", format!("{head}.\n{body}.{signature}"), Check::Form),
        ("not ASCII", format!("{head}.{body}\u{e9}.{signature}"), Check::Form),
        ("header is no JSON", RSA.sign_raw("alg=RS256", "{}").unwrap(), Check::Header),
        ("header is not UTF-8", RSA.sign_raw(b"{\"alg\":\"RS256\",\"x\":\"\xff\"}", "{}").unwrap(), Check::Header),
        ("header is a list", RSA.sign_raw(r#"["RS256"]"#, "{}").unwrap(), Check::Header),
        ("header is empty", format!(".{body}.{signature}"), Check::Header),
        ("alg twice", RSA.sign_raw(r#"{"alg":"none","alg":"RS256"}"#, "{}").unwrap(), Check::Header),
        ("alg twice, escaped", RSA.sign_raw(r#"{"alg":"none","\u0061lg":"RS256"}"#, "{}").unwrap(), Check::Header),
        ("kid is a number", headed(&RSA, &with(json!({ "kid": 1 }))), Check::Header),
        ("header and claims swapped", format!("{body}.{head}.{signature}"), Check::Algorithm),
        ("no alg", RSA.sign_raw("{}", "{}").unwrap(), Check::Algorithm),
        ("alg none", format!("{}.{body}.", base64(r#"{"alg":"none"}"#)), Check::Algorithm),
        ("alg None", format!("{}.{body}.", base64(r#"{"alg":"None"}"#)), Check::Algorithm),
        ("alg NONE, signed", headed(&RSA, &with(json!({ "alg": "NONE" }))), Check::Algorithm),
        ("alg is a list", headed(&RSA, &with(json!({ "alg": ["RS256"] }))), Check::Algorithm),
        ("alg not allowed", headed(&RSA, &with(json!({ "alg": "RS384" }))), Check::Algorithm),
        ("HS256 with the modulus", hmac(&with(json!({ "alg": "HS256" })), &n), Check::Algorithm),
        ("HS256 with the JWK", hmac(&with(json!({ "alg": "HS256" })), jwk.to_string().as_bytes()), Check::Algorithm),
        ("HS256 with nothing", hmac(&with(json!({ "alg": "HS256" })), b""), Check::Algorithm),
        ("HS256 that says RS256", hmac(&with(json!({})), &n), Check::Signature),
        ("at+jwt", headed(&RSA, &with(json!({ "typ": "at+jwt" }))), Check::Type),
        ("application/at+jwt", headed(&RSA, &with(json!({ "typ": "application/at+jwt" }))), Check::Type),
        ("dpop+jwt", headed(&RSA, &with(json!({ "typ": "dpop+jwt" }))), Check::Type),
        ("logout+jwt", headed(&RSA, &with(json!({ "typ": "Logout+JWT" }))), Check::Type),
        ("crit", headed(&RSA, &with(json!({ "crit": ["exp"] }))), Check::Critical),
        ("crit of b64", headed(&RSA, &with(json!({ "crit": ["b64"], "b64": false }))), Check::Critical),
        ("b64 alone", headed(&RSA, &with(json!({ "b64": false }))), Check::Critical),
        ("another kid", headed(&RSA, &with(json!({ "kid": "other-CANARY" }))), Check::Key),
        ("kid of another key", headed(&RSA, &with(json!({ "kid": ED.kid() }))), Check::Key),
        ("no kid, and two keys fit", headed(&RSA_ANY, &json!({ "alg": "RS256" })), Check::Key),
        ("ES256 with an RSA key", headed(&RSA, &with(json!({ "alg": "ES256" }))), Check::Key),
        ("RS256 with an EC key", headed(&EC, &header(&EC, json!({ "alg": "RS256" }))), Check::Key),
        ("EdDSA with an RSA key", headed(&RSA, &with(json!({ "alg": "EdDSA" }))), Check::Key),
        ("PS256 with a key for RS256", headed(&RSA, &with(json!({ "alg": "PS256" }))), Check::Key),
        ("RS256 with a key for PS256", headed(&PSS, &header(&PSS, json!({ "alg": "RS256" }))), Check::Key),
        ("jwk of the forger", headed(&foreign, &header(&foreign, json!({ "jwk": foreign.jwk() }))), Check::Key),
        (
            "jwk of the forger under a good kid",
            headed(&foreign, &header(&foreign, json!({ "jwk": foreign.jwk(), "kid": EC.kid() }))),
            Check::Signature,
        ),
        (
            "jku and x5u of the forger",
            headed(&foreign, &header(&foreign, json!({ "jku": "http://127.0.0.1:9/", "x5u": "http://127.0.0.1:9/" }))),
            Check::Key,
        ),
        ("no signature", format!("{head}.{body}."), Check::Signature),
        ("half a signature", format!("{head}.{body}.{}", &signature[..168]), Check::Signature),
        ("signature of another token", format!("{head}.{other_body}.{signature}"), Check::Signature),
        ("signature of another key", format!("{head}.{body}.{}", parts(&PSS)[2]), Check::Signature),
        ("signature of zeros", format!("{ec_head}.{ec_body}.{}", base64([0; 64])), Check::Signature),
        ("signature in DER", format!("{ec_head}.{ec_body}.{}", base64(der(r, s))), Check::Signature),
        ("signature with more", format!("{ec_head}.{ec_body}.{}", base64([&ec_raw[..], &[0]].concat())), Check::Signature),
        ("claims are no JSON", RSA.sign_raw(with(json!({})).to_string(), "iss=x").unwrap(), Check::Claims),
        ("claims are a list", RSA.sign(&json!([claims(json!({}))])).unwrap(), Check::Claims),
        ("claims are a JWT", RSA.sign(&good).unwrap(), Check::Claims),
    ]
}

/// An RSA key without an `alg`, of which there is a second one in the set.
static RSA_ANY: std::sync::LazyLock<IdTokenKey> = std::sync::LazyLock::new(|| IdTokenKey::generate(Algorithm::Rs256).unwrap());

/// The last character, with a bit set that stands for nothing.
fn bump(part: &str) -> String {
    let (start, last) = part.split_at(part.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(last).unwrap();
    format!("{start}{}", &alphabet[at + 1..at + 2])
}

#[tokio::test]
async fn envelopes() {
    let mut any = RSA_ANY.jwk();
    any.as_object_mut().unwrap().remove("alg");
    let verifier = over(published(&[RSA.jwk(), PSS.jwk(), EC.jwk(), ED.jwk(), any], clock()));
    for (name, token, failed) in forged_envelopes() {
        let outcome = verifier.verify(&token, expected()).await;
        assert_eq!(check(&outcome), Some(failed), "{name}");
        shows_nothing(&outcome.unwrap_err());
    }
}

/// V2, V4, V5: claims under a good signature.
fn forged_claims() -> Vec<(Value, Check)> {
    let many = |more: Value| {
        let mut change = json!({ "aud": [CLIENT, "other"] });
        change.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        change
    };
    let hash = |half: &str| json!({ "at_hash": half });
    vec![
        (json!({ "iss": null }), Check::Issuer),
        (json!({ "iss": "" }), Check::Issuer),
        (json!({ "iss": 1 }), Check::Issuer),
        (json!({ "iss": [ISSUER] }), Check::Issuer),
        (json!({ "iss": format!("{ISSUER}/") }), Check::Issuer),
        (json!({ "iss": "https://ISSUER.test" }), Check::Issuer),
        (json!({ "iss": "https://issuer.test.evil.test" }), Check::Issuer),
        (json!({ "aud": null }), Check::Audience),
        (json!({ "aud": "other" }), Check::Audience),
        (json!({ "aud": "" }), Check::Audience),
        (json!({ "aud": [] }), Check::Audience),
        (json!({ "aud": ["other", "client-10"] }), Check::Audience),
        (json!({ "aud": 1 }), Check::Audience),
        (json!({ "aud": [CLIENT, 1] }), Check::Audience),
        (json!({ "aud": [[CLIENT]] }), Check::Audience),
        (json!({ "aud": { CLIENT: CLIENT } }), Check::Audience),
        (many(json!({})), Check::AuthorizedParty),
        (many(json!({ "azp": "other" })), Check::AuthorizedParty),
        (many(json!({ "azp": [CLIENT] })), Check::AuthorizedParty),
        (json!({ "azp": "other" }), Check::AuthorizedParty),
        (json!({ "azp": "" }), Check::AuthorizedParty),
        (json!({ "azp": 1 }), Check::AuthorizedParty),
        (json!({ "azp": true }), Check::AuthorizedParty),
        (json!({ "sub": null }), Check::Subject),
        (json!({ "sub": "" }), Check::Subject),
        (json!({ "sub": 7 }), Check::Subject),
        (json!({ "sub": ["user"] }), Check::Subject),
        (json!({ "exp": null }), Check::Expiry),
        (json!({ "exp": (NOW + 300).to_string() }), Check::Expiry),
        (json!({ "exp": "x" }), Check::Expiry),
        (json!({ "exp": [NOW + 300] }), Check::Expiry),
        (json!({ "exp": true }), Check::Expiry),
        (json!({ "exp": -1 }), Check::Expiry),
        (json!({ "exp": 0 }), Check::Expiry),
        (json!({ "exp": 1e300 }), Check::Expiry),
        (json!({ "exp": NOW - 60 }), Check::Expiry),
        (json!({ "exp": NOW as f64 - 60.5 }), Check::Expiry),
        (json!({ "iat": null }), Check::IssuedAt),
        (json!({ "iat": NOW.to_string() }), Check::IssuedAt),
        (json!({ "iat": -1 }), Check::IssuedAt),
        (json!({ "iat": NOW + 61 }), Check::IssuedAt),
        (json!({ "iat": NOW as f64 + 60.5 }), Check::IssuedAt),
        (json!({ "nbf": NOW + 61 }), Check::NotBefore),
        (json!({ "nbf": NOW.to_string() }), Check::NotBefore),
        (json!({ "nbf": false }), Check::NotBefore),
        (json!({ "nonce": null }), Check::Nonce),
        (json!({ "nonce": "" }), Check::Nonce),
        (json!({ "nonce": "n-CANARZ" }), Check::Nonce),
        (json!({ "nonce": "n-CANAR" }), Check::Nonce),
        (json!({ "nonce": "N-CANARY" }), Check::Nonce),
        (json!({ "nonce": [NONCE] }), Check::Nonce),
        (json!({ "auth_time": "yesterday" }), Check::AuthTime),
        (json!({ "auth_time": NOW + 61 }), Check::AuthTime),
        (hash(""), Check::AccessTokenHash),
        (hash("AAAAAAAAAAAAAAAAAAAAAA"), Check::AccessTokenHash),
        (hash(&at_hash(Algorithm::Rs512, ACCESS_TOKEN)), Check::AccessTokenHash),
        (hash(&at_hash(Algorithm::Rs256, "another")), Check::AccessTokenHash),
        (hash(&format!("{}==", at_hash(Algorithm::Rs256, ACCESS_TOKEN))), Check::AccessTokenHash),
        (json!({ "at_hash": 1 }), Check::AccessTokenHash),
    ]
}

/// OpenID Connect Core 1.0 section 3.1.3.6, by another library than the one that is tested.
pub(crate) fn at_hash(algorithm: Algorithm, token: &str) -> String {
    use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
    let hash = match algorithm.name().trim_start_matches(|c: char| !c.is_ascii_digit()) {
        "256" => &SHA256,
        "384" => &SHA384,
        _ => &SHA512,
    };
    let hash = digest(hash, token.as_bytes());
    base64(&hash.as_ref()[..hash.as_ref().len() / 2])
}

#[tokio::test]
async fn claims_under_a_good_signature() {
    let verifier = verifier();
    for (change, failed) in forged_claims() {
        let token = RSA.sign(&claims(change.clone())).unwrap();
        let outcome = verifier.verify(&token, expected()).await;
        assert_eq!(check(&outcome), Some(failed), "{change}");
        shows_nothing(&outcome.unwrap_err());
    }
}

/// V2: what `serde_json::Value` cannot say: null, numbers without end, members that come twice, bytes that are no text.
#[tokio::test]
async fn claims_to_the_letter() {
    let verifier = verifier();
    let with = |member: &str| {
        let name = member.split('"').nth(1).unwrap();
        let rest = claims(json!({ name: null })).to_string();
        format!("{},{member}}}", rest.strip_suffix('}').unwrap())
    };
    for (claims, failed) in [
        (with(r#""exp":1e400"#), Check::Expiry),
        (with(r#""exp":null"#), Check::Expiry),
        (with(r#""exp":1e19"#), Check::Expiry),
        (with(r#""iat":-1e400"#), Check::IssuedAt),
        (with(r#""iat":null"#), Check::IssuedAt),
        (with(r#""nbf":null"#), Check::NotBefore),
        (with(r#""nbf":99999999999999999999999999999999"#), Check::NotBefore),
        (with(r#""iss":null"#), Check::Issuer),
        (with(r#""aud":null"#), Check::Audience),
        (with(r#""aud":["client-1",null]"#), Check::Audience),
        (with(r#""azp":null"#), Check::AuthorizedParty),
        (with(r#""sub":null"#), Check::Subject),
        (with(r#""sub":"\ud800""#), Check::Subject),
        (with(r#""nonce":null"#), Check::Nonce),
        (with(r#""auth_time":null"#), Check::AuthTime),
        (with(r#""at_hash":null"#), Check::AccessTokenHash),
        (with(r#""exp":NaN"#), Check::Claims),
        (with(r#""exp":Infinity"#), Check::Claims),
        (with(r#""exp":0x7fffffff"#), Check::Claims),
        (with(r#""sub":"a","sub":"user-CANARY""#), Check::Claims),
        (with(r#""sub":"a","s\u0075b":"user-CANARY""#), Check::Claims),
        (with(r#""more":1,"more":1"#), Check::Claims),
        (format!("{}{}", claims(json!({})), claims(json!({}))), Check::Claims),
        (format!("\u{feff}{}", claims(json!({}))), Check::Claims),
        (String::new(), Check::Claims),
        ("null".to_owned(), Check::Claims),
        ("[".repeat(40_000), Check::Claims),
    ] {
        let token = ED.sign_raw(header(&ED, json!({})).to_string(), &claims).unwrap();
        let outcome = verifier.verify(&token, expected()).await;
        assert_eq!(check(&outcome), Some(failed), "{claims:.200}");
        shows_nothing(&outcome.unwrap_err());
    }
    let bytes = claims(json!({})).to_string().replace("user-", "\u{0}").into_bytes();
    let bytes: Vec<u8> = bytes.into_iter().map(|byte| if byte == 0 { 0xff } else { byte }).collect();
    let token = ED.sign_raw(header(&ED, json!({})).to_string(), bytes).unwrap();
    assert_eq!(check(&verifier.verify(&token, expected()).await), Some(Check::Claims));
}

/// V5: `max_age` asks for an `auth_time`, and for a recent one.
#[tokio::test]
async fn a_login_too_long_ago() {
    let verifier = verifier().max_age(std::time::Duration::from_secs(600));
    for (change, failed) in [
        (json!({}), Some(Check::AuthTime)),
        (json!({ "auth_time": NOW - 661 }), Some(Check::AuthTime)),
        (json!({ "auth_time": 0 }), Some(Check::AuthTime)),
        (json!({ "auth_time": NOW - 660 }), None),
        (json!({ "auth_time": NOW }), None),
    ] {
        let token = ED.sign(&claims(change.clone())).unwrap();
        assert_eq!(check(&verifier.verify(&token, expected()).await), failed, "{change}");
    }
}

/// Blocks on a future whose keys come without a network.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Total over any text, and over any header and claims under a good signature.
    #[test]
    fn verification_is_total(
        text in any::<String>(),
        dotted in "[A-Za-z0-9_.-]{0,80}",
        head in any::<Vec<u8>>(),
        body in any::<Vec<u8>>(),
        json in r#"[{}\[\]",:a-z0-9.eE+-]{0,60}"#,
    ) {
        let verifier = verifier();
        let good = header(&ED, json!({})).to_string();
        block_on(async {
            for token in [
                text,
                dotted,
                ED.sign_raw(head, &json).unwrap(),
                ED.sign_raw(&json, "{}").unwrap(),
                ED.sign_raw(&good, body).unwrap(),
                ED.sign_raw(&good, json).unwrap(),
            ] {
                for expected in [expected(), Expected::new()] {
                    let outcome = verifier.verify(&token, expected).await;
                    prop_assert!(outcome.is_err());
                }
            }
            Ok(())
        })?;
    }

    /// A token with any one byte changed is refused.
    #[test]
    fn every_byte_counts(at in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f) {
        let token = EC.sign(&claims(json!({}))).unwrap();
        let at = at.index(token.len());
        let mut bytes = token.clone().into_bytes();
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        let outcome = block_on(verifier().verify(&String::from_utf8(bytes).unwrap(), expected()));
        prop_assert!(outcome.is_err());
    }

    /// V2: whatever value a claim gets, a token that passes has it with its type.
    #[test]
    fn no_claim_passes_with_another_type(
        name in prop::sample::select(vec!["iss", "aud", "azp", "sub", "exp", "iat", "nbf", "nonce", "auth_time", "at_hash"]),
        value in prop::sample::select(vec![
            json!(null), json!(true), json!(0), json!(-1), json!(NOW), json!(1.5e9), json!(4e9), json!(""), json!("1800000300"),
            json!(CLIENT), json!(ISSUER), json!(NONCE), json!([]), json!([CLIENT]), json!([NOW]), json!({}), json!({ "a": 1 }),
        ]),
    ) {
        let mut all = claims(json!({}));
        all[name] = value.clone();
        let passes = block_on(verifier().verify(&ED.sign(&all).unwrap(), Expected::new())).is_ok();
        let typed = match name {
            "exp" | "iat" | "nbf" | "auth_time" => value.is_number(),
            "aud" => value.is_string() || value.is_array(),
            _ => value.is_string(),
        };
        prop_assert!(!passes || typed, "{} {}", name, value);
    }
}
