use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use http::Uri;

use super::{
    YocoSignature,
    book::{AUTHORIZATION, KEYS, METADATA, REVOCATION, TOKEN},
    service::Service,
    user::User,
};
use crate::{
    clock::Clock,
    testing::{
        Endpoint, RefreshReuse,
        api_call::{ApiCall, ApiOutcome},
        server::Server,
    },
};

/// A server on loopback that plays Yoco: its identity provider, and an API that wants its tokens.
///
/// A client and a merchant are made at start, and so are the signing keys. The merchant is logged in and consents at once: a
/// `GET` of the authorization endpoint is answered with a redirect that has a code in it, and [`authorize`](Self::authorize) does
/// the same without a browser. Below `/v1/`, a call with a body is answered with that body, byte for byte, and one without gets
/// a little JSON. It speaks HTTP/1.1, and HTTP/2 with prior knowledge, on the same port.
///
/// Each of its six [`Endpoint`]s can fail, wait and count by itself. All switches take `&self` and take effect with the next
/// answer. Dropping it closes the port and every connection.
///
/// # What is Yoco's, and what is ours
///
/// The token endpoint, its request, its reply, the claims of the id_token and the place of the keys are those of Yoco's
/// documentation. Where that is silent, this server does what the specifications say: RFC 6749 (OAuth 2.0), RFC 6750 (Bearer),
/// RFC 7009 (revocation), RFC 7636 (PKCE), RFC 8252 (loopback redirects), RFC 9207 (`iss` in the redirect) and OpenID Connect.
/// Where those leave a choice, this server
///
/// - wants the client's credentials in the body, as the page shows them: see [`accept_basic`](Self::accept_basic);
/// - knows PKCE and does not insist: see [`require_pkce`](Self::require_pkce). `plain` is refused;
/// - wants a scope, knows those of the page, and grants what is asked: see [`allow_scope`](Self::allow_scope) and
///   [`consent_to`](Self::consent_to);
/// - ends a login when its code or one of its used refresh tokens comes again: see
///   [`set_refresh_reuse`](Self::set_refresh_reuse) and [`rotate_refresh_tokens`](Self::rotate_refresh_tokens);
/// - keeps a code good for 10 minutes and through failed attempts, and a refresh token for ever;
/// - sends an `id_token` with each reply to a client that has the `openid` scope, its `aud` being an array, and good for an hour;
/// - leaves older access tokens good when a new one is issued, and when one of them is revoked;
/// - sends no `iss` in the redirect: see [`send_issuer`](Self::send_issuer);
/// - writes what those do not speak of, such as a 404, as `{"message": ..}`, and the code of a
///   [`Fault`](crate::testing::Fault) as `{"error": .., "message": ..}`.
///
/// # Examples
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, header};
/// use http_body_util::{BodyExt, Full};
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// use tower_token::testing::YocoEmulator;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let yoco = YocoEmulator::start().await?;
///
/// // What the program under test sends a browser to, and where the browser comes back:
/// let query = format!(
///     "response_type=code&client_id={}&redirect_uri={}&scope=offline_access+openid&state=xyz",
///     yoco.client_id(),
///     "https%3A%2F%2Fclient.example%2Fcallback",
/// );
/// let callback = yoco.authorize(&format!("{}?{query}", yoco.authorization_url()))?;
/// let code = callback.strip_prefix("https://client.example/callback?code=").and_then(|rest| rest.strip_suffix("&state=xyz"));
///
/// let form = format!(
///     "grant_type=authorization_code&code={}&client_id={}&client_secret={}&redirect_uri={}",
///     code.unwrap_or_default(),
///     yoco.client_id(),
///     yoco.client_secret(),
///     "https%3A%2F%2Fclient.example%2Fcallback",
/// );
/// let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
/// let request = Request::post(yoco.token_url())
///     .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
///     .body(Full::from(form))?;
/// let reply = client.request(request).await?.into_body().collect().await?.to_bytes();
/// let reply: serde_json::Value = serde_json::from_slice(&reply)?;
/// assert_eq!((&reply["expires_in"], &reply["token_type"]), (&1_209_599.into(), &"bearer".into()));
/// assert!(reply["id_token"].is_string() && reply["refresh_token"].is_string());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct YocoEmulator {
    service: Arc<Service>,
    server: Server,
}

