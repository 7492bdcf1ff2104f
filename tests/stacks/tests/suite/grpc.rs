//! gRPC says `UNAUTHENTICATED` inside HTTP 200, in headers or in trailers: the tonic example's `auth.rs`, over a channel.

#[path = "../../examples/tonic/auth.rs"]
mod auth;
#[path = "../../examples/tonic/prices.rs"]
#[expect(clippy::allow_attributes, clippy::allow_attributes_without_reason, unreachable_pub, reason = "generated")]
mod prices;

use std::{
    error::Error,
    sync::{Arc, Mutex},
};

use bytes::{BufMut, Bytes, BytesMut};
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Request, Response, header::AUTHORIZATION};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use prost::Message;
use tokio::sync::watch;
use tonic::{Code, Status, client::GrpcService, transport::Endpoint};
use tower_token::{AuthError, ErrorKind, Origins, TokenError, TokenHandle, middleware::Generation};

use self::prices::{Price, Symbol, prices_client::PricesClient};
use crate::{
    api::Server,
    issuer::{Issuer, Mood},
    rules::LIMIT,
};

/// Where a server says that a token is no good.
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    Headers,
    Trailers,
}

/// A server of frames made by hand, to have its status in either place: a price for a good token, and for a bad one too where it
/// finds out in the trailers only.
#[derive(Clone)]
struct Exchange {
    issuer: Issuer,
    place: In,
    seen: Arc<Mutex<Vec<(String, Bytes)>>>,
    /// Trailers are held back.
    held: Arc<watch::Sender<bool>>,
}

impl Exchange {
    fn of(issuer: &Issuer, place: In) -> Exchange {
        Exchange { issuer: issuer.clone(), place, seen: Arc::default(), held: Arc::default() }
    }

    /// The tokens that came, and the bytes with each.
    fn seen(&self) -> (Vec<String>, Vec<Bytes>) {
        self.seen.lock().unwrap().iter().cloned().unzip()
    }

    async fn answer(self, request: Request<Incoming>) -> Response<impl Body<Data = Bytes, Error = Status> + Send + 'static> {
        let (head, body) = request.into_parts();
        let token = head.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        let body = body.collect().await.unwrap().to_bytes();
        self.seen.lock().unwrap().push((token.clone(), body));
        let answer = Response::builder().header("content-type", "application/grpc");
        if self.place == In::Headers && !self.issuer.accepts(&token) {
            return answer.header("grpc-status", "16").body(StreamBody::new(stream::empty().boxed())).unwrap();
        }
        let price = Frame::data(framed(&Price { name: "tea".to_owned(), cents: 420 }));
        let end = async move {
            self.held.subscribe().wait_for(|held| !held).await.unwrap();
            let status = if self.issuer.accepts(&token) { "0" } else { "16" };
            Ok(Frame::trailers(HeaderMap::from_iter([(Status::GRPC_STATUS, HeaderValue::from_static(status))])))
        };
        answer.body(StreamBody::new(stream::iter([Ok(price)]).chain(stream::once(end)).boxed())).unwrap()
    }
}

/// As gRPC has a message in a body: not compressed, its length, and itself.
fn framed(message: &impl Message) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(message.encoded_len().try_into().unwrap());
    message.encode(&mut bytes).unwrap();
    bytes.freeze()
}

fn tea() -> Symbol {
    Symbol { name: "tea".to_owned() }
}

/// A server, its issuer, a handle with `token-1`, and a client.
async fn exchange(
    place: In,
) -> (
    Server,
    Exchange,
    TokenHandle,
    PricesClient<impl GrpcService<tonic::body::Body, ResponseBody = tonic::body::Body, Future: Send> + Clone>,
) {
    let issuer = Issuer::default();
    let exchange = Exchange::of(&issuer, place);
    let answering = exchange.clone();
    let server = Server::start(move |request| answering.clone().answer(request)).await;
    let handle = TokenHandle::new(issuer.source());
    handle.token().await.unwrap();
    let origins = server.origin.parse::<Origins>().unwrap().relative_as(&server.origin).unwrap();
    let channel = Endpoint::new(server.origin.clone()).unwrap().connect_lazy();
    let client = PricesClient::new(auth::authenticated(channel, origins, handle.clone()));
    (server, exchange, handle, client)
}

async fn renewed(handle: &TokenHandle) {
    let mut health = handle.subscribe();
    tokio::time::timeout(LIMIT, health.wait_for(|status| status.generation() == 2)).await.unwrap().unwrap();
}

