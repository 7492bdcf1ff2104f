use std::time::Duration;

use tower_token::{
    ErrorKind, TokenError,
    grant::oauth::{self, AuthorizationCode, ClientCredentials, Revocation, UserLogin},
    middleware::Challenge,
    refresh::Status,
};

use crate::{
    client::Client,
    world::{World, log_in, transport},
};

async fn client(world: &World, grant: &AuthorizationCode) -> Client {
    let user = UserLogin::new(grant.refresh_grant()).clock(world.clock.clone());
    user.begin(log_in(grant).await.unwrap()).await.unwrap();
    world.client(user.source())
}

fn refreshes(status: &Status) -> (u64, u64, u64) {
    (status.fetches(), status.rejections(), status.replays())
}

/// R1, RFC 6750 section 3.1: the server says `invalid_token`, and the request is sent once more with another.
#[tokio::test]
async fn a_token_that_ended_early_is_replaced_and_the_request_sent_again() {
    let Some(world) = World::shared().await else { return };
    let client = client(&world, &world.grant()).await;
    assert_eq!(world.statuses(&client, "/orders").await, [200]);
    world.forget(&client.tokens.token().await.unwrap()).await;
    assert_eq!(world.statuses(&client, "/orders").await, [401, 200]);
    assert_eq!(refreshes(&client.tokens.status()), (2, 1, 1));
    assert_eq!(world.statuses(&client, "/orders").await, [200]);
}

/// RFC 7009, of a program, which gets another token by itself.
#[tokio::test]
async fn a_token_that_was_revoked_is_replaced() {
    let Some(world) = World::shared().await else { return };
    let program = || oauth::Client::basic("basic", "basic-secret").unwrap();
    let source = ClientCredentials::new(&world.as_, program(), transport()).unwrap().scopes(["orders:read"]).unwrap();
    let client = world.client(source);
    assert_eq!(world.statuses(&client, "/orders").await, [200]);
    let revocation = Revocation::new(&world.as_, program(), transport()).unwrap();
    revocation.revoke_access_token(&client.tokens.token().await.unwrap()).await.unwrap();
    assert_eq!(world.statuses(&client, "/orders").await, [401, 200]);
    assert_eq!(refreshes(&client.tokens.status()), (2, 1, 1));
}

/// RFC 7009 section 2.1, of a user: with the access token, this server ends the login. Its user is told with the first answer.
#[tokio::test]
async fn a_login_may_end_with_its_access_token() {
    let Some(world) = World::shared().await else { return };
    let client = client(&world, &world.grant()).await;
    world.revocation().revoke_access_token(&client.tokens.token().await.unwrap()).await.unwrap();
    let (answer, statuses) = world.call(&client, "/orders").await;
    assert_eq!(statuses, [401]);
    let beside = answer.extensions.get::<TokenError>().unwrap();
    assert_eq!((beside.kind(), beside.code()), (ErrorKind::Refused, Some("invalid_grant")));
}

/// R8, RFC 6750 section 3.1: more scope is asked for, which no refresh brings: the 403 is handed back with what it says.
#[tokio::test]
async fn a_scope_that_is_missing_is_not_refreshed() {
    let Some(world) = World::shared().await else { return };
    let client = client(&world, &world.grant()).await;
    let (answer, statuses) = world.call(&client, "/orders/new").await;
    assert_eq!((answer.status.as_u16(), statuses), (403, vec![403]));
    let challenge = answer.extensions.get::<Challenge>().unwrap();
    assert_eq!((&*challenge.scheme, challenge.error.as_deref()), ("Bearer", Some("insufficient_scope")));
    assert_eq!(challenge.scope.as_deref(), Some("orders:write"));
    assert_eq!(refreshes(&client.tokens.status()), (1, 0, 0));
}

/// R8, RFC 9470: a login of another kind is asked for. The 401 is handed back with what it says, and a login that was begun with
/// just that is let in.
#[tokio::test]
async fn a_step_up_is_answered_by_a_login() {
    let Some(world) = World::shared().await else { return };
    let first = client(&world, &world.grant()).await;
    let (answer, statuses) = world.call(&first, "/payouts").await;
    assert_eq!((answer.status.as_u16(), statuses), (401, vec![401]));
    let challenge = answer.extensions.get::<Challenge>().unwrap();
    assert_eq!(challenge.error.as_deref(), Some("insufficient_user_authentication"));
    assert_eq!(challenge.max_age, Some(Duration::from_secs(300)));
    assert_eq!(refreshes(&first.tokens.status()), (1, 0, 0));

    let max_age = challenge.max_age.unwrap().as_secs().to_string();
    let grant = world.grant().param("acr_values", challenge.acr_values.clone().unwrap()).unwrap();
    let second = client(&world, &grant.param("max_age", max_age).unwrap()).await;
    assert_eq!(world.statuses(&second, "/payouts").await, [200]);
    assert_eq!(world.statuses(&first, "/orders").await, [200], "the first login goes on");
}
