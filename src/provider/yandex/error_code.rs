use std::fmt;

use crate::{
    error::{ErrorKind, TokenError},
    grant::is_code,
};

/// Why a login gave no token, as the address says that the browser ended up at.
///
/// # Examples
///
/// ```
/// use tower_token::provider::yandex::{ErrorCode, Yandex};
/// # let service = tower::service_fn(|_: http::Request<http_body_util::Full<bytes::Bytes>>| async {
/// #     Ok::<_, std::io::Error>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
/// # });
///
/// let address = "https://oauth.yandex.com/verification_code#error=unauthorized_client";
/// let error = Yandex::over(service, address).err();
/// assert_eq!(error.as_ref().and_then(ErrorCode::of_error), Some(ErrorCode::UnauthorizedClient));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// `unauthorized_client`: there are restrictions for the account. Yandex's support can remove them.
    UnauthorizedClient,
    /// `access_denied`: the person said no (RFC 6749 section 4.2.2.1).
    AccessDenied,
    /// A code that the page does not list: short, visible ASCII, chosen by the server.
    Other(String),
}

impl ErrorCode {
    /// The code, as Yandex writes it.
    pub fn as_str(&self) -> &str {
        match self {
            ErrorCode::UnauthorizedClient => "unauthorized_client",
            ErrorCode::AccessDenied => "access_denied",
            ErrorCode::Other(code) => code,
        }
    }

    /// The code with which a login failed, if it gave one.
    pub fn of_error(error: &TokenError) -> Option<ErrorCode> {
        error.code().map(ErrorCode::from_text)
    }

    fn from_text(text: &str) -> ErrorCode {
        [ErrorCode::UnauthorizedClient, ErrorCode::AccessDenied]
            .into_iter()
            .find(|code| code.as_str() == text)
            .unwrap_or_else(|| ErrorCode::Other(text.to_owned()))
    }

    /// What a login with this code comes to.
    pub(super) fn error(text: &str) -> TokenError {
        if !is_code(text) {
            return TokenError::new(ErrorKind::Refused, "Yandex gave no token, but an error without a readable code");
        }
        let code = ErrorCode::from_text(text);
        let why = match &code {
            ErrorCode::UnauthorizedClient => {
                "Yandex gave no token: there are restrictions for this account, which Yandex's support can remove"
            }
            ErrorCode::AccessDenied => "Yandex gave no token: the user has not agreed",
            ErrorCode::Other(_) => "Yandex gave no token, but an error",
        };
        TokenError::new(ErrorKind::Refused, why).with_code(code.as_str())
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
