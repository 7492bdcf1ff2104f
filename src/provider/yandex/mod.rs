//! Yandex: the Track & Trace API, formerly Yandex.Courier.
//!
//! A person gets a token in the browser, once: [`authorize_url`] is the link that they open, [`Yandex`] takes what they copied from the
//! screen, or the address that the browser ended up at. The token goes out as `Authorization: OAuth <token>`. Its lifetime is not
//! limited, and nothing renews it.
//!
//! # Examples
//!
//! Against the emulator. For Yandex itself, leave out `base_url`, and let a person open the link.
//!
//! ```
//! # #[cfg(feature = "testing")] {
//! use bytes::Bytes;
//! use http::Request;
//! use http_body_util::Full;
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_token::{provider::yandex::{Yandex, authorize_url}, testing::YandexEmulator};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let emulator = YandexEmulator::start().await?;
//! let link = authorize_url(&emulator.client_id())?.to_string();
//! # let link = link.replace("https://oauth.yandex.com/authorize", &emulator.authorization_url());
//! let screen = emulator.authorize(&link)?; // the person logs in
//!
//! let yandex = Yandex::new(screen)?.base_url(emulator.base_url())?;
//! yandex.check().await?; // "Make sure the token works"
//! let client = ServiceBuilder::new().layer(yandex.layer()).service(Client::builder(TokioExecutor::new()).build_http());
//!
//! let request = Request::get(format!("{}/api/v1/test", emulator.base_url())).body(Full::<Bytes>::default())?;
//! assert_eq!(client.oneshot(request).await?.status(), 200);
//! # Ok::<(), tower_token::BoxError>(())
//! # })?;
//! # }
//! # Ok::<(), tower_token::BoxError>(())
//! ```
//!
//! # What the page leaves open, and the reading chosen here
//!
//! - **How the token comes.** The page has a person "Copy the string that appears on the screen". The page that shows it is the
//!   app's Redirect URI, so its address holds the token too, in the fragment (RFC 6749 section 4.2.2): either is taken.
//! - **`token_type=bearer`** in that fragment says nothing of the header: its scheme is `OAuth`, as the page has it.
//! - **`expires_in`** in that fragment is not followed: "Token lifetime is not limited", and if it were, nothing could be done about it
//!   before a server says so.
//! - **`state`** is not on the page, and is not sent: a person carries the token, and no redirect is received that a stranger could
//!   have begun.
//! - **A token that has become invalid** (revoked, after a change of the password, after "Log out of all Yandex services"): the page has
//!   no status for it. A 401 counts. It is handed back with a [`Refused`](crate::ErrorKind::Refused) in its extensions, at each
//!   call: there is no second sending and no loop, and a person must get a new token.
//! - **A token of somebody who is no administrator of the company**: taken to be a 403. It is handed back as it is.
//! - **`unauthorized_client`**: "if there are restrictions for your account". Support must remove them; the error says so.
//! - **A test of an app**: the page's Redirect URI is `https://oauth.yandex.com/verification_code`. Another works the same, as long as the
//!   address that the browser ends up at is handed over whole.

mod error_code;
mod login;
mod source;

pub use error_code::ErrorCode;
pub use login::authorize_url;
pub use source::Yandex;

const VENDOR: &str = "Yandex";
