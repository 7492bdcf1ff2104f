//! Against a real authorization server, `oidc-provider` in Node, and a resource server that looks its tokens up there:
//! `README.md` beside this file says how to run it. Without Node, each test passes and says on standard error that it was SKIPPED.
#![cfg(all(unix, feature = "testing"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod browser;
#[path = "../providers/client.rs"]
#[expect(dead_code, reason = "the tests of the vendors use the rest")]
mod client;
mod client_credentials;
mod discovery;
mod id_tokens;
mod login;
mod outage;
mod resource;
mod rotation;
mod server;
mod world;
