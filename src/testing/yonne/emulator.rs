use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use http::HeaderValue;

use super::{YonneCall, YonneCode, book::Credentials, service::Service};
use crate::{
    clock::Clock,
    testing::{ErrorShape, Hold, server::Server},
};

/// A server on loopback that plays Yonne's courier API: the token endpoint, and calls that need its tokens.
///
/// `POST /api/courier/s2s/auth/token` exchanges the key and secret, which are made at start, for a JWT that is really
/// signed. Every other path below `/api/courier/s2s/` needs that JWT: a call with a body is answered with that body, byte
/// for byte; one without gets a little JSON. It speaks HTTP/1.1, and HTTP/2 with prior knowledge, on the same port.
///
/// All its switches take `&self` and take effect with the next answer. Dropping it closes the port and every connection.
///
/// # What is Yonne's, and what is ours
///
/// Paths, fields, prefixes, codes and statuses are those of Yonne's documentation. Where that is silent, this server
///
/// - writes an error as `{"code": .., "message": ..}`: see [`set_error_shape`](Self::set_error_shape);
/// - sends no `WWW-Authenticate` with a 401: see [`set_challenge`](Self::set_challenge);
/// - answers wrong credentials with a 401 without a code, a malformed or mistyped login body with 400, another method than
///   POST at the token endpoint with 405, and a path outside the API with 404;
/// - calls a header that is not a single `Bearer` one `TOKEN_INVALID`, and so a revoked token;
/// - checks the database first, then the token, the courier, and last whether the integration is enabled. A courier who is
///   gone, or whose integration is off, is told so at the token endpoint too;
/// - reads the body of a call before it answers: see [`answer_early`](Self::answer_early).
///
/// # Examples
///
/// ```
/// use tower_token::testing::{YonneCode, YonneEmulator};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let yonne = YonneEmulator::start().await?;
/// let (key, secret, url) = (yonne.api_key(), yonne.api_secret(), yonne.base_url());
/// assert!(key.starts_with("ck_live_") && secret.starts_with("sk_live_") && url.starts_with("http://127.0.0.1:"));
///
/// // Here the program under test runs. In the middle of it all tokens become invalid:
/// yonne.revoke_all();
///
/// assert_eq!(yonne.answers(YonneCode::TokenInvalid), 0);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct YonneEmulator {
    service: Arc<Service>,
    server: Server,
}

/// Starting, stopping, and where it is.
impl YonneEmulator {
    /// Starts one on a free port of 127.0.0.1, with a signing key and credentials of its own. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// When no port can be had, or no randomness.
    pub async fn start() -> io::Result<YonneEmulator> {
        let service = Arc::new(Service::new()?);
        let shared = Arc::clone(&service);
        let server = Server::start_http(move |request| {
            let service = Arc::clone(&shared);
            async move { service.answer(request).await }
        })
        .await?;
        Ok(YonneEmulator { service, server })
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
}

/// Credentials and tokens.
impl YonneEmulator {
    /// The courier's key, `ck_live_..`.
    pub fn api_key(&self) -> String {
        self.service.book().credentials.api_key.clone()
    }

    /// The courier's secret, `sk_live_..`.
    pub fn api_secret(&self) -> String {
        self.service.book().credentials.api_secret.clone()
    }

    /// Makes a new key and secret. The old ones are refused from now on; tokens got with them stay valid.
    ///
    /// # Errors
    ///
    /// When no randomness can be had. Then the old ones stay.
    pub fn rotate_credentials(&self) -> io::Result<()> {
        let fresh = Credentials::new()?;
        self.service.book().credentials = fresh;
        Ok(())
    }

    /// How long tokens live that are issued from now on. Below a second it is as exact as the clock, and `expires_in` in
    /// the reply is then a fraction. Zero makes tokens that are expired when they arrive.
    ///
    /// # Defaults
    ///
    /// 24 hours, as Yonne.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.service.book().lifetime = lifetime;
    }

    /// Reads the time from another clock: a [`ManualClock`](crate::testing::ManualClock) makes a token of 24 hours expire
    /// when a test says so. A token is expired when either side of the clock says so. Delays are measured by it too.
    ///
    /// # Defaults
    ///
    /// [`TokioClock`](crate::clock::TokioClock).
    pub fn set_clock(&self, clock: impl Clock) {
        self.service.book().setting.set_clock(clock);
    }

    /// A good token, issued without a call.
    ///
    /// # Errors
    ///
    /// When it cannot be signed.
    pub fn mint_token(&self) -> io::Result<String> {
        self.service.book().mint()
    }

    /// A token of the wrong type: the signature is right, but it did not come from the token endpoint.
    ///
    /// # Errors
    ///
    /// When it cannot be signed.
    pub fn mint_session_token(&self) -> io::Result<String> {
        self.service.book().mint_session()
    }

    /// Makes a token `TOKEN_INVALID`. Says whether it is one of this server's.
    pub fn revoke(&self, token: &str) -> bool {
        self.service.book().ledger.revoke(token)
    }

