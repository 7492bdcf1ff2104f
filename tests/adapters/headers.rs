//! Headers that are there already, and requests that are not the layer's.

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use reqwest_middleware::ClientBuilder;
use tower_token::{
    adapter::{reqwest::ReqwestService, reqwest_middleware::AuthMiddleware},
    middleware::CallerHeader,
};

use crate::support::{Api, Client, Mint, get};

/// Both adapters over a client that has a default `Authorization` of its own.
fn with_default(layer: &tower_token::BearerAuthLayer) -> [Client; 2] {
    let defaults = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer default"))]);
    let client = reqwest::Client::builder().default_headers(defaults).build().unwrap();
    let auth = AuthMiddleware::new_redirect_free(layer.clone());
    [
        Client::Middleware(ClientBuilder::new(client.clone()).with(auth).build()),
        Client::service(layer, ReqwestService::over_redirect_free(client)),
    ]
}

/// H4: the token is there first, and reqwest adds a default only where there is none: never two.
#[tokio::test]
async fn a_default_header_of_the_clients_gives_way() {
    for nth in 0..2 {
        let (api, mint) = (Api::accepting("token-2").await, Mint::default());
        let answer = with_default(&api.layer(&mint.handle()))[nth].get(api.url("/")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(api.seen(), ["token-1", "token-2"]);
    }
}

/// H4, S1: elsewhere the client does as it would without the layer.
#[tokio::test]
async fn a_default_header_of_the_clients_goes_elsewhere_as_ever() {
    for nth in 0..2 {
        let (api, other, mint) = (Api::accepting("token-1").await, Api::accepting("other").await, Mint::default());
        let answer = with_default(&api.layer(&mint.handle()))[nth].get(other.url("/")).await;
        assert_eq!((answer.status, other.seen(), mint.fetches()), (401, vec!["default".to_owned()], 0));
    }
}

/// H4: a caller's own values stay, both of two, and the request has nothing to do with the engine.
#[tokio::test]
async fn a_callers_own_headers_are_kept() {
    for (nth, values) in [(0, &["mine"][..]), (1, &["mine"]), (0, &["mine", "too"]), (1, &["mine", "too"])] {
        let (api, mint) = (Api::accepting("token-1").await, Mint::default());
        let client = &Client::own(&api.layer(&mint.handle()), &api.origins())[nth];
        let mut request = get(api.url("/"));
        for value in values {
            request.headers_mut().append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        let answer = client.send(request).await.unwrap();
        assert_eq!((answer.status, api.seen(), mint.fetches()), (401, vec![values.join(" + ")], 0));
    }
}

/// H4: the token takes the place of all of them.
#[tokio::test]
async fn a_callers_own_headers_are_replaced() {
    for nth in 0..2 {
        let (api, mint) = (Api::accepting("token-2").await, Mint::default());
        let layer = api.layer(&mint.handle()).caller_header(CallerHeader::Replace);
        let mut request = get(api.url("/"));
        request.headers_mut().append(AUTHORIZATION, HeaderValue::from_static("one"));
        request.headers_mut().append(AUTHORIZATION, HeaderValue::from_static("two"));
        let answer = Client::own(&layer, &api.origins())[nth].send(request).await.unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(api.seen(), ["token-1", "token-2"]);
    }
}

/// H4: reqwest makes a header of the user info of a URL, which is then the caller's own.
#[tokio::test]
async fn user_info_is_a_callers_header() {
    let (api, mint) = (Api::accepting("token-1").await, Mint::default());
    let Client::Middleware(client) = &Client::own(&api.layer(&mint.handle()), &api.origins())[0] else { unreachable!() };
    let url = api.url("/").replace("http://", "http://user:password@");
    assert_eq!(client.get(url).send().await.unwrap().status(), 401);
    assert_eq!((api.seen(), mint.fetches()), (vec!["Basic dXNlcjpwYXNzd29yZA==".to_owned()], 0));
}

/// S1: a request to a stranger passes bare, and its 401 is its own.
#[tokio::test]
async fn a_foreign_origin_gets_nothing() {
    for nth in 0..2 {
        let (api, other, mint) = (Api::accepting("token-1").await, Api::accepting("token-1").await, Mint::default());
        let client = &Client::own(&api.layer(&mint.handle()), &api.origins())[nth];
        // The same server by another name is another origin.
        for url in [other.url("/"), api.url("/").replace("127.0.0.1", "localhost")] {
            assert_eq!(client.get(url).await.status, 401);
        }
        assert_eq!((other.seen(), api.seen(), mint.fetches()), (vec!["-".to_owned()], vec!["-".to_owned()], 0));
    }
}

/// S1: a URL that is written differently is the same origin, if it leads to the same place.
#[tokio::test]
async fn an_allowed_origin_may_be_written_in_other_ways() {
    let (api, mint) = (Api::accepting("token-1").await, Mint::default());
    let Client::Middleware(client) = &Client::own(&api.layer(&mint.handle()), &api.origins())[0] else { unreachable!() };
    for host in ["127.1", "0x7f.0.0.1", "2130706433"] {
        let url = api.url("/").replace("127.0.0.1", host);
        assert_eq!(client.get(url).send().await.unwrap().status(), 200, "{host}");
    }
}

/// S1: a URL that is not the web's has no origin, and what has none is no API.
#[tokio::test]
async fn a_url_without_an_origin_gets_no_token() {
    struct Bare;

    #[async_trait::async_trait]
    impl reqwest_middleware::Middleware for Bare {
        async fn handle(
            &self,
            request: reqwest::Request,
            _: &mut http::Extensions,
            _: reqwest_middleware::Next<'_>,
        ) -> reqwest_middleware::Result<reqwest::Response> {
            assert!(!request.headers().contains_key(AUTHORIZATION), "{}", request.url());
            Ok(http::Response::new("").into())
        }
    }

    for relative in [false, true] {
        let mut origins = tower_token::Origins::any();
        if relative {
            origins = origins.relative_as("https://api.example.com").unwrap();
        }
        let auth = AuthMiddleware::new_redirect_free(tower_token::BearerAuthLayer::new(origins, Mint::default().handle()));
        let client = ClientBuilder::new(reqwest::Client::new()).with(auth).with(Bare).build();
        for url in ["vendor://evil.test/", "data:text/plain,x", "blob:https://api.example.com/x", "ftp://evil.test/", "file:///x"]
        {
            let request = reqwest::Request::new(http::Method::GET, url.parse().unwrap());
            client.execute(request).await.unwrap();
        }
    }
}
