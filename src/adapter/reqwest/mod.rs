//! `reqwest::Client` under the layer, and under token calls.
//!
//! [`ReqwestService`] is a tower service for `http::Request`, so that [`BearerAuthLayer`](crate::BearerAuthLayer) and all of
//! tower's middleware stack on reqwest; [`transport`] carries token calls. For a `reqwest::RequestBuilder` to begin requests with,
//! use the `reqwest_middleware` adapter instead.
//!
//! # Redirects
//!
//! reqwest follows redirects by itself, under the layer's eyes, by default anywhere. On a hop to another origin it takes
//! `Authorization` off, but not a header name of your own; and on a second hop, from a stranger to himself, it puts `Authorization`
//! on again, since each hop starts from the first request's headers (reqwest 0.13.5; tower-http 0.7 has mended it, pull request
//! 706). So nothing here carries a token over a client that follows redirects to strangers:
//!
//! | client | follows | the token |
//! |---|---|---|
//! | [`ReqwestService::new`] | within the list: [`Origins::redirect_policy`](crate::Origins::redirect_policy) | goes to listed origins only |
//! | [`ReqwestService::over_redirect_free`] | nothing, or by that policy, you say | goes where the request goes |
//!
//! An answer from another origin than the request's is marked with [`LeftOrigin`](crate::middleware::LeftOrigin): its 401 says
//! nothing about the token, so that nothing is renewed and nothing sent again. A way back, from one listed origin to another and
//! home again, cannot be seen: there the token is still off, and the 401 costs one renewal and one replay.
//!
//! # TLS
//!
//! Which TLS there is, if any, is up to the features of your own `reqwest` dependency: its default brings rustls. Without, a
//! request to an `https` URL fails to connect, and its error says that the scheme is not http.
//!
//! # Examples
//!
//! ```
//! use http::Request;
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_token::adapter::reqwest::ReqwestService;
//! use tower_token::{BearerAuthLayer, Origins, StaticToken};
//!
//! # async fn example() -> Result<(), tower_token::BoxError> {
//! let origins = "https://api.example.com".parse::<Origins>()?;
//! let service = ReqwestService::new(&origins)?;
//! let client = ServiceBuilder::new().layer(BearerAuthLayer::new(origins, StaticToken::new("secret")?)).service(service);
//!
//! let request = Request::get("https://api.example.com/orders").body(String::new())?;
//! let response = client.clone().oneshot(request).await?; // clones share connections and token
//! let text = reqwest::Response::from(response).text().await?;
//! # drop(text);
//! # Ok(()) }
//! ```

mod body;
mod error;
mod future;
mod redirect;
mod service;
mod transport;

pub use error::ReqwestError;
pub use future::ResponseFuture;
pub use service::ReqwestService;
pub use transport::transport;
#[cfg(feature = "reqwest-middleware")]
pub(super) use {
    redirect::{allows, mark},
    service::client,
};
