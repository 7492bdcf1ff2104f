use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderValue, StatusCode};

use super::{
    YouniumForbidden,
    book::{Credentials, LegalEntity},
    service::Service,
};
use crate::{
    clock::Clock,
    testing::{ApiCall, ApiOutcome, Endpoint, ErrorShape, server::Server},
};

/// A server on loopback that plays Younium's API, "auth v1": the token endpoint, and calls that need its tokens.
///
/// `POST /auth/token` exchanges the client id and secret, which are made at start, for a JWT that is really signed. With it
/// comes a refresh token, which no endpoint takes. Every other path, such as `GET /Invoices`, needs the JWT, and the
/// `legal-entity` header if the emulator is told of several: a call with a body is answered with that body, byte for byte; one
/// without gets a little JSON. It speaks HTTP/1.1, and HTTP/2 with prior knowledge, on the same port.
///
/// All its switches take `&self` and take effect with the next answer. Each of its two parts fails, waits and counts by itself:
/// see [`Endpoint`]. Dropping the emulator closes the port and every connection.
///
/// # What is Younium's, and what is ours
///
/// Paths, fields, statuses and the reasons of a 403 are those of Younium's documentation, and so is the body of an error, whose
/// field name lacks its quotes, so that it is not JSON: see [`set_error_shape`](Self::set_error_shape). Where it is silent, this
/// server guesses:
///
/// - wrong credentials are a 401, since the page says "400 or 401": see [`set_refusal_status`](Self::set_refusal_status). A
///   malformed or mistyped login body is a 400;
/// - errors of calls look like those of the token endpoint, and are said to be `application/json`;
/// - a header that is not a single `Bearer` one is an invalid token, and so is a revoked token;
/// - the token is checked before the legal entity, and that before permissions and restrictions;
/// - a legal entity is given by its id or its name, exactly, the latter as UTF-8;
/// - too many calls are a 429: the page knows no limit;
/// - tokens are signed with HS256, where the page's example says RS256: a client has no key to check either;
/// - a 401 has no `WWW-Authenticate`: see [`set_challenge`](Self::set_challenge);
/// - a call without `Content-Type: application/json`, which the page lists, is served all the same: [`ApiCall::headers`] tells;
/// - another method than POST at the token endpoint gets 405.
///
/// # Examples
///
/// ```
/// use tower_token::testing::{ApiOutcome, YouniumEmulator};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let younium = YouniumEmulator::start().await?;
/// younium.set_legal_entities([("1f0a", "Acme AB"), ("2b7c", "Ücretli Araçlar")]);
/// let (client_id, secret, url) = (younium.client_id(), younium.secret(), younium.base_url());
/// assert!(url.starts_with("http://127.0.0.1:"));
/// # let _ = (client_id, secret);
///
/// // Here the program under test runs. In the middle of it all tokens expire:
/// younium.expire_all();
///
/// assert_eq!(younium.outcomes(ApiOutcome::TokenExpired), 0);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct YouniumEmulator {
    service: Arc<Service>,
    server: Server,
}

/// Starting, stopping, where it is, and its parts.
impl YouniumEmulator {
    /// Starts one on a free port of 127.0.0.1, with a signing key and credentials of its own. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// When no port can be had, or no randomness.
    pub async fn start() -> io::Result<YouniumEmulator> {
        let service = Arc::new(Service::new()?);
        let shared = Arc::clone(&service);
        let server = Server::start_http(move |request| {
            let service = Arc::clone(&shared);
            async move { service.answer(request).await }
        })
        .await?;
        Ok(YouniumEmulator { service, server })
    }

    /// Stops it, and returns when the port is closed. Dropping it does the same without waiting.
    ///
    /// # Cancel safety
    ///
    /// When this future is dropped, it is as if the emulator had been dropped.
    pub async fn stop(self) {
        self.server.stop().await;
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// `POST /auth/token`.
    pub fn token_endpoint(&self) -> &Endpoint {
        &self.service.token
    }

    /// Everything else.
    pub fn api(&self) -> &Endpoint {
        &self.service.api
    }
}

/// Credentials and tokens.
impl YouniumEmulator {
    /// The client id of the personal token.
    pub fn client_id(&self) -> String {
        self.service.book().credentials.client_id.clone()
    }

    /// Its secret key.
    pub fn secret(&self) -> String {
        self.service.book().credentials.secret.clone()
    }

    /// Makes a new client id and secret. The old ones are refused from now on; tokens got with them stay valid.
    ///
    /// # Errors
    ///
    /// When no randomness can be had. Then the old ones stay.
    pub fn rotate_credentials(&self) -> io::Result<()> {
        let fresh = Credentials::new()?;
        self.service.book().credentials = fresh;
        Ok(())
    }

    /// How long tokens live that are issued from now on. It is as exact as the clock: `expires` is rounded down to a second,
    /// and `expiresIn` is a fraction where the lifetime is one.
    ///
    /// # Defaults
    ///
    /// 24 hours, as Younium.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.service.book().lifetime = lifetime;
    }

