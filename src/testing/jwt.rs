use std::{fmt, io};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, crypto::aws_lc};
use serde::{Serialize, de::DeserializeOwned};

use super::random;

/// Signs and verifies JWTs with a key of its own, made when it is: HS256 (RFC 7518 section 3.2), and nothing else.
pub(super) struct Signer {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl Signer {
    pub(super) fn new() -> io::Result<Signer> {
        // `jsonwebtoken` panics at the first signature when another dependency turns on its second backend and nobody has
        // picked one. An error says that somebody has, and then theirs will do.
        let _picked = aws_lc::DEFAULT_PROVIDER.install_default();
        let key = random::bytes::<32>()?;
        let mut validation = Validation::new(Algorithm::HS256);
        // Expiry in whole seconds, with a leeway, is too coarse: an emulator keeps its own book of lifetimes. What the other
        // claims must be is its vendor's business, not the signature's.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Ok(Signer { encoding: EncodingKey::from_secret(&key), decoding: DecodingKey::from_secret(&key), validation })
    }

    pub(super) fn sign(&self, claims: &impl Serialize) -> io::Result<String> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.encoding).map_err(io::Error::other)
    }

    /// The claims, if the signature is this signer's. Whether they have expired is not asked.
    pub(super) fn verify<T: DeserializeOwned + Clone>(&self, token: &str) -> Option<T> {
        jsonwebtoken::decode(token, &self.decoding, &self.validation).ok().map(|data| data.claims)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A signer knows its own signatures, long expired or not, and no others.
    #[test]
    fn only_its_own() {
        let (ours, theirs) = (Signer::new().unwrap(), Signer::new().unwrap());
        let token = ours.sign(&json!({ "exp": 1, "aud": "anyone" })).unwrap();
        assert_eq!(ours.verify::<Value>(&token).unwrap()["exp"], 1);
        assert!(theirs.verify::<Value>(&token).is_none());
        assert!(ours.verify::<Value>("no.jwt.here").is_none());
    }
}
