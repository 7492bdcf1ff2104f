#![cfg_attr(docsrs, feature(doc_cfg))]
//! Tower middleware that authenticates **outgoing** HTTP requests.

pub mod clock;
mod error;
#[cfg(feature = "grant")]
pub mod grant;
pub mod middleware;
#[cfg(feature = "provider")]
pub mod provider;
pub mod refresh;
pub mod source;
#[cfg(feature = "testing")]
pub mod testing;
mod token;
pub mod transport;

pub use error::{AuthError, BoxError, ErrorKind, TokenError};
pub use middleware::{BearerAuthLayer, OAuthHeaderLayer, Origins};
pub use refresh::{RefreshConfig, TokenHandle};
pub use source::{FetchContext, FetchReason, StaticToken, TokenSource, source_fn};
pub use token::AccessToken;
pub use transport::Transport;
