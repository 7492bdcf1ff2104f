use std::fmt;

use super::{super::base_url::BaseUrl, VENDOR};
use crate::{error::TokenError, grant::oauth::Server, transport::scrub};

const TOKEN_PATH: &str = "/oauth2/token";
const KEYS_PATH: &str = "/.well-known/jwks.json";

/// Where Yoco is. The page names two URLs of each environment; what it does not name is given here.
///
/// URLs are checked when a [`Yoco`](super::Yoco) is made: each must be https, or plain http to loopback.
///
/// # Defaults
///
/// | setting | default |
/// |---|---|
/// | [`authorization_endpoint`](Self::authorization_endpoint) | none: a `Yoco` cannot do without |
/// | [`issuer`](Self::issuer) | a guess: where the keys are, without the path |
/// | [`api_base`](Self::api_base) | none: [`Yoco::layer`](super::Yoco::layer) cannot do without |
/// | [`revocation_endpoint`](Self::revocation_endpoint) | none: the end of a login is not told to Yoco |
///
/// # Examples
///
/// ```
/// use tower_token::provider::yoco::Environment;
///
/// let environment = Environment::sandbox()
///     .authorization_endpoint("https://iam.example/authorize") // from your onboarding
///     .api_base("https://api.example");
/// assert_eq!(environment.token_endpoint(), "https://iam.yocosandbox.com/oauth2/token");
/// assert_eq!(environment.jwks_uri(), Some("https://iam.yocosandbox.com/.well-known/jwks.json"));
/// ```
#[derive(Clone)]
pub struct Environment {
    token: String,
    jwks: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) authorization: Option<String>,
    pub(super) revocation: Option<String>,
    pub(super) api: Option<String>,
    names_itself: bool,
}

impl Environment {
    /// For tries: `https://iam.yocosandbox.com`.
    pub fn sandbox() -> Environment {
        Environment::of("https://iam.yocosandbox.com")
    }

    /// Where money moves: `https://iam.yoco.com`.
    pub fn live() -> Environment {
        Environment::of("https://iam.yoco.com")
    }

    /// The page's paths on another host: an emulator, a proxy.
    ///
    /// # Errors
    ///
    /// `Misconfigured` unless it is https, or plain http to loopback, without user info, query or fragment.
    pub fn at(base_url: impl AsRef<str>) -> Result<Environment, TokenError> {
        let base = BaseUrl::parse(VENDOR, base_url.as_ref())?;
        // Both paths are fit for a URL if one is.
        base.at(TOKEN_PATH).map(|_| Environment::of(base_url.as_ref().trim_end_matches('/')))
    }

    fn of(base: &str) -> Environment {
        Environment {
            token: format!("{base}{TOKEN_PATH}"),
            jwks: Some(format!("{base}{KEYS_PATH}")),
            issuer: Some(base.to_owned()),
            authorization: None,
            revocation: None,
            api: None,
            names_itself: false,
        }
    }

    /// Where a merchant is sent to log in.
    #[must_use]
    pub fn authorization_endpoint(mut self, url: impl Into<String>) -> Environment {
        self.authorization = Some(url.into());
        self
    }

    /// The `iss` of Yoco's id_tokens, to the letter. A login with another one is refused.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Environment {
        self.issuer = Some(issuer.into());
        self
    }

    /// Where the API is. Its origin is the one that the [layer](super::Yoco::layer) gives tokens to.
    #[must_use]
    pub fn api_base(mut self, url: impl Into<String>) -> Environment {
        self.api = Some(url.into());
        self
    }

    /// Where tokens are revoked (RFC 7009).
    #[must_use]
    pub fn revocation_endpoint(mut self, url: impl Into<String>) -> Environment {
        self.revocation = Some(url.into());
        self
    }

    /// Where codes and refresh tokens are exchanged.
    pub fn token_endpoint(&self) -> &str {
        &self.token
    }

    /// Where the keys are that sign id_tokens.
    pub fn jwks_uri(&self) -> Option<&str> {
        self.jwks.as_deref()
    }

    pub(super) fn server(&self) -> Result<Server, TokenError> {
        let mut server = Server::new(&self.token)?.with_iss_in_callbacks(self.names_itself);
        if let Some(url) = &self.jwks {
            server = server.with_jwks_uri(url)?;
        }
        if let Some(issuer) = &self.issuer {
            server = server.with_issuer(issuer)?;
        }
        if let Some(url) = &self.authorization {
            server = server.with_authorization_endpoint(url)?;
        }
        if let Some(url) = &self.revocation {
            server = server.with_revocation_endpoint(url)?;
        }
        Ok(server)
    }
}

