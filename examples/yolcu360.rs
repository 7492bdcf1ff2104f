//! Yolcu360: a login with key and secret, calls, and a renewal with the refresh token, which changes each time.
//!
//! `cargo run --example yolcu360 --features testing` plays it against an emulator on loopback, and fails if anything that it
//! says did not happen. For Yolcu360 itself, leave out `base_url` and take key and secret from the agency portal.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Layer, ServiceExt};
use tower_token::{
    BearerAuthLayer, BoxError, TokenHandle, provider::yolcu360::Yolcu360, store::MemoryStore, testing::Yolcu360Emulator,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let emulator = Yolcu360Emulator::start().await?;
    let base_url = format!("{}/api/v1", emulator.base_url());

    // A store that survives a restart goes on with the same login after it; this one is the default, and does not.
    let yolcu360 = Yolcu360::new(emulator.key(), emulator.secret())?.base_url(&base_url)?.store(MemoryStore::new());
    // In one call it would be `yolcu360.layer()`; the handle is here to ask for a renewal.
    let (origins, tokens) = (yolcu360.origins(), TokenHandle::new(yolcu360));
    let hyper = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let client = BearerAuthLayer::new(origins, tokens.clone()).layer(hyper);
    let call = async || {
        let request = Request::get(format!("{base_url}/locations?query=istanbul")).body(Full::default())?;
        Ok::<_, BoxError>(client.clone().oneshot(request).await?.status())
    };

    println!("first call: {}", call().await?);
    assert_eq!((emulator.login_endpoint().calls(), emulator.refresh_endpoint().calls()), (1, 0));

    emulator.expire_access_tokens();
    println!("its token has expired on the way, so it is renewed and the call is sent again: {}", call().await?);
    assert_eq!((emulator.login_endpoint().calls(), emulator.refresh_endpoint().calls()), (1, 1));

    emulator.expire_access_tokens();
    emulator.revoke_refresh_tokens();
    tokens.reset(); // asks for a new token now
    println!("the refresh token is dead too, so key and secret log in: {}", call().await?);
    assert_eq!(emulator.login_endpoint().calls(), 2);
    assert!(emulator.presentations().iter().all(|times| *times <= 1), "no refresh token was sent twice");
    Ok(())
}
