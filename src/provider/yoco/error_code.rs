use std::fmt;

use http::StatusCode;

use super::super::code_in::code_in;
use crate::error::TokenError;

/// An error code of RFC 6749, in a callback (section 4.1.2.1) or from the token endpoint (section 5.2): Yoco's page lists none.
///
/// # Examples
///
/// ```
/// use http::StatusCode;
/// use tower_token::provider::yoco::ErrorCode;
///
/// let body = br#"{"error": "invalid_grant", "error_description": "..."}"#;
/// assert_eq!(ErrorCode::of(StatusCode::BAD_REQUEST, body), Some(ErrorCode::InvalidGrant));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// `access_denied`: the merchant said no.
    AccessDenied,
    /// `invalid_client`: the client is unknown, or its secret is another.
    InvalidClient,
    /// `invalid_grant`: the code or the refresh token is used up, expired or revoked. The merchant has to log in again.
    InvalidGrant,
    /// `invalid_request`: a parameter is missing, there twice, or wrong.
    InvalidRequest,
    /// `invalid_scope`: a scope that there is not, or that this client may not ask for.
    InvalidScope,
    /// `server_error`: for now.
    ServerError,
    /// `temporarily_unavailable`: for now.
    TemporarilyUnavailable,
    /// `unauthorized_client`: the client may not use this grant.
    UnauthorizedClient,
    /// `unsupported_grant_type`: the server does not know this grant.
    UnsupportedGrantType,
    /// `unsupported_response_type`: the server gives no codes.
    UnsupportedResponseType,
    /// Another one: short, visible ASCII, chosen by the server.
    Other(String),
}

impl ErrorCode {
    const LISTED: [ErrorCode; 10] = [
        ErrorCode::AccessDenied,
        ErrorCode::InvalidClient,
        ErrorCode::InvalidGrant,
        ErrorCode::InvalidRequest,
        ErrorCode::InvalidScope,
        ErrorCode::ServerError,
        ErrorCode::TemporarilyUnavailable,
        ErrorCode::UnauthorizedClient,
        ErrorCode::UnsupportedGrantType,
        ErrorCode::UnsupportedResponseType,
    ];

    /// The code, as RFC 6749 writes it.
    pub fn as_str(&self) -> &str {
        match self {
            ErrorCode::AccessDenied => "access_denied",
            ErrorCode::InvalidClient => "invalid_client",
            ErrorCode::InvalidGrant => "invalid_grant",
            ErrorCode::InvalidRequest => "invalid_request",
            ErrorCode::InvalidScope => "invalid_scope",
            ErrorCode::ServerError => "server_error",
            ErrorCode::TemporarilyUnavailable => "temporarily_unavailable",
            ErrorCode::UnauthorizedClient => "unauthorized_client",
            ErrorCode::UnsupportedGrantType => "unsupported_grant_type",
            ErrorCode::UnsupportedResponseType => "unsupported_response_type",
            ErrorCode::Other(code) => code,
        }
    }

    /// The code in a response of any endpoint, at `/error` or where other vendors put one; `None` for a success, and for a body
    /// without a readable code.
    pub fn of(status: StatusCode, body: &[u8]) -> Option<ErrorCode> {
        code_in(status, body, |code| ErrorCode::from_text(code).is_listed()).as_deref().map(ErrorCode::from_text)
    }

    /// The code with which a login or a refresh failed, if the server gave one.
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
    fn where_a_code_is_read() {
        let of = |body: &str| ErrorCode::of(StatusCode::BAD_REQUEST, body.as_bytes());
        for code in ErrorCode::LISTED {
            assert_eq!(of(&format!(r#"{{"error":"{code}"}}"#)), Some(code));
        }
        assert_eq!(of(r#"{"error":"new_one"}"#), Some(ErrorCode::Other("new_one".to_owned())));
        for none in ["", "<html>", "{}", r#""invalid_grant""#, r#"{"error":"not a code"}"#, r#"{"message":"invalid_grant"}"#] {
            assert_eq!(of(none), None, "{none}");
        }
        assert_eq!(ErrorCode::of(StatusCode::OK, br#"{"error":"invalid_grant"}"#), None);
    }
}
