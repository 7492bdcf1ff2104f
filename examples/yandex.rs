//! Yandex: a token that a person gets in the browser, and what comes of it when it is revoked.
//!
//! `cargo run --example yandex --features testing` plays it against an emulator on loopback, and fails if anything that it says
//! did not happen. For Yandex itself, leave out `base_url`, and let a person open the link.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Layer, ServiceExt};
use tower_token::{
    BoxError, OAuthHeaderLayer, TokenError, TokenHandle,
    provider::yandex::{ErrorCode, Yandex, authorize_url},
    testing::YandexEmulator,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let emulator = YandexEmulator::start().await?;
    let link = authorize_url(&emulator.client_id())?;
    println!("a person opens {link}");
    let person = || emulator.authorize(&format!("{}?{}", emulator.authorization_url(), link.query().unwrap_or_default()));

    // The address of the page that they see then, or the token that it shows.
    let yandex = Yandex::new(person()?)?.base_url(emulator.base_url())?;
    yandex.check().await?;
    println!("the test call says that the token works");

    let (origins, tokens) = (yandex.origins(), TokenHandle::new(yandex));
    let hyper = Client::builder(TokioExecutor::new()).build_http();
    let client = OAuthHeaderLayer::new(origins, tokens.clone()).layer(hyper);
    let call = || Request::get(format!("{}/api/v1/test", emulator.base_url())).body(Full::<Bytes>::default());
    assert_eq!(client.clone().oneshot(call()?).await?.status(), StatusCode::OK);

    emulator.change_password();
    let response = client.clone().oneshot(call()?).await?;
    let error = response.extensions().get::<TokenError>().ok_or("there is nothing beside the 401")?;
    println!("after a change of the password: {}, {error}", response.status());
    assert_eq!((response.status(), emulator.api().calls()), (StatusCode::UNAUTHORIZED, 3));

    tokens.replace_source_and_reject(Yandex::new(person()?)?.base_url(emulator.base_url())?);
    println!("with a new token: {}", client.oneshot(call()?).await?.status());

    emulator.restrict_account(true);
    let error = Yandex::new(person()?).err().ok_or("a restricted account got a token")?;
    println!("a restricted account: {error}");
    assert_eq!(ErrorCode::of_error(&error), Some(ErrorCode::UnauthorizedClient));
    Ok(())
}
