//! Who carries the bytes? Clients that are no plain hyper, under the layer or in its place.
//!
//! | module | feature | what it is |
//! |---|---|---|
#![cfg_attr(
    feature = "reqwest",
    doc = "| [`reqwest`](self::reqwest) | `reqwest` | a tower service over `reqwest::Client`, for the layer to stand on; token calls over it; `Origins::redirect_policy` |"
)]
#![cfg_attr(
    feature = "reqwest-middleware",
    doc = "| [`reqwest_middleware`](self::reqwest_middleware) | `reqwest-middleware` | the layer as a `Middleware` |"
)]

#[cfg(feature = "reqwest")]
pub mod reqwest;
#[cfg(feature = "reqwest-middleware")]
pub mod reqwest_middleware;
