//! For tests, yours too: servers on loopback that play a token endpoint and its API, and a clock that is set by hand.
//!
//! A client is only as good as the failures that it was tested with: a token revoked in the middle of the day, a token
//! endpoint that is down, hangs or answers with half a reply. These servers do all of it on demand, over real sockets.
//! [`YonneEmulator`], [`Yolcu360Emulator`], [`YouniumEmulator`], [`YocoEmulator`] and [`YandexEmulator`] each play a vendor as
//! its documentation has it; [`ScriptedServer`] plays what no documentation mentions.
//!
//! All but Yonne's are made of [`Endpoint`]s, each of which can be given a [`Fault`]: a status, a spoilt body, or an answer that
//! is lost after the server has acted.
//! [`IdTokenKey`] signs what an issuer would, and what it would not.
//!
//! Tests written with them need no sleeps. A [`Hold`] parks calls until the test lets them go, the `.._reached` methods wait
//! for calls to arrive, and [`ManualClock`] makes a day pass at once, for the client, the server, or both. Do not use them
//! under tokio's paused time: it runs ahead whenever a task waits for a socket.
//!
//! # Examples
//!
//! A token that is good until it is revoked. Any client will do; a layer of this crate would have logged in again.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, StatusCode, header};
//! use http_body_util::{BodyExt, Full};
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use tower_token::testing::{YonneCode, YonneEmulator};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let yonne = YonneEmulator::start().await?;
//!     let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
//!
//!     let credentials = format!(r#"{{"api_key":"{}","api_secret":"{}"}}"#, yonne.api_key(), yonne.api_secret());
//!     let login = Request::post(format!("{}/api/courier/s2s/auth/token", yonne.base_url()))
//!         .header(header::CONTENT_TYPE, "application/json")
//!         .body(Full::from(credentials))?;
//!     let reply = client.request(login).await?.into_body().collect().await?.to_bytes();
//!     let reply: serde_json::Value = serde_json::from_slice(&reply)?;
//!     let token = reply["token"].as_str().unwrap_or_default();
//!
//!     let call = || {
//!         Request::get(format!("{}/api/courier/s2s/metrics/summary", yonne.base_url()))
//!             .header(header::AUTHORIZATION, format!("Bearer {token}"))
//!             .body(Full::default())
//!     };
//!     assert_eq!(client.request(call()?).await?.status(), StatusCode::OK);
//!
//!     yonne.revoke_all();
//!     assert_eq!(client.request(call()?).await?.status(), StatusCode::UNAUTHORIZED);
//!     assert_eq!((yonne.token_calls(), yonne.answers(YonneCode::TokenInvalid)), (1, 1));
//!     Ok(())
//! }
//! ```

mod api_call;
mod endpoint;
mod error_shape;
mod fault;
mod gate;
mod id_token_key;
mod jwt;
mod ledger;
mod log;
mod message;
mod opaque_tokens;
mod params;
mod payload;
mod random;
mod refresh_tokens;
mod scripted;
mod server;
mod setting;
mod yandex;
mod yoco;
mod yolcu360;
mod yonne;
mod younium;

pub use crate::clock::ManualClock;
pub use api_call::{ApiCall, ApiOutcome};
pub use endpoint::Endpoint;
pub use error_shape::ErrorShape;
pub use fault::Fault;
pub use gate::Hold;
pub use id_token_key::IdTokenKey;
pub use refresh_tokens::RefreshReuse;
pub use scripted::{ScriptedReply, ScriptedRequest, ScriptedServer};
pub use yandex::YandexEmulator;
pub use yoco::{YocoEmulator, YocoSignature};
pub use yolcu360::{Yolcu360Code, Yolcu360Emulator};
pub use yonne::{YonneCall, YonneCode, YonneEmulator};
pub use younium::{YouniumEmulator, YouniumForbidden};
