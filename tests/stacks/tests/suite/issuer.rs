use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::watch;
use tower_token::{AccessToken, FetchContext, TokenError, TokenSource, source_fn};

/// How long a token lives.
pub(crate) const LIFETIME: Duration = Duration::from_secs(3600);

/// Issues `token-1`, `token-2` and so on, knows which of them are still good, and fails or hangs when told.
#[derive(Clone, Default)]
pub(crate) struct Issuer {
    good: Arc<Mutex<HashSet<String>>>,
    calls: Arc<watch::Sender<usize>>,
    held: Arc<watch::Sender<bool>>,
    mood: Arc<Mutex<Mood>>,
}

/// What an issuer makes of a call.
#[derive(Clone, Copy, Default)]
pub(crate) enum Mood {
    #[default]
    Issues,
    /// It fails for now.
    Down,
    /// It does not know the client.
    Refuses,
}

impl Issuer {
    pub(crate) fn source(&self) -> impl TokenSource + use<> {
        let issuer = self.clone();
        source_fn(move |_cx: FetchContext| {
            let issuer = issuer.clone();
            async move {
                issuer.calls.send_modify(|calls| *calls += 1);
                let number = *issuer.calls.borrow();
                issuer.held.subscribe().wait_for(|held| !held).await.map_err(TokenError::transient)?;
                match *issuer.mood.lock().unwrap() {
                    Mood::Issues => {}
                    Mood::Down => return Err(TokenError::transient("down")),
                    Mood::Refuses => return Err(TokenError::refused("unknown client").with_code("invalid_client")),
                }
                let token = format!("token-{number}");
                issuer.good.lock().unwrap().insert(token.clone());
                Ok(AccessToken::new(token)?.expires_in(LIFETIME))
            }
        })
    }

    /// Token calls that have arrived.
    pub(crate) fn calls(&self) -> usize {
        *self.calls.borrow()
    }

    pub(crate) async fn calls_reached(&self, count: usize) {
        self.calls.subscribe().wait_for(|calls| *calls >= count).await.unwrap();
    }

    /// Keeps token calls waiting.
    pub(crate) fn hold(&self, hold: bool) {
        self.held.send_replace(hold);
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Makes each token issued so far a bad one.
    pub(crate) fn revoke_all(&self) {
        self.good.lock().unwrap().clear();
    }

    /// Whether the value of an `Authorization` header is a good token.
    pub(crate) fn accepts(&self, authorization: &str) -> bool {
        authorization.strip_prefix("Bearer ").is_some_and(|token| self.good.lock().unwrap().contains(token))
    }
}
