//! Which bodies are sent twice, and how they arrive.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures::stream;
use http_body::Frame;
use http_body_util::{Empty, Full, StreamBody};
use reqwest::Body;
use reqwest_middleware::ClientBuilder;
use tower::{Layer, ServiceExt};
use tower_token::{
    BearerAuthLayer, BoxError,
    adapter::{reqwest::ReqwestService, reqwest_middleware::AuthMiddleware},
    middleware::{BoundedBuffer, CloneBody, NotReplayed},
};

use crate::support::{Api, Client, Mint};

fn stream(pieces: &[&'static str]) -> Body {
    let pieces: Vec<_> =
        pieces.iter().map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from_static(piece.as_bytes())))).collect();
    Body::wrap(StreamBody::new(stream::iter(pieces)))
}

fn post(url: String, body: Body) -> http::Request<Body> {
    http::Request::post(url).body(body).unwrap()
}

fn bodies(api: &Api) -> Vec<Bytes> {
    api.server.requests().into_iter().map(|request| request.body).collect()
}

/// R3: bytes are sent again, whole, whatever they were made of.
#[tokio::test]
async fn bytes_are_sent_again() {
    for nth in 0..2 {
        let bodies_of_bytes: [fn() -> Body; 5] = [
            || "text".into(),
            || String::from("text").into(),
            || vec![b't'; 100_000].into(),
            || Bytes::from_static(b"text").into(),
            Body::default,
        ];
        for make in bodies_of_bytes {
            let (api, mint) = (Api::accepting("token-2").await, Mint::default());
            let client = &Client::own(&api.layer(&mint.handle()), &api.origins())[nth];
            let answer = client.send(post(api.url("/"), make())).await.unwrap();
            assert_eq!(answer.status, 200);
            let expected = Bytes::copy_from_slice(make().as_bytes().unwrap());
            assert_eq!(bodies(&api), [expected.clone(), expected]);
        }
    }
}

/// R3: a stream goes out once, whole; its 401 comes back whole, and the token is renewed for the next request.
#[tokio::test]
async fn a_stream_is_sent_once() {
    for nth in 0..2 {
        let (api, mint) = (Api::accepting("token-2").await, Mint::default());
        let tokens = mint.handle();
        let client = &Client::own(&api.layer(&tokens), &api.origins())[nth];
        let answer = client.send(post(api.url("/"), stream(&["one", "two"]))).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str(), answer.has::<NotReplayed>()), (401, "answer to /", true));
        tokens.subscribe().wait_for(|status| status.generation() == 2).await.unwrap();
        let answer = client.send(post(api.url("/"), stream(&["one", "two"]))).await.unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(bodies(&api), ["onetwo", "onetwo"]);
    }
}

/// R3, R4: the layer's policies work for reqwest's body as they are.
#[tokio::test]
async fn a_buffered_stream_is_sent_again() {
    for limit in [5, 6] {
        let (api, mint) = (Api::accepting("token-2").await, Mint::default());
        let layer = api.layer(&mint.handle()).replay(BoundedBuffer::new(limit, Body::wrap));
        let auth = AuthMiddleware::new_redirect_free(layer.clone());
        let client = ClientBuilder::new(reqwest::Client::new()).with(auth).build();
        let response = client.post(api.url("/")).body(stream(&["one", "two"])).send().await.unwrap();
        let sent = if limit == 6 { 2 } else { 1 };
        assert_eq!(response.status(), if limit == 6 { 200 } else { 401 });
        assert_eq!(bodies(&api), vec!["onetwo"; sent]);

        let (api, mint) = (Api::accepting("token-2").await, Mint::default());
        let layer = api.layer(&mint.handle()).replay(BoundedBuffer::new(limit, Body::wrap));
        let service = layer.layer(ReqwestService::new(&api.origins()).unwrap());
        let response = service.oneshot(post(api.url("/"), stream(&["one", "two"]))).await.unwrap();
        assert_eq!(response.status(), if limit == 6 { 200 } else { 401 });
        assert_eq!(bodies(&api), vec!["onetwo"; sent]);
    }
}

