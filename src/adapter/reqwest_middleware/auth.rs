use std::fmt;

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Body, Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Error, Middleware, Next};

use super::{copy::Copy, rest::Rest};
use crate::{
    adapter::reqwest::{allows, client as reqwest_client},
    error::{AuthError, TokenError},
    middleware::{AuthLayer, Common, Known, Need, NewToken, ReplayPolicy},
};

/// Puts the token on each request to an allowed origin and answers one 401 with a new token, as its
/// [layer](crate::middleware::AuthLayer) says.
///
/// # Errors
///
/// A request that gets no token is not sent: its error is `reqwest_middleware::Error::Middleware`, which is downcast to a
/// [`TokenError`]. All other errors are passed on as they are.
///
/// # Cancel safety
///
/// Dropping a request's future drops the request, and nothing else: the engine finishes what it has begun.
///
/// # Examples
///
/// ```
/// use reqwest_middleware::{ClientBuilder, Error};
/// use tower_token::adapter::reqwest_middleware::AuthMiddleware;
/// use tower_token::{BearerAuthLayer, Origins, StaticToken, TokenError};
///
/// # async fn example() -> Result<(), tower_token::BoxError> {
/// let origins = "https://api.example.com".parse::<Origins>()?;
/// let client = reqwest::Client::builder().redirect(origins.redirect_policy()).build()?;
/// let auth = AuthMiddleware::new_redirect_free(BearerAuthLayer::new(origins, StaticToken::new("secret")?));
/// let client = ClientBuilder::new(client).with(auth).build();
///
/// match client.get("https://api.example.com/orders").send().await {
///     Err(Error::Middleware(error)) if error.is::<TokenError>() => println!("no token: {error}"),
///     other => drop(other?),
/// }
/// # Ok(()) }
/// ```
pub struct AuthMiddleware<P = Known> {
    common: Common,
    policy: P,
}

impl<P> AuthMiddleware<P> {
    /// For a client of yours that follows no redirect, or only as
    /// [`Origins::redirect_policy`](crate::Origins::redirect_policy) does.
    ///
    /// **Danger**: nothing checks that. A client that does follow, as reqwest's default does, gives the token away: see the
    /// [module](crate::adapter::reqwest).
    pub fn new_redirect_free<C>(layer: AuthLayer<C, P>) -> AuthMiddleware<P> {
        let (common, policy) = layer.into_parts();
        AuthMiddleware { common, policy }
    }
}

/// A client of its own under the layer: it follows redirects within the layer's origins only and sends no `Referer`. It has no
/// timeout but a request's own (`RequestBuilder::timeout`), which bounds each send to the end of its answer, not the wait for a token.
///
/// The header may have any name. For a client with settings of yours, and for more middleware, see [`AuthMiddleware`].
///
/// # Errors
///
/// `Misconfigured` if reqwest cannot make a client, as where its TLS finds no root certificates.
pub fn client<C, P>(layer: AuthLayer<C, P>) -> Result<ClientWithMiddleware, TokenError>
where
    P: ReplayPolicy<Body> + Send + Sync + 'static,
{
    let middleware = AuthMiddleware::new_redirect_free(layer);
    let client = reqwest_client(&middleware.common.config.origins)?;
    Ok(ClientBuilder::new(client).with(middleware).build())
}

#[async_trait]
impl<P: ReplayPolicy<Body> + Send + Sync + 'static> Middleware for AuthMiddleware<P> {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let config = &self.common.config;
        if !allows(&config.origins, request.url()) {
            return next.run(request, extensions).await;
        }
        let new_token = extensions.remove::<NewToken>().is_some();
        if config.is_callers(request.headers()) {
            return next.run(request, extensions).await;
        }
        let keeps = config.keeps(request.method(), extensions);
        let kept = if keeps { Copy::take(&mut request, &self.policy) } else { None };
        let need = Need::new(config, new_token, kept.as_ref().is_some_and(Copy::is_certain));
        let again = || kept.and_then(Copy::restore);
        self.common.send(request, again, need, Rest { next, extensions }).await.map_err(|error| match error {
            AuthError::Token(error) => Error::middleware(error),
            AuthError::Service(error) => error,
        })
    }
}

impl<P: fmt::Debug> fmt::Debug for AuthMiddleware<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthMiddleware")
            .field("config", &self.common.config)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
