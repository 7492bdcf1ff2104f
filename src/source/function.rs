use std::{fmt, future::Future};

use super::{FetchContext, TokenSource};
use crate::{error::TokenError, token::AccessToken};

/// A [`TokenSource`] made from a closure by [`source_fn`].
pub struct SourceFn<F>(F);

/// Makes a [`TokenSource`] from a closure.
///
/// # Examples
///
/// ```
/// use tower_token::{AccessToken, TokenError, TokenHandle, source_fn};
///
/// let handle = TokenHandle::new(source_fn(|_cx| async {
///     AccessToken::new(std::env::var("API_TOKEN").map_err(TokenError::misconfigured)?)
/// }));
/// # drop(handle);
/// ```
///
/// The future of a call borrows nothing from the closure: what it needs is moved or cloned into an `async move` block, per call.
///
/// ```
/// # use tower_token::{AccessToken, source_fn};
/// # let login = std::sync::Arc::new(String::from("jwt"));
/// let source = source_fn(move |_cx| {
///     let login = login.clone();
///     async move { AccessToken::new(login.as_str()) }
/// });
/// # drop(source);
/// ```
pub fn source_fn<F, Fut>(f: F) -> SourceFn<F>
where
    F: FnMut(FetchContext) -> Fut + Send + 'static,
    Fut: Future<Output = Result<AccessToken, TokenError>> + Send + 'static,
{
    SourceFn(f)
}

impl<F, Fut> TokenSource for SourceFn<F>
where
    F: FnMut(FetchContext) -> Fut + Send + 'static,
    Fut: Future<Output = Result<AccessToken, TokenError>> + Send + 'static,
{
    fn fetch(&mut self, cx: FetchContext) -> impl Future<Output = Result<AccessToken, TokenError>> + Send {
        (self.0)(cx)
    }
}

impl<F> fmt::Debug for SourceFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFn").finish_non_exhaustive()
    }
}
