use std::{
    convert::Infallible,
    sync::{Arc, RwLock},
};

use bytes::Bytes;
use http::HeaderValue;
use http_body_util::{Empty, Full, combinators::BoxBody};
use tower::{Layer, retry::RetryLayer};
use tower_http::auth::AddAuthorizationLayer;
use tower_token::{
    BearerAuthLayer, Origins, StaticToken, TokenHandle,
    middleware::{AuthService, CallerHeader, KnownOrEmpty},
};

use crate::{
    Make, REFERENCE,
    hand_rolled::{AsyncMutex, InsertStatic, Once401, StdRwLock},
    harness::{Noop, case, cloned, four, none, ten, token},
    must, runtime,
};

/// The floor of cases with four headers and an empty body.
pub const BARE: &str = "floor: the inner service alone";
const BARE_FULL: &str = "floor: Full<Bytes> body";
const BARE_BOXED: &str = "floor: boxed body";
const BARE_NONE: &str = "floor: no headers";
const BARE_TEN: &str = "floor: 10 headers";
const BARE_CLONED: &str = "floor: cloned for each request";

pub(crate) const ANY_UNWATCHED: &str = "tower-token: any origin, header replaced, unwatched";
pub(crate) const ANY_NOT_KEPT: &str = "tower-token: the same, watched, body not kept";
pub(crate) const UNWATCHED: &str = "tower-token: defaults, unwatched";
pub(crate) const NOT_KEPT: &str = "tower-token: defaults, body not kept";
pub(crate) const KEPT: &str = "tower-token: defaults, replay kept (Empty)";
pub(crate) const KEPT_FULL: &str = "tower-token: defaults, replay kept (Full)";
pub(crate) const KEPT_BOXED: &str = "tower-token: KnownOrEmpty, replay kept (boxed, empty)";

/// A body that no policy knows: it is sent once. As small as `Empty`, so that both have one floor.
struct Opaque;

/// A handle that has its token.
pub fn engine(token: &str) -> TokenHandle {
    let handle = TokenHandle::new(must(StaticToken::new(token)));
    must(runtime().block_on(handle.token()));
    handle
}

fn any() -> BearerAuthLayer {
    BearerAuthLayer::new(Origins::any(), engine(&token())).caller_header(CallerHeader::Replace)
}

fn one(token: &str) -> BearerAuthLayer {
    BearerAuthLayer::new(must("https://api.example.com".parse()), engine(token))
}

fn defaults() -> AuthService<Noop> {
    one(&token()).layer(Noop::default())
}

fn add_authorization() -> tower_http::auth::AddAuthorization<Noop> {
    AddAuthorizationLayer::bearer(&token()).layer(Noop::default())
}

fn header() -> String {
    format!("Bearer {}", token())
}

/// Floors, the reference, this crate, and what is written by hand.
pub fn ours() -> Vec<Make> {
    let empty = || four(Empty::<Bytes>::new);
    let opaque = || four(|| Opaque);
    let full = || four(|| Full::new(Bytes::from_static(br#"{"page":2}"#)));
    let boxed = || four(BoxBody::<Bytes, Infallible>::default);
    let no_headers = || none(Empty::<Bytes>::new);
    let ten_headers = || ten(Empty::<Bytes>::new);
    vec![
        case(BARE, BARE, Noop::default, empty()),
        case(
            "limit: insert of a static HeaderValue",
            BARE,
            || InsertStatic(Noop::default(), HeaderValue::from_static(Box::leak(header().into_boxed_str()))),
            empty(),
        ),
        case(REFERENCE, BARE, add_authorization, empty()),
        case(ANY_UNWATCHED, BARE, || any().watch(false).layer(Noop::default()), empty()),
        case(ANY_NOT_KEPT, BARE, || any().layer(Noop::default()), opaque()),
        case(UNWATCHED, BARE, || one(&token()).watch(false).layer(Noop::default()), empty()),
        case(NOT_KEPT, BARE, defaults, opaque()),
        case(KEPT, BARE, defaults, empty()),
        case("tower-token: the same, token of 128 B", BARE, || one(&"t".repeat(128)).layer(Noop::default()), empty()),
        case(BARE_FULL, BARE_FULL, Noop::default, full()),
        case(KEPT_FULL, BARE_FULL, defaults, full()),
        case(BARE_BOXED, BARE_BOXED, Noop::default, boxed()),
        case(KEPT_BOXED, BARE_BOXED, || one(&token()).replay(KnownOrEmpty).layer(Noop::default()), boxed()),
        case(BARE_NONE, BARE_NONE, Noop::default, no_headers()),
        case("tower-http AddAuthorization, no headers", BARE_NONE, add_authorization, no_headers()),
        case("tower-token: defaults, replay kept, no headers", BARE_NONE, defaults, no_headers()),
        case(BARE_TEN, BARE_TEN, Noop::default, ten_headers()),
        case("tower-http AddAuthorization, 10 headers", BARE_TEN, add_authorization, ten_headers()),
        case("tower-token: defaults, replay kept, 10 headers", BARE_TEN, defaults, ten_headers()),
        cloned(BARE_CLONED, BARE_CLONED, Noop::default, empty()),
        cloned("tower-http AddAuthorization, cloned each time", BARE_CLONED, add_authorization, empty()),
        cloned("tower-token: defaults, body not kept, cloned each time", BARE_CLONED, defaults, opaque()),
        cloned("tower-token: defaults, replay kept, cloned each time", BARE_CLONED, defaults, empty()),
        case("tower::retry (401) + AddAuthorization", BARE, || RetryLayer::new(Once401).layer(add_authorization()), empty()),
        case(
            "by hand: tokio Mutex<String>, format!, BoxFuture",
            BARE,
            || AsyncMutex(Noop::default(), Arc::new(tokio::sync::Mutex::new(token()))),
            empty(),
        ),
        case(
            "by hand: std RwLock<HeaderValue>, BoxFuture",
            BARE,
            || StdRwLock(Noop::default(), Arc::new(RwLock::new(must(HeaderValue::try_from(header()))))),
            empty(),
        ),
    ]
}