/// Starting, stopping, and the time.
impl YocoEmulator {
    /// Starts one on a free port of 127.0.0.1, with a client, a merchant and signing keys of its own. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// When no port can be had, or no randomness.
    pub async fn start() -> io::Result<YocoEmulator> {
        // An RSA key takes a fifth of a second, in which nothing else would run.
        let service = Arc::new(tokio::task::spawn_blocking(Service::new).await??);
        let shared = Arc::clone(&service);
        let server = Server::start_http(move |request| {
            let service = Arc::clone(&shared);
            async move { service.answer(request).await }
        })
        .await?;
        service.book().base_url = server.base_url();
        Ok(YocoEmulator { service, server })
    }

    /// Stops it, and returns when the port is closed. Dropping it does the same without waiting.
    ///
    /// # Cancel safety
    ///
    /// When this future is dropped, it is as if the emulator had been dropped.
    pub async fn stop(self) {
        self.server.stop().await;
    }

    /// Reads the time from another clock: with a [`ManualClock`](crate::testing::ManualClock) two weeks pass when a test says
    /// so. What has a lifetime is over when either side of the clock says so.
    ///
    /// # Defaults
    ///
    /// [`TokioClock`](crate::clock::TokioClock).
    pub fn set_clock(&self, clock: impl Clock) {
        self.service.setting.set_clock(clock);
    }
}

/// Where it is, and its parts.
impl YocoEmulator {
    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// `GET /oauth2/auth`: where a browser is sent to log in (RFC 6749 section 3.1). Yoco's page does not name its path.
    pub fn authorization_endpoint(&self) -> &Endpoint {
        &self.service.authorization
    }

    /// The URL of [`authorization_endpoint`](Self::authorization_endpoint), to which a client adds a query.
    pub fn authorization_url(&self) -> String {
        self.at(AUTHORIZATION)
    }

    /// `POST /oauth2/token`
    pub fn token_endpoint(&self) -> &Endpoint {
        &self.service.token
    }

    /// The URL of [`token_endpoint`](Self::token_endpoint).
    pub fn token_url(&self) -> String {
        self.at(TOKEN)
    }

    /// `POST /oauth2/revoke` (RFC 7009). Yoco's page does not mention it.
    pub fn revocation_endpoint(&self) -> &Endpoint {
        &self.service.revocation
    }

    /// The URL of [`revocation_endpoint`](Self::revocation_endpoint).
    pub fn revocation_url(&self) -> String {
        self.at(REVOCATION)
    }

    /// `GET /.well-known/jwks.json`
    pub fn keys_endpoint(&self) -> &Endpoint {
        &self.service.keys
    }

    /// The URL of [`keys_endpoint`](Self::keys_endpoint).
    pub fn keys_url(&self) -> String {
        self.at(KEYS)
    }

    /// `GET /.well-known/openid-configuration` (OpenID Connect Discovery 1.0 section 4). Yoco's page does not mention it.
    pub fn metadata_endpoint(&self) -> &Endpoint {
        &self.service.metadata
    }

    /// The URL of [`metadata_endpoint`](Self::metadata_endpoint).
    pub fn metadata_url(&self) -> String {
        self.at(METADATA)
    }

    /// Each path below `/v1/`: calls that need an access token. Yoco's page does not name one.
    pub fn api(&self) -> &Endpoint {
        &self.service.api
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base_url())
    }
}

/// The client.
impl YocoEmulator {
    /// The client's identifier.
    pub fn client_id(&self) -> String {
        self.service.book().client_id.clone()
    }

