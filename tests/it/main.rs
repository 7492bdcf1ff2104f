//! One file per group of rules. `http` and its like run over real HTTP on loopback; the others, which are about time, readiness
//! and runtimes, run over services made of closures.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clocks;
mod contract;
mod early;
mod hostile;
mod hpack;
mod http;
mod hyper_client;
mod origin_matrix;
mod per_request;
mod posts;
mod readiness;
mod runtime;
mod secrets;
mod sends;
mod server;
mod streams;
mod support;
mod sweep;
mod traits;
mod waiting;
