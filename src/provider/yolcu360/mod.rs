//! Yolcu360: the agency API.
//!
//! [`Yolcu360`] exchanges a key and a secret for a JWT, and renews it with a refresh token that changes each time;
//! [`ErrorCode`] reads the error codes of all endpoints.
//!
//! # Examples
//!
//! Against the emulator. For Yolcu360 itself, leave out `base_url`.
//!
//! ```
//! # #[cfg(feature = "testing")] {
//! use bytes::Bytes;
//! use http::Request;
//! use http_body_util::Full;
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_token::{provider::yolcu360::Yolcu360, testing::Yolcu360Emulator};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let emulator = Yolcu360Emulator::start().await?;
//! let base_url = format!("{}/api/v1", emulator.base_url());
//!
//! let yolcu360 = Yolcu360::new(emulator.key(), emulator.secret())?.base_url(&base_url)?;
//! let client =
//!     ServiceBuilder::new().layer(yolcu360.layer()).service(Client::builder(TokioExecutor::new()).build_http());
//!
//! let request = Request::get(format!("{base_url}/locations?query=istanbul")).body(Full::<Bytes>::default())?;
//! assert_eq!(client.oneshot(request).await?.status(), 200);
//! # Ok::<(), tower_token::BoxError>(())
//! # })?;
//! # }
//! # Ok::<(), tower_token::BoxError>(())
//! ```
//!
//! # The refresh token
//!
//! Each refresh brings a new one, which is stored before anything else is made of the reply, and the old one is not used again.
//! By default the [store](crate::store) is in memory, so that a restart loses the login: here that costs one more with key and
//! secret, and no call notices. Over [a store](Yolcu360::store) that survives, a restart goes on where the program was, and
//! programs that share one share one login.
//!
//! | refresh is answered with | what follows |
//! |---|---|
//! | a new token | the new refresh token takes the old one's place |
//! | 1004, 1002 or 1003, or a 401 without a code | key and secret log in, silently; are they refused too, it is `Refused` |
//! | 1005, or 429 | `Transient`: it backs off, as long as `Retry-After` says; the refresh token is kept |
//! | 1500, or another 5xx | `Transient`; the refresh token is kept |
//! | 1001, or a 400 without a code | `Misconfigured`; the refresh token is kept |
//! | nothing: the answer is lost | it is sent again, 3 times within 10 s, as it may not have arrived; later, key and secret log in |
//!
//! A refresh token whose `refreshTokenExpireAt` has passed is not sent: key and secret log in.
//!
//! # What the page leaves open, and the reading chosen here
//!
//! - **The body of an error.** The page gives codes and no shape. A code, a number or a text, is looked for at `/code`,
//!   `/error_code`, `/errorCode`, `/error/code`, `/error` and `/errors/0/code`, and one from the page is taken before any other. It
//!   beats the status. Without one, 400 and 401 mean what the page says of them, whatever the body.
//! - **The statuses of 1003 and 1005.** The page gives none, and none is needed.
//! - **1002 and 1003 at a refresh**, which sends neither key nor secret, say something of those that the login was made with. They
//!   may have been replaced since, so the ones at hand are tried before a person is called: `Refused` is what the login says.
//! - **Lifetimes.** The prose says a week and a month, the examples say half an hour and a day. The reply is followed:
//!   `accessTokenExpireAt` and `refreshTokenExpireAt`, corrected by the reply's `Date` where the clocks disagree. Without the
//!   former there is no timed refresh, and the 401 path serves.
//! - **The page's refresh logic** renews when a request finds the token near its end. Here it is renewed in the background, at
//!   most an hour before its end, and no request waits for it.
//! - **401 at an API call** is answered by the layer with a new token and a second sending, as in the page's sample; what the page
//!   calls "Authentication required" is `Refused`.
//! - **Staging.** The page speaks of it and does not say where it is: [`Yolcu360::base_url`].

mod error_code;
mod source;

pub use error_code::ErrorCode;
pub use source::{BASE_URL, Yolcu360, token_endpoint};
