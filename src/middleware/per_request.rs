/// In a request's extensions: this one is sent once, and a 401 is handed back at once.
///
/// The rejected token is renewed for the next request all the same.
///
/// # Examples
///
/// ```
/// use tower_token::middleware::NoReplay;
///
/// let request = http::Request::post("https://api.example.com/payments").extension(NoReplay).body("{}")?;
/// # drop(request);
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a mark that callers make; there is nothing to add")]
pub struct NoReplay;

/// In a request's extensions: this one waits for a newer token than the current one, as if that had been rejected.
///
/// For when the caller knows better than the server: permissions have changed, say, and only a new token has them. The engine's
/// back-off holds, so asking for one again and again does not help; if no newer token comes, the request fails with an
/// [`AuthError::Token`](crate::AuthError::Token) and is not sent, whatever [`OnUnavailable`](super::OnUnavailable) says. The
/// layer takes the mark out of the extensions. A request that carries a header of its own, or goes elsewhere, is left alone. A
/// [`StaticToken`](crate::StaticToken) has no other token to give, so that such a request fails as `Refused`.
///
/// # Examples
///
/// ```
/// use tower_token::middleware::NewToken;
///
/// let request = http::Request::get("https://api.example.com/new-project").extension(NewToken).body(())?;
/// # drop(request);
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a mark that callers make; there is nothing to add")]
pub struct NewToken;
