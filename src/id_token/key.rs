use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm as Backend, DecodingKey,
    crypto::{JwtVerifier, aws_lc},
};

use super::{
    algorithm::{Algorithm, KeyKind},
    json::Object,
};

/// RSA below 2048 bits can be factored by those with the means; above 8192 a check costs more than a forger deserves.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Members that a public key does not have (RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1).
const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// A public key, fit to check signatures with.
pub(super) struct Key {
    pub(super) kid: Option<String>,
    kind: KeyKind,
    /// The one algorithm that its issuer made it for, if the issuer says so.
    algorithm: Option<Algorithm>,
    public: DecodingKey,
}

impl Key {
    /// Reads a JWK (RFC 7517 section 4), already taken apart. `None` for one that is not public, not for signatures, too weak
    /// or not understood.
    pub(super) fn read(jwk: &Object<'_>) -> Option<Key> {
        let text = |name: &str| jwk.get(name)?.text();
        // A member that is there with another type spoils the key: `None` inside, which the `?` outside passes on.
        let optional = |name: &str| match jwk.has(name) {
            true => text(name).map(Some),
            false => Some(None),
        };
        if PRIVATE.iter().any(|name| jwk.has(name)) || optional("use")?.is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        if let Some(operations) = jwk.get("key_ops")
            && !operations.texts()?.iter().any(|operation| operation == "verify")
        {
            return None;
        }
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        let (kind, public) = match text("kty")?.as_str() {
            "RSA" => (KeyKind::Rsa, rsa(&bytes("n")?, &bytes("e")?)?),
            "EC" => match text("crv")?.as_str() {
                "P-256" => (KeyKind::P256, point(&bytes("x")?, &bytes("y")?, 32)?),
                "P-384" => (KeyKind::P384, point(&bytes("x")?, &bytes("y")?, 48)?),
                _ => return None,
            },
            "OKP" if text("crv")? == "Ed25519" => {
                (KeyKind::Ed25519, bytes("x").filter(|x| x.len() == 32).map(|x| DecodingKey::from_ed_der(&x))?)
            }
            _ => return None,
        };
        let algorithm = match optional("alg")? {
            Some(name) => Some(Algorithm::named(&name).filter(|algorithm| algorithm.key_kind() == kind)?),
            None => None,
        };
        Some(Key { kid: optional("kid")?, kind, algorithm, public })
    }

    /// V1: whether a signature by this algorithm can be this key's.
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        self.kind == algorithm.key_kind() && self.algorithm.is_none_or(|own| own == algorithm)
    }

    pub(super) fn verifies(&self, algorithm: Algorithm, message: &str, signature: Vec<u8>) -> bool {
        // Named, since the library's default panics where another crate has turned on its second backend (V3).
        let verifier: Result<Box<dyn JwtVerifier>, _> =
            (aws_lc::DEFAULT_PROVIDER.verifier_factory)(&backend(algorithm), &self.public);
        verifier.is_ok_and(|verifier| verifier.verify(message.as_bytes(), &signature).is_ok())
    }
}

fn rsa(n: &[u8], e: &[u8]) -> Option<DecodingKey> {
    let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
    let bits = n.len() * 8 - n.first()?.leading_zeros() as usize;
    // With an exponent of 1 everything is its own signature; an even one belongs to no key, nor does an even modulus. Above
    // 32 bits it makes checks slow, and nobody has one.
    let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    let sound = RSA_BITS.contains(&bits) && odd(n) && odd(e) && e != [1] && e.len() <= 4;
    sound.then(|| DecodingKey::from_rsa_raw_components(n, e))
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    &number[number.iter().position(|byte| *byte != 0).unwrap_or(number.len())..]
}

/// An uncompressed point (SEC 1 section 2.3.3). Whether it is on the curve is looked at when a signature is.
fn point(x: &[u8], y: &[u8], length: usize) -> Option<DecodingKey> {
    (x.len() == length && y.len() == length).then(|| DecodingKey::from_ec_der(&[&[4], x, y].concat()))
}

fn backend(algorithm: Algorithm) -> Backend {
    match algorithm {
        Algorithm::Rs256 => Backend::RS256,
        Algorithm::Rs384 => Backend::RS384,
        Algorithm::Rs512 => Backend::RS512,
        Algorithm::Ps256 => Backend::PS256,
        Algorithm::Ps384 => Backend::PS384,
        Algorithm::Ps512 => Backend::PS512,
        Algorithm::Es256 => Backend::ES256,
        Algorithm::Es384 => Backend::ES384,
        Algorithm::EdDsa => Backend::EdDSA,
    }
}

