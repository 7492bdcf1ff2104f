use std::{fmt, time::SystemTime};

use zeroize::Zeroizing;

/// A refresh token (RFC 6749 section 1.5): what a login is continued with.
///
/// `Debug` never shows the secret, there is no `Display`, and the memory is wiped on drop. Any text is one: it travels in the
/// body of a request, encoded, and never in a header.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    secret: Zeroizing<String>,
    expires_at: Option<SystemTime>,
}

impl RefreshToken {
    /// A refresh token without a known end.
    pub fn new(secret: impl Into<String>) -> RefreshToken {
        RefreshToken { secret: Zeroizing::new(secret.into()), expires_at: None }
    }

    /// The moment of its expiry by the wall clock.
    #[must_use]
    pub fn expires_at(mut self, at: SystemTime) -> RefreshToken {
        self.expires_at = Some(at);
        self
    }

    /// The moment of its expiry, as far as the server told.
    pub fn expiry(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// The secret itself. Whoever calls this answers for where it goes.
    pub fn expose_secret(&self) -> &str {
        &self.secret
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshToken").field("secret", &"[redacted]").field("expires_at", &self.expires_at).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S3.
    #[test]
    fn debug_shows_no_secret() {
        assert!(!format!("{:?}", RefreshToken::new("CANARY")).contains("CANARY"));
    }
}
