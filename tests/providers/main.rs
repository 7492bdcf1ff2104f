//! The vendors' pages, sentence by sentence.
//!
//! Each sentence is a row: what it says, and a check over real HTTP that it is so, through the vendor's own source and layer
//! and against its emulator. What a page says that is no client's business is in its second table, with the reason; headings and
//! frames of tables say nothing. A row in other words than the page's is of what it leaves open.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

mod client;
mod page;
mod yandex;
mod yoco;
mod yolcu360;
mod yonne;
mod younium;
