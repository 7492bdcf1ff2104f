use std::fmt;

use crate::error::{ErrorKind, TokenError};

/// An error of what the program gave: the text names the vendor and the field, and shows nothing that was given.
pub(super) fn misconfigured(vendor: &str, what: impl fmt::Display) -> TokenError {
    TokenError::new(ErrorKind::Misconfigured, format!("{vendor}: {what}"))
}

/// A key, an id or a secret without the white space that copying it has left around it.
pub(super) fn credential<'a>(vendor: &str, field: &str, value: &'a str) -> Result<&'a str, TokenError> {
    match value.trim_ascii() {
        "" => Err(misconfigured(vendor, format_args!("`{field}` is empty"))),
        trimmed => Ok(trimmed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S3.
    #[test]
    fn a_credential_is_not_empty() {
        assert_eq!(credential("Acme", "key", " k 1\r\n").unwrap(), "k 1");
        for empty in ["", " \t\r\n"] {
            let error = credential("Acme", "key", empty).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Misconfigured, "Acme: `key` is empty"));
        }
    }
}
