//! The rules of the layer, each written once for whatever carries the requests.

use std::time::Duration;

use futures::future::join_all;
use http::{Method, StatusCode, header::LOCATION};
use tokio::task::JoinHandle;
use tower_token::{
    AuthError, BearerAuthLayer, ErrorKind, Origins, TokenError, TokenHandle, middleware::NotReplayed, testing::ManualClock,
};

use crate::{
    api::{Api, Seen, Site},
    issuer::{Issuer, LIFETIME, Mood},
    stack::{Answer, Call, Chunks, Redirects, Sent, Stack},
};

/// A client, the two servers that it can reach, and who issues its tokens.
struct World<S> {
    client: S,
    handle: TokenHandle,
    /// Of the engine. Sockets have their own.
    clock: ManualClock,
    issuer: Issuer,
    /// Takes the tokens.
    home: Site,
    /// Takes other ones, and is not on the list.
    foreign: Site,
}

impl<S: Stack> World<S> {
    async fn new() -> World<S> {
        let issuer = Issuer::default();
        World::with_home(Api::of(&issuer), issuer).await
    }

    async fn with_home(home: Api, issuer: Issuer) -> World<S> {
        let (home, foreign) = (S::site("home", home).await, S::site("foreign", Api::of(&Issuer::default())).await);
        let clock = ManualClock::new();
        let handle = TokenHandle::builder(issuer.source()).clock(clock.clone()).build();
        let origins = home.origin.parse::<Origins>().unwrap();
        let layer = BearerAuthLayer::new(origins.clone(), handle.clone());
        let client = S::client(layer, &origins, &home, &foreign).await;
        World { client, handle, clock, issuer, home, foreign }
    }

    /// With `token-1` at hand.
    async fn with_token() -> World<S> {
        let world = World::new().await;
        world.handle.token().await.unwrap();
        world
    }

    /// With `token-1` at hand, which is good no more.
    async fn with_revoked_token() -> World<S> {
        let world = World::with_token().await;
        world.issuer.revoke_all();
        world
    }

    async fn get(&self, path: &str) -> Sent {
        self.client.send(Call::get(self.home.url(path))).await
    }

    fn start(&self, path: &str) -> JoinHandle<Sent> {
        let (client, call) = (self.client.clone(), Call::get(self.home.url(path)));
        tokio::spawn(async move { client.send(call).await })
    }

    /// What `home` has seen, by path and authorization.
    fn seen(&self) -> Vec<(String, String)> {
        let paths = self.home.api.seen().into_iter().map(|seen| seen.path);
        paths.zip(self.home.api.authorizations()).collect()
    }
}

fn tokens(number: usize, count: usize) -> Vec<String> {
    vec![format!("Bearer token-{number}"); count]
}

fn statuses(answers: Vec<Sent>) -> Vec<StatusCode> {
    answers.into_iter().map(|answer| answer.unwrap().status).collect()
}

fn token_error(sent: Sent) -> TokenError {
    match sent {
        Err(AuthError::Token(error)) => error,
        other => panic!("not an error of the token: {other:?}"),
    }
}

async fn finished(task: JoinHandle<Sent>) -> Answer {
    task.await.unwrap().unwrap()
}

/// A token at hand goes out once on each request, and what comes back is passed on as it is.
pub(crate) async fn fresh<S: Stack>() {
    let world = World::<S>::with_token().await;
    for _ in 0..10 {
        let answer = world.client.send(Call::put(world.home.url("/orders/7?full=1"), "the whole body")).await.unwrap();
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, &b"the whole body"[..]));
        assert_eq!(answer.headers["x-answered"], "/orders/7?full=1");
        assert!(!answer.has::<NotReplayed>() && !answer.has::<TokenError>());
    }
    let expected = Seen {
        method: Method::PUT,
        path: "/orders/7?full=1".to_owned(),
        authorization: tokens(1, 1),
        body: "the whole body".into(),
    };
    assert_eq!(world.home.api.seen(), vec![expected; 10]);
    assert_eq!(world.issuer.calls(), 1);
}

/// E1: who comes before there is a token waits for it, all for the same one.
pub(crate) async fn first_token<S: Stack>() {
    let world = World::<S>::new().await;
    world.issuer.hold(true);
    let calls: Vec<_> = (0..20).map(|_| world.start("/")).collect();
    world.issuer.calls_reached(1).await;
    assert_eq!(world.seen(), []);
    world.issuer.hold(false);
    for call in calls {
        assert_eq!(finished(call).await.status, StatusCode::OK);
    }
    assert_eq!((world.issuer.calls(), world.home.api.authorizations()), (1, tokens(1, 20)));
}

