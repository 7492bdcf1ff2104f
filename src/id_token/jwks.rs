use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderValue, Request, Uri, header};
use http_body_util::Full;
use tokio::sync::watch;

use super::{
    algorithm::Algorithm,
    error::{Check, IdTokenError},
    key::Key,
    key_set::KeySet,
};
use crate::{
    clock::{Clock, Moment, TokioClock},
    error::{ErrorKind, TokenError},
    transport::{Transport, check_url, scrub},
};

/// From one attempt to fetch the keys to the next.
const COOL_DOWN: Duration = Duration::from_secs(30);

/// How long keys serve before they are asked for again.
const MAX_AGE: Duration = Duration::from_secs(3600);

const ACCEPT: HeaderValue = HeaderValue::from_static("application/jwk-set+json, application/json");

/// An issuer's public keys: a JWK set (RFC 7517 section 5) at a URL, fetched when it is needed.
///
/// Clones are one cache. Nothing is fetched before the first use.
///
/// - A token whose key is not in the set causes a fetch, since issuers rotate their keys; but from one attempt to the next, failed
///   or not, 30 s pass, whatever `kid`s are thrown at it. Tokens whose keys are there are not held up meanwhile.
/// - Keys older than 1 h are fetched again at their next use, which waits for it: so a key that its issuer has withdrawn is not
///   believed for longer, if the issuer can be reached.
/// - A key that is replaced under its old name, or has none, is noticed by its age alone.
/// - A fetch that fails leaves the keys as they are, for as long as it fails. A set that is well-formed replaces them, even with
///   none.
/// - A reply may have 256 KiB and 100 keys. A key that will not do is passed over, and the others serve: RSA below 2048 bits or
///   with an exponent of 1, not for signatures (`use`, `key_ops`), with private parts, of an unknown kind, or with a `kid` that a
///   key before it has.
/// - Redirects are an error: the URL is the one place that may say whom to believe.
///
/// One fetch serves all who wait for it. It runs in a task of its own, spawned by the clock, and is bounded by the transport's
/// timeout.
#[derive(Clone)]
pub struct Jwks(Arc<Shared>);

struct Shared {
    uri: Uri,
    clock: Arc<dyn Clock>,
    /// Behind a lock since a service need not be `Sync`; a clone is used.
    transport: Mutex<Transport>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    keys: Arc<KeySet>,
    /// When they came; `None` before any did.
    came: Option<Moment>,
    /// When the last fetch began.
    attempted: Option<Instant>,
    /// Why the last fetch failed.
    failure: Option<TokenError>,
    /// The fetch that is under way: it holds the sender, so that it is over when that is gone, by whatever end.
    flight: Option<watch::Receiver<()>>,
}

impl Jwks {
    /// Over the client of this crate. No I/O happens yet.
    ///
    /// # Errors
    ///
    /// `Misconfigured` unless the URL is https, or plain http to loopback, without user info or fragment; or if
    /// [`Transport::client`] fails.
    #[cfg(feature = "client")]
    pub fn new(url: impl AsRef<str>) -> Result<Jwks, TokenError> {
        Jwks::over(Transport::client()?, url)
    }

    /// Over a [`Transport`], or over any service that makes one. It must not follow redirects.
    ///
    /// # Errors
    ///
    /// `Misconfigured` unless the URL is https, or plain http to loopback, without user info or fragment.
    pub fn over(transport: impl Into<Transport>, url: impl AsRef<str>) -> Result<Jwks, TokenError> {
        let uri = check_url(url.as_ref())
            .map_err(|why| TokenError::new(ErrorKind::Misconfigured, format!("the URL of the issuer's keys {why}")))?;
        Ok(Jwks::with(uri, transport.into(), Arc::new(TokioClock)))
    }

