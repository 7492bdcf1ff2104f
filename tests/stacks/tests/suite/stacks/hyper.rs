use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{Full, combinators::BoxBody};
use tower::ServiceBuilder;
use tower_http::follow_redirect::{FollowRedirect, FollowRedirectLayer};
use tower_token::{
    BearerAuthLayer, Origins,
    adapter::hyper::HyperClient,
    middleware::{AuthService, BoundedBuffer, BufferedBody},
};

use crate::{
    api::Site,
    stack::{Call, KEPT, Payload, Redirects, Sent, Stack, through},
};

/// hyper-util's client, as `HyperClient` assembles it, over HTTP/1.1 or, with prior knowledge, HTTP/2. Redirects are followed outside the layer.
#[derive(Clone)]
pub(crate) struct Hyper<const VERSION: u8>(FollowRedirect<AuthService<HyperClient<Body>, Policy>>);

type Body = BoxBody<Bytes, Infallible>;
type Policy = BoundedBuffer<fn(BufferedBody<Body>) -> Body>;

impl<const VERSION: u8> Stack for Hyper<VERSION> {
    const REDIRECTS: Redirects = Redirects::Followed;

    async fn client(layer: BearerAuthLayer, _: &Origins, _: &Site, _: &Site) -> Hyper<VERSION> {
        let client = if VERSION == 2 { HyperClient::http2() } else { HyperClient::http1() };
        let layer = layer.replay(BoundedBuffer::new(KEPT, BoxBody::new as _));
        Hyper(ServiceBuilder::new().layer(FollowRedirectLayer::new()).layer(layer).service(client.unwrap()))
    }

    async fn send(&self, call: Call) -> Sent {
        let body = |payload| match payload {
            Payload::Empty => Body::default(),
            Payload::Whole(body) => Body::new(Full::new(body)),
            Payload::Stream(chunks) => Body::new(chunks.body()),
        };
        through(&self.0, call.request(body)).await
    }
}
