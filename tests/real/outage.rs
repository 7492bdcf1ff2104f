use std::{
    env, fs,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use tower_token::{
    AuthError, ErrorKind, TokenHandle,
    clock::TokioClock,
    grant::oauth::{Client, ClientCredentials, UserLogin},
    store::MemoryStore,
};

use crate::{
    server::own,
    world::{LIFETIME, World, log_in, refresh_token, transport},
};

/// A folder of its own for a server's records.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Scratch {
        static FOLDERS: AtomicUsize = AtomicUsize::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        Scratch(env::temp_dir().join(format!("tower-token-real-{}-{number}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _it_may_not_be_there = fs::remove_dir_all(&self.0);
    }
}

/// E3, E12: the authorization server is killed and comes back, in the middle of traffic. The resource server is a process
/// beside it, over the same records. While the token is good, nobody notices; then the error is one that passes; and the login outlives it.
#[tokio::test]
async fn the_authorization_server_is_killed_and_comes_back() {
    let scratch = Scratch::new();
    let Some(server) = own(&scratch.0, 0) else { return };
    let Some(beside) = own(&scratch.0, 0) else { return };
    let mut world = World::of(server.clone()).await;
    world.server = beside;
    let (grant, store) = (world.grant(), MemoryStore::new());
    let user = UserLogin::with_store(grant.refresh_grant(), store.clone()).clock(world.clock.clone());
    user.begin(log_in(&grant).await.unwrap()).await.unwrap();
    let client = world.client(user.source());
    assert_eq!(world.statuses(&client, "/orders").await, [200]);

    let (over, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let traffic = async {
        while !over.load(Ordering::Relaxed) {
            assert_eq!(world.statuses(&client, "/orders").await, [200]);
            served.fetch_add(1, Ordering::Relaxed);
        }
    };
    let outage = async {
        server.kill();
        let failed = client.attempt(|| world.clock.advance(LIFETIME - Duration::from_secs(5))).await;
        assert_eq!(failed, Err(ErrorKind::Transient), "what is renewed in the background");
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(traffic, outage);
    assert!(served.load(Ordering::Relaxed) > 0);
    assert_eq!(world.statuses(&client, "/orders").await, [200], "the token is still good");
    assert_eq!(client.tokens.status().generation(), 1);

    assert_eq!(client.attempt(|| world.clock.advance(Duration::from_secs(5))).await, Err(ErrorKind::Transient));
    let error = world.failure(&client).await;
    assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
    assert!(error.retry_at().is_some());
    assert!(!user.needs_login().await.unwrap());

    let used = refresh_token(&store).await;
    let Some(server) = own(&scratch.0, server.port()) else { return };
    let back = client.attempt(|| world.clock.advance(Duration::from_secs(60))).await;
    assert_eq!(back, Ok(()), "by itself, when the back-off is over");
    assert_eq!(world.statuses(&client, "/orders").await, [200]);
    let beside = std::mem::replace(&mut world.server, server);
    assert_eq!(world.presented(&used).await, 1);

    // The other one is killed: that is the call's failure, and no fault of the token.
    world.server = beside;
    world.server.kill();
    let error = client.send(world.request("", "/orders")).await.unwrap_err();
    let error = error.downcast::<AuthError<hyper_util::client::legacy::Error>>().unwrap();
    assert!(matches!(*error, AuthError::Service(_)), "{error}");
    assert_eq!(client.tokens.status().rejections(), 0);
}

/// E9: the process is stopped, its sockets take the call, and no answer comes: `Timeout`, when the transport says so. When the
/// process goes on, so does the engine.
#[tokio::test]
async fn a_server_that_hangs_is_a_timeout() {
    let scratch = Scratch::new();
    let Some(server) = own(&scratch.0, 0) else { return };
    let world = World::of(server).await;
    let transport = transport().timeout(Duration::from_millis(300));
    let source = ClientCredentials::new(&world.as_, Client::basic("basic", "basic-secret").unwrap(), transport).unwrap();
    let tokens = TokenHandle::builder(source).clock(TokioClock).build();
    world.server.stop();
    let start = Instant::now();
    let error = tokens.token().await.unwrap_err();
    world.server.go_on();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(start.elapsed() < Duration::from_secs(10));
    tokens.ready(Duration::from_secs(30)).await.unwrap();
}

/// A test program that is killed closes the pipe to the server's standard input, and so leaves no process behind.
#[tokio::test]
async fn the_server_ends_with_its_input() {
    let scratch = Scratch::new();
    let Some(server) = own(&scratch.0, 0) else { return };
    assert!(server.ended_with_its_input());
}