    /// Whether `expires` has a wrong weekday, four days on, as the page's example has: "Thu, 21 Sep 2025" was a Sunday.
    ///
    /// # Defaults
    ///
    /// Off.
    pub fn write_wrong_weekday(&self, wrong: bool) {
        self.service.book().wrong_weekday = wrong;
    }

    /// Reads the time from another clock: a [`ManualClock`](crate::testing::ManualClock) makes a token of 24 hours expire when
    /// a test says so. A token is expired when either side of the clock says so. Delays and limits are measured by it too.
    ///
    /// # Defaults
    ///
    /// [`TokioClock`](crate::clock::TokioClock).
    pub fn set_clock(&self, clock: impl Clock) {
        self.service.setting.set_clock(clock);
    }

    /// A good token, issued without a call.
    ///
    /// # Errors
    ///
    /// When it cannot be signed.
    pub fn mint_token(&self) -> io::Result<String> {
        self.service.book().mint()
    }

    /// Revokes a token. Says whether it is one of this server's.
    pub fn revoke(&self, token: &str) -> bool {
        self.service.book().tokens.revoke(token)
    }

    /// Revokes every token issued so far.
    pub fn revoke_all(&self) {
        self.service.book().tokens.revoke_all();
    }

    /// Makes every token issued so far expired, whatever `expires` had promised.
    pub fn expire_all(&self) {
        self.service.book().tokens.expire_all();
    }
}

/// The tenant, outages, and how errors look.
impl YouniumEmulator {
    /// The tenant's legal entities, each an id and a name. With one, the header is optional, and with several it is required.
    ///
    /// # Defaults
    ///
    /// None are known: the header is not looked at.
    pub fn set_legal_entities<I, N>(&self, entities: impl IntoIterator<Item = (I, N)>)
    where
        I: Into<String>,
        N: Into<String>,
    {
        let entities = entities.into_iter().map(|(id, name)| LegalEntity { id: id.into(), name: name.into() }).collect();
        self.service.book().legal_entities = entities;
    }

    /// 403 for every call: the user's permissions are insufficient.
    pub fn deny_permissions(&self, deny: bool) {
        self.service.book().permissions_denied = deny;
    }

    /// 403 for every call: access is restricted.
    pub fn restrict(&self, restrict: bool) {
        self.service.book().restricted = restrict;
    }

    /// Disables the personal token: its client id and secret are refused. Tokens got with them stay valid.
    pub fn disable(&self) {
        self.service.book().disabled = true;
    }

    /// Enables the personal token again.
    pub fn enable(&self) {
        self.service.book().disabled = false;
    }

    /// Closes all connections, and each new one as soon as it is made, without a byte.
    pub fn refuse_connections(&self, refuse: bool) {
        self.server.refuse(refuse);
    }

    /// The status of an answer to wrong credentials. The page says "400 or 401".
    ///
    /// # Defaults
    ///
    /// 401.
    pub fn set_refusal_status(&self, status: StatusCode) {
        self.service.book().refusal_status = status;
    }

    /// How errors are written; [`ErrorShape::Errors`] is the page's with its quotes.
    ///
    /// # Defaults
    ///
    /// [`ErrorShape::UnquotedErrors`], as on the page.
    pub fn set_error_shape(&self, shape: ErrorShape) {
        self.service.setting.set_error_shape(shape);
    }

    /// The `WWW-Authenticate` of each 401 to a call, such as `Bearer error="invalid_token"`.
    ///
    /// # Defaults
    ///
    /// None: the page shows none.
    pub fn set_challenge(&self, challenge: Option<HeaderValue>) {
        self.service.setting.set_challenge(challenge);
    }
}

/// What has happened since the start. Each [`Endpoint`] counts its calls and statuses too.
impl YouniumEmulator {
    /// Logins that were refused for their credentials.
    pub fn refused_logins(&self) -> u64 {
        self.service.book().refused_logins
    }

    /// 403s for this reason, also those that a fault spoilt.
    pub fn forbidden(&self, reason: YouniumForbidden) -> u64 {
        self.service.book().forbidden(reason)
    }

    /// The calls to the API that were answered, oldest first. The last 4096 are kept.
    pub fn calls(&self) -> Vec<ApiCall> {
        self.service.book().calls.calls()
    }

    /// Calls to the API of which this was made.
    pub fn outcomes(&self, outcome: ApiOutcome) -> u64 {
        self.service.book().calls.count(outcome)
    }

    /// Tokens issued, minted ones included.
    pub fn tokens_issued(&self) -> u64 {
        self.service.book().tokens.issued()
    }

    /// Different tokens that calls have carried, good or bad.
    pub fn tokens_presented(&self) -> u64 {
        self.service.book().tokens.presented()
    }

    /// Connections that were made, refused ones included.
    pub fn connections(&self) -> u64 {
        self.server.connections()
    }
}

impl fmt::Debug for YouniumEmulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("YouniumEmulator").field("address", &self.server.address()).finish_non_exhaustive()
    }
}
