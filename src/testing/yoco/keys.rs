use std::io;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::YocoSignature;
use crate::{id_token::Algorithm, testing::IdTokenKey};

/// The keys that a server signs with, each beside those before it that are still published.
pub(super) struct Keys {
    rsa: IdTokenKey,
    /// Made when it is first needed.
    ec: Option<IdTokenKey>,
}

impl Keys {
    pub(super) fn new() -> io::Result<Keys> {
        Ok(Keys { rsa: IdTokenKey::generate(Algorithm::Rs256)?, ec: None })
    }

    /// RFC 7517 section 5.
    pub(super) fn published(&self) -> Value {
        let mut set = self.rsa.jwk_set();
        if let (Some(keys), Some(ec)) = (set["keys"].as_array_mut(), &self.ec) {
            keys.extend(ec.jwk_set()["keys"].as_array().cloned().unwrap_or_default());
        }
        set
    }

    /// The algorithms that are in the set.
    pub(super) fn algorithms(&self) -> Vec<&'static str> {
        let algorithms = [Some(self.rsa.algorithm()), self.ec.as_ref().map(IdTokenKey::algorithm)];
        algorithms.into_iter().flatten().map(Algorithm::name).collect()
    }

    /// Makes and publishes what a signature needs.
    pub(super) fn prepare(&mut self, signature: YocoSignature) -> io::Result<()> {
        if signature == YocoSignature::Es256 && self.ec.is_none() {
            self.ec = Some(IdTokenKey::generate(Algorithm::Es256)?);
        }
        Ok(())
    }

    /// Signs with new keys from now on. The old ones stay published (OpenID Connect Core 1.0 section 10.1.1).
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        self.ec.iter_mut().try_for_each(IdTokenKey::rotate)?;
        self.rsa.rotate()
    }

    /// Publishes only what it signs with.
    pub(super) fn withdraw_former(&mut self) {
        self.rsa.withdraw_former();
        self.ec.iter_mut().for_each(IdTokenKey::withdraw_former);
    }

    /// A JWT with these claims to the byte, well or badly signed.
    pub(super) fn sign(&self, claims: &str, signature: YocoSignature) -> io::Result<String> {
        let header = |algorithm: &str, kid: &str| json!({ "alg": algorithm, "kid": kid, "typ": "JWT" }).to_string();
        let proper = |key: &IdTokenKey| key.sign_raw(header(key.algorithm().name(), key.kid()), claims);
        match signature {
            YocoSignature::Rs256 => proper(&self.rsa),
            YocoSignature::Es256 => proper(self.ec.as_ref().unwrap_or(&self.rsa)),
            YocoSignature::WithoutKid => self.rsa.sign_raw(r#"{"alg":"RS256","typ":"JWT"}"#, claims),
            YocoSignature::Unsigned => Ok(format!("{}.", unsigned(r#"{"alg":"none","typ":"JWT"}"#, claims))),
            YocoSignature::PublicKeyAsSecret => {
                let text = unsigned(&header("HS256", self.rsa.kid()), claims);
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.rsa.public_bytes());
                Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, text.as_bytes()))))
            }
            YocoSignature::Stranger => IdTokenKey::generate(Algorithm::Rs256)?.sign_raw(header("RS256", self.rsa.kid()), claims),
            YocoSignature::UnknownKey => proper(&IdTokenKey::generate(Algorithm::Rs256)?),
        }
    }
}

/// Header and claims, as they are signed (RFC 7515 section 5.1).
fn unsigned(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}
