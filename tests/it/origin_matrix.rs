//! S1, X1, R10: three dozen places that a redirect may point to, and none that is not the API's gets the token.

use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header::AUTHORIZATION};
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Layer, Service, ServiceExt, util::BoxCloneService};
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_token::{
    BearerAuthLayer, Origins, TokenHandle,
    middleware::HeaderStyle,
    testing::{ScriptedReply, ScriptedServer},
};

use crate::support::Mint;

const START: &str = "https://api.example.com/start";

/// What becomes of a URL: as the target of a redirect, which the follower parses as browsers do, or as that of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goes {
    WithToken,
    Bare,
    /// It is no URL, for whoever parses it.
    Nowhere,
}
use Goes::{Bare, Nowhere, WithToken};

/// A URL, what becomes of a redirect to it, and of a request.
const PLACES: [(&str, Goes, Goes); 36] = [
    // The same origin, however it is written.
    ("https://api.example.com/landed", WithToken, WithToken),
    ("https://api.example.com:443/landed", WithToken, WithToken),
    ("https://API.Example.COM/landed", WithToken, WithToken),
    ("https://api.example.com./landed", WithToken, WithToken),
    ("https://user:password@api.example.com/landed", WithToken, WithToken),
    ("https://evil.test@api.example.com/landed", WithToken, WithToken),
    ("https://api.example.com?evil.test", WithToken, WithToken),
    ("https://api.example.com/@evil.test/", WithToken, WithToken),
    ("https://api.example.com/..//evil.test/%2e%2e/", WithToken, WithToken),
    ("https://[2001:db8:0::7]:8443/landed", WithToken, WithToken),
    // Scheme.
    ("http://api.example.com/", Bare, Bare),
    ("http://api.example.com:443/", Bare, Bare),
    ("ftp://api.example.com/", Bare, Bare),
    // Host.
    ("https://example.com/", Bare, Bare),
    ("https://sub.api.example.com/", Bare, Bare),
    ("https://evilapi.example.com/", Bare, Bare),
    ("https://api.example.com.evil.test/", Bare, Bare),
    ("https://api.example.comevil.test/", Bare, Bare),
    ("https://api-example.com/", Bare, Bare),
    ("https://api.example.com../", Bare, Bare),
    ("https://api.example.com@evil.test/", Bare, Bare),
    ("https://api.example.com:443@evil.test/", Bare, Bare),
    ("https://api.example.com%2eevil.test/", Bare, Nowhere),
    ("https://xn--pi-6kc.example.com/", Bare, Bare),
    ("https://api.ex\u{e4}mple.com/", Bare, Nowhere),
    // Port.
    ("https://api.example.com:8443/", Bare, Bare),
    ("https://api.example.com:80/", Bare, Bare),
    ("https://api.example.com:65979/", Nowhere, Bare),
    ("https://[2001:db8::7]/", Bare, Bare),
    // Addresses.
    ("https://192.0.2.7/", Bare, Bare),
    ("https://[::ffff:192.0.2.7]/", Bare, Bare),
    ("https://[2001:db8::8]:8443/", Bare, Bare),
    ("http://127.0.0.1/", Bare, Bare),
    // Paths that name a host.
    ("//evil.test/", Bare, Nowhere),
    ("/\\evil.test/", Bare, Nowhere),
    ("https:evil.test", WithToken, Nowhere),
];

fn allowed() -> Origins {
    "https://api.example.com".parse::<Origins>().unwrap().and("https://[2001:db8::7]:8443").unwrap()
}

/// A network: whatever host is asked answers. `START` points to `location`; all else answers `status`.
#[derive(Clone, Default)]
struct Network {
    hops: Arc<Mutex<Vec<Hop>>>,
}

#[derive(Clone)]
struct Hop {
    uri: Uri,
    /// Whether any of its headers had the secret in it.
    secret: bool,
}

impl Network {
    fn service(&self, location: &str, status: StatusCode) -> BoxCloneService<Request<String>, Response<String>, Infallible> {
        let (hops, location) = (self.hops.clone(), HeaderValue::from_str(location).ok());
        BoxCloneService::new(tower::service_fn(move |request: Request<String>| {
            let secret = request.headers().values().any(|value| String::from_utf8_lossy(value.as_bytes()).contains("token-"));
            hops.lock().unwrap().push(Hop { uri: request.uri().clone(), secret });
            let mut response = Response::new(String::new());
            match (&location, request.uri() == START) {
                (Some(location), true) => {
                    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
                    response.headers_mut().insert("location", location.clone());
                }
                _ => *response.status_mut() = status,
            }
            async move { Ok(response) }
        }))
    }

    fn hops(&self) -> Vec<Hop> {
        self.hops.lock().unwrap().clone()
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.secret { "token to" } else { "bare to " }, self.uri)
    }
}

/// In words for the table of a failure.
fn shown(hops: &[Hop]) -> String {
    hops.iter().map(|hop| format!("\n      {hop}")).collect()
}

/// The header names to try: the scheme's own, one that followers do not know, one with a word before the token.
fn styles() -> [Option<HeaderStyle>; 3] {
    let word = HeaderStyle::with_word(HeaderName::from_static("x-auth"), "Key").unwrap();
    [None, Some(HeaderStyle::bare(HeaderName::from_static("x-api-key"))), Some(word)]
}

fn layer(handle: &TokenHandle, style: Option<HeaderStyle>) -> BearerAuthLayer {
    let layer = BearerAuthLayer::new(allowed(), handle.clone());
    style.map_or(layer.clone(), |style| layer.header(style))
}

