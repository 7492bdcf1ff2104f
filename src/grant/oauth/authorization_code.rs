use std::{fmt, future::Future, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Uri;
use sha2::{Digest, Sha256};

use super::{
    call::Calls,
    client::Client,
    grammar::{self, misconfigured},
    id_token::{Check, UnverifiedIdToken},
    parameters::{Parameters, is_own},
    pending::Pending,
    refresh_grant::RefreshGrant,
    server::Server,
};
use crate::{
    clock::{Clock, TokioClock},
    error::TokenError,
    transport::{Transport, scrub},
};

/// The authorization code grant with PKCE (RFC 6749 section 4.1, RFC 7636): a user logs in and allows the program to act.
///
/// [`begin`](Self::begin) makes the URL that the user's browser is sent to, and a [`Pending`] to be kept until the browser comes
/// back; [`Pending::finish`] takes what it comes back with. One value serves all users, at the same time.
///
/// A clone shares everything but its later settings.
///
/// # Examples
///
/// ```no_run
/// # async fn example(callback: &str) -> Result<(), tower_token::TokenError> {
/// # let service = tower::service_fn(|_: http::Request<http_body_util::Full<bytes::Bytes>>| async {
/// #     Ok::<_, std::io::Error>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
/// # });
/// use tower_token::grant::oauth::{AuthorizationCode, Client, Server};
///
/// let server = Server::new("https://as.vendor.test/token")?.with_authorization_endpoint("https://as.vendor.test/authorize")?;
/// let client = Client::post("my-app", "s3cr3t")?;
/// let grant = AuthorizationCode::new(&server, client, "https://my-app.test/callback", service)?.scopes(["orders:read"])?;
///
/// let (url, pending) = grant.begin()?;
/// // Send the browser to `url`, and keep `pending` in its session. Then, with the URL that it comes back to:
/// let login = pending.finish(callback).await?;
/// assert_eq!(login.scopes(), ["orders:read"]);
/// # drop(url);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct AuthorizationCode {
    plan: Arc<Plan>,
}

/// What a [`Pending`] needs to know of the grant that began it.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) calls: Arc<Calls>,
    authorization: Uri,
    pub(super) issuer: Option<String>,
    pub(super) iss_in_callbacks: bool,
    pub(super) redirect_uri: String,
    pub(super) asked: Parameters,
    pub(super) check: Option<Check>,
    pub(super) clock: Arc<dyn Clock>,
}

impl AuthorizationCode {
    /// Over a [`Transport`], or over any service that makes one. No I/O happens yet.
    ///
    /// `redirect_uri` is where the browser comes back to, exactly as it is registered with the server: https, http to loopback,
    /// or an app's own scheme.
    ///
    /// # Errors
    ///
    /// `Misconfigured` if the server has no authorization endpoint, if that has a parameter of this grant in its query, if the
    /// server [names itself in callbacks](Server::with_iss_in_callbacks) and its issuer is not known, or if the redirect URI is
    /// none of those.
    pub fn new(
        server: &Server,
        client: Client,
        redirect_uri: impl Into<String>,
        transport: impl Into<Transport>,
    ) -> Result<AuthorizationCode, TokenError> {
        let Some(authorization) = server.authorization_endpoint().cloned() else {
            return Err(misconfigured("authorization_endpoint", "is not known"));
        };
        let query = authorization.query().unwrap_or_default().as_bytes();
        if form_urlencoded::parse(query).any(|(name, _)| is_own(&name)) {
            return Err(misconfigured("authorization_endpoint", "has a parameter in its query that the grant sets itself"));
        }
        if server.iss_in_callbacks() && server.issuer().is_none() {
            return Err(misconfigured("issuer", "is not known, and the server names itself in callbacks"));
        }
        let redirect_uri = redirect_uri.into();
        grammar::redirect_uri(&redirect_uri).map_err(|why| misconfigured("redirect_uri", why))?;
        let plan = Plan {
            calls: Arc::new(Calls::new(server.token_endpoint().clone(), client, transport.into())),
            authorization,
            issuer: server.issuer().map(str::to_owned),
            iss_in_callbacks: server.iss_in_callbacks(),
            redirect_uri,
            asked: Parameters::default(),
            check: None,
            clock: Arc::new(TokioClock),
        };
        Ok(AuthorizationCode { plan: Arc::new(plan) })
    }

