//! R5: the answer comes while the request is still being sent.

use std::{
    convert::Infallible,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::Incoming;
use tower::{Layer, ServiceExt};
use tower_token::{AuthError, BearerAuthLayer, Origins, TokenHandle, middleware::NotReplayed};

use crate::{
    server::{Server, client},
    support::Mint,
};

const REFUSAL: &str = "refused before your body was read";

/// What a server does with the body that it has not waited for.
#[derive(Clone, Copy, Debug)]
enum Rest {
    /// Reads it later.
    Read,
    /// Wants no more of it: over HTTP/2 a reset of the stream.
    Drop,
}

/// A server that refuses `token-1` as soon as it sees the head, and answers others with the length of their body.
async fn early(rest: Rest) -> (Server, Arc<AtomicUsize>) {
    let heads = Arc::new(AtomicUsize::new(0));
    let counted = heads.clone();
    let server = Server::start(move |request: Request<Incoming>| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            if request.headers()[AUTHORIZATION] == "Bearer token-1" {
                match rest {
                    Rest::Read => drop(tokio::spawn(request.into_body().collect())),
                    Rest::Drop => drop(request),
                }
                return Response::builder().status(401).body(Full::from(REFUSAL)).unwrap();
            }
            let length = request.into_body().collect().await.map_or(usize::MAX, |body| body.to_bytes().len());
            Response::new(Full::from(length.to_string()))
        }
    })
    .await;
    (server, heads)
}

fn layer(server: &Server, handle: &TokenHandle) -> BearerAuthLayer {
    BearerAuthLayer::new(server.base_url().parse::<Origins>().unwrap(), handle.clone())
}

fn post<B>(server: &Server, body: B) -> Request<B> {
    Request::post(format!("{}/upload", server.base_url())).body(body).unwrap()
}

/// An answer that does not come is a failure, not a test that never ends.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.unwrap_or_else(|_| panic!("deadlock: {what}"))
}

/// Over HTTP/1 a server that wants no more of a body can but close the connection under it, so there it reads on.
const WAYS: [(bool, Rest); 3] = [(false, Rest::Read), (true, Rest::Read), (true, Rest::Drop)];

#[tokio::test]
async fn a_stream_that_is_not_sent_to_its_end_is_handed_its_401() {
    for (h2, rest) in WAYS {
        let ((server, heads), mint) = (early(rest).await, Mint::default());
        let handle = TokenHandle::new(mint.source());
        let client = layer(&server, &handle).layer(client::<BoxBody<Bytes, Infallible>>(h2));
        let piece = Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[7; 1000])));
        let endless = StreamBody::new(futures::stream::iter([piece]).chain(futures::stream::pending()));
        let response = soon("the 401", client.clone().oneshot(post(&server, BodyExt::boxed(endless)))).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "http2: {h2}, {rest:?}");
        assert!(response.extensions().get::<NotReplayed>().is_some());
        assert_eq!(soon("its body", response.into_body().collect()).await.unwrap().to_bytes(), REFUSAL);
        assert_eq!(heads.load(Ordering::SeqCst), 1, "part of a body was sent again: http2: {h2}, {rest:?}");

        let next = BodyExt::boxed(Full::from("body"));
        let response = soon("the next call", client.oneshot(post(&server, next))).await.unwrap();
        assert_eq!((response.status(), mint.fetches()), (StatusCode::OK, 2), "its rejection was taken to the engine");
    }
}

/// The first body was cut off somewhere; the second is whole all the same.
#[tokio::test]
async fn a_body_that_was_cut_off_is_replayed_whole() {
    for (h2, rest) in WAYS {
        let ((server, heads), mint) = (early(rest).await, Mint::default());
        let client = layer(&server, &TokenHandle::new(mint.source())).layer(client::<Full<Bytes>>(h2));
        // More than the buffers on the way hold, so that the answer is there before the end is sent.
        let body = Full::from(vec![7; 16 << 20]);
        let response = soon("the replay", client.oneshot(post(&server, body))).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "http2: {h2}, {rest:?}");
        let length = soon("its body", response.into_body().collect()).await.unwrap().to_bytes();
        assert_eq!(length, (16 << 20).to_string(), "http2: {h2}, {rest:?}");
        assert_eq!((heads.load(Ordering::SeqCst), mint.fetches()), (2, 2));
    }
}

/// Over HTTP/1 the connection may be closed under the body before its 401 is read: then the call fails, or is replayed whole.
#[tokio::test]
async fn a_connection_that_is_closed_under_a_body_costs_the_call_at_most() {
    for _ in 0..10 {
        let ((server, heads), mint) = (early(Rest::Drop).await, Mint::default());
        let client = layer(&server, &TokenHandle::new(mint.source())).layer(client::<Full<Bytes>>(false));
        let call = client.clone().oneshot(post(&server, Full::from(vec![7; 4 << 20])));
        match soon("an answer or an error", call).await {
            Ok(response) => {
                assert_eq!(response.status(), StatusCode::OK);
                let length = soon("its body", response.into_body().collect()).await.unwrap().to_bytes();
                assert_eq!((length, heads.load(Ordering::SeqCst)), (Bytes::from((4 << 20).to_string()), 2));
            }
            Err(AuthError::Service(_)) => assert_eq!(heads.load(Ordering::SeqCst), 1, "not sent again after an error (R7)"),
            Err(AuthError::Token(error)) => panic!("{error}"),
        }
    }
}
