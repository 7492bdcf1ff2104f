//! What happens inside, told to whoever listens: spans and events by `tracing`, numbers by `metrics`, each behind the feature of that
//! name.
//!
//! Both are facades: nothing is written or sent anywhere unless your program installs a subscriber or a recorder. The
//! [guide](crate::guide::observability) lists every span, event, field, metric and label, and what to alert on.
//!
//! - A request that finds its token at hand tells nobody, and costs what it costs without the features.
//! - No signal holds a secret, a URL beyond host and port, a body, or text that a server chose. Label values are words of this crate, and the engine's
//!   [name](crate::RefreshConfig::name), which is yours.
//! - Subscribers and recorders are called outside the engine's lock, so that they may use a handle. A panic of theirs is caught.
#![cfg_attr(
    feature = "metrics",
    doc = r#"
```
tower_token::observe::describe_metrics(); // once, after the recorder was installed
```"#
)]

mod call;
mod engine;
mod event;
mod fetch;
#[cfg(feature = "metrics")]
mod meter;
#[cfg(not(feature = "metrics"))]
#[path = "no_meter.rs"]
mod meter;
mod metric;
mod shield;
#[cfg(feature = "grant")]
mod store;
#[cfg(feature = "tracing")]
mod trace;
#[cfg(not(feature = "tracing"))]
#[path = "no_trace.rs"]
mod trace;
mod wait;

pub(crate) use call::Call;
pub(crate) use engine::{Engine, Expiry, Loss, Replay};
pub(crate) use fetch::{Ending, Fetch};
#[cfg(feature = "metrics")]
pub use meter::describe_metrics;
#[cfg(feature = "grant")]
pub(crate) use store::{Unsaved, store_failed};
#[cfg(feature = "grant")]
pub(crate) use trace::nested;
