//! What the public types can be used for: shared, sent, cloned, copied in one word.

use std::convert::Infallible;

use http::Request;
use tower::{Layer, Service, util::BoxCloneService};
use tower_token::{
    AccessToken, AuthError, BearerAuthLayer, FetchContext, Origins, RefreshConfig, StaticToken, TokenError, TokenHandle,
    Transport,
    adapter::hyper::HyperClient,
    middleware::{AuthService, KnownOrEmpty},
    refresh::{Driver, Status},
};

fn send<T: Send + 'static>() {}
fn shared<T: Send + Sync + Clone + 'static>() {}

/// Neither `Sync` nor anything else is asked of the service.
type Inner = BoxCloneService<Request<String>, http::Response<String>, Infallible>;
type Auth = AuthService<Inner>;

#[test]
fn what_is_shared_between_threads_can_be() {
    shared::<AccessToken>();
    shared::<TokenError>();
    shared::<AuthError<Infallible>>();
    shared::<TokenHandle>();
    shared::<Origins>();
    shared::<RefreshConfig>();
    shared::<StaticToken>();
    shared::<FetchContext>();
    shared::<Status>();
    shared::<BearerAuthLayer>();
    shared::<BearerAuthLayer<KnownOrEmpty>>();
    shared::<HyperClient<String>>();
    send::<Driver>();
    send::<Transport>();
    send::<Auth>();
    send::<<Auth as Service<Request<String>>>::Future>();
}

/// H1, lesson 4 of the measurements: one pointer to an error, one to a token, and no bulk on the futures.
#[test]
fn small_things_are_small() {
    assert_eq!(size_of::<TokenError>(), size_of::<usize>());
    assert_eq!(size_of::<AccessToken>(), size_of::<usize>());
    let inner = size_of::<<Inner as Service<Request<String>>>::Future>();
    let ours = size_of::<<Auth as Service<Request<String>>>::Future>();
    assert!(ours <= inner + 88 + size_of::<String>(), "{ours} over {inner}");
}

/// A layer that is cloned, or applied twice, is one engine.
#[tokio::test]
async fn services_of_one_layer_share_its_engine() {
    let mint = crate::support::Mint::default();
    let api = crate::support::Api::default();
    let layer = BearerAuthLayer::new(crate::support::origins(), mint.source());
    for layer in [layer.clone(), layer] {
        for _ in 0..2 {
            let service = layer.layer(api.service::<String>());
            tower::ServiceExt::oneshot(service, crate::support::get(crate::support::API)).await.unwrap();
        }
    }
    assert_eq!(mint.fetches(), 1);
    assert_eq!(api.seen(), ["Bearer token-1"; 4]);
}
