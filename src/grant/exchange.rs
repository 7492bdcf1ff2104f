//! The seam between asking for a token and keeping what came with it.

use std::{future::Future, sync::Arc};

use crate::{
    clock::Clock,
    error::TokenError,
    token::{AccessToken, RefreshToken},
};

/// What a token call brought.
///
/// The parts are apart on purpose: a server that has rotated has already forgotten the old refresh token, so the new one is
/// salvaged and stored whatever came of the rest of the reply.
#[derive(Debug)]
pub(crate) struct Exchanged {
    /// The new refresh token, if the reply had one that can be read. `None` or empty in the reply: the old one goes on (RFC 6749
    /// section 6).
    pub(crate) refresh: Option<RefreshToken>,
    pub(crate) token: Result<AccessToken, TokenError>,
    /// Whether the server said that the refresh token which was sent is dead. `token` is an error then.
    pub(crate) login_again: bool,
    /// Whether nobody knows if the server acted: the request was sent, and no complete answer came. `token` is an error then.
    pub(crate) unanswered: bool,
}

/// Token calls, without a memory: what is sent and how the reply is read.
pub(crate) trait Exchange: Send + Sync + 'static {
    /// Continues a login with its refresh token.
    fn refresh(&self, token: &RefreshToken, clock: &Arc<dyn Clock>) -> impl Future<Output = Exchanged> + Send;

    /// As [`refresh`](Self::refresh), where it is known whose login it is: a reply that is another user's ends the login.
    fn refresh_of(
        &self,
        token: &RefreshToken,
        _subject: Option<&str>,
        clock: &Arc<dyn Clock>,
    ) -> impl Future<Output = Exchanged> + Send {
        self.refresh(token, clock)
    }

    /// Logs in with credentials that do not change, where there are any; `None` where only a person can.
    fn login(&self, clock: &Arc<dyn Clock>) -> Option<impl Future<Output = Exchanged> + Send>;
}
