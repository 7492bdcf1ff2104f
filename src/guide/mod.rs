//! What else should I know?
//!
//! Why the crate is as it is, and what to expect of it.
//!
//! | page | for whom |
//! |---|---|
//! | [`design`] | who wants to know what happens to a request, and why not in another way |
//! | [`security`] | who reviews the crate: what is guaranteed, by which test, and what is not |
//! | [`limitations`] | everybody, once: what not to do |
//! | [`observability`] | who watches it: spans, events, metrics, and what to alert on |
//! | [`performance`] | who runs it under load |

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
