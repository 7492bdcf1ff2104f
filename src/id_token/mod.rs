//! Who logged in? An id_token (OpenID Connect Core 1.0) says so, once its signature and its claims are checked.

mod algorithm;

pub use algorithm::Algorithm;
#[cfg(feature = "testing")]
pub(crate) use algorithm::KeyKind;
