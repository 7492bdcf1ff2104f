use std::{collections::HashSet, sync::Arc};

use super::{algorithm::Algorithm, json::Object, key::Key};

/// The most bytes that a set may have: 256 KiB.
const BYTES: usize = 256 << 10;

/// The most keys that a set may have, good and bad ones.
const KEYS: usize = 100;

/// The keys of an issuer.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<Arc<Key>>);

impl KeySet {
    /// Reads a JWK set (RFC 7517 section 5). A key that will not do is passed over, and so is one whose `kid` another one
    /// before it has; the rest serve. The error reads on after "the issuer's key set".
    pub(super) fn parse(body: &[u8]) -> Result<KeySet, &'static str> {
        if body.len() > BYTES {
            return Err("is larger than 256 KiB");
        }
        let set = Object::parse(body).ok_or("is not a JSON object with unique members")?;
        let entries = set.get("keys").and_then(|keys| keys.elements()).ok_or("has no list of `keys`")?;
        if entries.len() > KEYS {
            return Err("has more than 100 keys");
        }
        let mut kids = HashSet::new();
        let readable = entries.into_iter().filter_map(|entry| Key::read(&Object::parse(entry.get().as_bytes())?));
        let good = readable.filter(|key| key.kid.as_ref().is_none_or(|kid| kids.insert(kid.clone())));
        Ok(KeySet(good.map(Arc::new).collect()))
    }

    /// The key that a header means: the one with its `kid`; without a `kid`, the only one that fits (V10).
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Arc<Key>> {
        let mut fitting = self.0.iter().filter(|key| key.fits(algorithm) && (kid.is_none() || key.kid.as_deref() == kid));
        fitting.next().filter(|_| fitting.next().is_none()).cloned()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    /// A key of 32 bytes, with more members.
    fn ed(more: &str) -> String {
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"{more}}}"#, URL_SAFE_NO_PAD.encode([7; 32]))
    }

    fn rsa(more: &str) -> String {
        format!(r#"{{"kty":"RSA","e":"AQAB","n":"{}"{more}}}"#, URL_SAFE_NO_PAD.encode([0xff; 256]))
    }

    fn set(keys: &[String]) -> KeySet {
        KeySet::parse(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes()).unwrap()
    }

    /// V10: a bad key spoils no other.
    #[test]
    fn bad_keys_are_passed_over_one_by_one() {
        let bad = ["1", "null", "[]", "{}", r#"{"kty":"oct","k":"AA"}"#, r#"{"kty":"OKP","kty":"OKP"}"#].map(str::to_owned);
        let keys = [&bad[..], &[ed(r#","kid":"a""#)], &bad, &[rsa(r#","kid":"b""#), rsa(r#","kid":"c","use":"enc""#)]].concat();
        let keys = set(&keys);
        assert_eq!(keys.len(), 2);
        assert!(keys.find(Some("a"), Algorithm::EdDsa).is_some() && keys.find(Some("b"), Algorithm::Rs256).is_some());
        assert_eq!(set(&[]).len(), 0);
    }

    /// V10: of two good keys with one `kid` the first counts; a bad one takes nobody's place.
    #[test]
    fn a_kid_names_one_key() {
        let keys = set(&[rsa(r#","kid":"a","use":"enc""#), ed(r#","kid":"a""#), rsa(r#","kid":"a""#)]);
        assert_eq!(keys.len(), 1);
        assert!(keys.find(Some("a"), Algorithm::EdDsa).is_some() && keys.find(Some("a"), Algorithm::Rs256).is_none());
    }

    /// V1, V10: a header's `kid` must match and the key must fit; without a `kid`, exactly one key must fit.
    #[test]
    fn which_key_is_meant() {
        let found = |keys: &[String], kid, algorithm| set(keys).find(kid, algorithm).is_some();
        let (named, other) = (ed(r#","kid":"a""#), ed(r#","kid":"b""#));
        let one = [named.clone()];
        for (keys, kid, algorithm, is) in [
            (&one[..], Some("a"), Algorithm::EdDsa, true),
            (&one, Some("A"), Algorithm::EdDsa, false),
            (&one, Some(""), Algorithm::EdDsa, false),
            (&one, Some("a"), Algorithm::Rs256, false),
            (&one, None, Algorithm::EdDsa, true),
            (&[ed("")], None, Algorithm::EdDsa, true),
            (&[ed("")], Some("a"), Algorithm::EdDsa, false),
            (&[ed(""), rsa("")], None, Algorithm::EdDsa, true),
            (&[ed(""), ed("")], None, Algorithm::EdDsa, false),
            (&[named.clone(), other.clone()], None, Algorithm::EdDsa, false),
            (&[named, other], Some("b"), Algorithm::EdDsa, true),
            (&[rsa(r#","alg":"RS256""#), rsa(r#","alg":"PS256""#)], None, Algorithm::Ps256, true),
            (&[rsa(r#","alg":"RS256""#), rsa("")], None, Algorithm::Rs256, false),
            (&[], None, Algorithm::Rs256, false),
        ] {
            assert_eq!(found(keys, kid, algorithm), is, "{keys:?} {kid:?} {algorithm}");
        }
    }

    #[test]
    fn what_is_no_set() {
        for (body, why) in [
            ("", "is not a JSON object with unique members"),
            ("[]", "is not a JSON object with unique members"),
            ("<html>", "is not a JSON object with unique members"),
            (r#"{"keys":[],"keys":[]}"#, "is not a JSON object with unique members"),
            ("{}", "has no list of `keys`"),
            (r#"{"keys":{}}"#, "has no list of `keys`"),
            (r#"{"keys":null}"#, "has no list of `keys`"),
        ] {
            assert_eq!(KeySet::parse(body.as_bytes()).err(), Some(why), "{body}");
        }
        let keys = |count: usize| format!(r#"{{"keys":[{}]}}"#, vec!["{}"; count].join(","));
        assert!(KeySet::parse(keys(100).as_bytes()).is_ok());
        assert_eq!(KeySet::parse(keys(101).as_bytes()).err(), Some("has more than 100 keys"));
        assert_eq!(KeySet::parse(keys(10_000).as_bytes()).err(), Some("has more than 100 keys"));

        let padded = |length: usize| format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(length - 18));
        assert_eq!(padded(BYTES).len(), BYTES);
        assert!(KeySet::parse(padded(BYTES).as_bytes()).is_ok());
        assert_eq!(KeySet::parse(padded(BYTES + 1).as_bytes()).err(), Some("is larger than 256 KiB"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_set_or_a_reason(body: Vec<u8>, keys in r#"[\[\]{}",:a-z0-9]{0,60}"#) {
            let _ = KeySet::parse(&body);
            let _ = KeySet::parse(format!(r#"{{"keys":[{keys}]}}"#).as_bytes());
        }
    }
}