/// A `kid` is the server's text, so it is left out.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kind", &self.kind).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(bits: usize) -> String {
        let mut bytes = vec![0xff; bits.div_ceil(8)];
        bytes[0] >>= bytes.len() * 8 - bits;
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn read(jwk: &str) -> Option<Key> {
        Key::read(&Object::parse(jwk.as_bytes()).unwrap())
    }

    fn rsa_with(n: &str, e: &str) -> bool {
        read(&format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#)).is_some()
    }

    /// V10: weak, private and foreign keys.
    #[test]
    fn rsa_numbers() {
        for (bits, good) in
            [(512, false), (1024, false), (2047, false), (2048, true), (2049, true), (4096, true), (8192, true), (8193, false)]
        {
            assert_eq!(rsa_with(&number(bits), "AQAB"), good, "{bits}");
        }
        let zeros = URL_SAFE_NO_PAD.encode([&[0; 200][..], &[0xff; 128]].concat());
        assert!(!rsa_with(&zeros, "AQAB"), "zeros before a number make it no longer");
        let padded = URL_SAFE_NO_PAD.encode([&[0][..], &[0xff; 256]].concat());
        assert!(rsa_with(&padded, "AQAB"));
        let even = URL_SAFE_NO_PAD.encode([[0xff; 255].as_slice(), &[0xfe]].concat());
        assert!(!rsa_with(&even, "AQAB"));
        for (e, good) in [
            ("AQAB", true),
            ("Aw", true),
            ("AAM", true),
            ("_____w", true),
            ("AQ", false),
            ("AAE", false),
            ("AA", false),
            ("", false),
            ("Ag", false),
            ("AQAAAAE", false),
            ("AQAB=", false),
        ] {
            assert_eq!(rsa_with(&number(2048), e), good, "{e}");
        }
    }

    /// V10: whatever else makes a key unfit.
    #[test]
    fn unfit_keys() {
        let x = URL_SAFE_NO_PAD.encode([7; 32]);
        let long = URL_SAFE_NO_PAD.encode([7; 33]);
        let wide = URL_SAFE_NO_PAD.encode([7; 48]);
        for good in [
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","use":"sig","alg":"EdDSA","kid":"a","key_ops":["verify"]}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","alg":"Ed25519","key_ops":["sign","verify"],"x5c":[],"more":1}}"#),
            format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{x}","alg":"ES256"}}"#),
            format!(r#"{{"kty":"EC","crv":"P-384","x":"{wide}","y":"{wide}"}}"#),
        ] {
            assert!(read(&good).is_some(), "{good}");
        }
        let good = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#);
        for member in [
            r#""use":"enc""#,
            r#""use":"SIG""#,
            r#""use":null"#,
            r#""use":["sig"]"#,
            r#""key_ops":[]"#,
            r#""key_ops":["sign"]"#,
            r#""key_ops":"verify""#,
            r#""alg":"ES256""#,
            r#""alg":"HS256""#,
            r#""alg":"none""#,
            r#""alg":null"#,
            r#""kid":1"#,
            r#""d":"AQAB""#,
            r#""d":null"#,
            r#""p":"AQAB""#,
            r#""q":"AQAB""#,
            r#""dp":"AQAB""#,
            r#""dq":"AQAB""#,
            r#""qi":"AQAB""#,
            r#""oth":[]"#,
            r#""k":"AQAB""#,
            r#""priv":"AQAB""#,
        ] {
            let bad = format!("{},{member}}}", good.trim_end_matches('}'));
            assert!(read(&bad).is_none(), "{bad}");
        }
        for bad in [
            "{}".to_owned(),
            r#"{"kty":"oct","k":"AQAB"}"#.to_owned(),
            format!(r#"{{"kty":"okp","crv":"Ed25519","x":"{x}"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed448","x":"{x}"}}"#),
            format!(r#"{{"kty":"OKP","crv":"X25519","x":"{x}"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{long}"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}="}}"#),
            r#"{"kty":"OKP","crv":"Ed25519"}"#.to_owned(),
            format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}"}}"#),
            format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{long}"}}"#),
            format!(r#"{{"kty":"EC","crv":"P-256","x":"{wide}","y":"{wide}"}}"#),
            format!(r#"{{"kty":"EC","crv":"P-384","x":"{x}","y":"{x}"}}"#),
            format!(r#"{{"kty":"EC","crv":"secp256k1","x":"{x}","y":"{x}"}}"#),
            format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{x}","alg":"ES384"}}"#),
        ] {
            assert!(read(&bad).is_none(), "{bad}");
        }
    }

    /// V1: an algorithm takes its own kind of key, and a key that names an algorithm takes no other.
    #[test]
    fn which_algorithm_fits_which_key() {
        let n = number(2048);
        let any = read(&format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB"}}"#)).unwrap();
        let one = read(&format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB","alg":"PS256"}}"#)).unwrap();
        for (algorithm, by_any, by_one) in [
            (Algorithm::Rs256, true, false),
            (Algorithm::Ps256, true, true),
            (Algorithm::Ps512, true, false),
            (Algorithm::Es256, false, false),
            (Algorithm::EdDsa, false, false),
        ] {
            assert_eq!((any.fits(algorithm), one.fits(algorithm)), (by_any, by_one), "{algorithm}");
        }
    }
}