fn landed(hops: &[Hop]) -> Goes {
    match hops {
        [_, last] if last.secret => WithToken,
        [_, _] => Bare,
        _ => Nowhere,
    }
}

#[track_caller]
fn assert_none(failures: &[String]) {
    assert!(failures.is_empty(), "{} of {}:\n  {}", failures.len(), PLACES.len(), failures.join("\n  "));
}

/// Auth inside the follower: each hop is judged by itself, whatever the header's name.
#[tokio::test]
async fn a_follower_outside_takes_the_token_to_no_stranger() {
    let (handle, mut failures) = (TokenHandle::new(Mint::default().source()), Vec::new());
    for (style, (url, expected, _)) in styles().into_iter().flat_map(|style| PLACES.map(|place| (style.clone(), place))) {
        let network = Network::default();
        let service = layer(&handle, style.clone()).layer(network.service(url, StatusCode::OK));
        FollowRedirectLayer::new().layer(service).oneshot(Request::get(START).body(String::new()).unwrap()).await.unwrap();
        let hops = network.hops();
        if landed(&hops) != expected || !hops[0].secret {
            failures.push(format!("{url} with {style:?}: {expected:?}, but{}", shown(&hops)));
        }
    }
    assert_none(&failures);
}

/// Auth outside the follower: the layer sees `START` alone, and the follower strips `Authorization`.
#[tokio::test]
async fn a_follower_inside_takes_the_authorization_header_to_no_stranger() {
    let (handle, mut failures) = (TokenHandle::new(Mint::default().source()), Vec::new());
    for (url, expected, _) in PLACES {
        let network = Network::default();
        let service = layer(&handle, None).layer(FollowRedirectLayer::new().layer(network.service(url, StatusCode::OK)));
        service.oneshot(Request::get(START).body(String::new()).unwrap()).await.unwrap();
        let hops = network.hops();
        let leaked = landed(&hops) == WithToken && expected != WithToken;
        if leaked || !hops[0].secret {
            failures.push(format!("{url}: {expected:?}, but{}", shown(&hops)));
        }
    }
    assert_none(&failures);
}

/// A request of the caller's for the same places: a link in a reply, a web hook's address, a user's input.
#[tokio::test]
async fn a_request_takes_the_token_to_no_stranger() {
    let (handle, mut failures) = (TokenHandle::new(Mint::default().source()), Vec::new());
    for (style, (url, _, expected)) in styles().into_iter().flat_map(|style| PLACES.map(|place| (style.clone(), place))) {
        let network = Network::default();
        if let Ok(request) = Request::get(url).body(String::new()) {
            // An error for a URL without scheme and authority: it is not sent.
            drop(layer(&handle, style.clone()).layer(network.service("", StatusCode::OK)).oneshot(request).await);
        }
        let hops = network.hops();
        let went = hops.first().map_or(Nowhere, |hop| if hop.secret { WithToken } else { Bare });
        if went != expected {
            failures.push(format!("{url} with {style:?}: {expected:?}, but{}", shown(&hops)));
        }
    }
    assert_none(&failures);
}

/// R10: a stranger's 401 is no verdict on the token: no fetch, no replay, an engine that has heard of nothing.
#[tokio::test]
async fn a_strangers_401_never_acts() {
    for (url, expected, _) in PLACES.into_iter().filter(|(_, expected, _)| *expected == Bare) {
        let (network, mint) = (Network::default(), Mint::default());
        let handle = TokenHandle::new(mint.source());
        let mut service =
            FollowRedirectLayer::new().layer(layer(&handle, None).layer(network.service(url, StatusCode::UNAUTHORIZED)));
        for calls in 1..=3 {
            let request = Request::get(START).body(String::new()).unwrap();
            let response = service.ready().await.unwrap().call(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{url}: {expected:?}");
            assert!(response.extensions().get::<tower_token::TokenError>().is_none(), "{url}");
            assert_eq!(network.hops().len(), 2 * calls, "{url} was sent again:{}", shown(&network.hops()));
        }
        let status = handle.status();
        assert_eq!((mint.fetches(), status.rejections(), status.is_rejected()), (1, 0, false), "{url}");
    }
}

/// The same over sockets, where two servers differ by their port alone, with a header that no follower strips.
#[tokio::test]
async fn a_header_of_ones_own_does_not_follow_to_another_port() {
    let foreign = ScriptedServer::start([ScriptedReply::json(401, "{}")]).await.unwrap();
    let elsewhere = ScriptedReply::new(307, "").header("location", format!("{}/elsewhere", foreign.base_url()));
    let home = ScriptedServer::start([elsewhere]).await.unwrap();
    let mint = Mint::default();
    for name in ["authorization", "x-api-key"] {
        let style = HeaderStyle::bare(HeaderName::from_static(name));
        let layer = BearerAuthLayer::new(home.base_url().parse::<Origins>().unwrap(), mint.source()).header(style);
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let client = FollowRedirectLayer::new().layer(layer.layer(client));
        let request = Request::get(format!("{}/start", home.base_url())).body(Full::default()).unwrap();
        assert_eq!(client.oneshot(request).await.unwrap().status(), StatusCode::UNAUTHORIZED);
        assert!(home.requests().last().unwrap().headers.contains_key(name));
        let headers = foreign.requests().last().unwrap().headers.clone();
        assert!(!headers.contains_key(name) && !headers.contains_key(AUTHORIZATION), "{headers:?}");
    }
    assert_eq!((home.requests().len(), foreign.requests().len(), mint.fetches()), (2, 2, 2));
}
