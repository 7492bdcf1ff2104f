//! Streaming bodies under a bounded buffer, over real HTTP: sent again whole, or handed their 401.

use std::convert::Infallible;

use bytes::Bytes;
use futures::{SinkExt, Stream, StreamExt, channel::mpsc, stream};
use http::{Request, StatusCode};
use http_body::Frame;
use http_body_util::{StreamBody, combinators::UnsyncBoxBody};
use tower::{Layer, ServiceExt};
use tower_token::{
    middleware::{BoundedBuffer, NotReplayed},
    testing::YonneEmulator,
};

use crate::http::{hyper, layer, text, yonne};

type Body = UnsyncBoxBody<Bytes, Infallible>;

fn upload(yonne: &YonneEmulator, chunks: impl Stream<Item = Bytes> + Send + 'static) -> Request<Body> {
    let body = Body::new(StreamBody::new(chunks.map(|chunk| Ok(Frame::data(chunk)))));
    Request::post(format!("{}/api/courier/s2s/upload", yonne.base_url())).body(body).unwrap()
}

fn chunks(count: u8) -> impl Stream<Item = Bytes> + Send + 'static {
    stream::iter((0..count).map(|n| Bytes::from(vec![n; 1000])))
}

fn lengths(yonne: &YonneEmulator) -> Vec<usize> {
    yonne.calls().iter().map(|call| call.body_length).collect()
}

/// R3, R4: what has passed whole within the limit is sent again, byte for byte; what has not is sent once.
#[tokio::test]
async fn a_stream_within_the_limit_is_sent_again() {
    for h2 in [false, true] {
        for (limit, replayed) in [(20_000, true), (19_999, false)] {
            let (yonne, handle) = yonne().await;
            handle.token().await.unwrap();
            yonne.revoke_all();
            let client = layer(&yonne, &handle).replay(BoundedBuffer::new(limit, Body::new)).layer(hyper(h2));
            let response = client.oneshot(upload(&yonne, chunks(20))).await.unwrap();
            assert_eq!(response.extensions().get::<NotReplayed>().is_none(), replayed, "h2: {h2}");
            if replayed {
                assert_eq!(lengths(&yonne), [20_000; 2]);
                let sent: Vec<u8> = chunks(20).collect::<Vec<_>>().await.concat();
                assert_eq!(text(response).await.into_bytes(), sent, "the server's echo");
            } else {
                assert_eq!((lengths(&yonne), response.status()), (vec![20_000], StatusCode::UNAUTHORIZED));
                assert!(text(response).await.contains("TOKEN_INVALID"));
            }
        }
    }
}

/// R5: a 401 that comes while a stream is still being sent is handed to it whole, at once, and nothing of the stream is sent again.
#[tokio::test]
async fn an_early_401_ends_a_stream() {
    for h2 in [false, true] {
        let (yonne, handle) = yonne().await;
        handle.token().await.unwrap();
        yonne.revoke_all();
        yonne.answer_early(true);
        let client = layer(&yonne, &handle).replay(BoundedBuffer::new(1 << 20, Body::new)).layer(hyper(h2));
        let (mut more, rest) = mpsc::channel(1);
        more.send(Bytes::from_static(b"the beginning")).await.unwrap();
        let response = client.clone().oneshot(upload(&yonne, rest)).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(response.extensions().get::<NotReplayed>().is_some(), "h2: {h2}");
        assert!(text(response).await.contains("TOKEN_INVALID"));
        assert_eq!(yonne.api_calls(), 1);
        // Nobody waits for the rest: a sender that goes on is told so.
        while more.send(Bytes::from_static(b"more")).await.is_ok() {}
        let response = client.oneshot(upload(&yonne, chunks(2))).await.unwrap();
        assert_eq!((response.status(), lengths(&yonne).last()), (StatusCode::OK, Some(&2000)), "the next one gets a new token");
    }
}
