//! The seam between asking for a token and keeping what came with it.

use std::{
    fmt,
    future::{Future, ready},
    sync::Arc,
};

use zeroize::Zeroizing;

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
    /// What the reply says of whose login it is: to be [vetted](Exchange::vet) before `token` is used, and after `refresh` is stored.
    pub(crate) id_token: Option<RawIdToken>,
}

/// An id_token as it came. Nothing of it is known to be true, and `Debug` shows none of it.
pub(crate) struct RawIdToken(pub(crate) Zeroizing<String>);

impl fmt::Debug for RawIdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Token calls, without a memory: what is sent and how the reply is read.
pub(crate) trait Exchange: Send + Sync + 'static {
    /// Continues a login with its refresh token.
    fn refresh(&self, token: &RefreshToken, clock: &Arc<dyn Clock>) -> impl Future<Output = Exchanged> + Send;

    /// Takes an id_token that came with a refresh out of it, and back its access token unless that is the login's: the login of
    /// `subject`, where that is known. This may take a while; the refresh token is stored by then.
    fn vet(
        &self,
        exchanged: Exchanged,
        _subject: Option<&str>,
        _clock: &Arc<dyn Clock>,
    ) -> impl Future<Output = Exchanged> + Send {
        ready(exchanged)
    }

    /// Logs in with credentials that do not change, where there are any; `None` where only a person can.
    fn login(&self, clock: &Arc<dyn Clock>) -> Option<impl Future<Output = Exchanged> + Send>;
}