    /// The client's secret.
    pub fn client_secret(&self) -> String {
        self.service.book().client_secret.clone()
    }

    /// Makes a new secret. The old one is `invalid_client` from now on; tokens got with it stay good.
    ///
    /// # Errors
    ///
    /// When no randomness can be had. Then the old one stays.
    pub fn rotate_client_secret(&self) -> io::Result<()> {
        let fresh = super::book::client_secret()?;
        self.service.book().client_secret = fresh;
        Ok(())
    }

    /// Turns the client off: `invalid_client` at the token endpoint, an error page for its users. Its tokens stay good.
    pub fn disable_client(&self) {
        self.service.book().client_disabled = true;
    }

    /// Turns the client on again.
    pub fn enable_client(&self) {
        self.service.book().client_disabled = false;
    }

    /// Whether the client may authenticate by a Basic header too (RFC 6749 section 2.3.1). In the body it always may.
    ///
    /// # Defaults
    ///
    /// Off: the page shows the body.
    pub fn accept_basic(&self, accept: bool) {
        self.service.book().basic = accept;
    }

    /// Adds a redirect URI. They are compared character by character, but for the port of `http://127.0.0.1` and `http://[::1]`
    /// (RFC 8252 section 7.3).
    ///
    /// # Defaults
    ///
    /// `https://client.example/callback` is registered.
    pub fn register_redirect_uri(&self, uri: impl Into<String>) {
        self.service.book().redirect_uris.push(uri.into());
    }

    /// Adds a scope that may be asked for; another one is `invalid_scope`.
    ///
    /// # Defaults
    ///
    /// Those of the page: `offline_access`, `openid` and `business/orders:read`.
    pub fn allow_scope(&self, scope: impl Into<String>) {
        self.service.book().scopes.push(scope.into());
    }

    /// Whether an authorization request without a `code_challenge` is `invalid_request`.
    ///
    /// # Defaults
    ///
    /// Off: the page's token request has no `code_verifier`.
    pub fn require_pkce(&self, require: bool) {
        self.service.book().pkce_required = require;
    }
}

/// The user.
impl YocoEmulator {
    /// Plays the user without a browser: given the URL that the client would open, the URL that the browser comes back to. It is
    /// what the authorization endpoint would do, without its counters, holds and faults.
    ///
    /// # Errors
    ///
    /// When the URL is not this server's authorization endpoint, and when the browser would not come back but show an error: for
    /// an unknown client, or a redirect URI that is not registered (RFC 6749 section 4.1.2.1). Any other error is in the URL.
    pub fn authorize(&self, url: &str) -> io::Result<String> {
        let invalid = |message| io::Error::new(io::ErrorKind::InvalidInput, message);
        let query = url.strip_prefix(&self.authorization_url()).and_then(|rest| rest.strip_prefix('?'));
        let query = query.filter(|_| url.parse::<Uri>().is_ok() && !url.contains('#'));
        let query = query.ok_or_else(|| invalid("The URL is not one of this server's authorization endpoint"))?;
        self.service.book().authorize(query).map_err(invalid)
    }

    /// The `sub` and `user_id` of the merchant who logs in.
    pub fn user_id(&self) -> String {
        self.service.book().user.id.clone()
    }

    /// From now on another merchant logs in. Refreshed tokens are of the one who had logged in.
    ///
    /// # Errors
    ///
    /// When no randomness can be had. Then it stays the same one.
    pub fn switch_user(&self) -> io::Result<()> {
        let user = User::new()?;
        self.service.book().user = user;
        Ok(())
    }

    /// Answers each authorization request with this error, such as `access_denied` for a user who says no; `None` ends that.
    /// What is wrong with a request is still said first.
    pub fn deny(&self, error: Option<&str>) {
        self.service.book().denial = error.map(str::to_owned);
    }

