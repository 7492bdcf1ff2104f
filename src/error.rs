//! What can go wrong on the way to a token.
//!
//! [`TokenError`] is one pointer, cheap to clone and safe to log: neither its `Display` nor its `Debug` ever holds a token, a
//! secret, the query of a URL, a response body, or the text of the error that a [`TokenSource`](crate::TokenSource) wrapped.
//! The wrapped error itself is kept and reached through [`source`](std::error::Error::source).

use std::{
    borrow::Cow,
    error::Error,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Any error, boxed: what tower's own middleware uses.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why there is no token.
///
/// A clone is one reference count. All requests that waited for the same attempt get clones of one error.
///
/// # Examples
///
/// A source says what kind of failure it met; the kind decides how soon the engine tries again.
///
/// ```
/// use std::time::Duration;
/// use tower_token::{ErrorKind, TokenError};
///
/// let busy = TokenError::transient("429 from the token endpoint").retry_after(Duration::from_secs(30));
/// assert_eq!(busy.kind(), ErrorKind::Transient);
///
/// let gone = TokenError::refused("the account is closed").with_code("account_closed");
/// assert_eq!(gone.code(), Some("account_closed"));
/// ```
#[derive(Clone)]
pub struct TokenError(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    code: Option<Box<str>>,
    retry_after: Option<Duration>,
    retry_at: Option<SystemTime>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What kind of failure a [`TokenError`] is, and so what is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// It may go well next time. The engine backs off, for up to 1, 2, 4 … 60 s, or as long as
    /// [`retry_after`](TokenError::retry_after) says, and tries again.
    Transient,
    /// Credentials or grant were refused: a person must act. The engine probes every 5 minutes.
    Refused,
    /// The program or its configuration is wrong: a person must act. The engine probes every 5 minutes.
    Misconfigured,
    /// An attempt, or the wait for one, took longer than it may. The engine goes on as after `Transient`.
    Timeout,
    /// The token source panicked. The engine goes on as after `Transient`.
    Panicked,
    /// The engine was shut down, and has no token that would do.
    Closed,
}

impl TokenError {
    /// A failure that may pass: an outage, a rate limit, a reply that cannot be read.
    pub fn transient(source: impl Into<BoxError>) -> TokenError {
        TokenError::wrap(ErrorKind::Transient, "the token source failed for now", source.into())
    }

    /// Credentials or grant were refused, and trying again soon is useless.
    pub fn refused(source: impl Into<BoxError>) -> TokenError {
        TokenError::wrap(ErrorKind::Refused, "the token source was refused a token", source.into())
    }

    /// The program or its configuration is wrong.
    pub fn misconfigured(source: impl Into<BoxError>) -> TokenError {
        TokenError::wrap(ErrorKind::Misconfigured, "the token source is misconfigured", source.into())
    }

    /// How long the server asks us to stay away. The engine waits at least that long; more than 1 h counts as 1 h.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> TokenError {
        Arc::make_mut(&mut self.0).retry_after = Some(delay);
        self
    }

    /// The server's own code for this failure, such as `invalid_client`: see [`code`](Self::code).
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> TokenError {
        Arc::make_mut(&mut self.0).code = Some(code.into().into_boxed_str());
        self
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The OAuth error code (RFC 6749 section 5.2) or the vendor's own, as the server sent it.
    ///
    /// `Display` and `Debug` leave it out, since a hostile server chooses its text.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// When the engine will ask the source again, by the wall clock.
    ///
    /// `None` before the engine has taken note of the failure, after a shutdown, and for a wait that ran out.
    pub fn retry_at(&self) -> Option<SystemTime> {
        self.0.retry_at
    }

    /// Whether only a person can mend this.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Refused | ErrorKind::Misconfigured)
    }

    pub(crate) fn retry_hint(&self) -> Option<Duration> {
        self.0.retry_after
    }

    pub(crate) fn with_retry_at(mut self, at: Option<SystemTime>) -> TokenError {
        Arc::make_mut(&mut self.0).retry_at = at;
        self
    }

    /// An error of this crate's own making: `message` is shown, so it must be free of anything that came from outside.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> TokenError {
        TokenError(Arc::new(Inner { kind, message: message.into(), code: None, retry_after: None, retry_at: None, source: None }))
    }

    /// As [`new`](Self::new), keeping the error that caused it; that error's text must be free of secrets.
    pub(crate) fn wrap(kind: ErrorKind, message: impl Into<Cow<'static, str>>, source: BoxError) -> TokenError {
        let mut error = TokenError::new(kind, message);
        Arc::make_mut(&mut error.0).source = Some(Arc::from(source));
        error
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenError")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("retry_at", &self.0.retry_at)
            .finish_non_exhaustive()
    }
}

impl Error for TokenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn Error + 'static))
    }
}

/// The error of a service under the layer: there was no token, or the service itself failed.
///
/// There will be no third variant, so the enum is exhaustive.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a call fails before or inside the wrapped service; there is no third place")]
pub enum AuthError<E> {
    /// No token was to be had. The request was not sent.
    Token(TokenError),
    /// The wrapped service failed.
    Service(E),
}

impl<E: Into<BoxError>> AuthError<E> {
    /// One boxed error, for stacks whose inner error is already a [`BoxError`]: `.map_err(AuthError::into_boxed)`.
    ///
    /// The error of the wrapped service is passed on as it is, not wrapped again, so that it can still be downcast.
    pub fn into_boxed(self) -> BoxError {
        match self {
            AuthError::Token(error) => Box::new(error),
            AuthError::Service(error) => error.into(),
        }
    }
}

impl<E: fmt::Display> fmt::Display for AuthError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuthError::Token(error) => error.fmt(f),
            AuthError::Service(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for AuthError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            AuthError::Token(error) => error.source(),
            AuthError::Service(error) => error.source(),
        }
    }
}

impl<E> From<TokenError> for AuthError<E> {
    fn from(error: TokenError) -> Self {
        AuthError::Token(error)
    }
}
