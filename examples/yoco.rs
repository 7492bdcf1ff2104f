//! A merchant of Yoco's logs in, the app calls the API on its behalf, restarts without a login, and logs out.
//!
//! `cargo run --example yoco --features testing` plays Yoco on loopback, and fails if what it says did not happen.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{Layer, ServiceExt};
use tower_token::{
    BoxError, TokenHandle,
    grant::oauth::UserLogin,
    provider::yoco::{Environment, Yoco},
    store::MemoryStore,
    testing::YocoEmulator,
};

async fn orders(yoco: &Yoco, user: &UserLogin, url: &str) -> Result<StatusCode, BoxError> {
    let hyper: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    Ok(yoco.layer(user)?.layer(hyper).oneshot(Request::get(url).body(Empty::new())?).await?.status())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let emulator = YocoEmulator::start().await?;
    let environment = Environment::at(emulator.base_url())? // in production, `sandbox()` or `live()`
        .authorization_endpoint(emulator.authorization_url())
        .revocation_endpoint(emulator.revocation_url())
        .api_base(emulator.base_url());
    let (id, secret) = (emulator.client_id(), emulator.client_secret());
    let yoco = Yoco::new(environment, id, secret, "https://client.example/callback")?.scopes(["business/orders:read"])?;

    let store = MemoryStore::new(); // in production, one that outlives the process
    let user = yoco.user_in(store.clone());
    let (login_url, pending) = yoco.begin()?;
    let callback = emulator.authorize(&login_url.to_string())?; // in production, the merchant's browser
    let login = pending.finish(&callback).await?;
    let merchant = yoco.merchant(&login).await?;
    println!("{} has logged in for {:?}", merchant.name().unwrap_or("somebody"), merchant.authorized_business_id());
    user.begin(login).await?;
    let url = format!("{}/v1/orders", emulator.base_url());
    println!("the orders: {}", orders(&yoco, &user, &url).await?);

    emulator.expire_access_tokens();
    let user = yoco.user_in(store); // a restart: the store knows the rest
    println!("and after a restart: {}", orders(&yoco, &user, &url).await?);
    assert_eq!((emulator.token_calls("authorization_code"), emulator.token_calls("refresh_token")), (1, 1));

    user.end().await?;
    let error = TokenHandle::new(user.source()).token().await.err().ok_or("a login that has ended gave a token")?;
    println!("and after the logout: {error}");
    assert_eq!(emulator.revocation_endpoint().answers(StatusCode::OK), 1);
    Ok(())
}
