use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use zeroize::Zeroizing;

use super::jwt;
use crate::error::{ErrorKind, TokenError};

/// An access token, as a [`TokenSource`](crate::TokenSource) hands it to the engine.
///
/// A clone is one reference count. `Debug` never shows the secret, there is no `Display`, and the memory is wiped when the
/// last clone goes. (The header that carries the token lives in the HTTP stack's own buffers, which nobody here can wipe.)
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tower_token::AccessToken;
///
/// let token = AccessToken::new("eyJhbGciOi...")?.expires_in(Duration::from_secs(3600)).scopes(["orders:read"]);
/// assert_eq!(token.expose_secret(), "eyJhbGciOi...");
/// assert!(!format!("{token:?}").contains("eyJ"));
/// # Ok::<(), tower_token::TokenError>(())
/// ```
#[derive(Clone)]
pub struct AccessToken(Arc<TokenInner>);

/// What an [`AccessToken`] points to. The refresh cell swaps this pointer, so it is named within the crate.
#[derive(Clone)]
pub(crate) struct TokenInner {
    secret: Arc<Zeroizing<String>>,
    expires_in: Option<Duration>,
    expires_at: Option<SystemTime>,
    refresh_in: Option<Duration>,
    scopes: Arc<[String]>,
    generation: u64,
}

impl AccessToken {
    /// Checks the grammar of a secret and makes it a token without a known lifetime.
    ///
    /// ASCII white space at both ends is cut off: files and shells add it. What remains must be one or more visible ASCII
    /// characters (0x21 to 0x7E), which is all that RFC 6750 section 2.1 and the vendors in the field send.
    ///
    /// # Errors
    ///
    /// `Misconfigured`, naming the offset and the class of the first offending byte (of the text as it was given), and never
    /// the byte itself or its neighbours.
    pub fn new(secret: impl Into<String>) -> Result<AccessToken, TokenError> {
        let given = Zeroizing::new(secret.into());
        let trimmed = given.trim_ascii();
        if trimmed.is_empty() {
            return Err(TokenError::new(ErrorKind::Misconfigured, "the access token is empty"));
        }
        if let Some(at) = trimmed.bytes().position(|byte| !byte.is_ascii_graphic()) {
            let lead = given.len() - given.trim_ascii_start().len();
            let class = class_of(trimmed.as_bytes()[at]);
            let text = format!("the access token has {class} at byte {}", lead + at);
            return Err(TokenError::new(ErrorKind::Misconfigured, text));
        }
        let secret = if trimmed.len() == given.len() { given } else { Zeroizing::new(trimmed.to_owned()) };
        Ok(AccessToken(Arc::new(TokenInner {
            secret: Arc::new(secret),
            expires_in: None,
            expires_at: None,
            refresh_in: None,
            scopes: Arc::default(),
            generation: 0,
        })))
    }

    /// The lifetime, counted from just before the token was asked for.
    ///
    /// Zero, or less than 50 ms, means "usable once": the callers who are waiting get it, and nobody after them. More than
    /// 366 days count as 366.
    #[must_use]
    pub fn expires_in(mut self, lifetime: Duration) -> AccessToken {
        Arc::make_mut(&mut self.0).expires_in = Some(lifetime);
        self
    }

    /// The moment of expiry by the wall clock. With [`expires_in`](Self::expires_in) too, the earlier of both counts.
    #[must_use]
    pub fn expires_at(mut self, at: SystemTime) -> AccessToken {
        Arc::make_mut(&mut self.0).expires_at = Some(at);
        self
    }

    /// The server's own wish when the token should be renewed, counted as [`expires_in`](Self::expires_in) is.
    #[must_use]
    pub fn refresh_in(mut self, delay: Duration) -> AccessToken {
        Arc::make_mut(&mut self.0).refresh_in = Some(delay);
        self
    }

    /// The scopes that were granted.
    #[must_use]
    pub fn scopes<I>(mut self, scopes: I) -> AccessToken
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Arc::make_mut(&mut self.0).scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Which of the engine's tokens this is: 1 for the first, growing with each new secret, 0 for one that it has not seen.
    pub fn generation(&self) -> u64 {
        self.0.generation
    }

    /// The moment of its expiry by the wall clock, as far as the source told; a [lifetime](Self::expires_in) alone is none yet.
    pub fn expiry(&self) -> Option<SystemTime> {
        self.0.expires_at
    }

    /// The scopes that were granted, as far as the source told.
    pub fn granted_scopes(&self) -> &[String] {
        &self.0.scopes
    }

    /// The secret itself. Whoever calls this answers for where it goes.
    pub fn expose_secret(&self) -> &str {
        &self.0.secret
    }

    pub(crate) fn lifetime(&self) -> Option<Duration> {
        self.0.expires_in
    }

    /// When the token says that it ends, if it is a JWT.
    pub(crate) fn own_expiry(&self) -> Option<SystemTime> {
        jwt::expiry(&self.0.secret)
    }

