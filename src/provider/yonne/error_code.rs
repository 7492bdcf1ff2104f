use std::fmt;

use http::StatusCode;

use crate::{error::TokenError, provider::code_in::code_in};

/// An error code of Yonne's, from the page's table or from a reply.
///
/// # Examples
///
/// ```
/// use http::StatusCode;
/// use tower_token::provider::yonne::ErrorCode;
///
/// let body = br#"{"error": {"code": "S2S_DISABLED", "message": "..."}}"#;
/// assert_eq!(ErrorCode::of(StatusCode::FORBIDDEN, body), Some(ErrorCode::S2sDisabled));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// `TOKEN_MISSING`, 401: the request had no `Authorization` header.
    TokenMissing,
    /// `TOKEN_EXPIRED`, 401: the token is older than 24 hours.
    TokenExpired,
    /// `TOKEN_INVALID`, 401: bad signature or wrong type of token.
    TokenInvalid,
    /// `COURIER_NOT_FOUND`, 404: the token's courier no longer exists. Contact Yonne's support.
    CourierNotFound,
    /// `S2S_DISABLED`, 403: an administrator has turned the integration off. Contact your account manager at Yonne; the
    /// credentials are still good.
    S2sDisabled,
    /// `DB_ERROR`, 503: the platform's database cannot be reached.
    DbError,
    /// A code that the page does not list: short, visible ASCII, chosen by the server.
    Other(String),
}

impl ErrorCode {
    const LISTED: [ErrorCode; 6] = [
        ErrorCode::TokenMissing,
        ErrorCode::TokenExpired,
        ErrorCode::TokenInvalid,
        ErrorCode::CourierNotFound,
        ErrorCode::S2sDisabled,
        ErrorCode::DbError,
    ];

    /// The code, as Yonne writes it.
    pub fn as_str(&self) -> &str {
        match self {
            ErrorCode::TokenMissing => "TOKEN_MISSING",
            ErrorCode::TokenExpired => "TOKEN_EXPIRED",
            ErrorCode::TokenInvalid => "TOKEN_INVALID",
            ErrorCode::CourierNotFound => "COURIER_NOT_FOUND",
            ErrorCode::S2sDisabled => "S2S_DISABLED",
            ErrorCode::DbError => "DB_ERROR",
            ErrorCode::Other(code) => code,
        }
    }

    /// The code in a response of any endpoint; `None` for a success, and for a body without a readable code.
    ///
    /// It is looked for at the places that the [module's docs](super) name.
    pub fn of(status: StatusCode, body: &[u8]) -> Option<ErrorCode> {
        code_in(status, body, |code| ErrorCode::from_text(code).is_listed()).as_deref().map(ErrorCode::from_text)
    }

    /// The code with which the token endpoint failed, if it gave one.
    pub fn of_error(error: &TokenError) -> Option<ErrorCode> {
        error.code().map(ErrorCode::from_text)
    }

    fn from_text(text: &str) -> ErrorCode {
        ErrorCode::LISTED.into_iter().find(|code| code.as_str() == text).unwrap_or_else(|| ErrorCode::Other(text.to_owned()))
    }

    fn is_listed(&self) -> bool {
        !matches!(self, ErrorCode::Other(_))
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_codes_come_first() {
        let of = |body: &str| ErrorCode::of(StatusCode::FORBIDDEN, body.as_bytes());
        assert_eq!(of(r#"{"code":"Forbidden","error":"S2S_DISABLED"}"#), Some(ErrorCode::S2sDisabled));
        assert_eq!(of(r#"{"code":"NEW_ONE"}"#), Some(ErrorCode::Other("NEW_ONE".to_owned())));
        assert_eq!(of(r#"{"message":"S2S_DISABLED"}"#), None);
        assert_eq!(ErrorCode::of(StatusCode::OK, br#"{"code":"S2S_DISABLED"}"#), None);
        for code in ErrorCode::LISTED {
            assert_eq!(ErrorCode::from_text(code.as_str()), code);
            assert_eq!(ErrorCode::from_text(&code.to_string()), code);
        }
    }
}
