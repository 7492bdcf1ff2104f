use std::{borrow::Cow, time::Duration};

/// How an engine treats its source and its token.
///
/// # Defaults
///
/// | option | default | why |
/// |---|---|---|
/// | [`fetch_timeout`](Self::fetch_timeout) | 30 s | longer than the default token client's own 15 s, so that its error is the one seen |
/// | [`default_lifetime`](Self::default_lifetime) | none | without a lifetime there is no timed refresh; a 401 still renews the token |
/// | `jwt_exp_hint` | off | an access token is opaque to its client |
/// | [`grace`](Self::grace) | none | an expired token is not sent |
/// | [`idle_after`](Self::idle_after) | never | the first request after a quiet night finds a fresh token |
/// | [`seed`](Self::seed) | random | a fleet must not refresh in step |
/// | [`name`](Self::name) | `default` | most programs have one engine |
#[derive(Clone, Debug)]
pub struct RefreshConfig {
    pub(crate) fetch_timeout: Duration,
    pub(crate) default_lifetime: Option<Duration>,
    pub(crate) jwt_exp_hint: bool,
    pub(crate) grace: Duration,
    pub(crate) idle_after: Option<Duration>,
    pub(crate) seed: Option<u64>,
    pub(crate) name: Cow<'static, str>,
}

impl RefreshConfig {
    /// The defaults.
    pub fn new() -> RefreshConfig {
        RefreshConfig {
            fetch_timeout: Duration::from_secs(30),
            default_lifetime: None,
            jwt_exp_hint: false,
            grace: Duration::ZERO,
            idle_after: None,
            seed: None,
            name: Cow::Borrowed("default"),
        }
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

    /// Takes the `exp` claim of a token that is a JWT as a hint when to renew it, if neither the source nor
    /// [`default_lifetime`](Self::default_lifetime) says how long it lives. Needs the feature `grant`.
    ///
    /// A hint only: the token goes on being sent after that, until a server rejects it or its successor is there. So a local
    /// clock that is fast withholds nothing; an `exp` less than 10 s ahead is put down to such a clock, and ignored.
    #[cfg(feature = "grant")]
    #[must_use]
    pub fn jwt_exp_hint(mut self, on: bool) -> RefreshConfig {
        self.jwt_exp_hint = on;
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

    /// Renews nothing while nobody asks: once no request has come for `quiet`, or for up to an eighth longer.
    ///
    /// The risk: the first request after that may have to wait for its token, and finds out only then that the source fails.
    /// Meant for programs with many handles, most of them at rest. A fetch that [`reset`](crate::TokenHandle::reset) or
    /// [`replace_source`](crate::TokenHandle::replace_source) asked for is made all the same.
    #[must_use]
    pub fn idle_after(mut self, quiet: Duration) -> RefreshConfig {
        self.idle_after = Some(quiet);
        self
    }

    /// Makes the jitter repeatable, for tests. With one seed in a whole fleet, all its members refresh at once.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> RefreshConfig {
        self.seed = Some(seed);
        self
    }

    /// The engine's name in spans, events and metrics: see [`observe`](crate::observe).
    ///
    /// It is a label of each metric, so it must be one of a few, and it is shown to everybody who sees them: `"billing"`, never a
    /// user's id or an address. Engines of one name add up in the counters, and overwrite each other's gauges.
    #[must_use]
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> RefreshConfig {
        self.name = name.into();
        self
    }
}

impl Default for RefreshConfig {
    fn default() -> RefreshConfig {
        RefreshConfig::new()
    }
}
