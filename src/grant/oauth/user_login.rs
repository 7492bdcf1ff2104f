use std::{fmt, sync::Arc};

use super::{
    super::{exchange::Exchanged, login, rotation::Rotation},
    login::Login,
    refresh_grant::RefreshGrant,
    revocation::Revocation,
};
use crate::{
    clock::{Clock, Moment, TokioClock},
    error::TokenError,
    source::{FetchContext, TokenSource},
    store::{MemoryStore, TokenStore},
    token::AccessToken,
};

/// One user's login, kept in a store: how it begins, goes on and ends.
///
/// A [`Login`] fresh from the [`AuthorizationCode`](super::AuthorizationCode) grant [begins](Self::begin) it, its
/// [source](Self::source) gives the access tokens, and [`end`](Self::end) logs out. What a store already holds, of the process
/// before this one say, goes on without a word: [`needs_login`](Self::needs_login) tells whether a person is needed first.
///
/// Refresh tokens are used once, under the store's lock, and the new one is stored before its access token is handed out. With the
/// login, the store holds its subject, so that a refresh which brings another user's id_token ends it also after a restart.
///
/// A clone is the same login. One store is one login: of many users, each has a store and a `UserLogin`.
///
/// # Defaults
///
/// A [`MemoryStore`]: **a restart loses the login**. No revocation.
///
/// # Examples
///
#[cfg_attr(feature = "testing", doc = "```")]
#[cfg_attr(not(feature = "testing"), doc = "```text")]
/// use tower_token::{
///     TokenHandle, Transport,
///     grant::oauth::{AuthorizationCode, Client, Server, UserLogin},
///     store::MemoryStore,
///     testing::{ScriptedReply, ScriptedServer},
/// };
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let vendor = ScriptedServer::start([
///     ScriptedReply::json(200, r#"{"access_token":"at-1","refresh_token":"rt-1","token_type":"bearer","expires_in":0}"#),
///     ScriptedReply::json(200, r#"{"access_token":"at-2","refresh_token":"rt-2","token_type":"bearer","expires_in":3600}"#),
/// ])
/// .await?;
/// let server = Server::new(format!("{}/token", vendor.base_url()))?
///     .with_authorization_endpoint("https://as.vendor.test/authorize")?;
/// let client = Client::post("my-app", "s3cr3t")?;
/// let grant = AuthorizationCode::new(&server, client, "https://my-app.test/callback", Transport::client()?)?;
///
/// // In production, a store that outlives the process.
/// let store = MemoryStore::new();
/// let user = UserLogin::with_store(grant.refresh_grant(), store.clone());
/// assert!(user.needs_login().await?);
///
/// let (url, pending) = grant.begin()?;
/// // Send the browser to `url`. It comes back:
/// # let state = url.query().unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("state=")).unwrap_or_default();
/// let callback = format!("https://my-app.test/callback?code=c-1&state={state}");
/// user.begin(pending.finish(&callback).await?).await?;
///
/// // The first token has expired by now, and the second is there for it.
/// let handle = TokenHandle::new(user.source());
/// assert_eq!(handle.token().await?.expose_secret(), "at-2");
///
/// // After a restart: the same store, and no browser.
/// let user = UserLogin::with_store(grant.refresh_grant(), store);
/// assert!(!user.needs_login().await?);
/// assert_eq!(TokenHandle::new(user.source()).token().await?.expose_secret(), "at-2");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct UserLogin<T: TokenStore = MemoryStore> {
    grant: Arc<RefreshGrant>,
    login: login::Login<T>,
    revocation: Option<Arc<Revocation>>,
    clock: Arc<dyn Clock>,
}

impl UserLogin {
    /// In memory: **a restart loses the login**. No I/O happens yet.
    pub fn new(grant: RefreshGrant) -> UserLogin {
        UserLogin::with_store(grant, MemoryStore::new())
    }
}

impl<T: TokenStore> UserLogin<T> {
    /// In a store, and going on with what is there. No I/O happens yet.
    pub fn with_store(grant: RefreshGrant, store: T) -> UserLogin<T> {
        UserLogin { grant: Arc::new(grant), login: login::Login::new(store), revocation: None, clock: Arc::new(TokioClock) }
    }

    /// Ends the login at the server too: without it, [`end`](Self::end) only forgets.
    #[must_use]
    pub fn revocation(mut self, revocation: impl Into<Arc<Revocation>>) -> UserLogin<T> {
        self.revocation = Some(revocation.into());
        self
    }

    /// Where time, sleep and spawn come from when it begins and ends: [`TokioClock`] by default. Its sources use their engine's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> UserLogin<T> {
        self.clock = Arc::new(clock);
        self
    }

    /// Whether only a person can go on: nobody has logged in yet, the login was ended, or the server has called it dead and the
    /// last access token has expired.
    ///
    /// `false` is no promise: that the server has ended a login shows at the next refresh.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn needs_login(&self) -> Result<bool, TokenError> {
        let Some(record) = self.login.read(&self.clock).await? else { return Ok(true) };
        let now = self.clock.wall();
        let refreshes = record.refresh.is_some_and(|token| token.expiry().is_none_or(|end| end > now));
        let serves = record.access.is_some_and(|token| token.expiry().is_none_or(|end| end > now));
        Ok(record.ended || !(refreshes || serves))
    }

    /// Begins with a fresh login, in the place of whatever the store holds.
    ///
    /// An engine that was refused meanwhile is told by [`TokenHandle::reset`](crate::TokenHandle::reset). One that still has the
    /// token of another user: by [`replace_source_and_reject`](crate::TokenHandle::replace_source_and_reject), with a new
    /// [source](Self::source).
    ///
    /// # Errors
    ///
    /// The store's. It then gets the record later: the login has begun in this process.
    ///
    /// # Cancel safety
    ///
    /// It runs in a task of its own and goes on.
    pub async fn begin(&self, login: Login) -> Result<(), TokenError> {
        let Login { token, refresh, subject, .. } = login;
        let exchanged = Exchanged { refresh, token: Ok(token), login_again: false, unanswered: false, id_token: None };
        // The token's end is there as a moment: nothing is counted from now.
        self.login.begin(exchanged, subject, Moment::now(&*self.clock), &self.clock).await
    }

    /// Logs out: revokes the refresh token, or else the access token, if there is a [revocation](Self::revocation), and leaves a
    /// note in the store that it is over. Both happen under the store's lock, so that no refresh in flight undoes it.
    ///
    /// Sources answer `Refused` from then on, until a login [begins](Self::begin). An engine serves the access token that it has
    /// until it expires or is rejected: shut it down or drop it.
    ///
    /// # Errors
    ///
    /// The revocation's, or the store's before it: the login goes on, and this may be called again. The store's after it: the
    /// note is kept and stored later.
    ///
    /// # Cancel safety
    ///
    /// It runs in a task of its own and goes on.
    pub async fn end(&self) -> Result<(), TokenError> {
        let revocation = self.revocation.clone();
        let revoke = |record: crate::store::Record| async move {
            match (revocation, record.refresh, record.access) {
                (Some(revocation), Some(token), _) => revocation.revoke_refresh_token(&token).await,
                (Some(revocation), None, Some(token)) => revocation.revoke_access_token(&token).await,
                _ => Ok(()),
            }
        };
        self.login.end(revoke, &self.clock).await
    }

    /// Its access tokens, for a [`TokenHandle`](crate::TokenHandle). One handle does for many layers; the sources of one login
    /// wait for each other, and never use a refresh token twice.
    pub fn source(&self) -> LoginSource<T> {
        LoginSource(Rotation::new(Arc::clone(&self.grant), self.login.clone()))
    }
}

