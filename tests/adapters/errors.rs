//! What a failed request looks like to its caller.

use std::{error::Error, iter::successors, time::Duration};

use reqwest_middleware::ClientBuilder;
use tower::{Layer, Service, ServiceExt};
use tower_token::{
    AuthError, BearerAuthLayer, ErrorKind, Origins, TokenError,
    adapter::{
        reqwest::{ReqwestError, ReqwestService},
        reqwest_middleware::{AuthMiddleware, client},
    },
    testing::{ScriptedReply, ScriptedServer},
};

use crate::support::{Api, Mint, get};

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |&error| error.source())
}

/// By either adapter: the middleware's is under its own error, the service's under the layer's.
pub(crate) fn token_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TokenError> {
    chain(error).find_map(|error| {
        error
            .downcast_ref::<TokenError>()
            .or_else(|| match error.downcast_ref()? {
                AuthError::<ReqwestError>::Token(error) | AuthError::Service(ReqwestError::Unsent(error)) => Some(error),
                AuthError::Service(_) => None,
            })
            .or_else(|| match error.downcast_ref()? {
                reqwest_middleware::Error::Middleware(error) => error.downcast_ref(),
                reqwest_middleware::Error::Reqwest(_) => None,
            })
    })
}

/// H5: no token, no request, and an error that says so.
#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let (api, mint) = (Api::accepting("token-1").await, Mint::default());
    mint.down();
    let tokens = mint.handle();
    let error = client(api.layer(&tokens)).unwrap().get(api.url("/")).send().await.unwrap_err();
    let reqwest_middleware::Error::Middleware(error) = error else { panic!("{error:?}") };
    assert_eq!(error.downcast_ref::<TokenError>().unwrap().kind(), ErrorKind::Transient);

    let service = api.layer(&tokens).layer(ReqwestService::new(&api.origins()).unwrap());
    let error = service.oneshot(get(api.url("/"))).await.unwrap_err();
    assert!(matches!(error, AuthError::Token(error) if error.kind() == ErrorKind::Transient));
    assert!(api.seen().is_empty());
}

/// H5: the opt-in, with both.
#[tokio::test]
async fn a_request_goes_bare_if_the_layer_says_so() {
    use tower_token::middleware::OnUnavailable;

    for nth in 0..2 {
        let (api, mint) = (Api::accepting("-").await, Mint::default());
        mint.down();
        let layer = api.layer(&mint.handle()).on_unavailable(OnUnavailable::SendBare);
        let answer = crate::support::Client::own(&layer, &api.origins())[nth].get(api.url("/")).await;
        assert_eq!((answer.status, api.seen()), (200, vec!["-".to_owned()]));
    }
}

/// reqwest's own errors are there to be asked.
#[tokio::test]
async fn a_timeout_of_reqwests_can_be_told() {
    let server = ScriptedServer::start([ScriptedReply::hang()]).await.unwrap();
    let (origins, tokens) = (server.base_url().parse::<Origins>().unwrap(), Mint::default().handle());
    let layer = BearerAuthLayer::new(origins, tokens);
    let hasty = reqwest::Client::builder().timeout(Duration::from_millis(20)).build().unwrap();
    let auth = AuthMiddleware::new_redirect_free(layer.clone());
    let client = ClientBuilder::new(hasty.clone()).with(auth).build();
    assert!(client.get(server.base_url()).send().await.unwrap_err().is_timeout());

    let error = layer.layer(ReqwestService::over_redirect_free(hasty)).oneshot(get(server.base_url())).await.unwrap_err();
    assert!(matches!(&error, AuthError::Service(ReqwestError::Reqwest(error)) if error.is_timeout()), "{error:?}");
    let boxed = error.into_boxed();
    assert!(chain(&*boxed).any(|error| error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout)));
}

/// S5: of the URL in reqwest's error nothing is shown that may be a secret; where it went is.
#[tokio::test]
async fn no_error_of_the_service_shows_a_query() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let origins = format!("http://{address}").parse::<Origins>().unwrap();
    let service = ReqwestService::new(&origins).unwrap();
    let error = service.oneshot(get(format!("http://canary:canary@{address}/path?key=canary"))).await.unwrap_err();
    let shown = chain(&error).map(|error| format!("{error} {error:?} {error:#?}")).collect::<String>();
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains(&format!("http://{address}/path")), "{shown}");
    assert_eq!(error.to_string(), "reqwest failed to carry the request");
    assert!(matches!(error, ReqwestError::Reqwest(error) if error.is_connect()));
}

/// A URI that says no place is an error of its own, and no panic.
#[tokio::test]
async fn a_uri_without_a_place_is_refused() {
    for uri in ["/orders", "*", "example.com:443"] {
        let service = ReqwestService::over_redirect_free(reqwest::Client::new());
        let request = http::Request::get(uri).body(String::new()).unwrap();
        let error = service.oneshot(request).await.unwrap_err();
        let ReqwestError::Unsent(error) = error else { panic!("{error:?}") };
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{uri}");
    }
}

/// What reqwest cannot send is its error.
#[tokio::test]
async fn a_scheme_that_is_not_http_is_reqwests_error() {
    for uri in ["ftp://example.com/", "ws://example.com/"] {
        let service = ReqwestService::over_redirect_free(reqwest::Client::new());
        let request = http::Request::get(uri).body(String::new()).unwrap();
        let error = service.oneshot(request).await.unwrap_err();
        assert!(matches!(&error, ReqwestError::Reqwest(error) if error.is_builder()), "{error:?}");
    }
    let layer = BearerAuthLayer::new(Origins::any(), Mint::default().handle());
    let error = client(layer).unwrap().get("ftp://example.com/").send().await.unwrap_err();
    assert!(error.is_builder(), "{error:?}");
}

/// Without a feature of reqwest's that brings TLS, as here, the error of an `https` URL says what is missing.
#[tokio::test]
async fn https_without_tls_says_so() {
    let service = ReqwestService::over_redirect_free(reqwest::Client::new());
    let request = http::Request::get("https://127.0.0.1:9/").body(String::new()).unwrap();
    let error = service.oneshot(request).await.unwrap_err();
    let shown = chain(&error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
    assert!(shown.contains("scheme is not http"), "{shown}");
}

/// S3: what is printed of the adapters shows no token.
#[tokio::test]
async fn nothing_shows_a_token() {
    let (api, mint) = (Api::accepting("token-1").await, Mint::default());
    let tokens = mint.handle();
    let auth = AuthMiddleware::new_redirect_free(api.layer(&tokens));
    tokens.token().await.unwrap();
    let service = ReqwestService::new(&api.origins()).unwrap();
    let future = Service::call(&mut service.clone(), get(api.url("/?key=token-1")));
    let shown = format!("{auth:?} {service:?} {:?} {future:?}", tower_token::adapter::reqwest::transport());
    assert!(!shown.contains("token-1"), "{shown}");
}
