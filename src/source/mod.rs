//! Where do tokens come from? From a [`TokenSource`]: the one trait that a user implements.
//!
//! The engine owns its source and calls it from one task, so a source is free to keep state without locks.
//!
//! ```
//! use tower_token::{AccessToken, TokenHandle, source_fn};
//!
//! let mut asked = 0;
//! let handle = TokenHandle::new(source_fn(move |_context| {
//!     asked += 1;
//!     async move { AccessToken::new(format!("token-{asked}")) }
//! }));
//! # drop(handle);
//! ```

mod context;
mod fixed;
mod function;
mod token_source;

pub use context::{FetchContext, FetchReason};
pub use fixed::StaticToken;
pub use function::{SourceFn, source_fn};
pub use token_source::TokenSource;
pub(crate) use token_source::{BoxSource, boxed};
