//! Which quirks has vendor X? One module each, mostly data on top of [`grant`](crate::grant).
//!
//! A vendor's page seldom says all that a client must know: what comes back for wrong credentials, where an error code stands,
//! whether a lifetime is what the page promises. Each module says what its vendor leaves open and which reading it chose, so
//! that nobody has to find out again, and so that you can tell when the vendor has moved on.
//!
//! | module | vendor | exchange | besides the token |
//! |---|---|---|---|
//! | [`yandex`] | Yandex, Track & Trace API | none: a token that a person gets in the browser, sent as `OAuth` | |
//! | [`yoco`] | Yoco, payments | a merchant's login, by OAuth 2.0 and OpenID Connect | who it is |
//! | [`yolcu360`] | Yolcu360, agencies' API | key and secret for a JWT, renewed by a refresh token that rotates | |
//! | [`yonne`] | Yonne, couriers' server-to-server API | key and secret for a JWT | |
//! | [`younium`] | Younium, "auth v1" | client id and secret for a JWT | a `legal-entity` header |
//!
//! Each source knows the [origins](crate::Origins) that its tokens are for, and makes its layer in one call.

mod base_url;
mod code_in;
mod credential;
pub mod yandex;
pub mod yoco;
pub mod yolcu360;
pub mod yonne;
pub mod younium;
