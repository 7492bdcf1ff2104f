use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body;
use reqwest::Client;
use tower_service::Service;

use super::{body::body, error::ReqwestError, future::ResponseFuture};
use crate::{
    error::{BoxError, ErrorKind, TokenError},
    middleware::Origins,
};

/// A tower service that sends each `http::Request` through a `reqwest::Client`.
///
/// Request bodies are any `http_body::Body` that is `Send + Sync + 'static`; a `reqwest::Body` stays what it is. Always ready:
/// reqwest has no limit of its own. A clone is one reference count.
///
/// # Examples
///
/// A client with settings of one's own:
///
/// ```
/// use std::time::Duration;
/// use tower_token::Origins;
/// use tower_token::adapter::reqwest::ReqwestService;
///
/// # fn main() -> Result<(), tower_token::BoxError> {
/// let origins = "https://api.example.com".parse::<Origins>()?;
/// let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).redirect(origins.redirect_policy()).build()?;
/// let service = ReqwestService::over_redirect_free(client);
/// # drop(service);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ReqwestService {
    client: Client,
}

impl ReqwestService {
    /// Over a client of its own, which follows redirects within `origins` only and sends no `Referer`. It has no timeout: put a
    /// `tower::timeout` around it.
    ///
    /// # Errors
    ///
    /// `Misconfigured` if reqwest cannot make a client, as where its TLS finds no root certificates.
    pub fn new(origins: &Origins) -> Result<ReqwestService, TokenError> {
        client(origins).map(ReqwestService::over_redirect_free)
    }

    /// Over a client of yours that follows no redirect, or only as [`Origins::redirect_policy`] does.
    ///
    /// **Danger**: nothing checks that. A client that does follow, as reqwest's default does, gives the token away: see the
    /// [module](super).
    pub fn over_redirect_free(client: Client) -> ReqwestService {
        ReqwestService { client }
    }
}

/// A client that follows redirects within `origins` only.
pub(in crate::adapter) fn client(origins: &Origins) -> Result<Client, TokenError> {
    let client = Client::builder().redirect(origins.redirect_policy()).referer(false).build();
    client.map_err(no_client)
}

pub(super) fn no_client(error: reqwest::Error) -> TokenError {
    TokenError::wrap(ErrorKind::Misconfigured, "reqwest cannot make a client", error.into())
}

impl<B> Service<Request<B>> for ReqwestService
where
    B: Body + Send + Sync + 'static,
    B::Data: Into<Bytes>,
    B::Error: Into<BoxError>,
{
    type Response = Response<reqwest::Body>;
    type Error = ReqwestError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ReqwestError>> {
        self.client.poll_ready(cx).map_err(ReqwestError::reqwest)
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        if let Err(error) = check(request.uri()) {
            return ResponseFuture::failed(ReqwestError::Unsent(error));
        }
        match reqwest::Request::try_from(request.map(body)) {
            Ok(request) => {
                let url = request.url().clone();
                ResponseFuture::sent(self.client.call(request), url)
            }
            Err(error) => ResponseFuture::failed(ReqwestError::reqwest(error)),
        }
    }
}

fn check(uri: &Uri) -> Result<(), TokenError> {
    if uri.scheme().is_none() || uri.authority().is_none() {
        let text = "reqwest sends a request only if its URI has a scheme and an authority";
        return Err(TokenError::new(ErrorKind::Misconfigured, text));
    }
    Ok(())
}
