//! The layer as a middleware of `reqwest-middleware`, with the same guarantees.
use std::fmt;

use async_trait::async_trait;
use http::{Extensions, HeaderMap, StatusCode};
use reqwest::{Body, Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Error, Middleware, Next};

use super::reqwest::{allows, is_stripped, mark};
use crate::{
    error::{ErrorKind, TokenError},
    middleware::{AuthLayer, CallerHeader, Common, Kept, Known, Need, NewToken, NoReplay, ReplayPolicy, Reply, drain},
    refresh::Ask,
};

/// Puts the token on.
pub struct AuthMiddleware<P = Known> {
    common: Common,
    policy: P,
}

impl<P> AuthMiddleware<P> {
    /// For a client that may follow redirects anywhere.
    ///
    /// # Errors
    ///
    /// `Misconfigured` for a header name of your own.
    pub fn new<C>(layer: AuthLayer<C, P>) -> Result<AuthMiddleware<P>, TokenError> {
        let middleware = AuthMiddleware::new_redirect_free(layer);
        if is_stripped(middleware.common.config.style.name()) {
            return Ok(middleware);
        }
        let text = "reqwest would carry a token under a header name of its own along on a redirect to another origin; say with \
                    `AuthMiddleware::new_redirect_free` that the client follows none";
        Err(TokenError::new(ErrorKind::Misconfigured, text))
    }

    /// For a client that follows no redirect.
    pub fn new_redirect_free<C>(layer: AuthLayer<C, P>) -> AuthMiddleware<P> {
        let (common, policy) = layer.into_parts();
        AuthMiddleware { common, policy }
    }
}

/// A client of its own.
///
/// # Errors
///
/// `Misconfigured` if reqwest cannot make a client.
pub fn client<C, P>(layer: AuthLayer<C, P>) -> Result<ClientWithMiddleware, TokenError>
where
    P: ReplayPolicy<Body> + Send + Sync + 'static,
{
    let middleware = AuthMiddleware::new_redirect_free(layer);
    let client = super::reqwest::client(&middleware.common.config.origins)?;
    Ok(ClientBuilder::new(client).with(middleware).build())
}

impl<P> AuthMiddleware<P> {
    /// What it takes to send a request again, without the token's own header.
    fn keep(&self, request: &mut Request, extensions: &Extensions) -> Option<Copy>
    where
        P: ReplayPolicy<Body>,
    {
        let config = &self.common.config;
        if !config.watch || !config.replay_methods.contain(request.method()) || extensions.get::<NoReplay>().is_some() {
            return None;
        }
        Copy::take(request, &self.policy)
    }
}

/// A request, kept so that it can be sent again.
struct Copy {
    head: Request,
    /// `None` for a request without.
    body: Option<Kept<Body>>,
}

impl Copy {
    fn take(request: &mut Request, policy: &impl ReplayPolicy<Body>) -> Option<Copy> {
        let mut body = request.body_mut().take();
        let head = request.try_clone();
        // A policy that keeps nothing does not keep what has no body either.
        let kept = policy.keep(body.as_mut().unwrap_or(&mut Body::default()));
        let bare = body.is_none();
        *request.body_mut() = body;
        Some(Copy { head: head?, body: Some(kept?).filter(|_| !bare) })
    }

    fn restore(mut self) -> Option<Request> {
        if let Some(body) = self.body {
            *self.head.body_mut() = Some(body.into_body()?);
        }
        Some(self.head)
    }
}

impl Reply for Response {
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn extensions(&self) -> &Extensions {
        self.extensions()
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        self.extensions_mut()
    }
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
        if config.caller_header == CallerHeader::KeepCallers && config.style.is_on(request.headers()) {
            return next.run(request, extensions).await;
        }
        let kept = self.keep(&mut request, extensions);
        let need = if new_token { Need::new_token(&config.handle) } else { Need::token(config, kept.is_some()) };
        let published = if new_token { None } else { config.handle.cell().token() };
        let token = match published {
            Some(token) => token,
            None => match config.token(need.ask).await {
                Ok(token) => token,
                Err(_) if need.or_bare => return next.run(request, extensions).await,
                Err(error) => return Err(Error::middleware(error)),
            },
        };
        self.common.authenticate(request.headers_mut(), &token).map_err(Error::middleware)?;
        let generation = token.generation();
        let url = request.url().clone();
        let mut response = next.clone().run(request, extensions).await?;
        let came_from = response.url().clone();
        mark(response.extensions_mut(), &url, &came_from);
        if !config.is_rejected(generation, &mut response) {
            return Ok(response);
        }
        let again = kept.and_then(Copy::restore);
        let Some(mut request) = config.rejected(generation, again, &mut response) else { return Ok(response) };
        let token = match config.token(Ask::NewerThan(generation)).await {
            Ok(token) => token,
            Err(error) => {
                config.hand_back(generation, error, &mut response);
                return Ok(response);
            }
        };
        drain(Body::from(response), config.handle.clock()).await;
        self.common.authenticate(request.headers_mut(), &token).map_err(Error::middleware)?;
        config.handle.count_replay(true);
        let mut response = next.run(request, extensions).await?;
        let came_from = response.url().clone();
        mark(response.extensions_mut(), &url, &came_from);
        config.replayed(token.generation(), &mut response);
        Ok(response)
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
