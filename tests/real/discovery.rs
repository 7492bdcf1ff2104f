use std::sync::Arc;

use tower_token::{
    ErrorKind,
    clock::{Clock, TokioClock},
    grant::oauth,
};

use crate::{
    server::shared,
    world::{World, transport},
};

fn clock() -> Arc<dyn Clock> {
    Arc::new(TokioClock)
}

/// G15, RFC 8414: what the server says of itself is what is found.
#[tokio::test]
async fn metadata_are_found() {
    let Some(World { server, as_, .. }) = World::shared().await else { return };
    let at = |path: &str| format!("{}{path}", server.issuer);
    assert_eq!(as_.issuer(), Some(server.issuer.as_str()));
    assert_eq!(as_.token_endpoint(), at("/token").as_str());
    assert_eq!(as_.authorization_endpoint().unwrap(), at("/auth").as_str());
    assert_eq!(as_.revocation_endpoint().unwrap(), at("/token/revocation").as_str());
    assert_eq!(as_.jwks_uri().unwrap(), at("/jwks").as_str());
    assert!(as_.iss_in_callbacks(), "RFC 9207");
    for method in ["client_secret_basic", "client_secret_post", "none"] {
        assert!(as_.authentication_methods().iter().any(|known| known == method), "{method}");
    }
}

/// G15, OpenID Connect Discovery 4.1: an issuer with a path, for which RFC 8414 section 3.1 has another place, where nothing is.
#[tokio::test]
async fn metadata_are_found_where_openid_connect_has_them() {
    let Some(server) = shared() else { return };
    let issuer = format!("{}/tenant", server.issuer);
    let as_ = oauth::Server::discover(&issuer, transport(), &clock()).await.unwrap();
    assert_eq!(as_.issuer(), Some(issuer.as_str()));
    assert_eq!(as_.token_endpoint(), format!("{issuer}/token").as_str());
}

/// RFC 8414 section 3.3: the same place under another name, or no place at all.
#[tokio::test]
async fn metadata_of_another_issuer_are_refused() {
    let Some(server) = shared() else { return };
    for issuer in [server.issuer.replace("127.0.0.1", "localhost"), format!("{}/nowhere", server.issuer)] {
        let error = oauth::Server::discover(&issuer, transport(), &clock()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{issuer}: {error}");
    }
}
