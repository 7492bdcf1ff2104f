//! Who logged in: forged and honest id_tokens, and the keys of an issuer over real sockets.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

mod claims;
mod forged;
mod keys;
mod support;