    /// The user consents to these scopes only, separated by spaces: the reply's `scope` is less than what was asked. `None` is
    /// all.
    pub fn consent_to(&self, scopes: Option<&str>) {
        self.service.book().consent = scopes.map(str::to_owned);
    }

    /// Sends this `state` back in place of the client's own.
    pub fn forge_state(&self, state: Option<&str>) {
        self.service.book().callback_state = state.map(str::to_owned);
    }

    /// Sends this `iss` in the redirect (RFC 9207), [`issuer`](Self::issuer) or another one; the metadata say that it is sent.
    ///
    /// # Defaults
    ///
    /// None: the page does not mention it.
    pub fn send_issuer(&self, issuer: Option<&str>) {
        self.service.book().callback_issuer = issuer.map(str::to_owned);
    }
}

/// Tokens.
impl YocoEmulator {
    /// The access token and the refresh token of a new login of the current user, for all scopes, issued without a call.
    ///
    /// # Errors
    ///
    /// When no randomness can be had.
    pub fn mint_tokens(&self) -> io::Result<(String, String)> {
        self.service.book().mint()
    }

    /// How long access tokens live that are issued from now on. Below a second it is as exact as the clock, and `expires_in` is
    /// then a fraction. Zero makes tokens that are expired when they arrive.
    ///
    /// # Defaults
    ///
    /// 1 209 599 seconds, as the page shows: a second less than two weeks.
    pub fn set_access_lifetime(&self, lifetime: Duration) {
        self.service.book().access_lifetime = lifetime;
    }

    /// How long refresh tokens live that are issued from now on.
    ///
    /// # Defaults
    ///
    /// [`Duration::MAX`], for ever: the page is silent.
    pub fn set_refresh_lifetime(&self, lifetime: Duration) {
        self.service.book().refresh_lifetime = lifetime;
    }

    /// How long codes live that are issued from now on.
    ///
    /// # Defaults
    ///
    /// 10 minutes, the longest that RFC 6749 section 4.1.2 recommends.
    pub fn set_code_lifetime(&self, lifetime: Duration) {
        self.service.book().code_lifetime = lifetime;
    }

    /// What happens to a refresh token that comes a second time.
    ///
    /// # Defaults
    ///
    /// [`RefreshReuse::KillsFamily`]: the page is silent, and RFC 9700 section 4.14.2 wants it.
    pub fn set_refresh_reuse(&self, reuse: RefreshReuse) {
        self.service.book().reuse = reuse;
    }

    /// Whether a refresh spends its token, and the reply has another one. Otherwise the token stays good, and the reply has no
    /// `refresh_token` (RFC 6749 section 6).
    ///
    /// # Defaults
    ///
    /// On.
    pub fn rotate_refresh_tokens(&self, rotate: bool) {
        self.service.book().rotates = rotate;
    }

    /// Revokes a token, as the revocation endpoint does. Says whether it is one of this server's.
    pub fn revoke(&self, token: &str) -> bool {
        self.service.book().revoke(token)
    }

    /// Revokes every access token issued so far. Refresh tokens stay good.
    pub fn revoke_access_tokens(&self) {
        self.service.book().revoke_access();
    }

    /// Ends every login so far: access and refresh tokens are worth nothing any more, as if the merchant had thrown the client
    /// out.
    pub fn revoke_all(&self) {
        self.service.book().revoke_all();
    }

    /// Makes every access token issued so far expire, whatever `expires_in` had promised.
    pub fn expire_access_tokens(&self) {
        self.service.book().expire_access();
    }

    /// Makes every refresh token issued so far expire.
    pub fn expire_refresh_tokens(&self) {
        self.service.book().refresh_tokens.expire_all();
    }

    /// Makes every code issued so far expire.
    pub fn expire_codes(&self) {
        self.service.book().expire_codes();
    }

