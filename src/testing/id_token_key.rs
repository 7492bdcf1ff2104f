use std::{fmt, io};

use aws_lc_rs::{
    error::Unspecified,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
        RsaEncoding,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::{Value, json};

use super::random;
use crate::id_token::{Algorithm, KeyKind};

/// The key that an issuer signs its id_tokens with, made when it is: none is kept in any file.
///
/// It publishes itself as a JWK set, signs claims, well-formed or not, and rotates.
///
/// # Examples
///
/// ```
/// use serde_json::json;
/// use tower_token::{id_token::Algorithm, testing::IdTokenKey};
///
/// let mut key = IdTokenKey::generate(Algorithm::Es256)?;
/// let published = key.jwk_set().to_string();
/// assert!(published.contains(key.kid()));
///
/// let id_token = key.sign(&json!({ "iss": "https://issuer.test", "sub": "1" }))?;
/// assert_eq!(id_token.split('.').count(), 3);
///
/// // A token that lies about its algorithm.
/// let forged = key.sign_raw(r#"{"alg":"none"}"#, r#"{"sub":"1"}"#)?;
///
/// // Another key, beside which the first one stays published until it is withdrawn.
/// key.rotate()?;
/// assert_eq!(key.jwk_set()["keys"].as_array().map(Vec::len), Some(2));
/// key.withdraw_former();
/// assert_eq!(key.jwk_set()["keys"].as_array().map(Vec::len), Some(1));
/// # drop(forged);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct IdTokenKey {
    algorithm: Algorithm,
    kid: String,
    pair: Pair,
    /// The public parts of the keys before this one.
    former: Vec<Value>,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl IdTokenKey {
    /// A new key for one algorithm, under a random `kid`: RSA of 2048 bits, P-256, P-384 or Ed25519.
    ///
    /// # Errors
    ///
    /// When the system has no randomness to give.
    pub fn generate(algorithm: Algorithm) -> io::Result<IdTokenKey> {
        let pair = match algorithm.key_kind() {
            KeyKind::Rsa => RsaKeyPair::generate(KeySize::Rsa2048).map(Pair::Rsa),
            KeyKind::P256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::Ec),
            KeyKind::P384 => EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).map(Pair::Ec),
            KeyKind::Ed25519 => Ed25519KeyPair::generate().map(Pair::Ed),
        };
        let pair = pair.map_err(|_| io::Error::other("a key could not be made"))?;
        Ok(IdTokenKey { algorithm, kid: random::hex::<8>()?, pair, former: Vec::new() })
    }

    /// Makes another key, under another `kid`, and signs with that. The former one stays published.
    ///
    /// # Errors
    ///
    /// When the system has no randomness to give. Nothing has changed then.
    pub fn rotate(&mut self) -> io::Result<()> {
        let next = IdTokenKey::generate(self.algorithm)?;
        self.former.push(self.jwk());
        (self.kid, self.pair) = (next.kid, next.pair);
        Ok(())
    }

    /// Publishes the former keys no longer.
    pub fn withdraw_former(&mut self) {
        self.former.clear();
    }

    /// The algorithm that it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The name of the key in the JWK set and in the header of what it signs.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public part, as a JWK (RFC 7517) with `kid`, `use` and `alg`.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                let n = public.modulus().big_endian_without_leading_zero();
                let e = public.exponent().big_endian_without_leading_zero();
                json!({ "kty": "RSA", "n": base64(n), "e": base64(e) })
            }
            Pair::Ec(pair) => {
                // An uncompressed point: a byte 4, and two coordinates of one length (SEC 1 section 2.3.3).
                let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if self.algorithm.key_kind() == KeyKind::P384 { "P-384" } else { "P-256" };
                json!({ "kty": "EC", "crv": curve, "x": base64(x), "y": base64(y) })
            }
            Pair::Ed(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": base64(pair.public_key()) }),
        };
        jwk["kid"] = self.kid.as_str().into();
        jwk["use"] = "sig".into();
        jwk["alg"] = self.algorithm.name().into();
        jwk
    }

    /// What the issuer publishes: this key, and those before it that were not withdrawn.
    pub fn jwk_set(&self) -> Value {
        let keys: Vec<Value> = [self.jwk()].into_iter().chain(self.former.iter().cloned()).collect();
        json!({ "keys": keys })
    }

    /// A token with these claims, and a header as it should be: `alg`, `kid`, `typ`.
    ///
    /// # Errors
    ///
    /// If the claims cannot be written as JSON.
    pub fn sign(&self, claims: &impl Serialize) -> io::Result<String> {
        let header = json!({ "alg": self.algorithm.name(), "kid": self.kid, "typ": "JWT" });
        self.sign_raw(header.to_string(), serde_json::to_vec(claims)?)
    }

    /// A token with this header and these claims to the byte, JSON or not, and a signature of this key over them, by its own
    /// algorithm whatever the header says.
    ///
    /// # Errors
    ///
    /// When the system has no randomness to give.
    pub fn sign_raw(&self, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> io::Result<String> {
        let message = format!("{}.{}", base64(header), base64(claims));
        let signature = self.signature(message.as_bytes()).map_err(|_| io::Error::other("the signature failed"))?;
        Ok(format!("{message}.{}", base64(signature)))
    }

    /// The public key as bytes: of RSA the DER of `RSAPublicKey` (RFC 8017 appendix A.1.1).
    pub(super) fn public_bytes(&self) -> &[u8] {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref(),
            Pair::Ec(pair) => pair.public_key().as_ref(),
            Pair::Ed(pair) => pair.public_key().as_ref(),
        }
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding: &'static dyn RsaEncoding = match self.algorithm {
                    Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
                    Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
                    Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
                    Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
                    Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &SystemRandom::new(), message, &mut signature)?;
                Ok(signature)
            }
            Pair::Ec(pair) => Ok(pair.sign(&SystemRandom::new(), message)?.as_ref().to_vec()),
            Pair::Ed(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl fmt::Debug for IdTokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdTokenKey").field("algorithm", &self.algorithm).field("kid", &self.kid).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;

    /// The claims of a token, if a library that takes no part in the signing knows the signature by this JWK.
    fn known_by(jwk: &Value, token: &str) -> Option<Value> {
        let key = DecodingKey::from_jwk(&serde_json::from_value(jwk.clone()).unwrap()).unwrap();
        let mut validation = Validation::new(jwk["alg"].as_str().unwrap().parse().unwrap());
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        jsonwebtoken::decode(token, &key, &validation).ok().map(|data| data.claims)
    }

    /// What a key signs is known by what it publishes, before and after it rotates.
    #[test]
    fn signed_as_published() {
        for algorithm in [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa] {
            let mut key = IdTokenKey::generate(algorithm).unwrap();
            let (claims, former) = (json!({ "sub": "1" }), key.jwk());
            let token = key.sign(&claims).unwrap();
            assert_eq!(known_by(&former, &token), Some(claims.clone()), "{algorithm}");

            key.rotate().unwrap();
            assert_ne!(former["kid"], key.kid());
            assert_eq!(key.jwk_set(), json!({ "keys": [key.jwk(), former] }));
            assert_eq!(known_by(&key.jwk(), &token), None);
            assert_eq!(known_by(&key.jwk(), &key.sign(&claims).unwrap()), Some(claims));
            key.withdraw_former();
            assert_eq!(key.jwk_set(), json!({ "keys": [key.jwk()] }));
        }
    }

    /// What is published, and shown, has no private part (RFC 7518 sections 6.2.2 and 6.3.2).
    #[test]
    fn nothing_private() {
        for (algorithm, members) in [
            (Algorithm::Rs512, ["alg", "e", "kid", "kty", "n", "use"].as_slice()),
            (Algorithm::Es384, &["alg", "crv", "kid", "kty", "use", "x", "y"]),
            (Algorithm::EdDsa, &["alg", "crv", "kid", "kty", "use", "x"]),
        ] {
            let key = IdTokenKey::generate(algorithm).unwrap();
            let jwk = key.jwk();
            let mut named: Vec<&str> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
            named.sort_unstable();
            assert_eq!(named, members);
            assert_eq!(format!("{key:?}"), format!("IdTokenKey {{ algorithm: {algorithm:?}, kid: {:?}, .. }}", key.kid()));
        }
    }
}
