//! The layer as a `Middleware` of `reqwest-middleware`, with the same guarantees.
//!
//! [`AuthMiddleware`] is made of a [layer](crate::middleware::AuthLayer) with all its options; [`client`] makes the whole client.
//!
//! | what | where |
//! |---|---|
//! | [`NoReplay`](crate::middleware::NoReplay), [`NewToken`](crate::middleware::NewToken) | the request's `with_extension` |
//! | [`NotReplayed`](crate::middleware::NotReplayed), [`Challenge`](crate::middleware::Challenge), [`Generation`](crate::middleware::Generation), a [`TokenError`](crate::TokenError) beside a 401 | the response's `extensions` |
//! | the [`TokenError`](crate::TokenError) of a request that was not sent | `reqwest_middleware::Error::Middleware`, to be downcast |
//! | reqwest's own errors | `reqwest_middleware::Error::Reqwest`, as they are: their URL may hold secrets, `without_url` takes it off |
//!
//! # Order
//!
//! The first middleware that is attached is the outermost. A retry middleware outside (attached before) goes through this one
//! each time, with the token of that time; one inside (attached after) repeats a request with the token that it has, and its last
//! answer is looked at. What is attached after this sees the token, and so does whoever it sends the request to. An answer that
//! such a middleware makes by itself counts as one from another origin, unless it is given the request's URL
//! (`reqwest::ResponseBuilderExt`).
//!
//! # Headers that are there already
//!
//! A header of the caller's is kept or replaced, as [the layer says](crate::middleware::AuthLayer::caller_header); reqwest makes
//! one of the user info in a URL, too. A default header of the client's is only added where there is none: on a request with a
//! token it stays off, on one to a foreign origin it goes out as it would without this.
//!
//! # Redirects
//!
//! | client | follows | the token |
//! |---|---|---|
//! | [`client`] | within the list: [`Origins::redirect_policy`](crate::Origins::redirect_policy) | goes to listed origins only |
//! | [`AuthMiddleware::new_redirect_free`] | nothing, or by that policy, you say | goes where the request goes |
//!
//! A client that follows redirects to strangers gives the token away, under whatever header: see
//! [`adapter::reqwest`](crate::adapter::reqwest).
//!
//! A 401 from another origin than the request's says nothing about the token: it is handed back with
//! [`LeftOrigin`](crate::middleware::LeftOrigin) in its extensions. A way back, from one listed origin to another and home
//! again, cannot be seen: there the token is still off, and the 401 costs one renewal and one replay.
//!
//! # Examples
//!
//! ```
//! use tower_token::adapter::reqwest_middleware::client;
//! use tower_token::{BearerAuthLayer, Origins, StaticToken};
//!
//! # async fn example() -> Result<(), tower_token::BoxError> {
//! let origins = "https://api.example.com".parse::<Origins>()?;
//! let client = client(BearerAuthLayer::new(origins, StaticToken::new("secret")?))?;
//!
//! let response = client.get("https://api.example.com/orders").send().await?;
//! # drop(response);
//! # Ok(()) }
//! ```
//!
//! There is none without origins:
//!
//! ```compile_fail,E0061
//! # use tower_token::{BearerAuthLayer, StaticToken, adapter::reqwest_middleware::client};
//! # fn main() -> Result<(), tower_token::TokenError> {
//! let client = client(BearerAuthLayer::new(StaticToken::new("secret")?))?;
//! # Ok(()) }
//! ```

mod auth;
mod copy;
mod rest;

pub use auth::{AuthMiddleware, client};
