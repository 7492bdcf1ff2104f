use http_body_util::Full;
use tonic::{
    body::Body,
    transport::{Channel, Endpoint},
};
use tower::Layer;
use tower_token::{
    BearerAuthLayer, Origins,
    middleware::{AuthService, BoundedBuffer, BufferedBody},
};

use crate::{
    api::Site,
    stack::{Call, KEPT, Payload, Redirects, Sent, Stack, through},
};

/// What is under a generated client: a channel, which is one connection over HTTP/2.
#[derive(Clone)]
pub(crate) struct Tonic(AuthService<Channel, Policy>);

type Policy = BoundedBuffer<fn(BufferedBody<Body>) -> Body>;

impl Stack for Tonic {
    const REDIRECTS: Redirects = Redirects::HandedBack;
    const ONE_CONNECTION: bool = true;

    async fn client(layer: BearerAuthLayer, _: &Origins, home: &Site, _: &Site) -> Tonic {
        let channel = Endpoint::new(home.origin.clone()).unwrap().connect_lazy();
        Tonic(layer.replay(BoundedBuffer::new(KEPT, Body::new as _)).layer(channel))
    }

    async fn send(&self, call: Call) -> Sent {
        let body = |payload| match payload {
            Payload::Empty => Body::empty(),
            Payload::Whole(body) => Body::new(Full::new(body)),
            Payload::Stream(chunks) => Body::new(chunks.body::<tonic::Status>()),
        };
        through(&self.0, call.request(body)).await
    }
}
