//! What the tests have in common: clients of the real server, by a clock that is set by hand.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use serde::de::DeserializeOwned;
use tower_token::{
    AccessToken, AuthError, BoxError, RefreshToken, TokenError, TokenSource, Transport,
    clock::{Clock, TokioClock},
    grant::oauth::{self, AuthorizationCode, Login, Revocation},
    store::{MemoryStore, TokenStore},
    testing::ManualClock,
};

use crate::{
    browser::Browser,
    client::{Answer, Client, hyper},
    server::{RealServer, shared},
};

/// Where the server sends the browser back to. Nobody listens there: the [`Browser`] stops before it.
pub(crate) const REDIRECT: &str = "https://app.test/callback";
/// How long an access token lives.
pub(crate) const LIFETIME: Duration = Duration::from_secs(600);

pub(crate) struct World {
    pub(crate) server: RealServer,
    /// What discovery has found of it.
    pub(crate) as_: oauth::Server,
    pub(crate) clock: ManualClock,
}

impl World {
    /// Over the server that all share; `None` where there is none.
    pub(crate) async fn shared() -> Option<World> {
        Some(World::of(shared()?).await)
    }

    pub(crate) async fn of(server: RealServer) -> World {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock);
        let as_ = oauth::Server::discover(&server.issuer, transport(), &clock).await.unwrap();
        World { server, as_, clock: ManualClock::new() }
    }

    /// A login at the confidential client, that may be continued, for reading orders.
    pub(crate) fn grant(&self) -> AuthorizationCode {
        self.grant_of(confidential())
    }

    pub(crate) fn grant_of(&self, client: oauth::Client) -> AuthorizationCode {
        let grant = AuthorizationCode::new(&self.as_, client, REDIRECT, transport()).unwrap();
        let grant = grant.scopes(["openid", "offline_access", "orders:read"]).unwrap();
        // OpenID Connect Core 11: no `offline_access` without it.
        grant.param("prompt", "consent").unwrap().clock(self.clock.clone())
    }

    pub(crate) fn revocation(&self) -> Revocation {
        Revocation::new(&self.as_, confidential(), transport()).unwrap().clock(self.clock.clone())
    }

    /// A client of the resource server.
    pub(crate) fn client(&self, source: impl TokenSource) -> Client {
        Client::new(source, self.server.resource.parse().unwrap(), &self.clock)
    }

    /// Calls the resource server: the answer, and the status of each of the requests that this took.
    pub(crate) async fn call(&self, client: &Client, path: &str) -> (Answer, Vec<u16>) {
        let answer = client.send(self.request(&name(), path)).await.unwrap();
        let statuses = serde_json::from_slice(&answer.body).unwrap();
        (answer, statuses)
    }

    /// The statuses of a call alone.
    pub(crate) async fn statuses(&self, client: &Client, path: &str) -> Vec<u16> {
        self.call(client, path).await.1
    }

    /// The error of a call for which there was no token.
    pub(crate) async fn failure(&self, client: &Client) -> TokenError {
        token_error(client.send(self.request("", "/orders")).await.unwrap_err())
    }

    pub(crate) fn request(&self, name: &str, path: &str) -> Request<Full<Bytes>> {
        let url = format!("{}{path}", self.server.resource);
        Request::get(url).header("x-call", name).body(Full::default()).unwrap()
    }

    /// Tells the server's process something, or asks it.
    pub(crate) async fn control<T: DeserializeOwned>(&self, path: &str) -> T {
        json(self.request("", &format!("/control/{path}"))).await
    }

    /// The server ends an access token, and nothing else of the login.
    pub(crate) async fn forget(&self, token: &AccessToken) {
        let mut request = self.request("", "/control/forget");
        request.headers_mut().insert("x-token", token.expose_secret().parse().unwrap());
        json(request).await
    }

    /// How often a refresh token was presented to the server.
    pub(crate) async fn presented(&self, token: &RefreshToken) -> u64 {
        let counts: HashMap<String, u64> = self.control("presented").await;
        counts.get(token.expose_secret()).copied().unwrap_or_default()
    }
}

pub(crate) fn transport() -> Transport {
    Transport::client().unwrap()
}

pub(crate) fn confidential() -> oauth::Client {
    oauth::Client::basic("confidential", "confidential-secret").unwrap()
}

/// A person logs in.
pub(crate) async fn log_in(grant: &AuthorizationCode) -> Result<Login, TokenError> {
    let (url, pending) = grant.begin()?;
    pending.finish(&visit(&url).await).await
}

/// A browser goes there, and comes back with this.
pub(crate) async fn visit(url: &Uri) -> String {
    Browser::new().visit(url).await
}

/// The refresh token that a store holds.
pub(crate) async fn refresh_token(store: &MemoryStore) -> RefreshToken {
    store.read().await.unwrap().unwrap().refresh_token().unwrap().clone()
}

pub(crate) fn token_error(error: BoxError) -> TokenError {
    match *error.downcast::<AuthError<hyper_util::client::legacy::Error>>().unwrap() {
        AuthError::Token(error) => error,
        AuthError::Service(error) => panic!("the call failed, not its token: {error}"),
    }
}

/// A name for a call, under which the resource server notes what it answers.
fn name() -> String {
    static CALLS: AtomicUsize = AtomicUsize::new(1);
    CALLS.fetch_add(1, Ordering::Relaxed).to_string()
}

async fn json<T: DeserializeOwned>(request: Request<Full<Bytes>>) -> T {
    let answer = hyper().request(request).await.unwrap();
    serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
}
