use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use http::{Extensions, HeaderMap, Method, StatusCode};
use tower_layer::Layer;

use super::{
    header::{Bearer, HeaderStyle, OAuth, Scheme, SharedHeader},
    origin::Origins,
    per_request::NoReplay,
    replay::Known,
    service::AuthService,
};
use crate::{error::TokenError, refresh::TokenHandle, token::AccessToken};

/// Puts `Authorization: Bearer <token>` on requests (RFC 6750).
pub type BearerAuthLayer<P = Known> = AuthLayer<Bearer, P>;

/// Puts `Authorization: OAuth <token>` on requests.
pub type OAuthHeaderLayer<P = Known> = AuthLayer<OAuth, P>;

/// A [`Layer`] that authenticates each request to an allowed origin and answers one 401 with a new token.
///
/// Named [`BearerAuthLayer`] and [`OAuthHeaderLayer`] by scheme, which is `C`; `P` is the [replay policy](super::ReplayPolicy).
///
/// The wrapped service needs `Clone + Send + 'static`. Its response is passed on unchanged, its error becomes
/// [`AuthError::Service`](crate::AuthError::Service).
///
/// # Redirects
///
/// A follower **outside** the layer (`.layer(FollowRedirect).layer(Auth)`) sends each hop through it, so each is judged by its own
/// origin. A follower **inside** is out of the layer's sight: it sees the first URL and the last answer. Followers strip
/// `Authorization` when they leave an origin, but not [a header name of your own](Self::header), and a stranger's 401 counts as the
/// API's, unless it is marked with [`LeftOrigin`](super::LeftOrigin), as the adapters for reqwest do. Put other followers outside, or
/// turn them off.
///
/// # Defaults
///
/// | option | default | why |
/// |---|---|---|
/// | [`replay`](Self::replay) | [`Known`] | takes every body, copies what is cheap to copy |
/// | [`replay_methods`](Self::replay_methods) | [`Any`](ReplayMethods::Any) | a 401 says that the request was not applied (RFC 9110 section 15.5.2) |
/// | [`header`](Self::header) | `Authorization`, with the scheme's name before the token | RFC 6750 for Bearer |
/// | [`watch`](Self::watch) | on | a revoked token heals by itself |
/// | [`rejected_when`](Self::rejected_when) | a 401 that a new token may mend | see there |
/// | [`caller_header`](Self::caller_header) | [`KeepCallers`](CallerHeader::KeepCallers) | who sets a header means it |
/// | [`on_unavailable`](Self::on_unavailable) | [`Fail`](OnUnavailable::Fail) | a request that goes out bare gets a puzzling 401 |
/// | [`wait`](Self::wait) | 20 s | longer than the default token client's 15 s, so that its error is the one seen |
/// | [`expose_generation`](Self::expose_generation) | off | it costs an allocation per response |
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tower_token::{BearerAuthLayer, Origins, StaticToken};
/// use tower_token::middleware::CloneBody;
///
/// let origins = "https://api.example.com".parse::<Origins>()?;
/// let layer = BearerAuthLayer::new(origins, StaticToken::new("secret")?).replay(CloneBody).wait(Duration::from_secs(5));
/// # drop(layer);
/// # Ok::<(), tower_token::TokenError>(())
/// ```
#[derive(Clone)]
pub struct AuthLayer<C, P = Known> {
    config: Config,
    policy: P,
    scheme: PhantomData<fn() -> C>,
}

/// What layer, service and future share.
#[derive(Clone)]
pub(crate) struct Config {
    pub(super) handle: TokenHandle,
    pub(crate) origins: Origins,
    pub(super) style: HeaderStyle,
    /// The scheme whose challenges count.
    pub(super) scheme: &'static str,
    pub(super) watch: bool,
    replay_methods: ReplayMethods,
    pub(super) rejected_when: Option<Predicate>,
    pub(super) caller_header: CallerHeader,
    pub(super) on_unavailable: OnUnavailable,
    pub(super) wait: Duration,
    pub(super) expose_generation: bool,
}

impl Config {
    /// Whether a request like this is kept for a replay, if its body can be.
    #[inline]
    pub(crate) fn keeps(&self, method: &Method, extensions: &Extensions) -> bool {
        self.watch && self.replay_methods.contain(method) && extensions.get::<NoReplay>().is_none()
    }

    /// Whether the header is the caller's and stays: then the request has nothing to do with the engine.
    pub(crate) fn is_callers(&self, headers: &HeaderMap) -> bool {
        self.caller_header == CallerHeader::KeepCallers && self.style.is_on(headers)
    }

    /// Whether there is anything to do about an answer.
    #[inline]
    pub(super) fn looks(&self) -> bool {
        self.watch || self.expose_generation
    }
}

type Predicate = Arc<dyn Fn(StatusCode, &HeaderMap) -> bool + Send + Sync>;

/// What happens to a request that carries the layer's header already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallerHeader {
    /// It goes out as it is, and has nothing to do with the engine: no wait, no refresh, no replay.
    #[default]
    KeepCallers,
    /// The token takes the header's place.
    Replace,
}

/// What happens to a request while no token is to be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnUnavailable {
    /// It is not sent, and fails with the [`TokenError`](crate::TokenError).
    #[default]
    Fail,
    /// It is sent without the header. The risk: the server learns what was wanted, and its 401 hides the true error.
    SendBare,
}

/// The methods whose requests may be sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayMethods {
    /// Every method. The default.
    #[default]
    Any,
    /// Idempotent methods (RFC 9110 section 9.2.2), for servers that may have acted before they answer 401.
    Idempotent,
    /// Safe methods (RFC 9110 section 9.2.1).
    Safe,
}

