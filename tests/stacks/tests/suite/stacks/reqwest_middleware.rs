use http::Response;
use reqwest::{Body, Client, Request};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Error};
use tower_token::{
    AuthError, BearerAuthLayer, Origins, TokenError,
    adapter::reqwest_middleware::{AuthMiddleware, client},
};

use crate::{
    api::Site,
    stack::{Answer, Call, Redirects, Sent, Stack},
};

/// The layer as a middleware of reqwest-middleware: `OURS` over a client of the adapter's, else over one with its redirect policy.
#[derive(Clone)]
pub(crate) struct ReqwestMiddleware<const OURS: bool>(ClientWithMiddleware);

impl<const OURS: bool> Stack for ReqwestMiddleware<OURS> {
    const REDIRECTS: Redirects = Redirects::WithinOrigins;

    async fn client(layer: BearerAuthLayer, origins: &Origins, _: &Site, _: &Site) -> ReqwestMiddleware<OURS> {
        ReqwestMiddleware(match OURS {
            true => client(layer).unwrap(),
            false => {
                let client = Client::builder().redirect(origins.redirect_policy()).build().unwrap();
                ClientBuilder::new(client).with(AuthMiddleware::new_redirect_free(layer)).build()
            }
        })
    }

    async fn send(&self, call: Call) -> Sent {
        let request = Request::try_from(call.request(super::reqwest::body)).unwrap();
        match self.0.execute(request).await {
            Ok(response) => Answer::of(Response::<Body>::from(response)).await,
            Err(Error::Middleware(error)) => Err(match error.downcast::<TokenError>() {
                Ok(error) => AuthError::Token(error),
                Err(other) => AuthError::Service(other.into()),
            }),
            Err(error) => Err(AuthError::Service(error.into())),
        }
    }
}
