use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{Full, combinators::BoxBody};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::ServiceBuilder;
use tower_http::follow_redirect::{FollowRedirect, FollowRedirectLayer};
use tower_token::{
    BearerAuthLayer, Origins,
    middleware::{AuthService, BoundedBuffer, BufferedBody},
};

use crate::{
    api::Site,
    stack::{Call, KEPT, Payload, Redirects, Sent, Stack, through},
};

/// hyper-util's client, over HTTP/1.1 or, with prior knowledge, HTTP/2. Redirects are followed outside the layer.
#[derive(Clone)]
pub(crate) struct Hyper<const VERSION: u8>(FollowRedirect<AuthService<Client<HttpConnector, Body>, Policy>>);

type Body = BoxBody<Bytes, Infallible>;
type Policy = BoundedBuffer<fn(BufferedBody<Body>) -> Body>;

impl<const VERSION: u8> Stack for Hyper<VERSION> {
    const REDIRECTS: Redirects = Redirects::Followed;

    async fn client(layer: BearerAuthLayer, _: &Origins, _: &Site, _: &Site) -> Hyper<VERSION> {
        let client = Client::builder(TokioExecutor::new()).http2_only(VERSION == 2).build_http();
        let layer = layer.replay(BoundedBuffer::new(KEPT, BoxBody::new as _));
        Hyper(ServiceBuilder::new().layer(FollowRedirectLayer::new()).layer(layer).service(client))
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
