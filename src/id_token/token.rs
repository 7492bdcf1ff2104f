use std::{fmt, time::SystemTime};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::error::{Check, IdTokenError};

/// An id_token that was [verified](super::Verifier::verify): who logged in, when, and for whom.
///
/// `Debug` shows no claim: names and addresses are personal data.
///
/// # Examples
///
/// The claims of your own are read by a type of yours. Those that every id_token has have been checked, and have methods.
///
/// ```
/// use tower_token::id_token::{IdToken, IdTokenError};
///
/// #[derive(serde::Deserialize)]
/// struct Merchant {
///     user_name: Option<String>,
///     business_ids: Vec<String>,
/// }
///
/// fn businesses(token: &IdToken) -> Result<usize, IdTokenError> {
///     let merchant: Merchant = token.claims()?;
///     Ok(merchant.business_ids.len())
/// }
/// ```
#[derive(Clone)]
pub struct IdToken {
    pub(super) claims: Zeroizing<Vec<u8>>,
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) audience: Vec<String>,
    pub(super) authorized_party: Option<String>,
    pub(super) expires_at: SystemTime,
    pub(super) issued_at: SystemTime,
    pub(super) auth_time: Option<SystemTime>,
    pub(super) nonce: Option<Zeroizing<String>>,
}

impl IdToken {
    /// All claims, as a type of yours reads them. It may borrow, and be read as often as you like.
    ///
    /// # Errors
    ///
    /// [`Check::OwnClaims`], if they are not what the type expects.
    pub fn claims<'a, T: Deserialize<'a>>(&'a self) -> Result<T, IdTokenError> {
        // The text of serde's error may hold a claim.
        serde_json::from_slice(&self.claims)
            .map_err(|_| IdTokenError::new(Check::OwnClaims, "has other claims than the program expects"))
    }

    /// `iss`: who says so. It is the issuer that the verifier was made for.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `sub`: who logged in. Unique and never reassigned within the issuer, and so, unlike an e-mail address, what an account is
    /// known by.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `aud`: for whom. The client is among them.
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// `azp`: to whom it was issued. If there, it is the client.
    pub fn authorized_party(&self) -> Option<&str> {
        self.authorized_party.as_deref()
    }

    /// `exp`: until when it may be presented. How long the login lasts is another matter.
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    /// `iat`.
    pub fn issued_at(&self) -> SystemTime {
        self.issued_at
    }

    /// `auth_time`: when the user last proved who they are.
    pub fn auth_time(&self) -> Option<SystemTime> {
        self.auth_time
    }

    /// Whether `new`, which came with a refresh, continues the login of this one (OpenID Connect Core 1.0 section 12.2): `iss`,
    /// `sub`, `aud` in whatever order, and `azp` are the same, and so is `nonce` if the new one has one.
    ///
    /// # Errors
    ///
    /// [`Check::SameLogin`]. What came with the new token is somebody else's: drop it, and log in again.
    pub fn same_login(&self, new: &IdToken) -> Result<(), IdTokenError> {
        let all_in = |some: &[String], others: &[String]| some.iter().all(|one| others.contains(one));
        for (same, what) in [
            (self.issuer == new.issuer, "has another `iss` than the login it continues"),
            (self.subject == new.subject, "has another `sub` than the login it continues"),
            (
                all_in(&self.audience, &new.audience) && all_in(&new.audience, &self.audience),
                "has another `aud` than the login it continues",
            ),
            (self.authorized_party == new.authorized_party, "has another `azp` than the login it continues"),
            (new.nonce.is_none() || self.nonce == new.nonce, "has another `nonce` than the login it continues"),
        ] {
            if !same {
                return Err(IdTokenError::new(Check::SameLogin, what));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for IdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdToken").finish_non_exhaustive()
    }
}
