use std::fmt;

use http::Uri;

use super::grammar::misconfigured;
use crate::{
    error::TokenError,
    transport::{check_url, scrub},
};

/// An authorization server (RFC 6749 section 1.1): where its endpoints are, and what it says of itself.
///
/// Written down here, or found by [`discover`](Self::discover). Every endpoint is https, or plain http to loopback.
///
/// # Examples
///
/// ```
/// use tower_token::grant::oauth::Server;
///
/// let server = Server::new("https://as.vendor.test/token")?.with_authorization_endpoint("https://as.vendor.test/authorize")?;
/// assert_eq!(server.token_endpoint(), "https://as.vendor.test/token");
/// # Ok::<(), tower_token::TokenError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    issuer: Option<String>,
    token: Uri,
    authorization: Option<Uri>,
    revocation: Option<Uri>,
    jwks: Option<Uri>,
    names_itself: bool,
    authentication_methods: Vec<String>,
}

#[expect(clippy::missing_errors_doc, reason = "each says `Misconfigured`, for the reason that `new` gives")]
impl Server {
    /// A server with this token endpoint.
    ///
    /// # Errors
    ///
    /// `Misconfigured`, naming the endpoint, unless it is https, or plain http to loopback, without user info and fragment.
    pub fn new(token_endpoint: impl AsRef<str>) -> Result<Server, TokenError> {
        Ok(Server {
            issuer: None,
            token: endpoint("token_endpoint", token_endpoint.as_ref())?,
            authorization: None,
            revocation: None,
            jwks: None,
            names_itself: false,
            authentication_methods: Vec::new(),
        })
    }

    /// Where a user is sent to log in. Its query, if it has one, is kept.
    pub fn with_authorization_endpoint(mut self, url: impl AsRef<str>) -> Result<Server, TokenError> {
        self.authorization = Some(endpoint("authorization_endpoint", url.as_ref())?);
        Ok(self)
    }

    /// Where tokens are revoked.
    pub fn with_revocation_endpoint(mut self, url: impl AsRef<str>) -> Result<Server, TokenError> {
        self.revocation = Some(endpoint("revocation_endpoint", url.as_ref())?);
        Ok(self)
    }

    /// Where the keys are that sign its id_tokens.
    pub fn with_jwks_uri(mut self, url: impl AsRef<str>) -> Result<Server, TokenError> {
        self.jwks = Some(endpoint("jwks_uri", url.as_ref())?);
        Ok(self)
    }

    /// Its issuer identifier: a callback that names another (RFC 9207) is refused.
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Result<Server, TokenError> {
        let issuer = issuer.into();
        check_issuer(&issuer)?;
        self.issuer = Some(issuer);
        Ok(self)
    }

    /// Whether it names itself in every callback (`authorization_response_iss_parameter_supported`, RFC 9207 section 3): one that
    /// names nobody is refused then. It needs an [issuer](Self::with_issuer) to compare with.
    #[must_use]
    pub fn with_iss_in_callbacks(mut self, names_itself: bool) -> Server {
        self.names_itself = names_itself;
        self
    }

    pub(super) fn with_authentication_methods(mut self, methods: Vec<String>) -> Server {
        self.authentication_methods = methods;
        self
    }

    /// The issuer identifier, as far as it is known.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Where tokens are asked for.
    pub fn token_endpoint(&self) -> &Uri {
        &self.token
    }

    /// Where a user is sent to log in.
    pub fn authorization_endpoint(&self) -> Option<&Uri> {
        self.authorization.as_ref()
    }

    /// Where tokens are revoked.
    pub fn revocation_endpoint(&self) -> Option<&Uri> {
        self.revocation.as_ref()
    }

    /// Where the keys are that sign its id_tokens.
    pub fn jwks_uri(&self) -> Option<&Uri> {
        self.jwks.as_ref()
    }

    /// Whether it names itself in every callback.
    pub fn iss_in_callbacks(&self) -> bool {
        self.names_itself
    }

    /// The client authentication that its token endpoint takes, as discovery found it (`token_endpoint_auth_methods_supported`):
    /// `client_secret_basic` where the metadata does not say (RFC 8414 section 2), and nothing for a server written down by hand.
    pub fn authentication_methods(&self) -> &[String] {
        &self.authentication_methods
    }
}

fn endpoint(name: &str, url: &str) -> Result<Uri, TokenError> {
    check_url(url).map_err(|why| misconfigured(name, why))
}

/// RFC 8414 section 2: https, without query and fragment. Loopback is for tests.
pub(super) fn check_issuer(issuer: &str) -> Result<Uri, TokenError> {
    match issuer.contains('?') {
        true => Err(misconfigured("issuer", "must not have a query")),
        false => endpoint("issuer", issuer),
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |uri: &Uri| scrub(&uri.to_string());
        f.debug_struct("Server")
            .field("issuer", &self.issuer)
            .field("token_endpoint", &shown(&self.token))
            .field("authorization_endpoint", &self.authorization.as_ref().map(shown))
            .field("revocation_endpoint", &self.revocation.as_ref().map(shown))
            .field("jwks_uri", &self.jwks.as_ref().map(shown))
            .field("iss_in_callbacks", &self.names_itself)
            .field("authentication_methods", &self.authentication_methods)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_url_is_checked() {
        let server = || Server::new("https://as.test/token").unwrap();
        for bad in ["http://as.test/x", "as.test", "https://u:CANARY@as.test/x", "https://as.test/x#CANARY"] {
            for (result, named) in [
                (Server::new(bad), "`token_endpoint`"),
                (server().with_authorization_endpoint(bad), "`authorization_endpoint`"),
                (server().with_revocation_endpoint(bad), "`revocation_endpoint`"),
                (server().with_jwks_uri(bad), "`jwks_uri`"),
                (server().with_issuer(bad), "`issuer`"),
            ] {
                let error = result.unwrap_err().to_string();
                assert!(error.contains(named) && !error.contains("CANARY"), "{error}");
            }
        }
        assert!(server().with_issuer("https://as.test/?x=1").is_err());
        assert!(server().with_issuer("https://as.test/tenant").is_ok());
        assert!(Server::new("http://127.0.0.1:8080/token").is_ok());
    }

    /// S5.
    #[test]
    fn debug_shows_no_query() {
        let server = Server::new("https://as.test/token?key=CANARY").unwrap();
        let server = server.with_authorization_endpoint("https://as.test/a?key=CANARY").unwrap();
        let shown = format!("{server:?}");
        assert!(!shown.contains("CANARY") && shown.contains("https://as.test/a"), "{shown}");
    }
}