impl<T: TokenStore> Clone for UserLogin<T> {
    fn clone(&self) -> UserLogin<T> {
        UserLogin {
            grant: Arc::clone(&self.grant),
            login: self.login.clone(),
            revocation: self.revocation.clone(),
            clock: Arc::clone(&self.clock),
        }
    }
}

impl<T: TokenStore> fmt::Debug for UserLogin<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserLogin").field("grant", &self.grant).field("revocation", &self.revocation).finish_non_exhaustive()
    }
}

/// The access tokens of a [`UserLogin`].
///
/// A fetch takes over the stored access token while it is good, and otherwise refreshes: lock, read, write down what is about to be
/// sent, send, store, hand out. Where only a person can go on, it is `Refused`.
///
/// # Cancel safety
///
/// A refresh runs in a task of its own. A fetch that is dropped leaves it running, and the next one joins it.
pub struct LoginSource<T: TokenStore = MemoryStore>(Rotation<RefreshGrant, T>);

impl<T: TokenStore> TokenSource for LoginSource<T> {
    async fn fetch(&mut self, cx: FetchContext) -> Result<AccessToken, TokenError> {
        self.0.fetch(cx).await
    }
}

impl<T: TokenStore> fmt::Debug for LoginSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginSource").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::{
        super::{
            AuthorizationCode, Client, Server,
            played::{Played, Sent, clock, played, reply},
        },
        *,
    };
    use crate::{error::ErrorKind, source::FetchReason, store::Record};

    struct World {
        grant: AuthorizationCode,
        revocation: Revocation,
        sent: Sent,
    }

    fn world(replies: impl IntoIterator<Item = Played>) -> World {
        let (transport, sent) = played(replies);
        let server = Server::new("https://as.test/token")
            .and_then(|server| server.with_authorization_endpoint("https://as.test/authorize"))
            .and_then(|server| server.with_revocation_endpoint("https://as.test/revoke"))
            .unwrap();
        let client = || Client::post("id", "CANARY-secret").unwrap();
        let revocation = Revocation::new(&server, client(), transport.clone()).unwrap();
        World { grant: AuthorizationCode::new(&server, client(), "https://me.test", transport).unwrap(), revocation, sent }
    }

    impl World {
        async fn login(&self) -> Login {
            let (url, pending) = self.grant.begin().unwrap();
            let state = url.query().unwrap().split('&').find_map(|pair| pair.strip_prefix("state=")).unwrap().to_owned();
            pending.finish(&format!("code=c&state={state}")).await.unwrap()
        }

        fn user(&self, store: &MemoryStore) -> UserLogin {
            UserLogin::with_store(self.grant.refresh_grant(), store.clone())
        }

        fn forms(&self) -> Vec<String> {
            let form = |(url, _, body): &(String, _, String)| format!("{url} {}", body.split("&client_id").next().unwrap());
            self.sent.lock().unwrap().iter().skip(1).map(form).collect()
        }
    }

    fn tokens(n: u32, lifetime: u32, sub: &str) -> Played {
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"sub":"{sub}"}}"#));
        let body = format!(
            r#"{{"access_token":"at-{n}","refresh_token":"rt-{n}","expires_in":{lifetime},"id_token":"e30.{claims}.c2ln"}}"#
        );
        reply(200, body)
    }

    async fn fetch(source: &mut LoginSource) -> Result<String, ErrorKind> {
        let fetched = source.fetch(FetchContext::from_engine(FetchReason::First, 1, None, clock())).await;
        fetched.map(|token| token.expose_secret().to_owned()).map_err(|error| error.kind())
    }

    async fn stored(store: &MemoryStore) -> Record {
        store.read().await.unwrap().unwrap()
    }

    /// F1, F2: begun, adopted, refreshed; and after a restart the store alone knows.
    #[tokio::test]
    async fn a_login_goes_on_across_restarts() {
        let world = world([tokens(1, 0, "u-1"), tokens(2, 3600, "u-1")]);
        let store = MemoryStore::new();
        let user = world.user(&store);
        assert!(user.needs_login().await.unwrap());
        assert_eq!(fetch(&mut user.source()).await, Err(ErrorKind::Refused), "nobody has logged in yet");

        user.begin(world.login().await).await.unwrap();
        assert!(!user.needs_login().await.unwrap());
        assert_eq!(fetch(&mut user.source()).await.as_deref(), Ok("at-2"));
        assert_eq!(fetch(&mut user.source()).await.as_deref(), Ok("at-2"), "a second source takes over what the first has got");

        let user = world.user(&store);
        assert!(!user.needs_login().await.unwrap());
        assert_eq!(fetch(&mut user.source()).await.as_deref(), Ok("at-2"));
        assert_eq!(world.forms(), ["https://as.test/token grant_type=refresh_token&refresh_token=rt-1"]);
        assert_eq!(stored(&store).await.refresh_token().unwrap().expose_secret(), "rt-2");
    }

    /// V6: by the record, and not by what this process has seen.
    #[tokio::test]
    async fn another_users_id_token_ends_the_login_after_a_restart_too() {
        for (sub, outcome) in [("u-1", Ok("at-2")), ("u-2", Err(ErrorKind::Refused))] {
            let world = world([tokens(1, 0, "u-1"), tokens(2, 3600, sub)]);
            let store = MemoryStore::new();
            world.user(&store).begin(world.login().await).await.unwrap();
            assert_eq!(stored(&store).await.subject(), Some("u-1"));

            let user = world.user(&store);
            assert_eq!(fetch(&mut user.source()).await.as_deref(), outcome.as_deref(), "{sub}");
            assert_eq!(user.needs_login().await.unwrap(), outcome.is_err(), "{sub}");
        }
    }

    /// Another user's login in the place of the first is not measured by the first.
    #[tokio::test]
    async fn the_next_login_may_be_another_users() {
        let world = world([tokens(1, 0, "u-1"), tokens(2, 0, "u-1"), tokens(3, 0, "u-2"), tokens(4, 3600, "u-2")]);
        let store = MemoryStore::new();
        let user = world.user(&store);
        let mut source = user.source();
        user.begin(world.login().await).await.unwrap();
        assert_eq!(fetch(&mut source).await.as_deref(), Ok("at-2"));
        user.begin(world.login().await).await.unwrap();
        assert_eq!(fetch(&mut source).await.as_deref(), Ok("at-4"));
        assert_eq!(stored(&store).await.subject(), Some("u-2"));
    }

    /// F19: revoked and noted, once; a failed revocation leaves the login as it is.
    #[tokio::test]
    async fn it_ends() {
        let mut world = world([tokens(1, 3600, "u-1"), reply(503, ""), reply(200, "")]);
        let store = MemoryStore::new();
        let revocation = std::mem::replace(&mut world.revocation, self::world([]).revocation);
        let user = world.user(&store).revocation(revocation);
        user.begin(world.login().await).await.unwrap();

        assert_eq!(user.end().await.unwrap_err().kind(), ErrorKind::Transient);
        assert!(!user.needs_login().await.unwrap());
        user.end().await.unwrap();
        user.end().await.unwrap();
        assert!(user.needs_login().await.unwrap());
        assert_eq!(fetch(&mut user.source()).await, Err(ErrorKind::Refused));
        let form = "https://as.test/revoke token=rt-1&token_type_hint=refresh_token";
        assert_eq!(world.forms(), [form, form]);
        let record = stored(&store).await;
        assert!(record.is_ended() && record.refresh_token().is_none() && record.subject().is_none());
    }

    /// S3.
    #[tokio::test]
    async fn debug_shows_no_secret() {
        let world = world([reply(200, r#"{"access_token":"CANARY","refresh_token":"CANARY"}"#)]);
        let user = UserLogin::new(world.grant.refresh_grant());
        user.begin(world.login().await).await.unwrap();
        let shown = format!("{user:?} {:?}", user.source());
        assert!(!shown.contains("CANARY"), "{shown}");
    }
}
