//! What is a token? Plain values: no async, no I/O, and no clock is read here.

mod access;
mod jwt;
mod refresh;

pub use access::AccessToken;
pub(crate) use access::TokenInner;
#[cfg(feature = "grant")]
pub(crate) use jwt::claims as jwt_claims;
pub use refresh::RefreshToken;
