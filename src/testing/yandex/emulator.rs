use std::{fmt, io, net::SocketAddr, sync::Arc};

use http::{HeaderValue, Uri};

use super::service::{AUTHORIZE, Service};
use crate::{
    clock::Clock,
    testing::{
        Endpoint, ErrorShape,
        api_call::{ApiCall, ApiOutcome},
        server::Server,
    },
};

/// A server on loopback that plays Yandex OAuth, and the Track & Trace API, which wants its tokens.
///
/// An app is registered at start, with `https://oauth.yandex.com/verification_code` as its Redirect URI. The user is logged in
/// and clicks at once: a `GET` of the authorization endpoint is answered with a redirect that has a token in its fragment, and
/// [`authorize`](Self::authorize) does the same without a browser. `GET /api/v1/test` says whether a token works; below
/// `/api/v1/`, any other call with a body is answered with that body, byte for byte, and one without gets a little JSON. It
/// speaks HTTP/1.1, and HTTP/2 with prior knowledge, on the same port.
///
/// Each of the two can fail, wait and count by itself: see [`Endpoint`]. All switches take `&self` and take effect with the next
/// answer. Dropping it closes the port and every connection.
///
/// # What is Yandex's, and what is ours
///
/// The two endpoints, the scheme `OAuth`, the answer `{"message":"OK"}`, the three ways in which a token becomes invalid and
/// `unauthorized_client` are those of the documentation of the Track & Trace API. Where that is silent, this server
///
/// - sends the token to the browser as RFC 6749 section 4.2.2 has it, and errors as section 4.2.2.1: in the fragment;
/// - says `expires_in` there, though a token's lifetime is not limited: see [`set_expires_in`](Self::set_expires_in);
/// - answers a call without a good token with 401 and `{"message": ".."}`, after the answer that the page shows, and another
///   scheme than `OAuth` likewise: see [`set_error_shape`](Self::set_error_shape);
/// - tells a call over [`Endpoint::limit`] so with 429, and a path outside the API with 404, in the same shape;
/// - sends no `WWW-Authenticate` with a 401: see [`set_challenge`](Self::set_challenge);
/// - answers a user's token who is no administrator of the company with 403.
///
/// # Examples
///
/// ```
/// use tower_token::testing::YandexEmulator;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let yandex = YandexEmulator::start().await?;
/// let link = format!("{}?response_type=token&client_id=", yandex.authorization_url());
/// let screen = yandex.authorize(&(link + &yandex.client_id()))?;
/// assert!(screen.starts_with("https://oauth.yandex.com/verification_code#access_token="));
///
/// // Here the program under test runs. In the middle of it the user changes the password:
/// yandex.change_password();
///
/// assert_eq!(yandex.tokens_issued(), 1);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct YandexEmulator {
    service: Arc<Service>,
    server: Server,
}

/// Starting, stopping, where it is, and its parts.
impl YandexEmulator {
    /// Starts one on a free port of 127.0.0.1, with an app of its own. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// When no port can be had, or no randomness.
    pub async fn start() -> io::Result<YandexEmulator> {
        let service = Arc::new(Service::new()?);
        let shared = Arc::clone(&service);
        let server = Server::start_http(move |request| {
            let service = Arc::clone(&shared);
            async move { service.answer(request).await }
        })
        .await?;
        Ok(YandexEmulator { service, server })
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

    /// `GET /authorize`: where a browser is sent to log in.
    pub fn authorization_endpoint(&self) -> &Endpoint {
        &self.service.authorization
    }

    /// `GET /api/v1/test`, and each other path below `/api/v1/`: calls that need a token.
    pub fn api(&self) -> &Endpoint {
        &self.service.api
    }

    /// The URL of [`authorization_endpoint`](Self::authorization_endpoint), to which a client adds a query.
    pub fn authorization_url(&self) -> String {
        format!("{}{AUTHORIZE}", self.base_url())
    }

    /// Reads the time from another clock, for delays and limits: tokens do not expire.
    ///
    /// # Defaults
    ///
    /// [`TokioClock`](crate::clock::TokioClock).
    pub fn set_clock(&self, clock: impl Clock) {
        self.service.setting.set_clock(clock);
    }
}

/// The app, and the user.
impl YandexEmulator {
    /// The app's ID, "from the ClientID field".
    pub fn client_id(&self) -> String {
        self.service.book().client_id.clone()
    }

