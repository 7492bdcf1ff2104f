use super::{
    algorithm::Algorithm,
    error::{Check, IdTokenError},
    json::Object,
};

/// What counts of a header: which key, and how.
///
/// Keys that a header brings along, or points to, are passed over (`jwk`, `jku`, `x5c`, `x5u`; V9): whoever forges a token
/// forges its header as well.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
}

impl Header {
    pub(super) fn read(text: &[u8], allowed: &[Algorithm]) -> Result<Header, IdTokenError> {
        let wrong = |what| IdTokenError::new(Check::Header, what);
        let header = Object::parse(text).ok_or_else(|| wrong("has a header that is not a JSON object with unique members"))?;

        let algorithm = header.get("alg").and_then(|alg| Algorithm::named(&alg.text()?));
        let algorithm = algorithm
            .filter(|algorithm| allowed.contains(algorithm))
            .ok_or(IdTokenError::new(Check::Algorithm, "has an `alg` that is not allowed, or none"))?;

        if let Some(kind) = header.get("typ") {
            let kind = kind.text().ok_or_else(|| wrong("has a `typ` that is not a string"))?;
            if !is_jwt(&kind) {
                return Err(IdTokenError::new(Check::Type, "has a `typ` other than `JWT`: it is a token of another kind"));
            }
        }
        if header.has("crit") || header.get("b64").is_some_and(|b64| !b64.is_true()) {
            return Err(IdTokenError::new(Check::Critical, "has a header that asks for an extension (`crit`, `b64`)"));
        }
        let kid = match header.get("kid") {
            Some(kid) => Some(kid.text().ok_or_else(|| wrong("has a `kid` that is not a string"))?),
            None => None,
        };
        Ok(Header { algorithm, kid })
    }
}

/// A media type without case; its `application/` may be left out (RFC 7515 section 4.1.9).
fn is_jwt(kind: &str) -> bool {
    let prefix = "application/";
    let bare = match kind.get(..prefix.len()) {
        Some(start) if start.eq_ignore_ascii_case(prefix) => &kind[prefix.len()..],
        _ => kind,
    };
    bare.eq_ignore_ascii_case("JWT")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Algorithm, Option<String>), Check> {
        Header::read(text.as_bytes(), &[Algorithm::Rs256, Algorithm::EdDsa])
            .map(|header| (header.algorithm, header.kid))
            .map_err(|error| error.check())
    }

    /// V1, V9, V11, V12.
    #[test]
    fn headers() {
        for good in [
            r#"{"alg":"RS256"}"#,
            r#"{"typ":"JWT","alg":"RS256"}"#,
            r#"{"typ":"jwt","alg":"RS256"}"#,
            r#"{"typ":"Application/JWT","alg":"RS256","b64":true}"#,
            r#"{"alg":"RS256","jku":"https://evil.test","x5u":1,"jwk":{"kty":"oct"},"x5c":[],"cty":"x"}"#,
        ] {
            assert_eq!(read(good), Ok((Algorithm::Rs256, None)), "{good}");
        }
        assert_eq!(read(r#"{"alg":"EdDSA","kid":"a"}"#), Ok((Algorithm::EdDsa, Some("a".to_owned()))));
        assert_eq!(read(r#"{"alg":"Ed25519","kid":""}"#), Ok((Algorithm::EdDsa, Some(String::new()))));

        for (bad, check) in [
            ("", Check::Header),
            ("[]", Check::Header),
            (r#"{"alg":"RS256","alg":"RS256"}"#, Check::Header),
            (r#"{"alg":"RS256","kid":1}"#, Check::Header),
            (r#"{"alg":"RS256","kid":null}"#, Check::Header),
            (r#"{"alg":"RS256","typ":["JWT"]}"#, Check::Header),
            ("{}", Check::Algorithm),
            (r#"{"alg":null}"#, Check::Algorithm),
            (r#"{"alg":["RS256"]}"#, Check::Algorithm),
            (r#"{"alg":"none"}"#, Check::Algorithm),
            (r#"{"alg":"None"}"#, Check::Algorithm),
            (r#"{"alg":"HS256"}"#, Check::Algorithm),
            (r#"{"alg":"rs256"}"#, Check::Algorithm),
            (r#"{"alg":"ES256"}"#, Check::Algorithm),
            (r#"{"alg":"RS256","typ":"at+jwt"}"#, Check::Type),
            (r#"{"alg":"RS256","typ":"application/at+JWT"}"#, Check::Type),
            (r#"{"alg":"RS256","typ":"dpop+jwt"}"#, Check::Type),
            (r#"{"alg":"RS256","typ":"logout+jwt"}"#, Check::Type),
            (r#"{"alg":"RS256","typ":"Application/Logout+JWT"}"#, Check::Type),
            (r#"{"alg":"RS256","typ":"application/application/jwt"}"#, Check::Type),
            (r#"{"alg":"RS256","typ":""}"#, Check::Type),
            (r#"{"alg":"RS256","crit":[]}"#, Check::Critical),
            (r#"{"alg":"RS256","crit":["exp"]}"#, Check::Critical),
            (r#"{"alg":"RS256","crit":null}"#, Check::Critical),
            (r#"{"alg":"RS256","b64":false}"#, Check::Critical),
            (r#"{"alg":"RS256","b64":"true"}"#, Check::Critical),
        ] {
            assert_eq!(read(bad), Err(check), "{bad}");
        }
    }
}
