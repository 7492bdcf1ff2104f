//! Younium: billing, by its API's "auth v1".
//!
//! [`Younium`] exchanges the client id and the secret key of a personal token for a JWT that lives 24 hours, in one of four
//! [`Environment`]s; [`LegalEntity`] says which of a tenant's legal entities a call is about.
//!
//! # Examples
//!
//! Against the emulator. For Younium itself, leave out `base_url`.
//!
//! ```
//! # #[cfg(feature = "testing")] {
//! use bytes::Bytes;
//! use http::Request;
//! use http_body_util::Full;
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_token::{provider::younium::{Environment, Younium}, testing::YouniumEmulator};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let emulator = YouniumEmulator::start().await?;
//! emulator.set_legal_entities([("1f0a", "Acme AB"), ("2b7c", "Ücretli Araçlar")]);
//!
//! let younium = Younium::new(Environment::Production, emulator.client_id(), emulator.secret())?.base_url(emulator.base_url())?;
//! let client = ServiceBuilder::new()
//!     .layer(younium.layer_for("Ücretli Araçlar")?)
//!     .service(Client::builder(TokioExecutor::new()).build_http());
//!
//! let request = Request::get(format!("{}/Invoices", emulator.base_url())).body(Full::<Bytes>::default())?;
//! assert_eq!(client.oneshot(request).await?.status(), 200);
//! # Ok::<(), tower_token::BoxError>(())
//! # })?;
//! # }
//! # Ok::<(), tower_token::BoxError>(())
//! ```
//!
//! # What the page leaves open, and the reading chosen here
//!
//! - **The body of an error** is `{ errors: ["<Error message>"] }` on the page, without quotes around the name, so that it is
//!   not JSON. So the status decides: 400 and 401 from the token endpoint are `Refused` whatever their body, as the page has them
//!   mean "Invalid credentials or other authentication issues". What it does not list there is judged [as
//!   usual](crate::grant#how-a-reply-is-judged).
//! - **Error codes.** There are none. A message of a refused login that is a single word, in a body that is JSON, is
//!   [`TokenError::code`](crate::TokenError::code).
//! - **Two expiries.** `expiresIn`, which needs no clock of Younium's, comes before `expires`. The page's example of the latter
//!   says "Thu" of a Sunday, so a wrong day of the week is forgiven.
//! - **"valid for 24 hours".** The reply is followed and not the page. The token is renewed in the background, within the last
//!   hour of the 24, though the page says to request a new one "Once expired": no call waits for it.
//! - **`refreshToken`.** The page names no endpoint that takes it. It is not kept; the credentials are sent again.
//! - **401 at an API call** ("Token is missing, has expired, or is invalid") is answered by the layer with a new token and a second
//!   sending.
//! - **403 at an API call** ("Invalid or missing legal-entity header", "Insufficient user permissions", "Restricted access") is handed
//!   up whole, with its reason in the body, and renews nothing, since no token would help.
//! - **`legal-entity`** is an id or a name. How a name in another script than Latin is to be written is left open: it is sent as
//!   UTF-8.
//! - **`Content-Type: application/json`**, which the page puts on each call, is the caller's to set: it depends on the body.

mod environment;
mod legal_entity;
mod source;

pub use environment::Environment;
pub use legal_entity::LegalEntity;
pub use source::{Younium, YouniumLayer, token_endpoint};

const VENDOR: &str = "Younium";
