use reqwest::{Body, Client};
use tower::Layer;
use tower_token::{BearerAuthLayer, Origins, adapter::reqwest::ReqwestService, middleware::AuthService};

use crate::{
    api::Site,
    stack::{Call, Payload, Redirects, Sent, Stack, through},
};

/// reqwest under the layer: `OURS` over a client of the adapter's, else over one with its redirect policy.
#[derive(Clone)]
pub(crate) struct Reqwest<const OURS: bool>(AuthService<ReqwestService>);

impl<const OURS: bool> Stack for Reqwest<OURS> {
    const REDIRECTS: Redirects = Redirects::WithinOrigins;

    async fn client(layer: BearerAuthLayer, origins: &Origins, _: &Site, _: &Site) -> Reqwest<OURS> {
        let service = match OURS {
            true => ReqwestService::new(origins).unwrap(),
            false => {
                let client = Client::builder().redirect(origins.redirect_policy()).build().unwrap();
                ReqwestService::over_redirect_free(client)
            }
        };
        Reqwest(layer.layer(service))
    }

    async fn send(&self, call: Call) -> Sent {
        through(&self.0, call.request(body)).await
    }
}

pub(super) fn body(payload: Payload) -> Body {
    match payload {
        Payload::Empty => Body::default(),
        Payload::Whole(body) => Body::from(body),
        Payload::Stream(chunks) => Body::wrap(chunks.body::<std::io::Error>()),
    }
}
