use tower_token::{
    ErrorKind, TokenError, TokenHandle,
    clock::TokioClock,
    grant::oauth::{Client, ClientCredentials},
};

use crate::world::{World, transport};

const ODD: (&str, &str) = ("my: app+%", "s:e c+r%41&=?/\"\\~");
const PLAIN: (&str, &str) = ("plain", "a%41+b");

fn source(world: &World, client: Result<Client, TokenError>) -> ClientCredentials {
    ClientCredentials::new(&world.as_, client.unwrap(), transport()).unwrap().scopes(["orders:read"]).unwrap()
}

/// RFC 6749 section 2.3.1: in the header or in the form, and in the header encoded as a form is (G9).
#[tokio::test]
async fn a_client_proves_who_it_is() {
    let Some(world) = World::shared().await else { return };
    for client in [
        Client::basic("basic", "basic-secret"),
        Client::post("post", "post-secret"),
        Client::basic(ODD.0, ODD.1),
        Client::basic(PLAIN.0, PLAIN.1),
    ] {
        let client = world.client(source(&world, client));
        assert_eq!(world.statuses(&client, "/orders").await, [200]);
        let token = client.tokens.token().await.unwrap();
        assert_eq!(token.granted_scopes(), ["orders:read"]);
        assert!(client.tokens.status().expires_in().is_some_and(|left| left.as_secs() == 600));
    }
}

/// G9: with the secret of another, an id that nobody has, and a header whose parts are not encoded, of which the server's
/// decoding makes another secret.
#[tokio::test]
async fn a_client_that_does_not_is_refused() {
    let Some(world) = World::shared().await else { return };
    for client in [
        Client::basic("basic", "post-secret"),
        Client::post("post", "basic-secret"),
        Client::basic("nobody", "basic-secret"),
        Client::basic_unencoded(PLAIN.0, PLAIN.1),
    ] {
        let client = world.client(source(&world, client));
        let error = client.refused().await;
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("invalid_client")), "{error}");
        assert_eq!(world.failure(&client).await.kind(), ErrorKind::Refused, "its requests are not sent");
    }
}

/// RFC 6749 section 5.2: a scope that the client may not ask for, and a client that may not use this grant, which
/// this server says in words of its own.
#[tokio::test]
async fn what_is_not_to_be_had_is_said() {
    let Some(world) = World::shared().await else { return };
    let unknown = source(&world, Client::basic(PLAIN.0, PLAIN.1)).scopes(["orders:write"]).unwrap();
    let app = source(&world, Client::basic("confidential", "confidential-secret"));
    for (source, kind, code) in
        [(unknown, ErrorKind::Misconfigured, "invalid_scope"), (app, ErrorKind::Misconfigured, "invalid_request")]
    {
        let error = world.client(source).refused().await;
        assert_eq!((error.kind(), error.code()), (kind, Some(code)), "{error}");
    }
}

/// E8, by the real clock: a token of two seconds is renewed with nobody asking.
#[tokio::test]
async fn a_short_token_is_kept_fresh() {
    let Some(world) = World::shared().await else { return };
    let source = source(&world, Client::basic("short-lived", "short-lived-secret"));
    let tokens = TokenHandle::builder(source).clock(TokioClock).build();
    let first = tokens.token().await.unwrap();
    let mut changes = tokens.subscribe();
    changes.wait_for(|status| status.generation() > first.generation()).await.unwrap();
    let second = tokens.current().unwrap();
    assert_ne!(first.expose_secret(), second.expose_secret());
    assert_eq!(tokens.status().failures(), 0);
}
