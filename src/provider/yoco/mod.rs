//! Yoco: a payments company's API, on behalf of its merchants.
//!
//! A merchant logs in with the browser and allows an app to act ([`Yoco`]); what comes of it are an access token for two weeks, a
//! refresh token and, with the feature `id-token`, an id_token, which says who it was (`Yoco::merchant`). [`ErrorCode`]
//! reads what goes wrong.
//!
//! # Examples
//!
#![cfg_attr(feature = "testing", doc = "```")]
#![cfg_attr(not(feature = "testing"), doc = "```text")]
//! use bytes::Bytes;
//! use http::{Request, StatusCode};
//! use http_body_util::Empty;
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use tower::{Layer, ServiceExt};
//! use tower_token::{
//!     provider::yoco::{Environment, Yoco},
//!     testing::YocoEmulator,
//! };
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! // In production, `Environment::sandbox()` or `live()`, and what your onboarding says.
//! let emulator = YocoEmulator::start().await?;
//! let environment = Environment::at(emulator.base_url())?
//!     .authorization_endpoint(emulator.authorization_url())
//!     .api_base(emulator.base_url());
//! let redirect_uri = "https://client.example/callback";
//! let yoco = Yoco::new(environment, emulator.client_id(), emulator.client_secret(), redirect_uri)?
//!     .scopes(["business/orders:read"])?;
//!
//! // Send the merchant's browser to `url`, keep `pending` in its session, and wait for the callback.
//! let (url, pending) = yoco.begin()?;
//! let callback = emulator.authorize(&url.to_string())?;
//! let login = pending.finish(&callback).await?;
//! let merchant = yoco.merchant(&login).await?;
//! assert_eq!(merchant.id(), emulator.user_id());
//!
//! // In production, `user_in` a store that outlives the process.
//! let user = yoco.user();
//! user.begin(login).await?;
//! let client = yoco.layer(&user)?.layer(Client::builder(TokioExecutor::new()).build_http());
//! let order = Request::get(format!("{}/v1/orders", emulator.base_url())).body(Empty::<Bytes>::new())?;
//! assert_eq!(client.oneshot(order).await?.status(), StatusCode::OK);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What the page leaves open, and the reading chosen here
//!
//! The page is "Obtaining tokens" of Yoco's documentation. Where it is silent, the specifications hold: RFC 6749, RFC 7636, OpenID
//! Connect.
//!
//! - **Where a merchant logs in.** The page begins "once you receive the authorization code". No guess:
//!   [`authorization_endpoint`](Environment::authorization_endpoint) must be given.
//! - **The API's address.** No guess: [`api_base`](Environment::api_base) must be given before there is a layer.
//! - **The issuer of id_tokens.** Guessed from the URL of the keys, which stand at `/.well-known/` of the issuer (OpenID Connect
//!   Discovery section 4): `https://iam.yoco.com`. It is compared to the letter, so a wrong guess, by a slash at the end say,
//!   refuses every login and lets nobody in: [`issuer`](Environment::issuer) then.
//! - **Revocation.** Not mentioned. Without a [`revocation_endpoint`](Environment::revocation_endpoint), the end of a login is
//!   noted in the store and not told to Yoco.
//! - **Metadata.** Not mentioned. Should they be published, [`Server::discover`](crate::grant::oauth::Server::discover) finds all
//!   of the above but the API, and an `Environment` can be made from what it found.
//! - **`state`, `nonce` and PKCE.** Not mentioned; always sent. The page's token request has no `code_verifier`: a server that does
//!   not know it ignores it (RFC 6749 section 3.2).
//! - **Client authentication.** Id and secret are in the form, as the page shows them, and never in a header.
//! - **The request of a refresh.** Not shown: `grant_type=refresh_token`, authenticated like the page's request.
//! - **Whether refresh tokens rotate.** Not said. They are treated as if each were good for one use; a reply without a new one
//!   leaves the old one in its place.
//! - **`expires_in`, 1209599 in the example.** The reply is followed and not the page.
//! - **`token_type`, "bearer".** In any case (RFC 6749 section 5.1). A token of another kind is `Misconfigured`.
//! - **`scope`.** What the reply grants may be less than what was asked for, and is in the access token. Without `offline_access`
//!   there is no refresh token, and the login ends with its access token. Without `openid` there is no id_token, and the login is
//!   refused, as nobody knows whose it is.
//! - **The signature of id_tokens.** No algorithm is named: RS256, ES256, EdDSA and PS256 are taken, with the published keys.
//! - **Which claims are always there.** "Several", of which these are "the most relevant": `sub` must be there, any other may be
//!   missing. One of another type than the page has it refuses the login, and so does a `user_id` that is not "the same as sub".
//! - **An id_token after a refresh.** Not mentioned. One that comes is checked like the first, but for the nonce, and must be of the
//!   same `sub` (OpenID Connect Core 12.2); none need come.
//! - **Errors.** None is listed: the codes of RFC 6749, which mean what they mean of [any OAuth server](crate::grant::oauth#what-a-code-means).
//! - **"JWT.io is a useful tool for decoding and verifying JWTs".** An id_token of a real merchant is personal data: it does not
//!   belong on somebody else's site.

mod app;
mod environment;
mod error_code;
#[cfg(feature = "id-token")]
mod merchant;

pub use app::Yoco;
pub use environment::Environment;
pub use error_code::ErrorCode;
#[cfg(feature = "id-token")]
pub use merchant::Merchant;

const VENDOR: &str = "Yoco";
