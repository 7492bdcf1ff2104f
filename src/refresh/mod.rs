//! When is a token renewed? One task per [`TokenHandle`] owns the source, renews the token before it expires and swaps it
//! atomically under the requests.
//!
//! ```text
//!   requests ──read──▶ cell ◀──publish── shared ◀──finish── driver ──fetch──▶ TokenSource
//!      └──ask, reject──────────────────▶ (machine: State × Event → State, pure)
//! ```
//!
//! Every rule about keeping, publishing and dropping a token is in the pure machine; the driver alone sleeps and fetches.
//!
//! ```
//! use tower_token::{AccessToken, TokenHandle, source_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tower_token::TokenError> {
//! let handle = TokenHandle::new(source_fn(|_cx| async { AccessToken::new("secret") }));
//! assert_eq!(handle.token().await?.expose_secret(), "secret");
//! # Ok(()) }
//! ```

mod builder;
mod cell;
mod config;
mod driver;
mod handle;
mod machine;
mod schedule;
mod shared;
mod status;
mod traffic;

pub use builder::TokenHandleBuilder;
pub(crate) use cell::Cell;
pub use config::RefreshConfig;
pub use driver::Driver;
pub use handle::TokenHandle;
pub(crate) use machine::Ask;
pub(crate) use shared::Answer;
pub use status::{RefreshState, Status};
