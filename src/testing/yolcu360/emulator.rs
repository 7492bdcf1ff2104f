use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderValue, StatusCode};

use super::{Yolcu360Code, book::Credentials, service::Service};
use crate::{
    clock::Clock,
    testing::{ApiCall, ApiOutcome, Endpoint, ErrorShape, RefreshReuse, server::Server},
};

/// A server on loopback that plays Yolcu360's agency API: login, refresh, and calls that need their access tokens.
///
/// `POST /api/v1/auth/login` exchanges the key and secret, which are made at start, for an access token, which is a JWT that
/// is really signed, and a refresh token; `POST /api/v1/auth/refresh` exchanges the latter for two new ones. Every other path
/// below `/api/v1/`, such as `GET /api/v1/locations?query=istanbul`, needs the access token: a call with a body is answered
/// with that body, byte for byte; one without gets a little JSON. It speaks HTTP/1.1, and HTTP/2 with prior knowledge, on the
/// same port.
///
/// All its switches take `&self` and take effect with the next answer. Each of its three parts fails, waits and counts by
/// itself: see [`Endpoint`]. Dropping the emulator closes the port and every connection.
///
/// # What is Yolcu360's, and what is ours
///
/// Paths, fields, codes, and the statuses 400, 401 and 500 are those of Yolcu360's documentation. It contradicts itself on
/// lifetimes: its prose says a week and a month, which is the default here (a month is 30 days), its examples say half an hour
/// and a day, for which see [`use_example_lifetimes`](Self::use_example_lifetimes). Where it is silent, this server guesses:
///
/// - a disabled key is a 403, and too many calls are a 429: see [`set_status`](Self::set_status);
/// - an error is written as `{"code": 1002, "message": ..}`, with a number: see [`set_error_shape`](Self::set_error_shape) and
///   [`write_codes_as_text`](Self::write_codes_as_text);
/// - a refresh token is dead as soon as it was spent: see [`set_refresh_reuse`](Self::set_refresh_reuse). The access token that
///   came with it lives on;
/// - a disabled key is refused at all three parts; new credentials leave the tokens alone;
/// - no code belongs to a 401 of a call with a bad access token, and no `WWW-Authenticate`: see
///   [`set_challenge`](Self::set_challenge);
/// - a body that is not said to be `application/json` is an invalid request;
/// - another method than POST at the first two parts gets 405, a path outside the API 404, neither with a code.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tower_token::testing::{ManualClock, Yolcu360Code, Yolcu360Emulator};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let yolcu360 = Yolcu360Emulator::start().await?;
/// let (key, secret, url) = (yolcu360.key(), yolcu360.secret(), yolcu360.base_url());
/// assert!(url.starts_with("http://127.0.0.1:"));
/// # let _ = (key, secret);
///
/// // Here the program under test runs. A week passes at once, and its access token has expired:
/// let clock = ManualClock::new();
/// yolcu360.set_clock(clock.clone());
/// clock.advance(Duration::from_secs(7 * 86400));
///
/// // It must never have sent a refresh token twice.
/// assert!(yolcu360.presentations().iter().all(|times| *times <= 1));
/// assert_eq!(yolcu360.answers(Yolcu360Code::InvalidRefreshToken), 0);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Yolcu360Emulator {
    service: Arc<Service>,
    server: Server,
}

/// Starting, stopping, where it is, and its parts.
impl Yolcu360Emulator {
    /// Starts one on a free port of 127.0.0.1, with a signing key and credentials of its own. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// When no port can be had, or no randomness.
    pub async fn start() -> io::Result<Yolcu360Emulator> {
        let service = Arc::new(Service::new()?);
        let shared = Arc::clone(&service);
        let server = Server::start_http(move |request| {
            let service = Arc::clone(&shared);
            async move { service.answer(request).await }
        })
        .await?;
        Ok(Yolcu360Emulator { service, server })
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

    /// `POST /api/v1/auth/login`.
    pub fn login_endpoint(&self) -> &Endpoint {
        &self.service.login
    }

    /// `POST /api/v1/auth/refresh`.
    pub fn refresh_endpoint(&self) -> &Endpoint {
        &self.service.refresh
    }

    /// The rest of `/api/v1/`.
    pub fn api(&self) -> &Endpoint {
        &self.service.api
    }
}

/// Credentials and tokens.
impl Yolcu360Emulator {
    /// The agency's key.
    pub fn key(&self) -> String {
        self.service.book().credentials.key.clone()
    }

