//! What else should I know?
//!
//! Why the crate is as it is, and what to expect of it.
//!
//! | page | for whom |
//! |---|---|
#![cfg_attr(
    all(feature = "testing", feature = "reqwest-middleware"),
    doc = "| [`cookbook`] | who wants to get something done: recipes, and the way over from other crates |"
)]
//! | [`design`] | who wants to know what happens to a request, and why not in another way |
//! | [`security`] | who reviews the crate: what is guaranteed, by which test, and what is not |
//! | [`limitations`] | everybody, once: what not to do |
//! | [`observability`] | who watches it: spans, events, metrics, and what to alert on |
//! | [`performance`] | who runs it under load |

/// Of everything that it shows, so it needs the features `testing` and `reqwest-middleware`.
#[cfg(all(feature = "testing", feature = "reqwest-middleware"))]
#[doc = include_str!("cookbook.md")]
pub mod cookbook {}

#[doc = include_str!("design.md")]
pub mod design {}

#[doc = include_str!("limitations.md")]
pub mod limitations {}

#[doc = include_str!("observability.md")]
pub mod observability {}

#[doc = include_str!("performance.md")]
pub mod performance {}

#[doc = include_str!("security.md")]
pub mod security {}
