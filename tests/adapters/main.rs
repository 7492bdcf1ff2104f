//! The layer over reqwest, as a tower service and as a middleware, and token calls over it: real HTTP on loopback.
#![cfg(all(feature = "reqwest-middleware", feature = "testing"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bodies;
mod errors;
mod headers;
mod middleware;
mod redirects;
mod retries;
mod support;
mod transport;
