//! Who carries the bytes? Clients for the layer to stand on, or to be a middleware of.
//!
//! | module | feature | what it is |
//! |---|---|---|
#![cfg_attr(feature = "client", doc = "| [`hyper`] | `client` | hyper's client, assembled, for the layer to stand on |")]
#![cfg_attr(
    feature = "reqwest",
    doc = "| [`reqwest`] | `reqwest` | a tower service over `reqwest::Client`, for the layer to stand on; token calls over it; `Origins::redirect_policy` |"
)]
#![cfg_attr(
    feature = "reqwest-middleware",
    doc = "| [`reqwest_middleware`] | `reqwest-middleware` | the layer as a `Middleware` |"
)]

#[cfg(feature = "client")]
pub mod hyper;
#[cfg(feature = "reqwest")]
pub mod reqwest;
#[cfg(feature = "reqwest-middleware")]
pub mod reqwest_middleware;
