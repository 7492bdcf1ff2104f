use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{
    algorithm::Algorithm,
    error::{Check, IdTokenError},
    expected::Expected,
    json::{Member, Object},
    token::IdToken,
};

/// What the claims must say (OpenID Connect Core 1.0 section 3.1.3.7), each with its JSON type: a string is no date (V2), and
/// null is no value.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) leeway: Duration,
    pub(super) max_age: Option<Duration>,
}

impl Rules {
    /// Reads and checks claims whose signature is good.
    pub(super) fn check(
        &self,
        claims: Zeroizing<Vec<u8>>,
        algorithm: Algorithm,
        expected: Expected<'_>,
        now: SystemTime,
    ) -> Result<IdToken, IdTokenError> {
        let object = Object::parse(&claims)
            .ok_or(IdTokenError::new(Check::Claims, "has claims that are not a JSON object with unique members"))?;
        let issuer = self.issuer(&object)?;
        let audience = self.audience(&object)?;
        let authorized_party = self.authorized_party(&object, &audience)?;
        let subject = subject(&object)?;
        let expires_at = self.expiry(&object, now)?;
        let issued_at = self.issued_at(&object, now)?;
        self.not_before(&object, now)?;
        let nonce = nonce(&object, expected.nonce)?;
        let auth_time = self.auth_time(&object, now)?;
        access_token_hash(&object, algorithm, expected.access_token)?;
        Ok(IdToken { claims, issuer, subject, audience, authorized_party, expires_at, issued_at, auth_time, nonce })
    }

    fn issuer(&self, claims: &Object<'_>) -> Result<String, IdTokenError> {
        let wrong = |what| IdTokenError::new(Check::Issuer, what);
        let issuer = claims.get("iss").ok_or(wrong("has no `iss`"))?.text().ok_or(wrong("has an `iss` that is no string"))?;
        if issuer != self.issuer {
            return Err(wrong("is another issuer's (`iss`)"));
        }
        Ok(issuer)
    }

    fn audience(&self, claims: &Object<'_>) -> Result<Vec<String>, IdTokenError> {
        let wrong = |what| IdTokenError::new(Check::Audience, what);
        let audience = claims.get("aud").ok_or(wrong("has no `aud`"))?;
        let audience = audience
            .text()
            .map(|one| vec![one])
            .or_else(|| audience.texts())
            .ok_or(wrong("has an `aud` that is neither a string nor a list of strings"))?;
        if !audience.contains(&self.client_id) {
            return Err(wrong("is for another client (`aud`)"));
        }
        Ok(audience)
    }

    fn authorized_party(&self, claims: &Object<'_>, audience: &[String]) -> Result<Option<String>, IdTokenError> {
        let wrong = |what| IdTokenError::new(Check::AuthorizedParty, what);
        let Some(party) = claims.get("azp") else {
            return match audience.iter().all(|one| *one == self.client_id) {
                true => Ok(None),
                false => Err(wrong("is for others too, and does not say by `azp` whose it is")),
            };
        };
        let party = party.text().ok_or(wrong("has an `azp` that is no string"))?;
        if party != self.client_id {
            return Err(wrong("was issued to another client (`azp`)"));
        }
        Ok(Some(party))
    }

    fn expiry(&self, claims: &Object<'_>, now: SystemTime) -> Result<SystemTime, IdTokenError> {
        let wrong = |what| IdTokenError::new(Check::Expiry, what);
        let at = date(claims.get("exp").ok_or(wrong("has no `exp`"))?).ok_or(wrong("has an `exp` that is no date"))?;
        if now.duration_since(at).is_ok_and(|past| past >= self.leeway) {
            return Err(wrong("has expired (`exp`)"));
        }
        Ok(at)
    }

    fn issued_at(&self, claims: &Object<'_>, now: SystemTime) -> Result<SystemTime, IdTokenError> {
        let wrong = |what| IdTokenError::new(Check::IssuedAt, what);
        let at = date(claims.get("iat").ok_or(wrong("has no `iat`"))?).ok_or(wrong("has an `iat` that is no date"))?;
        if self.is_ahead(at, now) {
            return Err(wrong("was issued in the future (`iat`): does a clock go wrong?"));
        }
        Ok(at)
    }