/// R3, R11: a request with a revoked token is sent once more, the same but for its token.
pub(crate) async fn replayed<S: Stack>() {
    let world = World::<S>::with_revoked_token().await;
    let answer = world.client.send(Call::put(world.home.url("/orders/7?full=1"), "the whole body")).await.unwrap();
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, &b"the whole body"[..]));
    let seen = world.home.api.seen();
    let [first, second] = &*seen else { panic!("{seen:?}") };
    assert_eq!((&first.authorization, &second.authorization), (&tokens(1, 1), &tokens(2, 1)));
    assert_eq!(*first, Seen { authorization: tokens(1, 1), ..second.clone() });
    assert_eq!(world.issuer.calls(), 2);
}

/// R1: a second 401 is the caller's, whole, and rejects nothing.
pub(crate) async fn replayed_once<S: Stack>() {
    // It takes nobody's tokens.
    let world = World::<S>::with_home(Api::of(&Issuer::default()), Issuer::default()).await;
    let answer = world.get("/").await.unwrap();
    assert_eq!((answer.status, &*answer.body), (StatusCode::UNAUTHORIZED, &b"who is this?"[..]));
    assert_eq!(world.home.api.authorizations(), [tokens(1, 1), tokens(2, 1)].concat());
    assert_eq!((world.issuer.calls(), world.handle.status().rejections()), (2, 1));
}

/// E1, R1: a hundred requests whose token is revoked while they are under way cost one token call.
pub(crate) async fn burst<S: Stack>() {
    let world = World::<S>::with_token().await;
    world.home.api.hold(true);
    let calls: Vec<_> = (0..100).map(|_| world.start("/")).collect();
    world.home.api.reached(100).await;
    world.issuer.revoke_all();
    world.home.api.hold(false);
    for call in calls {
        assert_eq!(finished(call).await.status, StatusCode::OK);
    }
    assert_eq!((world.issuer.calls(), world.home.api.authorizations()), (2, [tokens(1, 100), tokens(2, 100)].concat()));
}

/// E15: a 401 that comes late, when its token has long been replaced, costs no token call: the request is sent again with the new
/// one.
pub(crate) async fn late<S: Stack>() {
    let world = World::<S>::with_token().await;
    world.home.api.hold(true);
    let late = world.start("/");
    world.home.api.reached(1).await;
    world.issuer.revoke_all();
    world.handle.reject(1);
    world.handle.subscribe().wait_for(|status| status.generation() == 2).await.unwrap();
    world.home.api.hold(false);
    assert_eq!(finished(late).await.status, StatusCode::OK);
    assert_eq!((world.issuer.calls(), world.home.api.authorizations()), (2, [tokens(1, 1), tokens(2, 1)].concat()));
}

/// A failed refresh hides no token that is valid. When nothing is left, callers get the error, and the server nothing.
pub(crate) async fn refresh_failed<S: Stack>() {
    let world = World::<S>::with_token().await;
    world.issuer.set_mood(Mood::Down);
    let mut health = world.handle.subscribe();
    // Into the time in which it is renewed, and not yet to its end.
    world.clock.advance(LIFETIME * 19 / 20);
    health.wait_for(|status| status.failures() > 0).await.unwrap();
    let answers = join_all((0..10).map(|_| world.get("/"))).await;
    assert_eq!(statuses(answers), [StatusCode::OK; 10], "nobody notices");
    assert_eq!(world.home.api.authorizations(), tokens(1, 10));

    // The next attempt is made once the token's end has been noticed.
    let failures = world.handle.status().failures();
    world.clock.advance(LIFETIME);
    health.wait_for(|status| status.failures() > failures).await.unwrap();
    let error = token_error(world.get("/").await);
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert_eq!(world.home.api.seen().len(), 10);

    world.issuer.set_mood(Mood::Issues);
    world.handle.reset();
    assert_eq!(world.get("/").await.unwrap().status, StatusCode::OK);
}

/// R3: a stream passes through whole, and is sent once whatever the server says; the next one finds a new token.
pub(crate) async fn stream<S: Stack>() {
    let world = World::<S>::with_token().await;
    let chunks = Chunks::many();
    let upload = || world.client.send(Call::upload(world.home.url("/upload"), &chunks));
    let served = |answer: Answer| answer.status == StatusCode::OK && answer.body == chunks.whole();
    assert!(served(upload().await.unwrap()));

    world.issuer.revoke_all();
    let answer = upload().await.unwrap();
    assert_eq!((answer.status, &*answer.body), (StatusCode::UNAUTHORIZED, &b"who is this?"[..]));
    assert!(answer.has::<NotReplayed>() && !answer.has::<TokenError>());
    assert_eq!(world.home.api.seen().len(), 2);

    // Nobody waits for the new token, so this does.
    world.handle.subscribe().wait_for(|status| status.generation() == 2).await.unwrap();
    assert!(served(upload().await.unwrap()));
    assert_eq!((world.issuer.calls(), world.home.api.authorizations()), (2, [tokens(1, 2), tokens(2, 1)].concat()));
    assert!(world.home.api.seen().iter().all(|seen| seen.body == chunks.whole()), "never cut short");
}

