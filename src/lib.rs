#![cfg_attr(docsrs, feature(doc_cfg))]
//! Tower middleware that authenticates **outgoing** HTTP requests.
//!
//! A layer wraps any HTTP `tower::Service`, puts the current access token on each request, keeps that token fresh in the
//! background, and when a server still answers 401, gets one new token and sends the request once more. Tokens come from a
//! [`TokenSource`]: a vendor that this crate knows, a description of one that it does not, or a closure of yours.
//!
//! Written by hand, it easily goes wrong: a failed refresh evicts a token that was still good, a late
//! 401 kills a fresh one, a redirect carries the token to a stranger, a dropped request takes the refresh down with it. Here
//! one task owns the refresh, every token has a generation, and no token goes to an origin that was not listed.
//!
//! # A client
//!
//! ```no_run
//! # #[cfg(all(feature = "client", feature = "provider"))]
//! # async fn example() -> Result<(), tower_token::BoxError> {
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_token::{BearerAuthLayer, Origins, adapter::hyper::HyperClient, provider::yonne::Yonne};
//!
//! let origins = "https://api.yonne.app".parse::<Origins>()?;
//! let layer = BearerAuthLayer::new(origins, Yonne::from_env()?);
//! let client = ServiceBuilder::new().layer(layer).service(HyperClient::new()?);
//!
//! let url = "https://api.yonne.app/api/courier/s2s/metrics/summary";
//! let response = client.oneshot(http::Request::get(url).body(String::new())?).await?;
//! # drop(response);
//! # Ok(()) }
//! ```
//!
//! # The rooms
//!
//! Each answers one question, in the order in which data meets it. An import points to a lower rank or stays in its room.
//!
//! | room | rank | question |
//! |---|---|---|
//! | `error`: [`TokenError`], [`AuthError`] | 0 | What can go wrong? |
//! | [`clock`] | 0 | Where do time, sleep and spawn come from? |
//! | [`observe`] | 0 | Who is told what happens? |
//! | `sync` | 0 | Where do the engine's locks and atomics come from? |
//! | `token`: [`AccessToken`], [`RefreshToken`] | 0 | What is a token? |
//! | [`source`] | 1 | Where do tokens come from? |
//! | [`transport`] | 1 | How do token calls travel? |
#![cfg_attr(feature = "grant", doc = "| [`store`] | 1 | Where does a refresh token survive? |")]
#![cfg_attr(not(feature = "grant"), doc = "| `store` | 1 | Where does a refresh token survive? |")]
//! | [`refresh`] | 2 | When is a token renewed? |
#![cfg_attr(feature = "grant", doc = "| [`grant`] | 2 | How is one asked for? |")]
#![cfg_attr(not(feature = "grant"), doc = "| `grant` | 2 | How is one asked for? |")]
#![cfg_attr(feature = "id-token", doc = "| [`id_token`] | 2 | Who logged in? |")]
#![cfg_attr(not(feature = "id-token"), doc = "| `id_token` | 2 | Who logged in? |")]
//! | [`middleware`] | 3 | How does it ride on a request, and what happens on a 401? |
#![cfg_attr(feature = "provider", doc = "| [`provider`] | 4 | Which quirks has a vendor? |")]
#![cfg_attr(not(feature = "provider"), doc = "| `provider` | 4 | Which quirks has a vendor? |")]
#![cfg_attr(any(feature = "client", feature = "reqwest"), doc = "| [`adapter`] | 4 | Who carries the bytes? |")]
#![cfg_attr(not(any(feature = "client", feature = "reqwest")), doc = "| `adapter` | 4 | Who carries the bytes? |")]
#![cfg_attr(feature = "testing", doc = "| [`testing`] | 5 | Who plays the server in a test? |")]
#![cfg_attr(not(feature = "testing"), doc = "| `testing` | 5 | Who plays the server in a test? |")]
//! | [`guide`] | prose | How do I, why is it so, what is guaranteed, what should I not do, what does it do under load? |
//!
//! # Features
//!
//! | feature | brings | default |
//! |---|---|---|
//! | `grant` | exchanges described as data, and the grants of OAuth 2.0, over any transport; stores for refresh tokens; `RefreshConfig::jwt_exp_hint` | yes |
//! | `client` | `adapter::hyper`, and the default client for token calls: rustls, the platform's roots | yes |
//! | `provider` | the vendors; implies `grant` | yes |
//! | `id-token` | id_tokens: signatures by `jsonwebtoken` over aws-lc-rs; implies `grant` | |
//! | `reqwest` | the layer over `reqwest::Client`, and token calls over it | |
//! | `reqwest-middleware` | the layer as a middleware of `reqwest-middleware`; implies `reqwest` | |
//! | `tracing` | a span around each fetch, and events: see [`observe`] | |
//! | `metrics` | counters, histograms and gauges, by the `metrics` facade | |
//! | `testing` | emulators, a scripted server, a clock set by hand; implies `client`, `provider` and `id-token` | |
//!
//! Without any, the core remains: layers, engine, and sources of your own.

#[cfg(any(feature = "client", feature = "reqwest"))]
pub mod adapter;
pub mod clock;
mod error;
#[cfg(feature = "grant")]
pub mod grant;
pub mod guide;
#[cfg(feature = "id-token")]
pub mod id_token;
pub mod middleware;
pub mod observe;
#[cfg(feature = "provider")]
pub mod provider;
pub mod refresh;
pub mod source;
#[cfg(feature = "grant")]
pub mod store;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod token;
pub mod transport;

pub use error::{AuthError, BoxError, ErrorKind, TokenError};
pub use middleware::{BearerAuthLayer, OAuthHeaderLayer, Origins};
pub use refresh::{RefreshConfig, TokenHandle};
pub use source::{FetchContext, FetchReason, StaticToken, TokenSource, source_fn};
pub use token::{AccessToken, RefreshToken};
pub use transport::Transport;

/// The README's examples compile.
#[cfg(all(doctest, feature = "client", feature = "provider", feature = "reqwest-middleware"))]
#[doc = include_str!("../README.md")]
mod readme {}
