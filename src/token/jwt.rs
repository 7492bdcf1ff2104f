//! What a JWT says of itself. Without the feature `grant` there is nobody who could read it.

use std::time::SystemTime;

/// The claims of a token that is a JWT, in JSON if it is a good one, whoever has signed it.
#[cfg(feature = "grant")]
pub(crate) fn claims(token: &str) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    let mut parts = token.split('.');
    let (_header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    match parts.next() {
        Some(_) => None,
        None => URL_SAFE_NO_PAD.decode(claims).ok().map(zeroize::Zeroizing::new),
    }
}

/// The `exp` claim (RFC 7519 section 4.1.4) of a token that is a JWT. Its signature is not checked: it is the API's to judge.
#[cfg(feature = "grant")]
pub(crate) fn expiry(token: &str) -> Option<SystemTime> {
    use std::time::Duration;

    #[derive(serde::Deserialize)]
    struct Claims {
        exp: f64,
    }

    let Claims { exp } = serde_json::from_slice(&claims(token)?).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(exp).ok()?)
}

#[cfg(not(feature = "grant"))]
pub(crate) fn expiry(_token: &str) -> Option<SystemTime> {
    None
}

#[cfg(all(test, feature = "grant"))]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    fn jwt(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    /// G1: numbers as RFC 7519 has them; anything else is no hint.
    #[test]
    fn the_end_of_a_jwt() {
        for (claims, seconds) in
            [(r#"{"exp":1800000000}"#, 1_800_000_000.0), (r#"{"sub":"a","exp":1.5e9}"#, 1.5e9), (r#"{"exp":0.5}"#, 0.5)]
        {
            assert_eq!(expiry(&jwt(claims)), Some(UNIX_EPOCH + Duration::from_secs_f64(seconds)), "{claims}");
        }
        for claims in [r#"{"exp":"1800000000"}"#, r#"{"exp":-1}"#, r#"{"exp":1e300}"#, r#"{"exp":null}"#, "{}", "[]", "exp", ""] {
            assert_eq!(expiry(&jwt(claims)), None, "{claims}");
        }
        for token in ["opaque", "a.b", "a.b.c", "e30.e30.e30.e30.e30", "..", "e30.e30="] {
            assert_eq!(expiry(token), None, "{token}");
        }
        let encrypted = format!("{}.e30.e30", jwt(r#"{"exp":1800000000}"#));
        assert_eq!(expiry(&encrypted), None, "a JWE has five parts (RFC 7516 section 3.1), and its second is no claims");
    }

    /// G1: the token comes from outside: brackets without end, and numbers without end, are no hint and no harm.
    #[test]
    fn a_bomb_is_no_hint() {
        for bomb in
            ["[".repeat(1 << 20), format!(r#"{{"a":{}"#, "[".repeat(1 << 20)), format!(r#"{{"exp":{}}}"#, "9".repeat(1 << 20))]
        {
            assert_eq!(expiry(&jwt(&bomb)), None);
        }
    }

    proptest! {
        #[test]
        fn any_text_has_an_end_or_none(token in "[!-~]{0,40}", claims in ".{0,40}") {
            for token in [token, jwt(&claims)] {
                prop_assert!(expiry(&token).is_none_or(|end| end >= UNIX_EPOCH));
            }
        }
    }
}