/// What [discovery](Server::discover) found, should Yoco publish its metadata: all but the API's base.
impl From<Server> for Environment {
    fn from(server: Server) -> Environment {
        Environment {
            token: server.token_endpoint().to_string(),
            jwks: server.jwks_uri().map(ToString::to_string),
            issuer: server.issuer().map(str::to_owned),
            authorization: server.authorization_endpoint().map(ToString::to_string),
            revocation: server.revocation_endpoint().map(ToString::to_string),
            api: None,
            names_itself: server.iss_in_callbacks(),
        }
    }
}

/// S4: without the queries.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = |url: &Option<String>| url.as_deref().map(scrub);
        f.debug_struct("Environment")
            .field("token_endpoint", &scrub(&self.token))
            .field("jwks_uri", &url(&self.jwks))
            .field("issuer", &url(&self.issuer))
            .field("authorization_endpoint", &url(&self.authorization))
            .field("revocation_endpoint", &url(&self.revocation))
            .field("api_base", &url(&self.api))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn the_urls_of_the_page() {
        for (environment, token, keys, issuer) in [
            (
                Environment::sandbox(),
                "https://iam.yocosandbox.com/oauth2/token",
                "https://iam.yocosandbox.com/.well-known/jwks.json",
                "https://iam.yocosandbox.com",
            ),
            (
                Environment::live(),
                "https://iam.yoco.com/oauth2/token",
                "https://iam.yoco.com/.well-known/jwks.json",
                "https://iam.yoco.com",
            ),
            (
                Environment::at("http://127.0.0.1:1/").unwrap(),
                "http://127.0.0.1:1/oauth2/token",
                "http://127.0.0.1:1/.well-known/jwks.json",
                "http://127.0.0.1:1",
            ),
        ] {
            assert_eq!((environment.token_endpoint(), environment.jwks_uri()), (token, Some(keys)));
            assert_eq!(environment.server().unwrap().issuer(), Some(issuer));
        }
    }

    /// G6.
    #[test]
    fn a_base_url_is_https_or_loopback() {
        for (url, text) in [
            ("http://iam.yoco.com", "Yoco: `base_url` must be https; plain http is for loopback alone"),
            ("https://u:CANARY@iam.yoco.com", "Yoco: `base_url` has user info: leave out what is before the `@`"),
            ("https://iam.yoco.com?CANARY", "Yoco: `base_url` must not have a query"),
            ("https://iam.yoco.com#CANARY", "Yoco: `base_url` must not have a fragment"),
            ("", "Yoco: `base_url` is not a URL"),
        ] {
            let error = Environment::at(url).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Misconfigured, text));
        }
    }

    /// What discovery found is taken over, whether the server names itself in callbacks included.
    #[test]
    fn discovered() {
        let server = Environment::sandbox()
            .authorization_endpoint("https://as.test/a")
            .revocation_endpoint("https://as.test/r")
            .issuer("https://as.test/")
            .server()
            .unwrap()
            .with_iss_in_callbacks(true);
        assert_eq!(Environment::from(server.clone()).server().unwrap(), server);
    }

    /// S4.
    #[test]
    fn debug_shows_no_query() {
        let environment =
            Environment::live().authorization_endpoint("https://as.test/a?x=CANARY").api_base("https://api.test?CANARY");
        assert!(!format!("{environment:?}").contains("CANARY"));
    }
}