    /// Where time, sleep and spawn come from, for the claims of the tokens too: [`TokioClock`] by default. A new cache, with
    /// nothing in it.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Jwks {
        let transport = lock(&self.0.transport).clone();
        Jwks::with(self.0.uri.clone(), transport, Arc::new(clock))
    }

    fn with(uri: Uri, transport: Transport, clock: Arc<dyn Clock>) -> Jwks {
        Jwks(Arc::new(Shared { uri, clock, transport: Mutex::new(transport), state: Mutex::default() }))
    }

    pub(super) fn now(&self) -> Moment {
        Moment::now(&*self.0.clock)
    }

    /// The key that a header means: at once if it is there and not too old, else after a fetch, if it is time for one.
    pub(super) async fn key(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Arc<Key>, IdTokenError> {
        let flight = {
            let now = self.now();
            let state = lock(&self.0.state);
            let fresh = state.came.is_some_and(|came| came.age(now) < MAX_AGE);
            match state.keys.find(kid, algorithm) {
                Some(key) if fresh => return Ok(key),
                _ => self.flight(state, now.mono),
            }
        };
        if let Some(mut flight) = flight {
            // Nothing is ever sent: the error is the end of the fetch.
            let _over = flight.changed().await.is_err();
        }
        let state = lock(&self.0.state);
        match state.keys.find(kid, algorithm) {
            Some(key) => Ok(key),
            None if state.came.is_none() => Err(IdTokenError::keys(state.failure.clone().unwrap_or_else(abandoned))),
            None => Err(IdTokenError::new(Check::Key, "has no key in the issuer's set that fits its `kid` and `alg`")),
        }
    }

    /// The fetch that is under way, or a new one if it is time. `None`: what is there must do.
    fn flight(&self, mut state: MutexGuard<'_, State>, now: Instant) -> Option<watch::Receiver<()>> {
        if let Some(flight) = state.flight.as_ref().filter(|flight| flight.has_changed().is_ok()) {
            return Some(flight.clone());
        }
        if state.attempted.is_some_and(|at| now.saturating_duration_since(at) < COOL_DOWN) {
            return None;
        }
        let (running, flight) = watch::channel(());
        state.attempted = Some(now);
        state.failure = None;
        state.flight = Some(flight.clone());
        // Spawning runs code of others.
        drop(state);

        let shared = Arc::clone(&self.0);
        let task = async move {
            let outcome = shared.fetch().await;
            shared.settle(outcome);
            drop(running);
        };
        if let Err(error) = self.0.clock.spawn(Box::pin(task)) {
            // Nothing was sent, so nothing has to cool down.
            let mut state = lock(&self.0.state);
            (state.attempted, state.failure) = (None, Some(error));
        }
        Some(flight)
    }
}

impl Shared {
    async fn fetch(&self) -> Result<KeySet, TokenError> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().insert(header::ACCEPT, ACCEPT);
        let transport = lock(&self.transport).clone();
        let reply = transport
            .send(request, &self.clock)
            .await
            .map_err(|error| TokenError::wrap(error.kind(), "the issuer's key set could not be fetched", Box::new(error)))?;
        let status = reply.status();
        if status.is_redirection() {
            let text = format!("the issuer's key set is elsewhere ({}); redirects are never followed", status.as_u16());
            return Err(TokenError::new(ErrorKind::Misconfigured, text));
        }
        if !status.is_success() {
            let text = format!("the issuer's key set could not be fetched ({})", status.as_u16());
            return Err(TokenError::new(ErrorKind::Transient, text));
        }
        KeySet::parse(reply.body()).map_err(|why| TokenError::new(ErrorKind::Transient, format!("the issuer's key set {why}")))
    }

    fn settle(&self, outcome: Result<KeySet, TokenError>) {
        let now = Moment::now(&*self.clock);
        let mut state = lock(&self.state);
        match outcome {
            Ok(keys) => (state.keys, state.came) = (Arc::new(keys), Some(now)),
            Err(error) => state.failure = Some(error),
        }
    }
}

/// The fetch panicked, or its runtime went away.
fn abandoned() -> TokenError {
    TokenError::new(ErrorKind::Transient, "the fetch of the issuer's key set was abandoned")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = lock(&self.0.state).keys.len();
        let url = scrub(&self.0.uri.to_string());
        f.debug_struct("Jwks").field("url", &url).field("keys", &keys).finish_non_exhaustive()
    }
}
