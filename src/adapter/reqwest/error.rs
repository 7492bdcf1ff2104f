use std::{error::Error, fmt};

use reqwest::Url;

use crate::error::TokenError;

/// Why a request through a [`ReqwestService`](super::ReqwestService) came to nothing.
///
/// The cause is the [`source`](Error::source) as well, for whoever has only a boxed error. The URL in a `reqwest::Error` is shown
/// without query, fragment and user info, which may hold secrets; that of an error inside it, as where `https_only` stops a redirect,
/// is reqwest's and stays.
///
/// # Examples
///
/// ```
/// use tower_token::AuthError;
/// use tower_token::adapter::reqwest::ReqwestError;
///
/// fn is_timeout(error: &AuthError<ReqwestError>) -> bool {
///     matches!(error, AuthError::Service(ReqwestError::Reqwest(error)) if error.is_timeout())
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ReqwestError {
    /// The request was not sent: its URI says no scheme and authority, or it carries a secret that a redirect would give away.
    Unsent(TokenError),
    /// reqwest failed.
    Reqwest(reqwest::Error),
}

impl ReqwestError {
    /// With the URL cut down to what may be shown.
    pub(super) fn reqwest(mut error: reqwest::Error) -> ReqwestError {
        let cut = error.url_mut().is_none_or(cut);
        ReqwestError::Reqwest(if cut { error } else { error.without_url() })
    }
}

/// Whether it could be done.
fn cut(url: &mut Url) -> bool {
    url.set_query(None);
    url.set_fragment(None);
    url.set_username("").is_ok() && url.set_password(None).is_ok()
}

impl fmt::Display for ReqwestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReqwestError::Unsent(_) => "the request was not sent",
            ReqwestError::Reqwest(_) => "reqwest failed to carry the request",
        })
    }
}

impl Error for ReqwestError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(match self {
            ReqwestError::Unsent(error) => error,
            ReqwestError::Reqwest(error) => error,
        })
    }
}
