use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::error::{ErrorKind, TokenError};

/// So many characters are 256 bits.
pub(super) const LENGTH: usize = 43;

/// 256 bits of the system's randomness, in base64url without padding: a `code_verifier` as RFC 7636 section 4.1 has it.
pub(super) fn secret() -> Result<Zeroizing<String>, TokenError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice())
        .map_err(|_| TokenError::new(ErrorKind::Transient, "the system has no randomness to give"))?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}

/// Whether a text could be one of those.
pub(super) fn is_secret(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn secrets_are_256_bits_and_differ() {
        let drawn: HashSet<String> = (0..1000).map(|_| secret().unwrap().to_string()).collect();
        assert_eq!(drawn.len(), 1000);
        assert!(drawn.iter().all(|text| is_secret(text) && URL_SAFE_NO_PAD.decode(text).unwrap().len() == 32));
        // Each of the places takes many values: none is a constant.
        for at in 0..LENGTH {
            assert!(drawn.iter().map(|text| text.as_bytes()[at]).collect::<HashSet<_>>().len() >= 12, "{at}");
        }
    }
}
