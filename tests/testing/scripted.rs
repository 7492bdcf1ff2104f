//! Each reply of the scripted server, as a client meets it.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Version};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::{
    client::legacy::{Client as Legacy, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower_token::testing::{ScriptedReply, ScriptedServer};

use crate::client::Client;

async fn start<const N: usize>(replies: [ScriptedReply; N]) -> (ScriptedServer, Client, String) {
    let server = ScriptedServer::start(replies).await.unwrap();
    let url = server.base_url();
    (server, Client::http1(), url)
}

/// A request to the server on a connection of its own, and all that comes back until the connection ends.
async fn exchange(server: &ScriptedServer) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: scripted\r\n\r\n").await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Replies come in order, the last one repeats, and one connection serves them all.
#[tokio::test]
async fn replies_come_in_order() {
    let (server, client, url) =
        start([ScriptedReply::json(500, "{}"), ScriptedReply::new(200, "body").header("retry-after", "7")]).await;
    let first = client.bare(Method::GET, &url).await;
    assert_eq!((first.status.as_u16(), &*first.body), (500, &b"{}"[..]));
    assert_eq!(first.headers["content-type"], "application/json");
    for _ in 0..2 {
        let answer = client.bare(Method::GET, &url).await;
        assert_eq!((answer.status.as_u16(), &*answer.body, answer.version), (200, &b"body"[..], Version::HTTP_11));
        assert_eq!(answer.headers["retry-after"], "7");
    }
    assert_eq!((server.connections(), server.requests().len()), (1, 3));
}

/// A closure sees the request and decides.
#[tokio::test]
async fn a_closure_decides() {
    let mut seen = 0;
    let server = ScriptedServer::start_with(move |request| {
        seen += 1;
        ScriptedReply::new(200, format!("{seen} {}", request.path))
    })
    .await
    .unwrap();
    let client = Client::http1();
    for (path, body) in [("/a?b=c", "1 /a?b=c"), ("/d", "2 /d")] {
        assert_eq!(client.bare(Method::GET, &format!("{}{path}", server.base_url())).await.body, body);
    }
}

/// Method, target, headers and body are noted as they came: with a length, in chunks, or without a body.
#[tokio::test]
async fn requests_are_noted() {
    let (server, client, url) = start([ScriptedReply::new(204, "")]).await;
    let url = format!("{url}/path?query=1");
    client.post_json(&url, "{}").await;
    client.bare(Method::DELETE, &url).await;

    let chunks = ["one ", "", "two ", "three"].map(|text| Ok::<_, Infallible>(Frame::data(Bytes::from(text))));
    let trailers = Ok(Frame::trailers(HeaderMap::new()));
    let body = StreamBody::new(futures::stream::iter(chunks.into_iter().chain([trailers])));
    let streaming = Legacy::builder(TokioExecutor::new()).build::<HttpConnector, _>(HttpConnector::new());
    let request = Request::put(&url).header("x-twice", "1").header("x-twice", "2").body(BodyExt::boxed_unsync(body));
    streaming.request(request.unwrap()).await.unwrap();

    let requests = server.requests();
    let noted: Vec<_> = requests.iter().map(|request| (request.method.as_str(), &*request.path, &*request.body)).collect();
    let path = "/path?query=1";
    assert_eq!(noted, [("POST", path, &b"{}"[..]), ("DELETE", path, b""), ("PUT", path, b"one two three")]);
    assert_eq!(requests[0].headers["content-type"], "application/json");
    assert_eq!(requests[2].headers.get_all("x-twice").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(requests.iter().map(|request| request.connection).collect::<Vec<_>>(), [1, 1, 2]);
}

/// Chunks end where they say so, extensions and trailers and all, and the next request is read from there.
#[tokio::test]
async fn chunks_are_read_to_their_end() {
    let (server, ..) = start([ScriptedReply::new(200, ""), ScriptedReply::close()]).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let chunked = "POST /first HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunks = "A;name=value\r\n0123456789\r\n1\r\n!\r\n0\r\nx-trailer: 1\r\n\r\n";
    let next = "GET /second HTTP/1.1\r\n\r\n";
    stream.write_all([chunked, chunks, next].concat().as_bytes()).await.unwrap();
    server.requests_reached(2).await;
    let noted: Vec<_> = server.requests().into_iter().map(|request| (request.path, request.body)).collect();
    assert_eq!(noted, [("/first".to_owned(), Bytes::from("0123456789!")), ("/second".to_owned(), Bytes::new())]);
}

/// What ends a connection, and what was sent before.
#[tokio::test]
async fn connections_end() {
    let (server, ..) = start([
        ScriptedReply::close(),
        ScriptedReply::raw("not HTTP"),
        ScriptedReply::truncated(200, "0123456789", 4),
        ScriptedReply::truncated(200, "01", 99).header("Content-Length", "5"),
    ])
    .await;
    assert_eq!(exchange(&server).await, "");
    assert_eq!(exchange(&server).await, "not HTTP");
    assert_eq!(exchange(&server).await, "HTTP/1.1 200 Scripted\r\ncontent-length: 10\r\n\r\n0123");
    assert_eq!(exchange(&server).await, "HTTP/1.1 200 Scripted\r\nContent-Length: 5\r\n\r\n01");
    server.ends_reached(4).await;
    assert_eq!(server.connections(), 4);
}

/// Without any reply there is none.
#[tokio::test]
async fn an_empty_script_closes() {
    let (server, ..) = start([]).await;
    assert_eq!(exchange(&server).await, "");
    assert_eq!(server.requests().len(), 1);
}

/// A hanging reply lasts until the client gives up, and that is seen.
#[tokio::test]
async fn hanging_ends_with_the_client() {
    let (server, ..) = start([ScriptedReply::hang(), ScriptedReply::close()]).await;
    let mut hanging = TcpStream::connect(server.address()).await.unwrap();
    hanging.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    server.requests_reached(1).await;
    assert_eq!(exchange(&server).await, "");
    server.ends_reached(1).await;
    let mut both = tokio_test::task::spawn(server.ends_reached(2));
    tokio_test::assert_pending!(both.poll(), "only the other one has ended");
    drop(hanging);
    both.await;
}

/// An endless body goes on until the client hangs up.
#[tokio::test]
async fn endless_is_endless() {
    let (server, ..) = start([ScriptedReply::endless(200, "abc")]).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut bytes = vec![0; 1 << 20];
    stream.read_exact(&mut bytes).await.unwrap();
    assert!(bytes.starts_with(b"HTTP/1.1 200 Scripted\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\nabc\r\n"));
    drop(stream);
    server.ends_reached(1).await;
}

/// A trickling body arrives whole, in many reads.
#[tokio::test]
async fn trickling_arrives() {
    let (server, client, url) = start([ScriptedReply::trickle(200, "drops", Duration::from_millis(1))]).await;
    for _ in 0..2 {
        assert_eq!(client.bare(Method::GET, &url).await.body, "drops");
    }
    assert_eq!(server.connections(), 1);
}

/// Held requests are noted, and answered when they are let go.
#[tokio::test]
async fn requests_can_be_held() {
    let (server, client, url) = start([ScriptedReply::new(200, "first"), ScriptedReply::new(200, "second")]).await;
    let hold = server.hold();
    let (answer, ()) = tokio::join!(client.bare(Method::GET, &url), async {
        server.requests_reached(1).await;
        assert_eq!(server.requests().len(), 1);
        hold.release();
    });
    assert_eq!(answer.body, "first");
}

/// Refusing, stopping and dropping close what is open.
#[tokio::test]
async fn it_can_be_gone() {
    let (server, client, url) = start([ScriptedReply::hang()]).await;
    server.refuse_connections(true);
    assert!(client.send(Request::get(&url).body(Full::default()).unwrap()).await.is_err());
    server.refuse_connections(false);

    let hanging = tokio::spawn(async move { client.send(Request::get(&url).body(Full::default()).unwrap()).await.is_err() });
    server.requests_reached(1).await;
    let address = server.address();
    server.stop().await;
    assert!(hanging.await.unwrap());
    assert!(TcpStream::connect(address).await.is_err());
}

/// No `Debug` shows what may be a credential.
#[tokio::test]
async fn debug_shows_no_secret() {
    let reply = ScriptedReply::json(200, r#"{"access_token":"hush"}"#).header("set-cookie", "hush");
    let (server, client, url) = start([reply.clone()]).await;
    client.post_json(&format!("{url}/token?secret=hush"), "hush").await;
    let shown = format!("{server:?} {reply:?} {:?}", server.requests());
    assert!(!shown.contains("hush") && shown.contains("/token"), "{shown}");
}