/// S1: what goes elsewhere goes bare, and has nothing to do with the engine, whatever the answer.
///
/// Over one connection it arrives at `home`, wherever its URL says: without a token too.
pub(crate) async fn foreign_origin<S: Stack>() {
    let world = World::<S>::new().await;
    let there = if S::ONE_CONNECTION { &world.home } else { &world.foreign };
    for n in 1..=2 {
        let answer = world.client.send(Call::get(world.foreign.url("/pets"))).await.unwrap();
        assert_eq!((answer.status, &*answer.body), (StatusCode::UNAUTHORIZED, &b"who is this?"[..]));
        assert!(!answer.has::<NotReplayed>() && !answer.has::<TokenError>());
        assert_eq!(there.api.authorizations(), vec!["-"; n]);
        assert_eq!(world.issuer.calls(), n - 1);
        // The same with a token at hand.
        world.handle.token().await.unwrap();
    }
}

/// S1, X1: a token stays at its origin, whoever follows a redirect.
pub(crate) async fn redirect<S: Stack>() {
    let world = World::<S>::with_token().await;
    let (followed, followed_home) = (S::REDIRECTS == Redirects::Followed, S::REDIRECTS != Redirects::HandedBack);
    let hop = |to: &str| format!("/hop?to={to}");
    let (near, far) = (hop(&world.home.url("/pets")), hop(&world.foreign.url("/pets")));

    let answer = world.get(&near).await.unwrap();
    let mut arrived = vec![near.clone()];
    if followed_home {
        assert_eq!(answer.status, StatusCode::OK);
        arrived.push("/pets".to_owned());
    } else {
        assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(answer.headers[LOCATION], world.home.url("/pets"));
    }
    assert_eq!(world.home.api.seen().into_iter().map(|seen| seen.path).collect::<Vec<_>>(), arrived);

    let answer = world.get(&far).await.unwrap();
    if followed {
        assert_eq!((answer.status, &*answer.body), (StatusCode::UNAUTHORIZED, &b"who is this?"[..]));
    } else {
        assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(answer.headers[LOCATION], world.foreign.url("/pets"));
    }
    assert_eq!(world.foreign.api.authorizations(), vec!["-"; usize::from(followed)], "no token arrives there");
    assert_eq!(world.home.api.authorizations(), tokens(1, arrived.len() + 1));
    assert_eq!(world.issuer.calls(), 1, "a stranger's 401 says nothing about the token");
}

/// H5: a request that is dropped, while it waits for its first token or for a new one, takes nothing down with it.
pub(crate) async fn cancel<S: Stack>() {
    let world = World::<S>::new().await;
    for fetch in 1..=2 {
        world.issuer.hold(true);
        let dropped = world.start("/dropped");
        world.issuer.calls_reached(fetch).await;
        dropped.abort();
        assert!(dropped.await.unwrap_err().is_cancelled());
        let next = world.start("/");
        // It waits by now, or soon: with a revoked token at hand, once that has met its 401.
        if fetch == 2 {
            world.home.api.reached(3).await;
        }
        world.issuer.hold(false);
        assert_eq!(finished(next).await.status, StatusCode::OK);
        assert_eq!(world.issuer.calls(), fetch, "served by the fetch that was under way");
        world.issuer.revoke_all();
    }
    let seen = [("/", 1), ("/dropped", 1), ("/", 1), ("/", 2)];
    assert_eq!(world.seen(), seen.map(|(path, token)| (path.to_owned(), format!("Bearer token-{token}"))));
}

/// Without a token nothing is sent, and the error says why.
pub(crate) async fn no_token<S: Stack>() {
    let world = World::<S>::new().await;
    world.issuer.set_mood(Mood::Refuses);
    for _ in 0..3 {
        let error = token_error(world.get("/").await);
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("invalid_client")));
    }
    assert_eq!((world.seen().len(), world.issuer.calls()), (0, 1));
}

/// A caller's own header is the caller's affair, were there two of them, and so is the answer to it.
pub(crate) async fn callers_own<S: Stack>() {
    let world = World::<S>::new().await;
    let one = Call::get(world.home.url("/")).authorization("Basic bWU6bWU=");
    let two = one.clone().authorization("Bearer mine");
    for call in [one, two] {
        let answer = world.client.send(call).await.unwrap();
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(!answer.has::<NotReplayed>() && !answer.has::<TokenError>());
    }
    assert_eq!(world.home.api.authorizations(), ["Basic bWU6bWU=", "Basic bWU6bWU=, Bearer mine"]);
    assert_eq!(world.issuer.calls(), 0);
}

/// Long enough for a slow machine: nothing waits for it unless a rule is broken.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
