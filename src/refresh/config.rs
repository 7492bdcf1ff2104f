use std::time::Duration;

/// How an engine treats its source and its token.
///
/// # Defaults
///
/// | option | default | why |
/// |---|---|---|
/// | [`fetch_timeout`](Self::fetch_timeout) | 30 s | longer than the default token client's own 15 s, so that its error is the one seen |
/// | [`default_lifetime`](Self::default_lifetime) | none | without a lifetime there is no timed refresh; a 401 still renews the token |
/// | [`grace`](Self::grace) | none | an expired token is not sent |
/// | [`seed`](Self::seed) | random | a fleet must not refresh in step |
#[derive(Clone, Debug)]
pub struct RefreshConfig {
    pub(crate) fetch_timeout: Duration,
    pub(crate) default_lifetime: Option<Duration>,
    pub(crate) grace: Duration,
    pub(crate) seed: Option<u64>,
}

impl RefreshConfig {
    /// The defaults.
    pub fn new() -> RefreshConfig {
        RefreshConfig { fetch_timeout: Duration::from_secs(30), default_lifetime: None, grace: Duration::ZERO, seed: None }
    }

    /// How long one fetch may take. Its future is dropped then, and the attempt fails as `Timeout`.
    #[must_use]
    pub fn fetch_timeout(mut self, timeout: Duration) -> RefreshConfig {
        self.fetch_timeout = timeout;
        self
    }

    /// The lifetime of a token whose source names none.
    #[must_use]
    pub fn default_lifetime(mut self, lifetime: Duration) -> RefreshConfig {
        self.default_lifetime = Some(lifetime);
        self
    }

    /// How long an expired token may still be sent while the source fails for a passing reason.
    ///
    /// The risk: a server that is strict about expiry answers 401, and clients that would have seen a clear error see that
    /// instead. Refused credentials end the grace at once.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> RefreshConfig {
        self.grace = grace;
        self
    }

    /// Makes the jitter repeatable, for tests. With one seed in a whole fleet, all its members refresh at once.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> RefreshConfig {
        self.seed = Some(seed);
        self
    }
}

impl Default for RefreshConfig {
    fn default() -> RefreshConfig {
        RefreshConfig::new()
    }
}