    /// Plays the user without a browser: given the link that the user opens, the URL of the page that shows the token, with the
    /// token in its fragment. It is what the authorization endpoint would do, without its counters, holds and faults.
    ///
    /// # Errors
    ///
    /// When the URL is not this server's authorization endpoint, and when the browser would not be sent on but show an error:
    /// for an unknown app, or a redirect URI that is not the app's. Any other error is in the fragment.
    pub fn authorize(&self, url: &str) -> io::Result<String> {
        let invalid = |message| io::Error::new(io::ErrorKind::InvalidInput, message);
        let query = url.strip_prefix(&self.authorization_url()).and_then(|rest| rest.strip_prefix('?'));
        let query = query.filter(|_| url.parse::<Uri>().is_ok() && !url.contains('#'));
        let query = query.ok_or_else(|| invalid("The URL is not one of this server's authorization endpoint"))?;
        self.service.book().authorize(query).map_err(invalid)
    }

    /// "There are restrictions for your account": `unauthorized_client` in place of a token. Tokens from before stay good.
    pub fn restrict_account(&self, restricted: bool) {
        self.service.book().restricted = restricted;
    }

    /// Answers each authorization request with this error, such as `access_denied` for a user who says no; `None` ends that.
    pub fn deny(&self, error: Option<&str>) {
        self.service.book().denial = error.map(str::to_owned);
    }

    /// Whether the user who logs in from now on is an administrator of the company. Only an administrator's token works.
    ///
    /// # Defaults
    ///
    /// On.
    pub fn log_in_as_administrator(&self, administrator: bool) {
        self.service.book().administrator = administrator;
    }

    /// What the redirect says of the token's lifetime, in seconds. The token does not keep to it: "Token lifetime is not
    /// limited."
    ///
    /// # Defaults
    ///
    /// A year.
    pub fn set_expires_in(&self, seconds: Option<u64>) {
        self.service.book().expires_in = seconds;
    }
}

/// Tokens.
impl YandexEmulator {
    /// A good token of the current user, issued without a browser.
    ///
    /// # Errors
    ///
    /// When no randomness can be had.
    pub fn mint_token(&self) -> io::Result<String> {
        self.service.book().mint()
    }

    /// "It has been revoked": this one. Says whether it is one of this server's.
    pub fn revoke(&self, token: &str) -> bool {
        self.service.book().revoke(token)
    }

    /// "It has been revoked": every token issued so far.
    pub fn revoke_all(&self) {
        self.service.book().revoke_all();
    }

    /// "The user changes the password to the account the token was issued to": every token issued so far is invalid.
    pub fn change_password(&self) {
        self.service.book().revoke_all();
    }

    /// "The user of the account the token was issued to clicks Log out of all Yandex services": every token issued so far is
    /// invalid.
    pub fn log_out_of_all_services(&self) {
        self.service.book().revoke_all();
    }
}

/// Outages, and what else a server may do to its clients.
impl YandexEmulator {
    /// How errors are written. They have no code.
    ///
    /// # Defaults
    ///
    /// [`ErrorShape::Flat`].
    pub fn set_error_shape(&self, shape: ErrorShape) {
        self.service.setting.set_error_shape(shape);
    }

    /// The `WWW-Authenticate` of each 401, such as `OAuth realm="api"`.
    ///
    /// # Defaults
    ///
    /// None: the page shows none.
    pub fn set_challenge(&self, challenge: Option<HeaderValue>) {
        self.service.setting.set_challenge(challenge);
    }

    /// Closes all connections, and each new one as soon as it is made, without a byte.
    pub fn refuse_connections(&self, refuse: bool) {
        self.server.refuse(refuse);
    }
}

/// What has happened since the start. Each [`Endpoint`] counts its calls and statuses too.
impl YandexEmulator {
    /// Authorization requests that were sent back with this error, such as `unauthorized_client`.
    pub fn refusals(&self, error: &str) -> u64 {
        self.service.book().refusals(error)
    }

    /// Tokens issued, minted ones included.
    pub fn tokens_issued(&self) -> u64 {
        self.service.book().tokens.issued()
    }

    /// Different tokens that calls have carried, good or bad.
    pub fn tokens_presented(&self) -> u64 {
        self.service.book().tokens.presented()
    }

    /// The calls to the API that were answered, oldest first. The last 4096 are kept.
    pub fn calls(&self) -> Vec<ApiCall> {
        self.service.book().calls.calls()
    }

    /// Calls to the API of which this was made.
    pub fn outcomes(&self, outcome: ApiOutcome) -> u64 {
        self.service.book().calls.count(outcome)
    }

    /// Connections that were made, refused ones included.
    pub fn connections(&self) -> u64 {
        self.server.connections()
    }
}

impl fmt::Debug for YandexEmulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("YandexEmulator").field("address", &self.server.address()).finish_non_exhaustive()
    }
}