/// R3: the service takes every body, and what is bytes arrives with its length, without chunks.
#[tokio::test]
async fn any_body_goes_through_the_service() {
    async fn send<B>(body: B) -> (Vec<Bytes>, Option<String>)
    where
        B: http_body::Body<Data = Bytes, Error = Infallible> + Send + Sync + Clone + 'static,
    {
        let (api, mint) = (Api::accepting("token-2").await, Mint::default());
        let layer = api.layer(&mint.handle()).replay(CloneBody);
        let service = layer.layer(ReqwestService::new(&api.origins()).unwrap());
        let response = service.oneshot(http::Request::post(api.url("/")).body(body).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        let length = api.server.requests()[0].headers.get("content-length").map(|length| length.to_str().unwrap().to_owned());
        (bodies(&api), length)
    }
    let text = (vec![Bytes::from_static(b"text"); 2], Some("4".to_owned()));
    assert_eq!(send(String::from("text")).await, text);
    assert_eq!(send(Full::new(Bytes::from_static(b"text"))).await, text);
    let (empty, length) = send(Empty::<Bytes>::new()).await;
    assert_eq!(empty, ["", ""]);
    assert!(length.is_none_or(|length| length == "0"));
}

/// R3: what is bytes is bytes for reqwest too, which needs that for a redirect that keeps the method (307).
#[tokio::test]
async fn a_body_of_bytes_follows_a_redirect() {
    async fn send<B>(body: B)
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Sync + 'static,
    {
        let (api, mint) = (Api::accepting("token-1").await, Mint::default());
        api.redirect("/old", 307, api.url("/new"));
        let service = api.layer(&mint.handle()).layer(ReqwestService::new(&api.origins()).unwrap());
        let request = http::Request::post(api.url("/old")).body(body).unwrap();
        assert_eq!(service.oneshot(request).await.unwrap().status(), 200);
        assert_eq!(bodies(&api), ["text"; 2]);
    }
    send(Full::new(Bytes::from_static(b"text"))).await;
    send(String::from("text")).await;
    send(Body::from("text")).await;
}

/// R5: an answer that comes while a stream is still on its way: no panic, no second send, and the stream is dropped with the answer.
#[tokio::test]
async fn an_early_401_ends_an_upload() {
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", server.local_addr().unwrap());
    let answering = async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = server.accept().await.unwrap();
        let mut buffer = [0; 1024];
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
        stream
    };
    let layer = BearerAuthLayer::new(url.parse().unwrap(), Mint::default().handle()).wait(Duration::from_secs(5));
    let auth = AuthMiddleware::new_redirect_free(layer.replay(BoundedBuffer::new(1 << 20, Body::wrap)));
    let client = ClientBuilder::new(reqwest::Client::new()).with(auth).build();
    let endless = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
    let (response, connection) = tokio::join!(client.post(&url).body(Body::wrap(endless)).send(), answering);
    let response = response.unwrap();
    assert_eq!(response.status(), 401);
    assert!(response.extensions().get::<NotReplayed>().is_some());
    assert_eq!(response.text().await.unwrap(), "no");
    drop(connection);
}

/// R3: a policy for streams leaves what is bytes as it is: sent with its length, and along a redirect.
#[tokio::test]
async fn bytes_stay_bytes_under_a_policy_for_streams() {
    for nth in 0..2 {
        let (api, mint) = (Api::accepting("token-2").await, Mint::default());
        api.redirect("/old", 307, api.url("/new"));
        let layer = api.layer(&mint.handle()).replay(BoundedBuffer::new(10, Body::wrap));
        let answer = if nth == 0 {
            let client = tower_token::adapter::reqwest_middleware::client(layer).unwrap();
            client.post(api.url("/old")).body("text").send().await.unwrap().status()
        } else {
            let service = layer.layer(ReqwestService::new(&api.origins()).unwrap());
            service.oneshot(post(api.url("/old"), "text".into())).await.unwrap().status()
        };
        assert_eq!(answer, 200);
        assert!(api.server.requests().iter().all(|request| request.headers["content-length"] == "4"));
        assert_eq!(bodies(&api), ["text"; 4]);
    }
}
