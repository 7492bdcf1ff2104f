use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde::Deserialize;
use tower::ServiceExt;
use tower_token::{
    ErrorKind,
    grant::oauth::{AuthorizationCode, Login, UnverifiedIdToken, UserLogin},
    id_token::{Check, Expected, Jwks, Verifier},
};

use crate::{
    client::hyper,
    server::own,
    world::{LIFETIME, World, log_in, transport, visit},
};

/// From one fetch of keys to the next, at least.
const COOL_DOWN: Duration = Duration::from_secs(30);

fn verifier(world: &World, client: &str) -> Verifier {
    let keys = Jwks::over(transport(), world.as_.jwks_uri().unwrap().to_string()).unwrap().clock(world.clock.clone());
    Verifier::new(keys, &world.server.issuer, client).unwrap()
}

/// The check that a program would write, for logins and refreshes.
fn checked(grant: AuthorizationCode, verifier: Verifier) -> AuthorizationCode {
    grant.on_id_token(move |id_token: UnverifiedIdToken| {
        let verifier = verifier.clone();
        async move {
            let mut expected = Expected::new().access_token(id_token.access_token().expose_secret());
            if let Some(nonce) = id_token.nonce() {
                expected = expected.nonce(nonce);
            }
            verifier.verify(id_token.raw(), expected).await?;
            Ok(())
        }
    })
}

/// OpenID Connect Core 3.1.3.7 and 12.2: of a login with its nonce, and of the refresh that follows.
#[tokio::test]
async fn an_id_token_is_verified_at_login_and_refresh() {
    let Some(world) = World::shared().await else { return };
    let grant = checked(world.grant(), verifier(&world, "confidential"));
    let user = UserLogin::new(grant.refresh_grant()).clock(world.clock.clone());
    user.begin(log_in(&grant).await.unwrap()).await.unwrap();
    let client = world.client(user.source());
    client.tokens.token().await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    client.renew().await.unwrap();
    assert_eq!(world.statuses(&client, "/orders").await, [200]);
}

/// Each check that the server's own token fails when something else is expected of it.
#[tokio::test]
async fn an_id_token_for_another_login_is_refused() {
    let Some(world) = World::shared().await else { return };
    let (url, pending) = world.grant().begin().unwrap();
    let nonce = url.query().unwrap().split('&').find_map(|pair| pair.strip_prefix("nonce=")).unwrap();
    let login = pending.finish(&visit(&url).await).await.unwrap();
    let (raw, own) = (login.id_token().unwrap(), verifier(&world, "confidential"));
    let access = login.access_token().expose_secret();
    let whole = own.verify(raw, Expected::new().nonce(nonce).access_token(access)).await.unwrap();

    #[derive(Deserialize)]
    struct Hash {
        at_hash: Option<String>,
    }
    assert!(whole.claims::<Hash>().unwrap().at_hash.is_some(), "else the check of it proves nothing");
    assert_eq!((whole.subject(), whole.audience()), ("user-1", &["confidential".to_owned()][..]));

    let (signed, signature) = raw.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
    for (verifier, raw, expected, check) in [
        (&verifier(&world, "public"), raw, Expected::new(), Check::Audience),
        (&own, raw, Expected::new().nonce("another"), Check::Nonce),
        (&own, raw, Expected::new().access_token("another"), Check::AccessTokenHash),
        (&own, &forged, Expected::new(), Check::Signature),
    ] {
        assert_eq!(verifier.verify(raw, expected).await.unwrap_err().check(), check);
    }

    let grant = checked(world.grant(), verifier(&world, "public"));
    assert_eq!(log_in(&grant).await.unwrap_err().kind(), ErrorKind::Refused, "no login without the check");
}

/// V7: the issuer signs with a new key. It is believed after one fetch of the keys, which the cool-down allows; the former key
/// stays good for as long as the issuer publishes it.
#[tokio::test]
async fn a_key_that_was_rotated_is_fetched_once() {
    let store = crate::outage::Scratch::new();
    let Some(server) = own(&store.0, 0) else { return };
    let world = World::of(server).await;
    let fetches = Arc::new(AtomicUsize::new(0));
    let counting = hyper().map_request({
        let fetches = Arc::clone(&fetches);
        move |request| {
            fetches.fetch_add(1, Ordering::Relaxed);
            request
        }
    });
    let keys = Jwks::over(counting, world.as_.jwks_uri().unwrap().to_string()).unwrap().clock(world.clock.clone());
    let verifier = Verifier::new(keys, &world.server.issuer, "confidential").unwrap();
    let verify = async |login: &Login| match verifier.verify(login.id_token().unwrap(), Expected::new()).await {
        Ok(_) => Ok(()),
        Err(error) => Err(error.check()),
    };
    let former = log_in(&world.grant()).await.unwrap();
    assert_eq!((verify(&former).await, fetches.load(Ordering::Relaxed)), (Ok(()), 1));

    let () = world.control("rotate-key").await;
    let new = log_in(&world.grant()).await.unwrap();
    assert_eq!((verify(&new).await, fetches.load(Ordering::Relaxed)), (Err(Check::Key), 1), "too soon after the last fetch");
    world.clock.advance(COOL_DOWN);
    assert_eq!((verify(&new).await, fetches.load(Ordering::Relaxed)), (Ok(()), 2));
    assert_eq!((verify(&former).await, fetches.load(Ordering::Relaxed)), (Ok(()), 2), "both are published");

    let () = world.control("withdraw-former-keys").await;
    world.clock.advance(Duration::from_secs(3600) - LIFETIME);
    assert_eq!(verify(&former).await, Err(Check::Expiry), "by now, and its key is still there");
    world.clock.advance(LIFETIME);
    assert_eq!(verify(&former).await, Err(Check::Key), "an hour after the last fetch, it is gone");
}
