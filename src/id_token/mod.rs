//! Who logged in? An id_token says so (OpenID Connect Core 1.0), once its signature and its claims are checked.
//!
//! A [`Verifier`] does both, with the keys that the issuer publishes ([`Jwks`]). What comes out is an [`IdToken`]; what is wrong
//! with a token is told by an [`IdTokenError`], and which [`Check`] it failed.
//!
//! The signature is `jsonwebtoken`'s to judge, and nothing else is: libraries have read a claim of the wrong type as absent, and
//! `alg: none` as consent. Here every claim has its JSON type or the token is refused, a member that comes twice refuses it, keys
//! come from one configured URL and never from the token, and no symmetric algorithm can be written down.
//!
//! # Examples
//!
#![cfg_attr(feature = "testing", doc = "```")]
#![cfg_attr(not(feature = "testing"), doc = "```text")]
//! use std::time::{Duration, SystemTime};
//!
//! use serde_json::json;
//! use tower_token::{
//!     id_token::{Algorithm, Check, Expected, Jwks, Verifier},
//!     testing::{IdTokenKey, ScriptedReply, ScriptedServer},
//! };
//!
//! #[derive(serde::Deserialize)]
//! struct Merchant<'a> {
//!     user_name: &'a str,
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // An issuer, and what it says of a login.
//!     let key = IdTokenKey::generate(Algorithm::Es256)?;
//!     let issuer = ScriptedServer::start([ScriptedReply::json(200, key.jwk_set())]).await?;
//!     let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
//!     let id_token = key.sign(&json!({
//!         "iss": "https://issuer.test", "aud": "client-1", "sub": "merchant-7",
//!         "iat": now, "exp": now + 3600, "nonce": "n-1", "user_name": "Thandi",
//!     }))?;
//!
//!     let keys = Jwks::new(format!("{}/jwks.json", issuer.base_url()))?;
//!     let verifier = Verifier::new(keys, "https://issuer.test", "client-1")?.leeway(Duration::from_secs(5));
//!     let login = verifier.verify(&id_token, Expected::new().nonce("n-1")).await?;
//!     assert_eq!((login.subject(), login.claims::<Merchant<'_>>()?.user_name), ("merchant-7", "Thandi"));
//!
//!     let error = verifier.verify(&id_token, Expected::new().nonce("n-2")).await.unwrap_err();
//!     assert_eq!(error.check(), Check::Nonce);
//!     Ok(())
//! }
//! ```

mod algorithm;
mod error;
mod expected;
mod header;
mod json;
mod jwks;
mod jws;
mod key;
mod key_set;
mod rules;
mod token;
mod verifier;

pub use algorithm::Algorithm;
#[cfg(feature = "testing")]
pub(crate) use algorithm::KeyKind;
pub use error::{Check, IdTokenError};
pub use expected::Expected;
pub use jwks::Jwks;
pub use token::IdToken;
pub use verifier::Verifier;
