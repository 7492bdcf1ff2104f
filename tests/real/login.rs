use tower_token::{
    ErrorKind,
    grant::oauth::{Client, UserLogin},
};

use crate::world::{LIFETIME, World, confidential, log_in, transport, visit};

/// RFC 6749 section 4.1 with PKCE (RFC 7636) and `iss` (RFC 9207), for both kinds of client; the first token serves, and so does
/// the one that it is refreshed to.
#[tokio::test]
async fn a_person_logs_in() {
    let Some(world) = World::shared().await else { return };
    for client in [confidential(), Client::public("public").unwrap()] {
        let grant = world.grant_of(client).param("login_hint", "thandi").unwrap();
        let login = log_in(&grant).await.unwrap();
        assert_eq!(login.subject(), Some("thandi"));
        assert_eq!(login.scopes(), ["openid", "offline_access", "orders:read"]);

        let user = UserLogin::new(grant.refresh_grant()).clock(world.clock.clone());
        user.begin(login).await.unwrap();
        let client = world.client(user.source());
        assert_eq!(world.statuses(&client, "/orders").await, [200]);
        client.attempt(|| world.clock.advance(LIFETIME)).await.unwrap();
        assert_eq!(world.statuses(&client, "/orders").await, [200]);
    }
}

/// G11, G12, S8: what another makes of a callback. The server's own names its issuer, and has the state that was sent.
#[tokio::test]
async fn a_callback_that_was_tampered_with_is_refused() {
    let Some(world) = World::shared().await else { return };
    let grant = world.grant();
    let issuer = format!("iss={}", world.server.issuer.replace(':', "%3A").replace('/', "%2F"));
    let (url, _) = grant.begin().unwrap();
    let of_another = visit(&url).await;
    for tampered in [
        |callback: &str, iss: &str| callback.replace(iss, "iss=https%3A%2F%2Fevil.test"),
        |callback: &str, iss: &str| callback.replace(iss, "x=y"),
        |callback: &str, _: &str| callback.replace("state=", "state=x"),
        |callback: &str, _: &str| format!("{callback}&code=x"),
    ] {
        let (url, pending) = grant.begin().unwrap();
        let callback = visit(&url).await;
        let other = tampered(&callback, &issuer);
        assert_ne!(callback, other, "nothing to tamper with");
        assert_eq!(pending.finish(&other).await.unwrap_err().kind(), ErrorKind::Refused, "{other}");
    }
    let (_, pending) = grant.begin().unwrap();
    assert_eq!(pending.finish(&of_another).await.unwrap_err().kind(), ErrorKind::Refused, "a login that somebody else began");
}

/// RFC 7636 section 4.6: a code that was stolen is no good to who did not begin the login; and the code is used up by that.
#[tokio::test]
async fn a_code_without_its_verifier_is_refused() {
    let Some(world) = World::shared().await else { return };
    let grant = world.grant();
    let (url, _) = grant.begin().unwrap();
    let (own, pending) = grant.begin().unwrap();
    let (stolen, own) = (visit(&url).await, visit(&own).await);
    let part = |callback: &str, name: &str| {
        let query = callback.split_once('?').unwrap().1.to_owned();
        query.split('&').find(|pair| pair.starts_with(name)).unwrap().to_owned()
    };
    let callback = own.replace(&part(&own, "code="), &part(&stolen, "code="));
    let error = pending.finish(&callback).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("invalid_grant")), "{error}");
}

/// RFC 6749 section 4.1.2.1: the person says no.
#[tokio::test]
async fn a_person_who_says_no() {
    let Some(world) = World::shared().await else { return };
    let error = log_in(&world.grant().param("login_hint", "nobody").unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("access_denied")));
    assert!(!error.to_string().contains("the person said no"), "the description is the sender's to choose");
}

/// F19, RFC 7009: after `end`, neither the refresh token nor what came of it is good for anything.
#[tokio::test]
async fn a_person_logs_out() {
    let Some(world) = World::shared().await else { return };
    let grant = world.grant();
    let login = log_in(&grant).await.unwrap();
    let refresh = login.refresh_token().unwrap().clone();
    let user = UserLogin::new(grant.refresh_grant()).clock(world.clock.clone()).revocation(world.revocation());
    user.begin(login).await.unwrap();
    let client = world.client(user.source());
    assert_eq!(world.statuses(&client, "/orders").await, [200]);

    user.end().await.unwrap();
    assert!(user.needs_login().await.unwrap());
    assert_eq!(world.statuses(&client, "/orders").await, [401], "the token that the engine still has");
    assert_eq!(world.presented(&refresh).await, 0);
    let again = UserLogin::with_store(grant.refresh_grant(), tower_token::store::MemoryStore::holding(refresh));
    let error = world.client(again.source()).refused().await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("invalid_grant")));
    // What is not known any more may be revoked again (RFC 7009 section 2.2).
    let (unknown, revocation) = (tower_token::RefreshToken::new("unknown"), world.revocation());
    revocation.revoke_refresh_token(&unknown).await.unwrap();
    let refused = tower_token::grant::oauth::Revocation::new(&world.as_, Client::basic("basic", "wrong").unwrap(), transport());
    assert_eq!(refused.unwrap().revoke_refresh_token(&unknown).await.unwrap_err().kind(), ErrorKind::Refused);
}
