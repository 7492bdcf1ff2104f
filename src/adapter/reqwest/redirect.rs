use http::Uri;
use reqwest::{Response, Url, redirect::Policy};

use crate::middleware::{Destination, LeftOrigin, Origins};

/// The most hops that are followed, as in reqwest's own default.
const HOPS: usize = 10;

impl Origins {
    /// Follows redirects to origins of this list, at most 10 in a row, and hands back the redirect itself where one leads
    /// elsewhere: for the `ClientBuilder` of a client under the layer.
    ///
    /// A hop from one listed origin to another loses `Authorization` all the same: reqwest takes it off, until the next hop within
    /// that origin. The answer from there is marked with [`LeftOrigin`].
    ///
    /// # Examples
    ///
    /// ```
    /// use tower_token::Origins;
    ///
    /// # fn main() -> Result<(), tower_token::BoxError> {
    /// let origins = "https://api.example.com".parse::<Origins>()?;
    /// let client = reqwest::Client::builder().redirect(origins.redirect_policy()).build()?;
    /// # drop(client);
    /// # Ok(()) }
    /// ```
    pub fn redirect_policy(&self) -> Policy {
        let (origins, limited) = (self.clone(), Policy::limited(HOPS));
        Policy::custom(move |attempt| match allows(&origins, attempt.url()) {
            true => limited.redirect(attempt),
            false => attempt.stop(),
        })
    }
}

/// Whether a request to `url` may carry the token.
pub(in crate::adapter) fn allows(origins: &Origins, url: &Url) -> bool {
    // The origin of any other may be that of a URL in it (`blob:`), or none, which reads as a host called `null`.
    if !matches!(url.scheme(), "http" | "https") {
        return false;
    }
    // Always a URI: user info, which need not be one, is left out.
    let uri = url.origin().ascii_serialization().parse::<Uri>();
    uri.is_ok_and(|uri| origins.judge(&uri) == Destination::Allowed)
}

/// Marks an answer that came from elsewhere than the request was sent to.
pub(in crate::adapter) fn mark(response: &mut Response, sent_to: &Url) {
    if response.url().origin() != sent_to.origin() {
        response.extensions_mut().insert(LeftOrigin);
    }
}
