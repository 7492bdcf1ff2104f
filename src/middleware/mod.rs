//! How does a token ride on a request, and what happens on a 401?
//!
//! [`BearerAuthLayer`] and [`OAuthHeaderLayer`] wrap any `tower::Service<http::Request<B>>` whose response is an
//! `http::Response`. Each request to an allowed [origin](Origins) gets the current token; a request that a server answers with
//! 401 gets one new token and is sent once more, if its [replay policy](ReplayPolicy) kept a copy of the body.
//!
//! ```
//! use tower::ServiceBuilder;
//! use tower_token::{BearerAuthLayer, Origins, StaticToken};
//!
//! # fn main() -> Result<(), tower_token::TokenError> {
//! # let client = tower::service_fn(|_: http::Request<String>| async { Ok::<_, std::io::Error>(http::Response::new(String::new())) });
//! let origins = "https://api.example.com".parse::<Origins>()?;
//! let client = ServiceBuilder::new().layer(BearerAuthLayer::new(origins, StaticToken::new("secret")?)).service(client);
//! # drop(client);
//! # Ok(()) }
//! ```

mod bounded_buffer;
mod carrier;
mod challenge;
mod flight;
mod future;
mod header;
mod layer;
mod origin;
mod per_request;
mod replay;
mod service;
mod snapshot;

pub use bounded_buffer::{BoundedBuffer, BufferedBody};
#[cfg(feature = "reqwest-middleware")]
pub(crate) use carrier::{Carrier, Outgoing, Reply};
pub use challenge::Challenge;
#[cfg(feature = "reqwest-middleware")]
pub(crate) use flight::Need;
pub use flight::{LeftOrigin, NotReplayed};
pub use future::ResponseFuture;
pub use header::{Bearer, HeaderStyle, OAuth, Scheme};
#[cfg(feature = "reqwest-middleware")]
pub(crate) use layer::Common;
pub use layer::{AuthLayer, BearerAuthLayer, CallerHeader, Generation, OAuthHeaderLayer, OnUnavailable, ReplayMethods};
#[cfg(any(feature = "provider", feature = "reqwest"))]
pub(crate) use origin::Destination;
pub use origin::Origins;
pub use per_request::{NewToken, NoReplay};
pub use replay::{CloneBody, Kept, Known, KnownOrEmpty, Never, ReplayPolicy, ReplayWith};
pub use service::AuthService;