    fn not_before(&self, claims: &Object<'_>, now: SystemTime) -> Result<(), IdTokenError> {
        let wrong = |what| IdTokenError::new(Check::NotBefore, what);
        let Some(at) = claims.get("nbf") else { return Ok(()) };
        let at = date(at).ok_or(wrong("has an `nbf` that is no date"))?;
        if self.is_ahead(at, now) {
            return Err(wrong("is not yet valid (`nbf`)"));
        }
        Ok(())
    }

    fn auth_time(&self, claims: &Object<'_>, now: SystemTime) -> Result<Option<SystemTime>, IdTokenError> {
        let wrong = |what| IdTokenError::new(Check::AuthTime, what);
        let Some(at) = claims.get("auth_time") else {
            return match self.max_age {
                Some(_) => Err(wrong("has no `auth_time`, and a `max_age` was asked for")),
                None => Ok(None),
            };
        };
        let at = date(at).ok_or(wrong("has an `auth_time` that is no date"))?;
        if self.is_ahead(at, now) {
            return Err(wrong("has an `auth_time` in the future"));
        }
        let age = now.duration_since(at).unwrap_or_default();
        if self.max_age.is_some_and(|max_age| age > max_age.saturating_add(self.leeway)) {
            return Err(wrong("has an `auth_time` longer ago than the `max_age` that was asked for"));
        }
        Ok(Some(at))
    }

    /// Whether a date is further ahead than clocks go wrong.
    fn is_ahead(&self, at: SystemTime, now: SystemTime) -> bool {
        at.duration_since(now).is_ok_and(|ahead| ahead > self.leeway)
    }
}

fn subject(claims: &Object<'_>) -> Result<String, IdTokenError> {
    let wrong = |what| IdTokenError::new(Check::Subject, what);
    let subject = claims.get("sub").ok_or(wrong("has no `sub`"))?.text().ok_or(wrong("has a `sub` that is no string"))?;
    if subject.is_empty() { Err(wrong("has an empty `sub`")) } else { Ok(subject) }
}

/// What was sent must come back. What was not sent may be there all the same: after a refresh it is the first login's.
fn nonce(claims: &Object<'_>, sent: Option<&str>) -> Result<Option<Zeroizing<String>>, IdTokenError> {
    let wrong = |what| IdTokenError::new(Check::Nonce, what);
    let nonce = match claims.get("nonce") {
        Some(nonce) => Some(Zeroizing::new(nonce.text().ok_or(wrong("has a `nonce` that is no string"))?)),
        None => None,
    };
    match (&nonce, sent) {
        (None, Some(_)) => Err(wrong("has no `nonce`, and one was sent")),
        (Some(nonce), Some(sent)) if !same(nonce, sent) => Err(wrong("answers another login (`nonce`)")),
        _ => Ok(nonce),
    }
}

/// OpenID Connect Core 1.0 section 3.1.3.6: optional, and binding where it is there.
fn access_token_hash(claims: &Object<'_>, algorithm: Algorithm, access_token: Option<&str>) -> Result<(), IdTokenError> {
    let wrong = |what| IdTokenError::new(Check::AccessTokenHash, what);
    let Some(hash) = claims.get("at_hash") else { return Ok(()) };
    let hash = hash.text().ok_or(wrong("has an `at_hash` that is no string"))?;
    match access_token {
        Some(token) if !same(&hash, &half_hash(algorithm, token)) => Err(wrong("belongs to another access token (`at_hash`)")),
        _ => Ok(()),
    }
}

/// The left half of a token's hash, in base64url. The hash is the algorithm's own; Ed25519's is SHA-512 (RFC 8032 section 5.1).
fn half_hash(algorithm: Algorithm, token: &str) -> String {
    fn half<D: Digest>(token: &str) -> String {
        let hash = D::digest(token);
        URL_SAFE_NO_PAD.encode(&hash[..hash.len() / 2])
    }
    match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => half::<Sha256>(token),
        Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 => half::<Sha384>(token),
        Algorithm::Rs512 | Algorithm::Ps512 | Algorithm::EdDsa => half::<Sha512>(token),
    }
}

fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

fn date(value: Member<'_>) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(value.seconds()?)
}
