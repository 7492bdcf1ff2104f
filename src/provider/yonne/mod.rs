//! Yonne: a courier's server-to-server API.
//!
//! [`Yonne`] exchanges an `api_key` and an `api_secret` for a JWT that lives 24 hours; [`ErrorCode`] reads the error codes of
//! all protected endpoints.
//!
//! # Examples
//!
//! Against the emulator. For Yonne itself, leave out `base_url`; [`Yonne::from_env`] reads the variables of Yonne's own page.
//!
//! ```
//! # #[cfg(feature = "testing")] {
//! use bytes::Bytes;
//! use http::Request;
//! use http_body_util::Full;
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_token::{provider::yonne::Yonne, testing::YonneEmulator};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let emulator = YonneEmulator::start().await?;
//! let yonne = Yonne::new(emulator.api_key(), emulator.api_secret())?.base_url(emulator.base_url())?;
//! let client = ServiceBuilder::new().layer(yonne.layer()).service(Client::builder(TokioExecutor::new()).build_http());
//!
//! let url = format!("{}/api/courier/s2s/metrics/summary", emulator.base_url());
//! let response = client.oneshot(Request::get(url).body(Full::<Bytes>::default())?).await?;
//! assert_eq!(response.status(), 200);
//! # Ok::<(), tower_token::BoxError>(())
//! # })?;
//! # }
//! # Ok::<(), tower_token::BoxError>(())
//! ```
//!
//! # What the page leaves open, and the reading chosen here
//!
//! - **Wrong credentials.** The page lists no code for them. Any 4xx in JSON from the token endpoint is `Refused`, except
//!   those that say that the URL or the request is wrong: a 404 without `COURIER_NOT_FOUND`, for one, is `Misconfigured`. HTML
//!   or an empty body is `Refused` once it has come three times in a row.
//! - **The body of an error.** The page gives codes and no shape. A code is looked for at `/code`, `/error_code`, `/errorCode`,
//!   `/error/code`, `/error` and `/errors/0/code`, and one from the page is taken before any other.
//! - **What a code means at the token endpoint.** The page speaks of the protected endpoints. At the token endpoint
//!   `S2S_DISABLED`, `COURIER_NOT_FOUND` and the three `TOKEN_` codes need a person: `Refused`. `DB_ERROR` is `Transient` ("Retry
//!   with exponential backoff"), whatever its status.
//! - **`expires_in`, "always 86400 (24 hours)".** The reply is followed and not the page: should Yonne ever issue shorter
//!   tokens, they are renewed in time. Without it there is no timed refresh, and the 401 path serves.
//! - **The page's refresh strategy**, a request that finds less than one minute left waits for a new token. Here the token is
//!   renewed in the background, within the last hour of the 24, and no request waits for it.
//! - **`TOKEN_EXPIRED` and `TOKEN_INVALID` at a protected endpoint** are 401, which the layer answers with a new token and a second
//!   sending. `S2S_DISABLED` there is a 403: it is handed up, since no token would help.

mod error_code;
mod source;

pub use error_code::ErrorCode;
pub use source::{BASE_URL, Yonne, token_endpoint};
