//! Yonne: key and secret become a token, and an integration is turned off and on again.
//!
//! `cargo run --example yonne --features testing` plays it against an emulator on loopback, and fails if anything that it says
//! did not happen. For Yonne itself, leave out `base_url`; `Yonne::from_env` reads key and secret. The whole story is in `quickstart`.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Layer, ServiceExt};
use tower_token::{
    BoxError, TokenHandle,
    provider::yonne::{ErrorCode, Yonne},
    testing::YonneEmulator,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let emulator = YonneEmulator::start().await?;
    let yonne = || Yonne::new(emulator.api_key(), emulator.api_secret())?.base_url(emulator.base_url());
    let client = yonne()?.layer().layer(Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>());
    let metrics = || Request::get(format!("{}/api/courier/s2s/metrics/summary", emulator.base_url())).body(Full::default());

    println!("a call: {}", client.clone().oneshot(metrics()?).await?.status());
    emulator.revoke_all();
    let again = client.clone().oneshot(metrics()?).await?.status();
    println!("its token was revoked, so there is a new one and the call is sent again: {again}");
    assert_eq!((again, emulator.token_calls()), (StatusCode::OK, 2));

    emulator.disable();
    // A call is a 403 then, which no token would mend: it is handed up as it is.
    let response = client.oneshot(metrics()?).await?;
    let status = response.status();
    let code = ErrorCode::of(status, &response.into_body().collect().await?.to_bytes());
    println!("the integration is turned off: {status}, {code:?}");
    assert_eq!((code, emulator.token_calls()), (Some(ErrorCode::S2sDisabled), 2));

    // And so is a login, which says that a person must act.
    let error = TokenHandle::new(yonne()?).token().await.err().ok_or("a disabled integration got a token")?;
    println!("a program that starts now: {error}");
    assert_eq!(ErrorCode::of_error(&error), Some(ErrorCode::S2sDisabled));
    emulator.enable();
    TokenHandle::new(yonne()?).token().await?;
    println!("and after it was turned on again, it has its token");
    Ok(())
}
