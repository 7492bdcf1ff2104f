use futures::future::join_all;
use tower_token::{ErrorKind, TokenError, clock::TokioClock, grant::oauth::UserLogin, refresh::Status, store::MemoryStore};

use crate::{
    client::Client,
    world::{LIFETIME, World, log_in, refresh_token, token_error},
};

const ENGINES: usize = 20;

/// F3: engines that know of each other by the store alone. The server logs out whoever presents a refresh token twice.
async fn engines(world: &World, store: &MemoryStore) -> Vec<Client> {
    let grant = world.grant();
    let login = log_in(&grant).await.unwrap();
    let begin = UserLogin::with_store(grant.refresh_grant(), store.clone()).clock(world.clock.clone());
    begin.begin(login).await.unwrap();
    let engine = |_| world.client(UserLogin::with_store(grant.refresh_grant(), store.clone()).source());
    (0..ENGINES).map(engine).collect()
}

/// Each client's call, all at once, and the statuses of the requests that each of them takes.
async fn all(world: &World, clients: &[Client], expected: &[u16]) {
    for statuses in join_all(clients.iter().map(|client| world.statuses(client, "/orders"))).await {
        assert_eq!(statuses, expected);
    }
}

/// Waits until each engine has made the attempt that this leads to, whatever comes of it.
async fn attempted(clients: &[Client], cause: impl FnOnce()) {
    let before: Vec<_> = clients.iter().map(|client| (client.tokens.status(), client.tokens.subscribe())).collect();
    cause();
    for (before, mut changes) in before {
        let done = |now: &Status| now.generation() != before.generation() || now.failures() != before.failures();
        changes.wait_for(done).await.unwrap();
    }
}

/// F3: 20 engines race on a token that has expired, over and over.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn engines_that_race_present_each_refresh_token_once() {
    let Some(world) = World::shared().await else { return };
    let store = MemoryStore::new();
    let clients = engines(&world, &store).await;
    all(&world, &clients, &[200]).await;
    for _ in 0..5 {
        let used = refresh_token(&store).await;
        assert_eq!(world.presented(&used).await, 0);
        attempted(&clients, || world.clock.advance(LIFETIME)).await;
        all(&world, &clients, &[200]).await;
        assert_eq!(world.presented(&used).await, 1);
        assert_ne!(used, refresh_token(&store).await);
    }
    assert!(clients.iter().all(|client| client.tokens.status().failures() == 0));
}

/// F3, R1: 20 engines race on a token that the server has ended early. Each request is sent once more, and no more than that.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn engines_that_meet_a_dead_token_present_the_refresh_token_once() {
    let Some(world) = World::shared().await else { return };
    let store = MemoryStore::new();
    let clients = engines(&world, &store).await;
    all(&world, &clients, &[200]).await;
    let used = refresh_token(&store).await;
    world.forget(&clients[0].tokens.token().await.unwrap()).await;
    all(&world, &clients, &[401, 200]).await;
    assert_eq!(world.presented(&used).await, 1);
    assert_eq!(world.presented(&refresh_token(&store).await).await, 0);
    assert!(clients.iter().all(|client| client.tokens.status().replays() == 1));
}

/// F19: a logout meets the refresh of 20 engines, at its beginning and in its middle. Whoever comes first, nobody has a token
/// afterwards that the server takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_logout_that_meets_a_refresh_is_the_last_word() {
    let Some(world) = World::shared().await else { return };
    for in_the_middle in [false, true] {
        let store = MemoryStore::new();
        let clients = engines(&world, &store).await;
        all(&world, &clients, &[200]).await;
        // By the real clock: the time that passes here in one step is no reason to give the logout up.
        let user = UserLogin::with_store(world.grant().refresh_grant(), store.clone());
        let user = user.revocation(world.revocation().clock(TokioClock));
        let mut changes = clients[0].tokens.subscribe();
        let logout = async {
            if in_the_middle {
                changes.wait_for(|status| status.generation() > 1).await.unwrap();
            }
            user.end().await
        };
        let (ended, ()) = tokio::join!(logout, attempted(&clients, || world.clock.advance(LIFETIME)));
        ended.unwrap();
        for client in &clients {
            match client.send(world.request("", "/orders")).await {
                Ok(answer) => assert_eq!(answer.status, 401),
                Err(error) => assert_eq!(token_error(error).kind(), ErrorKind::Refused),
            }
        }
    }
}

/// RFC 9700 section 4.14.2: a refresh token that is presented a second time, by a thief say, ends the login of both. Its user sees,
/// while the access token has not expired, its 401 with the reason beside it; then the reason; and after a new login, neither.
#[tokio::test]
async fn a_stolen_refresh_token_ends_the_login() {
    let Some(world) = World::shared().await else { return };
    let (grant, store) = (world.grant(), MemoryStore::new());
    let user = UserLogin::with_store(grant.refresh_grant(), store.clone()).clock(world.clock.clone());
    user.begin(log_in(&grant).await.unwrap()).await.unwrap();
    let client = world.client(user.source());
    assert_eq!(world.statuses(&client, "/orders").await, [200]);
    let stolen = refresh_token(&store).await;
    client.attempt(|| world.clock.advance(LIFETIME)).await.unwrap();
    assert_eq!(world.statuses(&client, "/orders").await, [200]);

    let thief = UserLogin::with_store(grant.refresh_grant(), MemoryStore::holding(stolen.clone()));
    assert_eq!(world.client(thief.source()).refused().await.code(), Some("invalid_grant"));
    assert_eq!(world.presented(&stolen).await, 2);

    let (answer, statuses) = world.call(&client, "/orders").await;
    assert_eq!(statuses, [401], "there is no token to send it again with");
    let beside = answer.extensions.get::<TokenError>().unwrap();
    assert_eq!((beside.kind(), beside.code()), (ErrorKind::Refused, Some("invalid_grant")));
    assert_eq!(client.attempt(|| world.clock.advance(LIFETIME)).await, Err(ErrorKind::Refused));
    assert_eq!(world.failure(&client).await.kind(), ErrorKind::Refused);
    assert!(user.needs_login().await.unwrap());

    user.begin(log_in(&grant).await.unwrap()).await.unwrap();
    client.tokens.reset();
    assert_eq!(world.statuses(&client, "/orders").await, [200]);
}
