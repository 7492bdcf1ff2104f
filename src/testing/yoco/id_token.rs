use std::{
    collections::BTreeMap,
    io,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{YocoSignature, keys::Keys};

/// Writes id_tokens: OpenID Connect Core 1.0 section 2, and the claims of Yoco's page.
pub(super) struct Notary {
    pub(super) keys: Keys,
    pub(super) signature: YocoSignature,
    pub(super) lifetime: Duration,
    /// Claims that are other than they should be, as they are written, or missing.
    pub(super) forged: BTreeMap<String, Option<String>>,
}

/// What an id_token is about.
pub(super) struct Login<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) user: Map<String, Value>,
    pub(super) nonce: Option<&'a str>,
    pub(super) access_token: &'a str,
}

impl Notary {
    pub(super) fn new() -> io::Result<Notary> {
        let lifetime = Duration::from_secs(3600);
        Ok(Notary { keys: Keys::new()?, signature: YocoSignature::default(), lifetime, forged: BTreeMap::new() })
    }

    pub(super) fn write(&self, login: Login<'_>, now: SystemTime) -> io::Result<String> {
        let iat = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut claims = login.user;
        let mut insert = |name: &str, value| claims.insert(name.to_owned(), value);
        insert("iss", json!(login.issuer));
        insert("aud", json!([login.client_id]));
        insert("iat", json!(iat));
        insert("exp", json!(iat.saturating_add(self.lifetime.as_secs())));
        insert("at_hash", json!(at_hash(login.access_token)));
        if let Some(nonce) = login.nonce {
            insert("nonce", json!(nonce));
        }
        claims.retain(|name, _| !self.forged.contains_key(name));
        let honest = claims.iter().map(|(name, value)| (name, value.to_string()));
        let forged = self.forged.iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        let fields: Vec<_> = honest.chain(forged).map(|(name, value)| format!("{}:{value}", json!(name))).collect();
        self.keys.sign(&format!("{{{}}}", fields.join(",")), self.signature)
    }
}

/// The left half of the token's hash; that of RS256 and of ES256 is SHA-256 (OpenID Connect Core 1.0 section 3.1.3.6).
fn at_hash(access_token: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(access_token)[..16])
}

/// RFC 7636 section 4.6: what an S256 challenge is to this verifier.
pub(super) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 appendix B.
    #[test]
    fn the_challenge_of_the_rfc() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    /// OpenID Connect Core 1.0 appendix A.3.
    #[test]
    fn the_hash_of_the_specification() {
        assert_eq!(at_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"), "77QmUPtjPfzWtF2AnpK9RQ");
    }
}
