//! A source of one's own: a platform's metadata server, whose token names the end of its life in a header.
//!
//! `cargo run --example custom_source --features testing` plays it on loopback, and fails if what it says did not happen.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{Layer, ServiceExt};
use tower_token::{
    AccessToken, BearerAuthLayer, BoxError, FetchContext, Origins, TokenError, TokenHandle, TokenSource,
    testing::{ScriptedReply, ScriptedServer},
};

type Hyper = Client<HttpConnector, Empty<Bytes>>;

/// The engine owns it, and calls `fetch` once at a time: it needs no lock and no cache.
struct Metadata {
    client: Hyper,
    url: String,
}

impl TokenSource for Metadata {
    async fn fetch(&mut self, cx: FetchContext) -> Result<AccessToken, TokenError> {
        println!("asked for a token: {:?}, attempt {}", cx.reason(), cx.attempt());
        let request = Request::get(&self.url).body(Empty::new()).map_err(TokenError::misconfigured)?;
        // What may go well next time is transient: the engine backs off, and a token that is still valid goes on serving.
        let response = self.client.request(request).await.map_err(TokenError::transient)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::FORBIDDEN => return Err(TokenError::refused("this machine has no identity")),
            _ => return Err(TokenError::transient("the metadata server is not well").retry_after(Duration::from_secs(1))),
        }
        let lifetime = response.headers().get("x-seconds").and_then(|seconds| seconds.to_str().ok()?.parse().ok());
        let body = response.into_body().collect().await.map_err(TokenError::transient)?.to_bytes();
        let token = AccessToken::new(String::from_utf8_lossy(&body))?;
        Ok(token.expires_in(Duration::from_secs(lifetime.unwrap_or(300))))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let metadata =
        ScriptedServer::start([ScriptedReply::new(200, "one\n").header("x-seconds", "60"), ScriptedReply::new(200, "two\n")])
            .await?;
    let api = ScriptedServer::start([ScriptedReply::new(401, ""), ScriptedReply::new(200, "")]).await?;
    let hyper: Hyper = Client::builder(TokioExecutor::new()).build_http();

    let tokens = TokenHandle::new(Metadata { client: hyper.clone(), url: metadata.base_url() });
    let client = BearerAuthLayer::new(api.base_url().parse::<Origins>()?, tokens).layer(hyper);
    let response = client.oneshot(Request::get(api.base_url()).body(Empty::new())?).await?;
    println!("the API rejected the first token, and answered the second: {}", response.status());
    assert_eq!((response.status(), api.requests().len(), metadata.requests().len()), (StatusCode::OK, 2, 2));
    Ok(())
}