    /// The agency's secret.
    pub fn secret(&self) -> String {
        self.service.book().credentials.secret.clone()
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

    /// How long access tokens live that are issued from now on. It is as exact as the clock; `accessTokenExpireAt` is rounded
    /// down to whole seconds, unless the lifetime has a fraction of one.
    ///
    /// # Defaults
    ///
    /// 7 days, as the page's prose says.
    pub fn set_access_lifetime(&self, lifetime: Duration) {
        self.service.book().access_lifetime = lifetime;
    }

    /// How long refresh tokens live that are issued from now on, likewise.
    ///
    /// # Defaults
    ///
    /// 30 days: the page's prose says a month.
    pub fn set_refresh_lifetime(&self, lifetime: Duration) {
        self.service.book().refresh_lifetime = lifetime;
    }

    /// The lifetimes of the page's examples, which contradict its prose: 30 minutes, and 24 hours.
    pub fn use_example_lifetimes(&self) {
        self.set_access_lifetime(Duration::from_secs(1800));
        self.set_refresh_lifetime(Duration::from_secs(86400));
    }

    /// Reads the time from another clock: a [`ManualClock`](crate::testing::ManualClock) makes a token expire when a test says
    /// so. A token is expired when either side of the clock says so. Delays and limits are measured by it too.
    ///
    /// # Defaults
    ///
    /// [`TokioClock`](crate::clock::TokioClock).
    pub fn set_clock(&self, clock: impl Clock) {
        self.service.setting.set_clock(clock);
    }

    /// A good access token, issued without a call.
    ///
    /// # Errors
    ///
    /// When it cannot be signed.
    pub fn mint_access_token(&self) -> io::Result<String> {
        self.service.book().mint_access_token()
    }

    /// A good refresh token, issued without a call, as one from an earlier run of a program. It is of no other's family.
    ///
    /// # Errors
    ///
    /// When no randomness can be had.
    pub fn mint_refresh_token(&self) -> io::Result<String> {
        self.service.book().mint_refresh_token()
    }

    /// Revokes a token of either kind. Says whether it is one of this server's.
    pub fn revoke(&self, token: &str) -> bool {
        let mut book = self.service.book();
        book.access_tokens.revoke(token) || book.refresh_tokens.revoke(token)
    }

    /// Revokes every access token issued so far.
    pub fn revoke_access_tokens(&self) {
        self.service.book().access_tokens.revoke_all();
    }

    /// Revokes every refresh token issued so far.
    pub fn revoke_refresh_tokens(&self) {
        self.service.book().refresh_tokens.revoke_all();
    }

    /// Makes every access token issued so far expired, whatever `accessTokenExpireAt` had promised.
    pub fn expire_access_tokens(&self) {
        self.service.book().access_tokens.expire_all();
    }

    /// Makes every refresh token issued so far expired, whatever `refreshTokenExpireAt` had promised.
    pub fn expire_refresh_tokens(&self) {
        self.service.book().refresh_tokens.expire_all();
    }

    /// What happens to a refresh token that comes a second time.
    ///
    /// # Defaults
    ///
    /// [`RefreshReuse::Refused`].
    pub fn set_refresh_reuse(&self, reuse: RefreshReuse) {
        self.service.book().reuse = reuse;
    }
}

/// Outages, and how errors look.
impl Yolcu360Emulator {
    /// Disables the key: 1003 at all three parts.
    pub fn disable(&self) {
        self.service.book().disabled = true;
    }

    /// Enables the key again. Tokens from before are still good.
    pub fn enable(&self) {
        self.service.book().disabled = false;
    }

    /// 1500 at all three parts.
    pub fn down(&self, down: bool) {
        self.service.book().down = down;
    }

    /// Closes all connections, and each new one as soon as it is made, without a byte.
    pub fn refuse_connections(&self, refuse: bool) {
        self.server.refuse(refuse);
    }

    /// The status that goes with a code. The page has none for 1003 and 1005.
    ///
    /// # Defaults
    ///
    /// [`Yolcu360Code::status`].
    pub fn set_status(&self, code: Yolcu360Code, status: StatusCode) {
        self.service.book().statuses.insert(code, status);
    }

    /// How errors are written.
    ///
    /// # Defaults
    ///
    /// [`ErrorShape::Flat`]: a guess.
    pub fn set_error_shape(&self, shape: ErrorShape) {
        self.service.setting.set_error_shape(shape);
    }

    /// Whether the codes in errors are JSON strings.
    ///
    /// # Defaults
    ///
    /// Off, they are numbers: a guess.
    pub fn write_codes_as_text(&self, text: bool) {
        self.service.book().codes_as_text = text;
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
impl Yolcu360Emulator {
    /// Refusals with this code, at all three parts, also of those whose answer a fault spoilt.
    pub fn answers(&self, code: Yolcu360Code) -> u64 {
        self.service.book().answers(code)
    }

    /// How often each refresh token was presented, good or not, in the order in which they were issued: a client of a server
    /// that rotates presents none twice.
    pub fn presentations(&self) -> Vec<u64> {
        self.service.book().refresh_tokens.presentations()
    }

    /// How often something was presented as a refresh token that is none of this server's.
    pub fn unknown_presentations(&self) -> u64 {
        self.service.book().refresh_tokens.unknown()
    }

    /// The calls to the API that were answered, oldest first. The last 4096 are kept.
    pub fn calls(&self) -> Vec<ApiCall> {
        self.service.book().calls.calls()
    }

    /// Calls to the API of which this was made.
    pub fn outcomes(&self, outcome: ApiOutcome) -> u64 {
        self.service.book().calls.count(outcome)
    }

    /// Access tokens issued, minted ones included.
    pub fn tokens_issued(&self) -> u64 {
        self.service.book().access_tokens.issued()
    }

    /// Different access tokens that calls have carried, good or bad.
    pub fn tokens_presented(&self) -> u64 {
        self.service.book().access_tokens.presented()
    }

    /// Connections that were made, refused ones included.
    pub fn connections(&self) -> u64 {
        self.server.connections()
    }
}

impl fmt::Debug for Yolcu360Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yolcu360Emulator").field("address", &self.server.address()).finish_non_exhaustive()
    }
}
