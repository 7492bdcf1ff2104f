//! Younium: a login, and calls about one of a tenant's legal entities.
//!
//! `cargo run --example younium --features testing` plays it against an emulator on loopback, and fails if anything that it
//! says did not happen. For Younium itself, leave out `base_url` and take client id and secret key from a personal token.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Layer, ServiceExt};
use tower_token::{
    BoxError,
    provider::younium::{Environment, Younium},
    testing::YouniumEmulator,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let emulator = YouniumEmulator::start().await?;
    emulator.set_legal_entities([("1f0a", "Acme AB"), ("2b7c", "Ücretli Araçlar")]);
    let younium = || Younium::new(Environment::Sandbox, emulator.client_id(), emulator.secret())?.base_url(emulator.base_url());
    let hyper = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let invoices = || Request::get(format!("{}/Invoices", emulator.base_url())).body(Full::default());

    let client = younium()?.layer_for("Ücretli Araçlar")?.layer(hyper.clone());
    println!("a call: {}", client.clone().oneshot(invoices()?).await?.status());

    emulator.revoke_all();
    let again = client.oneshot(invoices()?).await?.status();
    println!("its token was revoked, so there is a new one and the call is sent again: {again}");
    assert_eq!((again, emulator.token_endpoint().calls()), (StatusCode::OK, 2));

    // No token helps against a 403: it is handed up with its reason.
    let client = younium()?.layer_for("Nobody AB")?.layer(hyper);
    let response = client.oneshot(invoices()?).await?;
    let status = response.status();
    let reason = response.into_body().collect().await?.to_bytes();
    println!("of a legal entity that is not the tenant's: {status}, {}", String::from_utf8_lossy(&reason));
    assert_eq!((status, emulator.token_endpoint().calls()), (StatusCode::FORBIDDEN, 3));

    let split = younium()?.layer_for("Acme AB\r\nx-admin: 1").err().ok_or("a line break got into a header")?;
    println!("of one with a line break: {split}");
    Ok(())
}