impl ReplayMethods {
    #[inline]
    fn contain(self, method: &Method) -> bool {
        match self {
            ReplayMethods::Any => true,
            ReplayMethods::Idempotent => method.is_idempotent(),
            ReplayMethods::Safe => method.is_safe(),
        }
    }
}

/// The generation of the token that a request was sent with, in the extensions of its response; see
/// [`expose_generation`](AuthLayer::expose_generation).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a number with a name; there is nothing to add")]
pub struct Generation(pub u64);

impl<C: Scheme> AuthLayer<C> {
    /// A layer that sends tokens of `handle` to `origins`, and nowhere else.
    ///
    /// `handle` is a [`TokenHandle`], or a source, which becomes one. Two layers share a source by sharing a handle.
    pub fn new(origins: Origins, handle: impl Into<TokenHandle>) -> AuthLayer<C> {
        let config = Config {
            handle: handle.into(),
            origins,
            style: HeaderStyle::of_scheme::<C>(),
            scheme: C::NAME,
            watch: true,
            replay_methods: ReplayMethods::default(),
            rejected_when: None,
            caller_header: CallerHeader::default(),
            on_unavailable: OnUnavailable::default(),
            wait: Duration::from_secs(20),
            expose_generation: false,
        };
        AuthLayer { config, policy: Known, scheme: PhantomData }
    }
}

impl<C, P> AuthLayer<C, P> {
    /// Which bodies are kept for a replay.
    #[must_use]
    pub fn replay<Q>(self, policy: Q) -> AuthLayer<C, Q> {
        AuthLayer { config: self.config, policy, scheme: PhantomData }
    }

    /// The methods whose requests may be sent again. A single request opts out with [`NoReplay`](super::NoReplay) in its extensions.
    #[must_use]
    pub fn replay_methods(mut self, methods: ReplayMethods) -> Self {
        self.config.replay_methods = methods;
        self
    }

    /// Whether answers are looked at. `false`: the token is put on and that is all, no replay and no renewal after a 401.
    #[must_use]
    pub fn watch(mut self, watch: bool) -> Self {
        self.config.watch = watch;
        self
    }

    /// Another header, or another word before the token, than the scheme's `Authorization: Bearer` or `OAuth`.
    #[must_use]
    pub fn header(mut self, style: HeaderStyle) -> Self {
        self.config.style = style;
        self
    }

    /// Decides by status and headers whether a server has rejected the token, for servers that say so in a way of their own.
    ///
    /// The default, which this replaces as a whole: status 401, unless a challenge says that a new token would not help
    /// (`invalid_request`, `insufficient_scope`, `insufficient_user_authentication`, `insufficient_claims`, a DPoP error).
    /// A step-up or scope [`Challenge`](super::Challenge) is put in the extensions either way, unless the predicate calls the
    /// response a rejection.
    #[must_use]
    pub fn rejected_when(mut self, predicate: impl Fn(StatusCode, &HeaderMap) -> bool + Send + Sync + 'static) -> Self {
        self.config.rejected_when = Some(Arc::new(predicate));
        self
    }

    /// What happens to a request that carries the header already.
    #[must_use]
    pub fn caller_header(mut self, policy: CallerHeader) -> Self {
        self.config.caller_header = policy;
        self
    }

    /// What happens to a request while no token is to be had.
    #[must_use]
    pub fn on_unavailable(mut self, policy: OnUnavailable) -> Self {
        self.config.on_unavailable = policy;
        self
    }

    /// How long a request waits for a token: once before it is sent, and once more for a new one after a 401.
    ///
    /// The first wait ends with a `Timeout` error, the second with the 401 itself.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.config.wait = wait;
        self
    }

    /// Puts a [`Generation`] in the extensions of each response to a request that carried the token, to be passed to
    /// [`TokenHandle::reject`]: for protocols like gRPC that reject a token inside a 200. Costs one allocation per response.
    #[must_use]
    pub fn expose_generation(mut self, expose: bool) -> Self {
        self.config.expose_generation = expose;
        self
    }
}

impl<C, P> AuthLayer<C, P> {
    /// What a carrier that is no tower service takes of a layer.
    #[cfg(feature = "reqwest-middleware")]
    pub(crate) fn into_parts(self) -> (Common, P) {
        (Common::new(self.config), self.policy)
    }
}

impl<S: Clone, C, P: Clone> Layer<S> for AuthLayer<C, P> {
    type Service = AuthService<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthService::new(inner, Arc::new(Common::new(self.config.clone())), self.policy.clone())
    }
}

impl<C: Scheme, P: fmt::Debug> fmt::Debug for AuthLayer<C, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer").field("scheme", &C::NAME).field("config", &self.config).field("policy", &self.policy).finish()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("handle", &self.handle)
            .field("origins", &self.origins)
            .field("style", &self.style)
            .field("watch", &self.watch)
            .field("replay_methods", &self.replay_methods)
            .field("caller_header", &self.caller_header)
            .field("on_unavailable", &self.on_unavailable)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}

/// What all clones of one service share: the configuration, and the current header.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) config: Config,
    pub(super) header: SharedHeader,
}

impl Common {
    fn new(config: Config) -> Common {
        Common { config, header: SharedHeader::default() }
    }

    /// Puts `token` on a request.
    pub(crate) fn authenticate(&self, headers: &mut HeaderMap, token: &AccessToken) -> Result<(), TokenError> {
        let header = self.header.get(&self.config.style, token)?;
        self.config.style.insert(headers, &header)
    }
}
