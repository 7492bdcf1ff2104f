//! How do token calls travel? Over a [`Transport`]: any HTTP service of yours, or the client that comes with the crate.
//!
//! A token call carries a secret there and a token back, so one place sets its limits, whatever service is underneath: one
//! timeout over headers *and* body (15 s), at most 1 MiB of body as the service hands it up (so after decompression), and no
//! redirect ever followed by the client of this crate, since a 307 would carry the secret to wherever the server points.
//!
//! # Examples
//!
//! Your own stack under the token calls: timeouts, proxies, a client with another TLS library.
//!
//! ```
//! use std::time::Duration;
//!
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower_token::transport::Transport;
//!
//! let service = tower::service_fn(|_request: Request<Full<Bytes>>| async {
//!     Ok::<_, std::io::Error>(Response::new(Full::new(Bytes::from_static(b"{}"))))
//! });
//! let transport = Transport::new(service).timeout(Duration::from_secs(5));
//! # drop(transport);
//! ```

mod answer;
pub(crate) mod authority;
mod carrier;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod connector;
mod foreign;
mod reply;
mod secret_buffer;
#[expect(clippy::module_inception, reason = "the room is named after its main type, and the file too")]
mod transport;
#[cfg(feature = "grant")]
mod url;

#[cfg(feature = "client")]
pub(crate) use connector::{Versions, connector};
pub use reply::Reply;
pub(crate) use secret_buffer::SecretBuffer;
pub use transport::Transport;
#[cfg(feature = "grant")]
pub(crate) use {answer::Answer, foreign::scrub, url::check_url};