    pub(crate) fn refresh_hint(&self) -> Option<Duration> {
        self.0.refresh_in
    }

    /// As the engine hands it out. The absolute expiry keeps a token that is passed on to another engine from living longer there.
    pub(crate) fn stamped(mut self, generation: u64, expires_at: Option<SystemTime>) -> AccessToken {
        let inner = Arc::make_mut(&mut self.0);
        inner.generation = generation;
        inner.expires_at = expires_at;
        self
    }

    /// As it outlives the process: what was counted from the moment it was asked for becomes a moment itself.
    #[cfg(feature = "grant")]
    pub(crate) fn kept(&self, asked: SystemTime) -> AccessToken {
        let counted = self.0.expires_in.and_then(|lifetime| asked.checked_add(lifetime));
        let expires_at = [self.0.expires_at, counted].into_iter().flatten().min();
        AccessToken(Arc::new(TokenInner { expires_in: None, expires_at, refresh_in: None, generation: 0, ..(*self.0).clone() }))
    }

    /// As it is this much later: what is counted is that much less.
    #[cfg(feature = "grant")]
    pub(crate) fn aged(mut self, age: Duration) -> AccessToken {
        if !age.is_zero() {
            let inner = Arc::make_mut(&mut self.0);
            inner.expires_in = inner.expires_in.map(|lifetime| lifetime.saturating_sub(age));
            inner.refresh_in = inner.refresh_in.map(|delay| delay.saturating_sub(age));
        }
        self
    }

    pub(crate) fn into_inner(self) -> Arc<TokenInner> {
        self.0
    }

    pub(crate) fn from_inner(inner: Arc<TokenInner>) -> AccessToken {
        AccessToken(inner)
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for TokenInner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("secret", &"[redacted]")
            .field("generation", &self.generation)
            .field("expires_in", &self.expires_in)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The class of a byte, for an error that must not show the byte.
fn class_of(byte: u8) -> &'static str {
    match byte {
        b'\r' | b'\n' => "a line break",
        b'\t' => "a tab",
        b' ' => "a space",
        0x80.. => "a non-ASCII character",
        _ => "a control character",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// G16, S7: what is cut off, what is refused, and how it is named.
    #[test]
    fn grammar() {
        for (given, kept) in [("abc", "abc"), ("  abc\r\n", "abc"), ("\tabc\t", "abc"), ("a!~z", "a!~z")] {
            assert_eq!(AccessToken::new(given).unwrap().expose_secret(), kept, "{given:?}");
        }
        for (given, named) in [
            ("", "is empty"),
            (" \r\n\t", "is empty"),
            ("ab\rcd", "a line break at byte 2"),
            ("ab\ncd", "a line break at byte 2"),
            ("ab\tcd", "a tab at byte 2"),
            ("  ab cd", "a space at byte 4"),
            ("tök", "a non-ASCII character at byte 1"),
            ("ab\u{0}c", "a control character at byte 2"),
            ("ab\u{7f}c", "a control character at byte 2"),
        ] {
            let error = AccessToken::new(given).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misconfigured);
            assert!(error.to_string().ends_with(named), "{given:?}: {error}");
        }
    }

    proptest! {
        /// S7: any text is a token or an error, and the error holds no part of it.
        #[test]
        fn any_text_is_a_token_or_an_error(text in ".*") {
            match AccessToken::new(text.as_str()) {
                Ok(token) => prop_assert!(token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic())),
                Err(error) => prop_assert!(error.to_string().starts_with("the access token ")),
            }
        }
    }

    /// What is counted from the request ends at the same moment, whoever reads it later.
    #[cfg(feature = "grant")]
    #[test]
    fn a_lifetime_becomes_a_moment() {
        let asked = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let end = |token: AccessToken| token.kept(asked).expiry().map(|end| end.duration_since(asked).unwrap().as_secs());
        let token = AccessToken::new("abc").unwrap();
        assert_eq!(end(token.clone()), None);
        let token = token.expires_in(Duration::from_secs(60)).refresh_in(Duration::from_secs(50));
        assert_eq!(end(token.clone()), Some(60));
        assert_eq!(end(token.clone().expires_at(asked + Duration::from_secs(30))), Some(30));
        assert_eq!(end(token.clone().expires_in(Duration::MAX)), None);
        let aged = token.clone().aged(Duration::from_secs(55));
        assert_eq!((aged.lifetime(), aged.refresh_hint()), (Some(Duration::from_secs(5)), Some(Duration::ZERO)));
        assert_eq!((token.kept(asked).lifetime(), token.lifetime()), (None, Some(Duration::from_secs(60))));
    }

    #[test]
    fn stamping_a_shared_token_leaves_the_other_clone_alone() {
        let token = AccessToken::new("abc").unwrap();
        let stamped = token.clone().stamped(7, None);
        assert_eq!((token.generation(), stamped.generation()), (0, 7));
    }
}
