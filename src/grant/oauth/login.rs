use std::fmt;

use zeroize::Zeroizing;

use crate::token::{AccessToken, RefreshToken};

/// What a user's login brought: a [`UserLogin`](super::UserLogin) keeps it going.
///
/// `Debug` shows no secret, and the memory is wiped on drop.
pub struct Login {
    pub(super) token: AccessToken,
    pub(super) refresh: Option<RefreshToken>,
    pub(super) id_token: Option<Zeroizing<String>>,
    pub(super) subject: Option<String>,
}

impl Login {
    /// The access token. Its lifetime is also there as a moment by the wall clock, so that it may be kept.
    pub fn access_token(&self) -> &AccessToken {
        &self.token
    }

    /// What the login is continued with, if the server gave one: many do only for the scope `offline_access`.
    pub fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh.as_ref()
    }

    /// The scopes that were granted: those that were asked for, where the server did not say.
    pub fn scopes(&self) -> &[String] {
        self.token.granted_scopes()
    }

    /// The id_token as it came. It has passed the `on_id_token` check if there is one; without, nobody has looked at it.
    pub fn id_token(&self) -> Option<&str> {
        self.id_token.as_deref().map(String::as_str)
    }

    /// The `sub` claim of the id_token: who logged in, as far as the [id_token](Self::id_token) can be believed. To be kept for
    /// [`RefreshGrant::subject`](super::RefreshGrant::subject).
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("token", &self.token).field("refresh", &self.refresh).finish_non_exhaustive()
    }
}