    /// The scopes to ask for, each by itself; `openid` for an id_token. None by default: the server decides.
    ///
    /// # Errors
    ///
    /// `Misconfigured` if one is not made as RFC 6749 section 3.3 has it.
    pub fn scopes<I>(mut self, scopes: I) -> Result<AuthorizationCode, TokenError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.plan().asked.set_scopes(scopes)?;
        Ok(self)
    }

    /// Adds a resource that the token is for (RFC 8707).
    ///
    /// # Errors
    ///
    /// `Misconfigured` unless it is an absolute URI without a fragment.
    pub fn resource(mut self, uri: impl Into<String>) -> Result<AuthorizationCode, TokenError> {
        self.plan().asked.add_resource(uri.into())?;
        Ok(self)
    }

    /// Adds a parameter to the URL that the user is sent to, as `prompt`, `login_hint` or `audience`. It shows in the browser.
    ///
    /// # Errors
    ///
    /// `Misconfigured` if the grant sets it itself, if it is there already, or if it has a control character.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Result<AuthorizationCode, TokenError> {
        self.plan().asked.add_extra(name.into(), value.into())?;
        Ok(self)
    }

    /// Checks the id_token of each login: without a check, it is handed on unverified. With one, there is no login without an
    /// id_token. A check that takes longer than 10 s is given up, and one that panics is an error.
    #[must_use]
    pub fn on_id_token<F, Fut>(mut self, check: F) -> AuthorizationCode
    where
        F: Fn(UnverifiedIdToken) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), TokenError>> + Send + 'static,
    {
        self.plan().check = Some(Check::new(check));
        self
    }

    /// Where time and sleep come from: [`TokioClock`] by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> AuthorizationCode {
        self.plan().clock = Arc::new(clock);
        self
    }

    /// Begins a login: the URL for the user's browser, and what to keep until it comes back.
    ///
    /// `state`, `nonce` and the PKCE verifier are 256 bits each of the system's randomness, used once.
    ///
    /// # Errors
    ///
    /// `Transient` if the system has no randomness to give, `Misconfigured` if the URL is longer than 64 KiB.
    pub fn begin(&self) -> Result<(Uri, Pending), TokenError> {
        let pending = Pending::new(Arc::clone(&self.plan))?;
        let plan = &self.plan;
        let mut url = plan.authorization.to_string();
        let query = match url.find('?') {
            Some(at) => at + 1,
            None => {
                url.push('?');
                url.len()
            }
        };
        let mut pairs = form_urlencoded::Serializer::for_suffix(url, query);
        pairs
            .append_pair("response_type", "code")
            .append_pair("client_id", plan.calls.client().id())
            .append_pair("redirect_uri", &plan.redirect_uri)
            .append_pair("state", pending.state())
            .append_pair("nonce", pending.nonce())
            .append_pair("code_challenge", &challenge(pending.verifier()))
            .append_pair("code_challenge_method", "S256")
            .extend_pairs(plan.asked.pairs());
        let url = pairs.finish().parse().map_err(|_| misconfigured("authorization_endpoint", "makes too long a URL"))?;
        Ok((url, pending))
    }

    /// Takes up a login that another process has begun with the same settings: what [`Pending::export`] gave.
    ///
    /// # Errors
    ///
    /// `Refused` if it cannot be read, or was begun with another server, client or redirect URI.
    pub fn resume(&self, exported: &str) -> Result<Pending, TokenError> {
        Pending::import(Arc::clone(&self.plan), exported)
    }

    /// How a login is continued: the refresh token grant of the same client, with the same resources and the same check.
    pub fn refresh_grant(&self) -> RefreshGrant {
        self.plan.refresh_grant()
    }

    /// To be changed: a clone that shares it keeps what it has.
    fn plan(&mut self) -> &mut Plan {
        Arc::make_mut(&mut self.plan)
    }
}

impl Plan {
    pub(super) fn refresh_grant(&self) -> RefreshGrant {
        RefreshGrant::of(Arc::clone(&self.calls), self.asked.resources.clone(), self.check.clone())
    }

    /// What tells this client at this server from another: a login that one has begun is not finished by the other.
    pub(super) fn binding(&self) -> String {
        let parts =
            [&self.calls.uri().to_string(), &self.authorization.to_string(), self.calls.client().id(), &self.redirect_uri];
        // None of them has a line break.
        URL_SAFE_NO_PAD.encode(Sha256::digest(parts.join("\n")))
    }
}

/// RFC 7636 section 4.2.
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

impl fmt::Debug for AuthorizationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan.fmt(f)
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationCode")
            .field("authorization_endpoint", &scrub(&self.authorization.to_string()))
            .field("calls", &self.calls)
            .field("redirect_uri", &scrub(&self.redirect_uri))
            .field("scopes", &self.asked.scopes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    /// The example of RFC 7636 appendix B. What a login sends is tested with [`Pending`](super::Pending).
    #[test]
    fn s256() {
        let challenge = super::challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
