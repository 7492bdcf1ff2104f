use std::fmt;

/// What belongs to the login that an id_token answers. Nothing, by default: after a refresh nothing was sent.
#[derive(Clone, Copy, Default)]
pub struct Expected<'a> {
    pub(super) nonce: Option<&'a str>,
    pub(super) access_token: Option<&'a str>,
}

impl<'a> Expected<'a> {
    /// Neither nonce nor access token.
    pub fn new() -> Expected<'a> {
        Expected::default()
    }

    /// The `nonce` that was sent with the authorization request: the token must have it, and no other. It answers one login, so
    /// it is yours to forget it at its first use.
    #[must_use]
    pub fn nonce(mut self, nonce: &'a str) -> Expected<'a> {
        self.nonce = Some(nonce);
        self
    }

    /// The access token that came along: an `at_hash`, if there is one, must be its own.
    #[must_use]
    pub fn access_token(mut self, token: &'a str) -> Expected<'a> {
        self.access_token = Some(token);
        self
    }
}

impl fmt::Debug for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |part: Option<&str>| part.map(|_| "[redacted]");
        f.debug_struct("Expected").field("nonce", &hidden(self.nonce)).field("access_token", &hidden(self.access_token)).finish()
    }
}