/// In headers, which is where most servers have it: the call is sent once more, message and all, and its caller sees nothing.
#[tokio::test]
async fn in_headers_a_unary_call_is_replayed() {
    let (_server, exchange, _handle, mut client) = exchange(In::Headers).await;
    exchange.issuer.revoke_all();
    let answer = client.quote(tea()).await.unwrap();
    assert_eq!(answer.get_ref().cents, 420);
    assert_eq!(answer.extensions().get(), Some(&Generation(2)));
    let (tokens, bodies) = exchange.seen();
    assert_eq!(tokens, ["Bearer token-1", "Bearer token-2"]);
    assert_eq!(bodies, [framed(&tea()), framed(&tea())]);
    assert_eq!(exchange.issuer.calls(), 2);
}

/// The same for a call whose answer is a stream.
#[tokio::test]
async fn in_headers_a_stream_is_opened_again() {
    let (_server, exchange, _handle, mut client) = exchange(In::Headers).await;
    exchange.issuer.revoke_all();
    let mut prices = client.watch(tea()).await.unwrap().into_inner();
    assert_eq!(prices.message().await.unwrap().unwrap().cents, 420);
    assert_eq!(prices.message().await.unwrap(), None);
    assert_eq!(exchange.seen().0, ["Bearer token-1", "Bearer token-2"]);
}

/// In trailers it is too late to send the call again: its caller is told, and the next one has a new token.
#[tokio::test]
async fn in_trailers_the_token_is_renewed_for_the_next_call() {
    let (_server, exchange, handle, mut client) = exchange(In::Trailers).await;
    exchange.issuer.revoke_all();
    assert_eq!(client.quote(tea()).await.unwrap_err().code(), Code::Unauthenticated);
    renewed(&handle).await;
    assert_eq!(client.quote(tea()).await.unwrap().get_ref().cents, 420);
    assert_eq!(exchange.seen().0, ["Bearer token-1", "Bearer token-2"]);
    assert_eq!(exchange.issuer.calls(), 2);
}

/// The same in the middle of a stream, after its messages.
#[tokio::test]
async fn in_trailers_a_stream_keeps_its_messages() {
    let (_server, exchange, handle, mut client) = exchange(In::Trailers).await;
    exchange.held.send_replace(true);
    let mut prices = client.watch(tea()).await.unwrap().into_inner();
    assert_eq!(prices.message().await.unwrap().unwrap().cents, 420);
    exchange.issuer.revoke_all();
    exchange.held.send_replace(false);
    assert_eq!(prices.message().await.unwrap_err().code(), Code::Unauthenticated);
    renewed(&handle).await;
    assert_eq!((exchange.seen().0.len(), exchange.issuer.calls()), (1, 2));
}

/// E15: trailers that come late, when their token has long been replaced, cost no token call.
#[tokio::test]
async fn late_trailers_reject_nothing() {
    let (_server, exchange, handle, mut client) = exchange(In::Trailers).await;
    exchange.held.send_replace(true);
    let mut late = client.watch(tea()).await.unwrap().into_inner();
    assert_eq!(late.message().await.unwrap().unwrap().cents, 420);
    exchange.issuer.revoke_all();
    handle.reject(1);
    renewed(&handle).await;
    exchange.held.send_replace(false);
    assert_eq!(late.message().await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(client.quote(tea()).await.unwrap().extensions().get(), Some(&Generation(2)));
    assert_eq!((handle.status().rejections(), exchange.issuer.calls()), (1, 2));
}

/// Without a token nothing is sent, and the status has the error that says why.
#[tokio::test]
async fn without_a_token_the_status_says_why() {
    let (_server, exchange, handle, mut client) = exchange(In::Headers).await;
    exchange.issuer.set_mood(Mood::Refuses);
    handle.replace_source_and_reject(exchange.issuer.source());
    let status = client.quote(tea()).await.unwrap_err();
    let error: &AuthError<tonic::transport::Error> = status.source().unwrap().downcast_ref().unwrap();
    let AuthError::Token(error) = error else { panic!("{error:?}") };
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("invalid_client")));
    assert_eq!(exchange.seen().0.len(), 0);
}

/// A generated client's URIs are only paths: unless somebody says where they lead, nothing is sent.
#[tokio::test]
async fn without_relative_as_nothing_is_sent() {
    let (server, exchange, handle, _client) = exchange(In::Headers).await;
    let channel = Endpoint::new(server.origin.clone()).unwrap().connect_lazy();
    let service = auth::authenticated(channel, server.origin.parse().unwrap(), handle);
    let status = PricesClient::new(service.clone()).quote(tea()).await.unwrap_err();
    let AuthError::Token(error) = status.source().unwrap().downcast_ref::<AuthError<tonic::transport::Error>>().unwrap() else {
        panic!("{status:?}")
    };
    assert_eq!(TokenError::kind(error), ErrorKind::Misconfigured);
    assert_eq!(exchange.seen().0.len(), 0);
    // Or the client itself says it.
    let mut client = PricesClient::with_origin(service, server.origin.parse().unwrap());
    assert_eq!(client.quote(tea()).await.unwrap().get_ref().cents, 420);
}
