use std::{future::Future, pin::Pin};

use super::FetchContext;
use crate::{error::TokenError, token::AccessToken};

/// Where tokens come from: implement this to plug in a vendor, a vault, a file.
///
/// The engine calls `fetch` from one task that it owns, never twice at a time, so `&mut self` needs no lock.
///
/// # Cancel safety
///
/// No request drives the future, so no request can cancel it. The engine drops it in two cases only: it took longer than
/// [`RefreshConfig::fetch_timeout`](crate::RefreshConfig::fetch_timeout), or the runtime under it is gone. A source that
/// must not lose the end of an exchange (a rotated refresh token) runs it in a task of its own, spawned on
/// [`FetchContext::clock`], and joins that task in its next `fetch`.
///
/// # Errors
///
/// The kind decides what the engine does next: [`TokenError::transient`] backs off and tries again,
/// [`TokenError::refused`] and [`TokenError::misconfigured`] wait for a person, with a probe every 5 minutes. A panic is caught
/// and treated as transient.
///
/// # Examples
///
/// ```
/// use tower_token::{AccessToken, FetchContext, TokenError, TokenSource};
///
/// struct FromFile(std::path::PathBuf);
///
/// impl TokenSource for FromFile {
///     async fn fetch(&mut self, _cx: FetchContext) -> Result<AccessToken, TokenError> {
///         AccessToken::new(std::fs::read_to_string(&self.0).map_err(TokenError::transient)?)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(note = "make a closure a source with `source_fn`")]
pub trait TokenSource: Send + 'static {
    /// Asks for a token. `cx` tells why, and what the engine has now.
    fn fetch(&mut self, cx: FetchContext) -> impl Future<Output = Result<AccessToken, TokenError>> + Send;
}

/// A source whose type the engine has forgotten.
pub(crate) type BoxSource = Box<dyn ErasedSource>;

/// Forgets the type of a source, at the price of one box per fetch.
pub(crate) fn boxed(source: impl TokenSource) -> BoxSource {
    Box::new(source)
}

pub(crate) trait ErasedSource: Send {
    fn fetch<'a>(&'a mut self, cx: FetchContext) -> Pin<Box<dyn Future<Output = Result<AccessToken, TokenError>> + Send + 'a>>;
}

impl<S: TokenSource> ErasedSource for S {
    fn fetch<'a>(&'a mut self, cx: FetchContext) -> Pin<Box<dyn Future<Output = Result<AccessToken, TokenError>> + Send + 'a>> {
        Box::pin(TokenSource::fetch(self, cx))
    }
}
