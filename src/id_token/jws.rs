use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::error::{Check, IdTokenError};

/// The longest text that is looked at, in bytes: 64 KiB. The longest id_tokens in the field, with hundreds of groups, have 10.
const LONGEST: usize = 64 << 10;

/// A JWS in its compact form (RFC 7515 section 7.1), taken apart. Nothing in it is checked yet.
pub(super) struct Jws<'a> {
    /// What the signature is over: header and claims as they were sent.
    pub(super) signed: &'a str,
    pub(super) header: Vec<u8>,
    pub(super) claims: Zeroizing<Vec<u8>>,
    pub(super) signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Jws<'a>, IdTokenError> {
        if text.len() > LONGEST {
            return Err(IdTokenError::new(Check::Length, "is longer than 64 KiB"));
        }
        if text.bytes().filter(|byte| *byte == b'.').count() == 4 {
            return Err(IdTokenError::new(Check::Encryption, "is encrypted, which is not supported"));
        }
        let form = || IdTokenError::new(Check::Form, "is not three parts in base64url");
        let (signed, signature) = text.rsplit_once('.').ok_or_else(form)?;
        let (header, claims) = signed.split_once('.').ok_or_else(form)?;
        // Two dots are all: neither part may hold another, which is no character of base64url.
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| form());
        Ok(Jws { signed, header: decode(header)?, claims: Zeroizing::new(decode(claims)?), signature: decode(signature)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Option<Check> {
        Jws::parse(text).err().map(|error| error.check())
    }

    /// V12 and RFC 7515 section 2: the parts, and their alphabet.
    #[test]
    fn three_parts_in_base64url() {
        let jws = Jws::parse("e30.W10._-8").unwrap();
        assert_eq!(
            (jws.signed, &*jws.header, &**jws.claims, &*jws.signature),
            ("e30.W10", &b"{}"[..], &b"[]"[..], &b"\xff\xef"[..])
        );
        assert_eq!((check("e30.e30."), check("..")), (None, None));

        for bad in [
            "",
            ".",
            "e30",
            "e30.e30",
            "e30.e30.e30.e30",
            "e30.e30.e30.e30.e30.e30",
            "e30=.e30.e30",
            "e30.e30=.e30",
            "e30.e30.YQ==",
            "e30.e30.-_+/",
            "e30.e30.e3 0",
            "e30.e30.e30\n",
            " e30.e30.e30",
            "e31.e30.e30",
            "e30.e30.YR",
            "e30.e30.Y",
            "e30.e30.\u{e9}",
        ] {
            assert_eq!(check(bad), Some(Check::Form), "{bad}");
        }
        assert_eq!(check("e30.e30.e30.e30.e30"), Some(Check::Encryption));
        assert_eq!(check("...."), Some(Check::Encryption));
    }

    #[test]
    fn sixty_four_kibibytes() {
        let text = format!("e30.e30.{}", "A".repeat(LONGEST - 8));
        assert_eq!(check(&text), None);
        assert_eq!(check(&format!("{text}A")), Some(Check::Length));
    }
}
