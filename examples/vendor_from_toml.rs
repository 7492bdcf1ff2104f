//! A vendor that this crate does not know, as ten lines of data: `vendor.toml`, and the same in `vendor.json`.
//!
//! `cargo run --example vendor_from_toml --features testing` plays it against a scripted server on loopback, and fails if
//! anything that it says did not happen.

use tower_token::{
    BoxError, TokenHandle, Transport,
    grant::TokenEndpoint,
    testing::{ScriptedReply, ScriptedRequest, ScriptedServer},
};

/// Acme: a login, and a renewal in which the refresh token changes.
fn acme(request: &ScriptedRequest) -> ScriptedReply {
    match (request.path.as_str(), &request.body[..]) {
        ("/v2/session", b"app=k-1&pass=s%261") => {
            ScriptedReply::json(201, r#"{"data": {"jwt": "one", "ttl": "3600", "renewal": "r-1"}}"#)
        }
        ("/v2/session/renew", b"renewal=r-1") => {
            ScriptedReply::json(200, r#"{"data": {"jwt": "two", "until": 32503680000000, "renewal": "r-2"}}"#)
        }
        _ => ScriptedReply::json(403, r#"{"errors": [{"text": "Away with you!"}, {"code": "E_LOCKED"}]}"#),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let server = ScriptedServer::start_with(acme).await?;
    let here = |text: &str| text.replace("https://api.acme.test", &server.base_url());
    let endpoint: TokenEndpoint = toml::from_str(&here(include_str!("vendor.toml")))?;
    assert_eq!(endpoint, serde_json::from_str(&here(include_str!("vendor.json")))?);

    let tokens = TokenHandle::new(endpoint.source(Transport::client()?, [("key", "k-1"), ("secret", "s&1")])?);
    let first = tokens.token().await?;
    println!("logged in: {first:?}");
    tokens.reset(); // asks for a new token now
    while tokens.token().await?.generation() == first.generation() {
        tokio::task::yield_now().await;
    }
    println!("renewed with the refresh token: {:?}", tokens.token().await?);
    assert_eq!(tokens.token().await?.expose_secret(), "two");
    assert_eq!(server.requests().len(), 2);

    let wrong = TokenHandle::new(endpoint.source(Transport::client()?, [("key", "k-1"), ("secret", "wrong")])?);
    let error = wrong.token().await.err().ok_or("a wrong secret was good enough")?;
    println!("a wrong secret: {error}");
    assert_eq!(error.code(), Some("E_LOCKED"));
    Ok(())
}