    /// Makes every token issued so far `TOKEN_INVALID`.
    pub fn revoke_all(&self) {
        self.service.book().ledger.revoke_all();
    }

    /// Makes every token issued so far `TOKEN_EXPIRED`, whatever `expires_in` had promised.
    pub fn expire_all(&self) {
        self.service.book().ledger.expire_all();
    }
}

/// Outages, and what else a server may do to its clients.
impl YonneEmulator {
    /// Turns the integration off: `S2S_DISABLED` for calls and logins.
    pub fn disable(&self) {
        self.service.book().disabled = true;
    }

    /// Turns the integration on again. Tokens from before are still good.
    pub fn enable(&self) {
        self.service.book().disabled = false;
    }

    /// Removes the courier: `COURIER_NOT_FOUND` for calls and logins.
    pub fn delete_courier(&self) {
        self.service.book().courier_deleted = true;
    }

    /// Brings the courier back. Tokens from before are good again.
    pub fn restore_courier(&self) {
        self.service.book().courier_deleted = false;
    }

    /// `DB_ERROR` for calls and logins.
    pub fn db_down(&self, down: bool) {
        self.service.book().db_down = down;
    }

    /// A 503 without a code for logins, as from the proxy before a dead service. Calls go on.
    pub fn token_endpoint_down(&self, down: bool) {
        self.service.book().token_endpoint_down = down;
    }

    /// Closes all connections, and each new one as soon as it is made, without a byte.
    pub fn refuse_connections(&self, refuse: bool) {
        self.server.refuse(refuse);
    }

    /// How long an answer of the token endpoint is on its way. The token in it was issued before that.
    pub fn set_token_delay(&self, delay: Duration) {
        self.service.book().token_delay = delay;
    }

    /// How long an answer to a call is on its way.
    pub fn set_api_delay(&self, delay: Duration) {
        self.service.book().api_delay = delay;
    }

    /// Keeps calls of the token endpoint waiting while the [`Hold`] lives. They are judged when they are let go.
    pub fn hold_token_calls(&self) -> Hold {
        self.service.token_gate.hold()
    }

    /// Keeps calls with a token waiting while the [`Hold`] lives. They are judged when they are let go.
    pub fn hold_api_calls(&self) -> Hold {
        self.service.api_gate.hold()
    }

    /// How errors are written.
    ///
    /// # Defaults
    ///
    /// [`ErrorShape::Flat`].
    pub fn set_error_shape(&self, shape: ErrorShape) {
        self.service.book().setting.set_error_shape(shape);
    }

    /// The `WWW-Authenticate` of each 401 to a call, such as `Bearer error="invalid_token"`.
    ///
    /// # Defaults
    ///
    /// None: the page shows none.
    pub fn set_challenge(&self, challenge: Option<HeaderValue>) {
        self.service.book().setting.set_challenge(challenge);
    }

    /// Whether a call is refused before its body is read. A client that is still sending then meets the answer half-way,
    /// and over HTTP/1.1 perhaps a closed connection.
    ///
    /// # Defaults
    ///
    /// Off: the body is read first.
    pub fn answer_early(&self, early: bool) {
        self.service.book().answers_early = early;
    }
}

/// What has happened since the start.
impl YonneEmulator {
    /// Calls of the token endpoint that have arrived, held and refused ones included.
    pub fn token_calls(&self) -> u64 {
        self.service.token_gate.arrived()
    }

    /// Waits until so many calls of the token endpoint have arrived since the start.
    pub async fn token_calls_reached(&self, count: u64) {
        self.service.token_gate.reached(count).await;
    }

    /// Calls to the rest of the API that have arrived, held and refused ones included.
    pub fn api_calls(&self) -> u64 {
        self.service.api_gate.arrived()
    }

    /// Waits until so many calls to the rest of the API have arrived since the start.
    pub async fn api_calls_reached(&self, count: u64) {
        self.service.api_gate.reached(count).await;
    }

    /// The calls to the rest of the API that were answered, oldest first. The last 4096 are kept.
    pub fn calls(&self) -> Vec<YonneCall> {
        self.service.book().calls()
    }

    /// 401s given to calls. For those of the token endpoint see [`refused_logins`](Self::refused_logins).
    pub fn unauthorized(&self) -> u64 {
        self.service.book().unauthorized
    }

    /// 401s given at the token endpoint: wrong credentials.
    pub fn refused_logins(&self) -> u64 {
        self.service.book().refused_logins
    }

    /// Answers with this code, at both.
    pub fn answers(&self, code: YonneCode) -> u64 {
        self.service.book().answers(code)
    }

    /// Tokens issued, minted ones included.
    pub fn tokens_issued(&self) -> u64 {
        self.service.book().ledger.issued()
    }

    /// Different tokens that calls have carried, good or bad.
    pub fn tokens_presented(&self) -> u64 {
        self.service.book().ledger.presented()
    }

    /// Connections that were made, refused ones included.
    pub fn connections(&self) -> u64 {
        self.server.connections()
    }
}

impl fmt::Debug for YonneEmulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("YonneEmulator").field("address", &self.server.address()).finish_non_exhaustive()
    }
}
