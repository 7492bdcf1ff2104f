//! How is a token asked for? Here: by a [`TokenEndpoint`], a key+secret exchange described as data; in [`oauth`], by a grant of
//! OAuth 2.0.
//!
//! Vendors differ in field names, in where the token stands and how its lifetime is written, and in what their error codes
//! mean. All of that is data, so an unknown vendor is a description of ten lines, in Rust or in a file; what is the same for
//! all of them is written once, in the [`EndpointSource`] that a description makes: the request is built in memory that is
//! wiped, any reply is read without trusting a byte of it, and no error holds a part of either.
//!
//! Where a login can be continued with a refresh token, a refresh step describes how: see [`TokenEndpoint::refresh`]. Then the
//! new refresh token is taken out of whatever comes back before anything else is judged, since a server that has rotated has
//! already forgotten the old one.
//!
//! # Examples
//!
//! A description in a file:
//!
//! ```
//! use tower_token::grant::TokenEndpoint;
//!
//! let endpoint: TokenEndpoint = toml::from_str(
//!     r#"
//!     url = "https://api.vendor.test/v1/login"
//!     token_at = "/data/jwt"
//!     expiry = [{ at = "/data/expires_in", format = "seconds" }]
//!     code_at = ["/error/code"]
//!
//!     [request]
//!     key = { secret = "key" }
//!     secret = { secret = "secret" }
//!     grant = { constant = "api" }
//!
//!     [on_code]
//!     KEY_DISABLED = "refused"
//!     RATE_LIMITED = "transient"
//!
//!     [refresh]
//!     url = "https://api.vendor.test/v1/refresh"
//!     request = { token = "refresh_token" }
//!     "#,
//! )?;
//! # let service = tower::service_fn(|_: http::Request<http_body_util::Full<bytes::Bytes>>| async {
//! #     Ok::<_, std::io::Error>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
//! # });
//! let source = endpoint.source(service, [("key", "k-1"), ("secret", "s-1")])?;
//! # drop(source);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A secret may also be `{ env = "VENDOR_KEY" }` or `{ file = "/run/secrets/key" }`.
//!
//! # How a reply is judged
//!
//! A 2xx with a token is a token, unless its `token_type` is `DPoP` (RFC 9449 section 5): a token that is bound to a key cannot be
//! sent under another scheme, and is `Misconfigured`. Of any other reply, the first of these that says something decides:
//!
//! 1. the vendor's own code, where `on_code` lists it;
//! 2. the HTTP status, where `on_status` lists it;
//! 3. the defaults:
//!
//! | reply | kind | why |
//! |---|---|---|
//! | 2xx without a usable token | `Transient` | a gateway's login page, a truncated reply |
//! | 3xx | `Misconfigured` | redirects are never followed: a 307 would carry the secret elsewhere |
//! | 408, 425, 429, 5xx, 1xx | `Transient` | the server says so |
//! | 404, 405, 406, 407, 410, 411, 413, 414, 415, 421, 426, 431 in JSON | `Misconfigured` | the URL or the request is not what the endpoint takes |
//! | any other 4xx in JSON | `Refused` | the endpoint has understood, and says no |
//! | such a 4xx in HTML, empty or otherwise unreadable | `Transient` twice, then `Refused` | a proxy's page is no logout, until it keeps coming |
//!
//! Three unreadable ones in a row, that is: anything else between them starts the count again. `Retry-After`, in seconds or as
//! a date, is taken from each `Transient` reply. A token whose absolute expiry has passed is not usable.
//!
//! Of a refresh step the same is true, but that `Refused` speaks of the refresh token: it is dead, and the credentials are
//! sent in its place. A person is called only where those are refused too, or where a table of the step itself says `refused`.

mod call;
mod caller;
mod code;
mod endpoint;
mod endpoint_exchange;
mod exchange;
mod expiry;
mod flight;
mod form;
mod json;
mod judge;
mod login;
pub mod oauth;
mod reading;
mod retry_after;
mod rotation;
mod salvage;
mod secrets;
mod source;
mod step;

pub use endpoint::{Encoding, ErrorClass, NO_SECRETS, TokenEndpoint};
pub use expiry::ExpiryFormat;
pub use source::EndpointSource;
#[cfg(feature = "provider")]
pub(crate) use {code::is_code, json::Document};