    /// The scopes that a call needs, separated by spaces. A token without them is told `insufficient_scope`, with 403.
    ///
    /// # Defaults
    ///
    /// None.
    pub fn need_scope(&self, scopes: Option<&str>) {
        self.service.book().needed_scope = scopes.map(str::to_owned);
    }
}

/// id_tokens.
impl YocoEmulator {
    /// The `iss` of id_tokens and metadata.
    pub fn issuer(&self) -> String {
        self.service.book().issuer().to_owned()
    }

    /// Calls itself something else than its own address, such as the vendor's real issuer.
    ///
    /// # Defaults
    ///
    /// [`base_url`](Self::base_url).
    pub fn set_issuer(&self, issuer: impl Into<String>) {
        self.service.book().issuer = Some(issuer.into());
    }

    /// How long id_tokens live that are issued from now on, in whole seconds.
    ///
    /// # Defaults
    ///
    /// An hour.
    pub fn set_id_token_lifetime(&self, lifetime: Duration) {
        self.service.book().notary.lifetime = lifetime;
    }

    /// Whether a refreshed token comes with an id_token; OpenID Connect Core 1.0 section 12.2 allows both. It has no `nonce`.
    ///
    /// # Defaults
    ///
    /// On.
    pub fn id_token_on_refresh(&self, send: bool) {
        self.service.book().id_token_on_refresh = send;
    }

    /// How id_tokens are signed from now on.
    ///
    /// # Errors
    ///
    /// When no key can be made. Then nothing changes.
    pub fn sign_with(&self, signature: YocoSignature) -> io::Result<()> {
        let mut book = self.service.book();
        book.notary.keys.prepare(signature)?;
        book.notary.signature = signature;
        Ok(())
    }

    /// Gives the id_tokens that are signed from now on a claim that is not as it should be: another `iss`, `aud` or `nonce`, an
    /// `exp` that is past or no number, another `sub` on a refresh. The value is a `serde_json::Value`, or any text,
    /// well-formed or not.
    pub fn forge_claim(&self, claim: impl Into<String>, value: impl ToString) {
        self.service.book().notary.forged.insert(claim.into(), Some(value.to_string()));
    }

    /// Leaves this claim out of the id_tokens that are signed from now on.
    pub fn omit_claim(&self, claim: impl Into<String>) {
        self.service.book().notary.forged.insert(claim.into(), None);
    }

    /// Claims are again as they should be.
    pub fn forge_nothing(&self) {
        self.service.book().notary.forged.clear();
    }

    /// Signs with new keys from now on. The old ones stay published, as OpenID Connect Core 1.0 section 10.1.1 wants it.
    ///
    /// # Errors
    ///
    /// When no key can be made.
    pub fn rotate_keys(&self) -> io::Result<()> {
        self.service.book().notary.keys.rotate()
    }

    /// Publishes only the keys that it signs with now.
    pub fn withdraw_former_keys(&self) {
        self.service.book().notary.keys.withdraw_former();
    }
}

/// Outages: an [`Endpoint`] has more of them.
impl YocoEmulator {
    /// Closes all connections, and each new one as soon as it is made, without a byte.
    pub fn refuse_connections(&self, refuse: bool) {
        self.server.refuse(refuse);
    }
}

/// What has happened since the start. Each [`Endpoint`] counts its calls and statuses too.
impl YocoEmulator {
    /// Calls of the token endpoint with this `grant_type`, refused and failed ones included, held ones when they are let go;
    /// with none, `""`.
    pub fn token_calls(&self, grant_type: &str) -> u64 {
        self.service.book().token_calls(grant_type)
    }

    /// How often this server had to say no with this code, such as `invalid_grant`, wherever. What a
    /// [`Fault`](crate::testing::Fault) says does not count.
    pub fn refusals(&self, code: &str) -> u64 {
        self.service.book().refusals(code)
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

impl fmt::Debug for YocoEmulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("YocoEmulator").field("address", &self.server.address()).finish_non_exhaustive()
    }
}
