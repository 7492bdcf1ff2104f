use std::fmt;

use serde::Deserialize;

use crate::{
    error::{ErrorKind, TokenError},
    id_token::IdToken,
};

/// Who logged in, as a verified id_token says: the claims of Yoco's page.
///
/// `Debug` shows none of it: names and addresses are personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct Merchant {
    id: String,
    claims: Claims,
}

/// Every one may be missing or `null`: `sub` alone identifies.
#[derive(Clone, PartialEq, Eq, Deserialize)]
struct Claims {
    user_id: Option<String>,
    user_name: Option<String>,
    user_email: Option<String>,
    default_business_id: Option<String>,
    business_ids: Option<Vec<String>>,
    authorized_business_id: Option<String>,
}

impl Merchant {
    /// # Errors
    ///
    /// `Refused` if a claim is not of its type, or if `user_id` is another than `sub`.
    pub(super) fn of(token: &IdToken) -> Result<Merchant, TokenError> {
        let claims: Claims = token.claims()?;
        if claims.user_id.as_ref().is_some_and(|id| id != token.subject()) {
            return Err(TokenError::new(ErrorKind::Refused, "Yoco: the id_token's `user_id` is another than its `sub`"));
        }
        Ok(Merchant { id: token.subject().to_owned(), claims })
    }

    /// `sub`, and `user_id`, which is the same: the unique identifier for the merchant. It is what an account is known by.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `user_name`: the merchant's full name.
    pub fn name(&self) -> Option<&str> {
        self.claims.user_name.as_deref()
    }

    /// `user_email`: the merchant's e-mail address. It may change hands: an account is known by its [id](Self::id).
    pub fn email(&self) -> Option<&str> {
        self.claims.user_email.as_deref()
    }

    /// `default_business_id`: the unique identifier for the merchant's default business.
    pub fn default_business_id(&self) -> Option<&str> {
        self.claims.default_business_id.as_deref()
    }

    /// `business_ids`: the businesses for which the merchant has administrative access. None if the claim is missing.
    pub fn business_ids(&self) -> &[String] {
        self.claims.business_ids.as_deref().unwrap_or_default()
    }

    /// `authorized_business_id`: the unique identifier for the business that the merchant authorised. The tokens are for this one.
    pub fn authorized_business_id(&self) -> Option<&str> {
        self.claims.authorized_business_id.as_deref()
    }
}

impl fmt::Debug for Merchant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merchant").finish_non_exhaustive()
    }
}
