use std::fmt;

use http::StatusCode;

use crate::{error::TokenError, provider::code_in::code_in};

/// An error code of Yolcu360's, from the page's table or from a reply.
///
/// # Examples
///
/// ```
/// use http::StatusCode;
/// use tower_token::provider::yolcu360::ErrorCode;
///
/// let body = br#"{"code": 1005, "message": "..."}"#;
/// assert_eq!(ErrorCode::of(StatusCode::TOO_MANY_REQUESTS, body), Some(ErrorCode::RateLimited));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// `1001`: invalid request format.
    InvalidRequest,
    /// `1002`: invalid API key or secret key.
    InvalidKey,
    /// `1003`: the API key is disabled or suspended.
    KeyDisabled,
    /// `1004`: invalid or expired refresh token.
    InvalidRefreshToken,
    /// `1005`: rate limit exceeded.
    RateLimited,
    /// `1500`: internal server error.
    Internal,
    /// A code that the page does not list: short, visible ASCII, chosen by the server.
    Other(String),
}

impl ErrorCode {
    const LISTED: [ErrorCode; 6] = [
        ErrorCode::InvalidRequest,
        ErrorCode::InvalidKey,
        ErrorCode::KeyDisabled,
        ErrorCode::InvalidRefreshToken,
        ErrorCode::RateLimited,
        ErrorCode::Internal,
    ];

    /// The code, as Yolcu360 lists it.
    pub fn as_str(&self) -> &str {
        match self {
            ErrorCode::InvalidRequest => "1001",
            ErrorCode::InvalidKey => "1002",
            ErrorCode::KeyDisabled => "1003",
            ErrorCode::InvalidRefreshToken => "1004",
            ErrorCode::RateLimited => "1005",
            ErrorCode::Internal => "1500",
            ErrorCode::Other(code) => code,
        }
    }

    /// The code in a response of any endpoint, a number or a text; `None` for a success, and for a body without a readable code.
    ///
    /// It is looked for at the places that the [module's docs](super) name.
    pub fn of(status: StatusCode, body: &[u8]) -> Option<ErrorCode> {
        code_in(status, body, |code| ErrorCode::from_text(code).is_listed()).as_deref().map(ErrorCode::from_text)
    }

    /// The code with which login or refresh failed, if there was one.
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
    fn a_code_is_a_number_or_a_text() {
        for code in ErrorCode::LISTED {
            for body in [format!(r#"{{"code":{code}}}"#), format!(r#"{{"code":401,"error":{{"code":"{code}"}}}}"#)] {
                assert_eq!(ErrorCode::of(StatusCode::UNAUTHORIZED, body.as_bytes()), Some(code.clone()), "{body}");
                assert_eq!(ErrorCode::of(StatusCode::OK, body.as_bytes()), None);
            }
        }
        let of = |body: &[u8]| ErrorCode::of(StatusCode::BAD_REQUEST, body);
        assert_eq!(of(br#"{"code":1006}"#), Some(ErrorCode::Other("1006".to_owned())));
        assert_eq!(of(br#"{"message":"1002"}"#), None);
    }
}
