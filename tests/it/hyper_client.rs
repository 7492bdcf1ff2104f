//! `adapter::hyper::HyperClient`: what is under the layer in the README.

use std::net::{Ipv4Addr, TcpListener};

use http::{Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use rustls::server::Acceptor;
use tower::{Layer, ServiceExt};
use tower_token::{
    AuthError, BearerAuthLayer, Origins, StaticToken, TokenError, TokenHandle,
    adapter::hyper::HyperClient,
    provider::yonne::Yonne,
    testing::{ManualClock, YonneEmulator},
};

use crate::server::Server;

type Made<T> = fn() -> Result<HyperClient<T>, TokenError>;

const EACH: [(Made<String>, Version); 3] =
    [(HyperClient::new, Version::HTTP_11), (HyperClient::http1, Version::HTTP_11), (HyperClient::http2, Version::HTTP_2)];

fn get(url: &str) -> Request<String> {
    Request::get(url).body(String::new()).unwrap()
}

/// Answers with the version that the request came over.
async fn version_server() -> Server {
    Server::start(async |request| Response::new(format!("{:?}", request.version()))).await
}

/// Over plain http there is no ALPN: HTTP/2 is spoken by those who know.
#[tokio::test]
async fn plain_http_is_http_1_unless_http_2_is_asked_for() {
    let server = version_server().await;
    for (made, version) in EACH {
        let response = made().unwrap().oneshot(get(&server.base_url())).await.unwrap();
        assert_eq!(response.version(), version);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, format!("{version:?}"));
    }
}

/// RFC 7301: the handshake offers what the client may speak, and no more. Without an offer it is HTTP/1.1.
#[tokio::test]
async fn a_server_is_offered_the_versions_that_the_client_speaks() {
    let offers: [&[&[u8]]; 3] = [&[b"h2", b"http/1.1"], &[], &[b"h2"]];
    for ((made, _), offer) in EACH.into_iter().zip(offers) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let server = tokio::task::spawn_blocking(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut acceptor = Acceptor::default();
            loop {
                acceptor.read_tls(&mut stream).unwrap();
                if let Some(accepted) = acceptor.accept().unwrap() {
                    let names = accepted.client_hello().alpn().into_iter().flatten();
                    return names.map(<[u8]>::to_vec).collect::<Vec<_>>();
                }
            }
        });
        let error = made().unwrap().oneshot(get(&url)).await.unwrap_err();
        assert!(error.is_connect(), "the server hung up in the handshake: {error}");
        assert_eq!(server.await.unwrap(), offer);
    }
}

/// R6: rejected, renewed and sent again on one connection, which the next calls use too, those of clones included.
#[tokio::test]
async fn connections_are_kept_and_shared_by_clones() {
    for (made, version) in EACH {
        let yonne = YonneEmulator::start().await.unwrap();
        let source = Yonne::new(yonne.api_key(), yonne.api_secret()).unwrap().base_url(yonne.base_url()).unwrap();
        // For it no time passes, so that the drain of the 401 is not cut short on a slow machine.
        let tokens = TokenHandle::builder(source).clock(ManualClock::new()).build();
        tokens.token().await.unwrap();
        yonne.revoke_all();
        let layer = BearerAuthLayer::new(yonne.base_url().parse::<Origins>().unwrap(), tokens);
        let client = made().unwrap();
        for client in [client.clone(), client] {
            let url = format!("{}/api/courier/s2s/metrics/summary", yonne.base_url());
            let response = layer.layer(client).oneshot(get(&url)).await.unwrap();
            assert_eq!((response.status(), response.version()), (StatusCode::OK, version));
            response.into_body().collect().await.unwrap();
        }
        assert_eq!((yonne.token_calls(), yonne.unauthorized(), yonne.api_calls()), (2, 1, 3));
        assert_eq!(yonne.connections(), 2 + 1, "one for each token call, one for all others");
    }
}

/// What failed below the layer is hyper-util's own error, and says whether the server was reached.
#[tokio::test]
async fn the_error_is_hyper_utils() {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let url = format!("http://{address}");
    let layer = BearerAuthLayer::new(url.parse::<Origins>().unwrap(), StaticToken::new("secret").unwrap());
    for (made, _) in EACH {
        let outcome = layer.layer(made().unwrap()).oneshot(get(&url)).await;
        let Err(AuthError::Service(error)) = outcome else { panic!("nobody listens there") };
        assert!(error.is_connect());
    }
}

/// S3: whatever it connects to and carries, it says its name only.
#[tokio::test]
async fn debug_shows_the_name() {
    let server = version_server().await;
    let client = HyperClient::new().unwrap();
    let request = Request::get(format!("{}/?key=canary", server.base_url())).header("authorization", "canary");
    client.clone().oneshot(request.body("canary".to_owned()).unwrap()).await.unwrap();
    assert_eq!(format!("{client:?}"), "HyperClient { .. }");
}
