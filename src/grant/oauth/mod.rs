//! How is a token asked for by OAuth 2.0? By one of its grants, of a [`Server`] and for a [`Client`].
//!
//! [`ClientCredentials`] are a program's own access. A user's begins with the [`AuthorizationCode`] and is continued by the
//! [`RefreshGrant`]; a [`UserLogin`] keeps it in a store, and is where its tokens come from. [`Revocation`] ends tokens.
//!
//! Every parameter is checked where it is given, and encoded where it is sent. A reply is read leniently: a lifetime in a string,
//! scopes in an array, a field that is there twice spoil nothing, and a new refresh token is taken out of any reply in which it can
//! be read, since the server has forgotten the old one.
//!
//! # Examples
//!
//! A program's own access, of a server that is asked where its endpoints are:
//!
//! ```no_run
//! # #[cfg(feature = "client")]
//! # async fn example() -> Result<(), tower_token::TokenError> {
//! use std::sync::Arc;
//! use tower_token::{TokenHandle, Transport, clock::{Clock, TokioClock}, grant::oauth::{Client, ClientCredentials, Server}};
//!
//! let transport = Transport::client()?;
//! let clock: Arc<dyn Clock> = Arc::new(TokioClock);
//! let server = Server::discover("https://as.vendor.test", transport.clone(), &clock).await?;
//! let client = Client::basic("my-app", std::env::var("CLIENT_SECRET").map_err(tower_token::TokenError::misconfigured)?)?;
//! let handle = TokenHandle::new(ClientCredentials::new(&server, client, transport)?.scopes(["orders:read"])?);
//! # drop(handle);
//! # Ok(()) }
//! ```
//!
//! # What a code means
//!
//! Of a reply that brings no token, and of a callback. `Refused` and `Misconfigured` both wait for a person; which of them it is
//! says whom. Without one of these codes the status decides, as [for any endpoint](crate::grant#how-a-reply-is-judged); in a
//! callback, which has none, an unknown code is `Refused`.
//!
//! | code | kind | who must act |
//! |---|---|---|
//! | `invalid_client`, `unauthorized_client` | `Refused` | who runs the server: the secret is another, the client is blocked or may not use this grant |
//! | `invalid_grant` | `Refused` | the user: code or refresh token are used up, expired or revoked. A refresh ends the login |
//! | `access_denied`, `login_required`, `consent_required`, `interaction_required`, `account_selection_required`, `unmet_authentication_requirements` | `Refused` | the user, who said no or was not asked |
//! | `invalid_request`, `invalid_scope`, `invalid_target`, `unsupported_grant_type`, `unsupported_response_type`, `unsupported_token_type` | `Misconfigured` | who wrote the program: it asks for what there is not |
//! | `request_not_supported`, `request_uri_not_supported`, `registration_not_supported`, `invalid_request_object`, `invalid_request_uri` | `Misconfigured` | the same, by an extra parameter |
//! | `use_dpop_nonce`, `invalid_dpop_proof` | `Misconfigured` | the same: the client is registered for DPoP, which is not spoken here |
//! | `server_error`, `temporarily_unavailable` | `Transient` | nobody; `Retry-After` is obeyed |
//! | `bad_refresh_token`, `bad_verification_code`, `incorrect_client_credentials` | `Refused` | GitHub's words for `invalid_grant` and `invalid_client` |
//!
//! A server's `error_description` is never shown: its text is the sender's to choose.

mod authorization_code;
mod call;
mod callback;
mod client;
mod client_credentials;
mod discovery;
mod error_code;
mod grammar;
mod id_token;
mod login;
mod parameters;
mod pending;
#[cfg(test)]
mod played;
mod random;
mod refresh_grant;
mod revocation;
mod server;
mod user_login;

pub use authorization_code::AuthorizationCode;
pub use client::Client;
pub use client_credentials::ClientCredentials;
pub use id_token::UnverifiedIdToken;
pub use login::Login;
pub use pending::Pending;
pub use refresh_grant::RefreshGrant;
pub use revocation::Revocation;
pub use server::Server;
pub use user_login::{LoginSource, UserLogin};
