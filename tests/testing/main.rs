//! The servers for tests keep their word.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

mod client;
mod endpoint;
mod scripted;
mod yandex;
mod yoco;
mod yolcu360;
mod yonne;
mod younium;
