use super::{FetchContext, FetchReason, TokenSource};
use crate::{
    error::{ErrorKind, TokenError},
    token::AccessToken,
};

/// A token that never changes: one that a person made in a vendor's console.
///
/// A server that rejects it gets it again with the next request: there is no other. Each such 401 is handed back with a
/// `Refused` beside it, in the response's extensions.
///
/// It is the only source here that is `Clone`: two engines over one static token do each other no harm.
///
/// # Examples
///
/// ```
/// use tower_token::{OAuthHeaderLayer, Origins, StaticToken};
///
/// let origins = "https://courier.yandex.ru".parse::<Origins>()?;
/// let layer = OAuthHeaderLayer::new(origins, StaticToken::new("y0_AgAAAA...")?);
/// # drop(layer);
/// # Ok::<(), tower_token::TokenError>(())
/// ```
#[derive(Clone, Debug)]
pub struct StaticToken(AccessToken);

impl StaticToken {
    /// Checks the secret's grammar as [`AccessToken::new`] does.
    ///
    /// # Errors
    ///
    /// `Misconfigured` if the secret cannot be sent in a header.
    pub fn new(secret: impl Into<String>) -> Result<StaticToken, TokenError> {
        AccessToken::new(secret).map(StaticToken)
    }
}

impl From<AccessToken> for StaticToken {
    fn from(token: AccessToken) -> StaticToken {
        StaticToken(token)
    }
}

impl TokenSource for StaticToken {
    async fn fetch(&mut self, cx: FetchContext) -> Result<AccessToken, TokenError> {
        match cx.reason() {
            FetchReason::Rejected => Err(TokenError::new(ErrorKind::Refused, "a server rejected the static token")),
            FetchReason::First | FetchReason::Expiring => Ok(self.0.clone()),
        }
    }
}
