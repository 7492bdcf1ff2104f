//! The layer's rules on a 401, by either adapter.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Extensions, Method};
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, Next};
use tower_token::{
    BearerAuthLayer, ErrorKind, TokenError,
    adapter::reqwest_middleware::{AuthMiddleware, client},
    middleware::{Challenge, Generation, Never, NewToken, NoReplay, NotReplayed, ReplayMethods},
    testing::{ScriptedReply, ScriptedServer},
};

use crate::support::{Answer, Api, Client, Mint, get};

/// E1, H4: one fetch for all, and one header, sensitive where it can be seen.
#[tokio::test]
async fn requests_carry_the_token() {
    for nth in 0..2 {
        let (api, mint) = (Api::accepting("token-1").await, Mint::default());
        let client = &Client::own(&api.layer(&mint.handle()), &api.origins())[nth];
        for _ in 0..3 {
            let answer = client.get(api.url("/orders")).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, "answer to /orders"));
        }
        assert_eq!((api.seen(), mint.fetches()), (vec!["token-1".to_owned(); 3], 1));
    }
}

/// S6: whoever logs headers below sees no token.
#[tokio::test]
async fn the_header_is_sensitive() {
    let (api, mint) = (Api::accepting("token-1").await, Mint::default());
    let auth = AuthMiddleware::new_redirect_free(api.layer(&mint.handle()));
    let client = ClientBuilder::new(reqwest::Client::new()).with(auth).with(CheckSensitive).build();
    assert_eq!(client.get(api.url("/")).send().await.unwrap().status(), 200);
}

struct CheckSensitive;

#[async_trait::async_trait]
impl reqwest_middleware::Middleware for CheckSensitive {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        assert!(request.headers()["authorization"].is_sensitive());
        next.run(request, extensions).await
    }
}

/// R1, R6, R11: one replay with one header, on the connection of the first answer.
#[tokio::test]
async fn a_401_is_answered_with_a_new_token() {
    for nth in 0..2 {
        let (api, mint) = (Api::accepting("token-2").await, Mint::default());
        let client = &Client::own(&api.layer(&mint.patient_handle()).expose_generation(true), &api.origins())[nth];
        let answer = client.get(api.url("/")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.extensions.get(), Some(&Generation(2)));
        assert_eq!((api.seen(), mint.fetches()), (vec!["token-1".to_owned(), "token-2".to_owned()], 2));
        assert_eq!(api.server.connections(), 1);
    }
}

/// R1: a second 401 is the caller's.
#[tokio::test]
async fn a_second_401_is_handed_back() {
    for nth in 0..2 {
        let (api, mint) = (Api::accepting("none of ours").await, Mint::default());
        let answer = Client::own(&api.layer(&mint.handle()), &api.origins())[nth].get(api.url("/")).await;
        assert_eq!((answer.status, answer.body.as_str()), (401, "answer to /"));
        assert_eq!((api.seen().len(), mint.fetches()), (2, 2));
    }
}

/// E15: a 401 that is late finds a newer token, and no other is fetched.
#[tokio::test]
async fn a_late_401_is_just_sent_again() {
    for nth in 0..2 {
        let (api, mint) = (Api::accepting("token-2").await, Mint::default());
        let tokens = mint.handle();
        let client = &Client::own(&api.layer(&tokens), &api.origins())[nth];
        let hold = api.server.hold();
        let renewed = async {
            api.server.requests_reached(1).await;
            tokens.reject(1);
            tokens.subscribe().wait_for(|status| status.generation() == 2).await.unwrap();
            drop(hold);
        };
        let (answer, ()) = tokio::join!(client.get(api.url("/")), renewed);
        assert_eq!((answer.status, mint.fetches()), (200, 2));
        assert_eq!(api.seen(), ["token-1", "token-2"]);
    }
}

/// E1, E15: however many are rejected at once, one fetch answers all.
#[tokio::test]
async fn a_burst_of_401s_makes_one_fetch() {
    for nth in 0..2 {
        let (api, mint) = (Api::accepting("token-2").await, Mint::default());
        let client = &Client::own(&api.layer(&mint.handle()), &api.origins())[nth];
        let hold = api.server.hold();
        let release = async {
            api.server.requests_reached(20).await;
            drop(hold);
        };
        let (answers, ()) = tokio::join!(futures::future::join_all((0..20).map(|_| client.get(api.url("/")))), release);
        assert!(answers.iter().all(|answer| answer.status == 200));
        assert_eq!((api.seen().len(), mint.fetches()), (40, 2));
    }
}

/// R3, H5: the first answer is handed back whole, with the reason beside it.
#[tokio::test]
async fn without_a_newer_token_the_401_is_handed_back() {
    for nth in 0..2 {
        let (api, mint) = (Api::accepting("token-1").await, Mint::default());
        let client = &Client::own(&api.layer(&mint.handle()), &api.origins())[nth];
        assert_eq!(client.get(api.url("/")).await.status, 200);
        mint.down();
        api.accept("token-2");
        let answer = client.get(api.url("/late")).await;
        assert_eq!((answer.status, answer.body.as_str()), (401, "answer to /late"));
        assert_eq!(answer.extensions.get::<TokenError>().unwrap().kind(), ErrorKind::Transient);
        assert_eq!(api.seen().len(), 2);
    }
}

/// R8: what a new token would not mend is not answered with one.
#[tokio::test]
async fn a_scope_challenge_is_handed_back() {
    for nth in 0..2 {
        let challenge = r#"Bearer error="insufficient_scope", scope="admin""#;
        let reply = ScriptedReply::new(403, "no").header("www-authenticate", challenge);
        let server = ScriptedServer::start([reply]).await.unwrap();
        let (origins, mint) = (server.base_url().parse().unwrap(), Mint::default());
        let layer = BearerAuthLayer::new(origins, mint.handle());
        let answer = Client::own(&layer, &server.base_url().parse().unwrap())[nth].get(server.base_url()).await;
        assert_eq!(answer.status, 403);
        assert_eq!(answer.extensions.get::<Challenge>().unwrap().scope.as_deref(), Some("admin"));
        assert_eq!((server.requests().len(), mint.fetches()), (1, 1));
    }
}

/// R7: the request's own wish, the method, the policy: each 401 is handed back at once, and the token is renewed all the same.
#[tokio::test]
async fn what_is_not_to_be_replayed_is_not() {
    for (case, nth) in [0, 1, 2].into_iter().flat_map(|case| [(case, 0), (case, 1)]) {
        let (api, mint) = (Api::accepting("token-2").await, Mint::default());
        let (tokens, mut request) = (mint.handle(), get(api.url("/")));
        let layer = api.layer(&tokens);
        let client = match case {
            0 => {
                request.extensions_mut().insert(NoReplay);
                Client::own(&layer, &api.origins())[nth].clone()
            }
            1 => {
                *request.method_mut() = Method::POST;
                Client::own(&layer.replay_methods(ReplayMethods::Idempotent), &api.origins())[nth].clone()
            }
            _ => Client::Middleware(client(layer.replay(Never)).unwrap()),
        };
        let answer = client.send(request).await.unwrap();
        assert_eq!((answer.status, answer.has::<NotReplayed>()), (401, true), "case {case}");
        tokens.subscribe().wait_for(|status| status.generation() == 2).await.unwrap();
        assert_eq!(api.seen(), ["token-1"], "case {case}");
    }
}

/// R1, R7: without a body there is still a policy, which may keep nothing.
#[tokio::test]
async fn a_request_without_a_body_asks_the_policy_too() {
    for keeps in [true, false] {
        let (api, mint) = (Api::accepting("token-2").await, Mint::default());
        let layer = api.layer(&mint.handle());
        let client = if keeps { client(layer) } else { client(layer.replay(Never)) }.unwrap();
        let request = Request::new(Method::GET, api.url("/").parse().unwrap());
        assert!(request.body().is_none());
        let response = client.execute(request).await.unwrap();
        assert_eq!(response.status().as_u16(), if keeps { 200 } else { 401 });
        assert_eq!(api.seen().len(), if keeps { 2 } else { 1 });
    }
}

/// DESIGN 10: `NewToken` waits for a newer token, once: the mark does not stay for the replay, nor for what is below.
#[tokio::test]
async fn a_new_token_is_had_on_request() {
    for nth in 0..2 {
        let (api, mint) = (Api::accepting("token-1").await, Mint::default());
        let client = &Client::own(&api.layer(&mint.handle()), &api.origins())[nth];
        assert_eq!(client.get(api.url("/")).await.status, 200);
        api.accept("token-2");
        let mut request = get(api.url("/"));
        request.extensions_mut().insert(NewToken);
        assert_eq!(client.send(request).await.unwrap().status, 200);
        assert_eq!((api.seen(), mint.fetches()), (vec!["token-1".to_owned(), "token-2".to_owned()], 2));
    }
}

/// DESIGN 10: also where the request never leaves for want of one.
#[tokio::test]
async fn the_wish_for_a_new_token_is_taken_off() {
    let (api, mint) = (Api::accepting("token-1").await, Mint::default());
    let client = client(api.layer(&mint.handle())).unwrap();
    let mut extensions = Extensions::new();
    extensions.insert(NewToken);
    let request = Request::new(Method::GET, api.url("/").parse().unwrap());
    assert_eq!(client.execute_with_extensions(request, &mut extensions).await.unwrap().status(), 200);
    assert!(extensions.get::<NewToken>().is_none());
}

/// R11: all of a request comes again: method, path and query, headers with their repetitions, body, timeout, extensions.
#[tokio::test]
async fn everything_of_a_request_comes_again() {
    #[derive(Clone, Debug, PartialEq)]
    struct Mine(u8);

    type Seen = (Option<Duration>, Option<Mine>, http::Version);

    #[derive(Clone, Default)]
    struct Watch(Arc<Mutex<Vec<Seen>>>);

    #[async_trait::async_trait]
    impl reqwest_middleware::Middleware for Watch {
        async fn handle(
            &self,
            request: Request,
            extensions: &mut Extensions,
            next: Next<'_>,
        ) -> reqwest_middleware::Result<Response> {
            self.0.lock().unwrap().push((request.timeout().copied(), extensions.get().cloned(), request.version()));
            next.run(request, extensions).await
        }
    }

    let (api, mint, watch) = (Api::accepting("token-2").await, Mint::default(), Watch::default());
    let auth = AuthMiddleware::new_redirect_free(api.layer(&mint.handle()));
    let client = ClientBuilder::new(reqwest::Client::new()).with(auth).with(watch.clone()).build();
    let request = client
        .request(Method::from_bytes(b"PROPFIND").unwrap(), api.url("/a?b=c"))
        .header("x-twice", "one")
        .header("x-twice", "two")
        .timeout(Duration::from_secs(7))
        .version(http::Version::HTTP_11)
        .with_extension(Mine(7))
        .body("body");
    assert_eq!(request.send().await.unwrap().status(), 200);
    let mut requests = api.server.requests();
    for request in &mut requests {
        request.headers.remove("authorization");
    }
    let [first, again] = &requests[..] else { panic!("two requests") };
    assert_eq!(
        (&first.method, &first.path, &first.headers, &first.body),
        (&again.method, &again.path, &again.headers, &again.body)
    );
    assert_eq!(again.headers.get_all("x-twice").iter().collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!((again.path.as_str(), &again.body[..]), ("/a?b=c", &b"body"[..]));
    let seen = (Some(Duration::from_secs(7)), Some(Mine(7)), http::Version::HTTP_11);
    assert_eq!(*watch.0.lock().unwrap(), [seen.clone(), seen]);
}

/// E5: a request that is dropped while it waits for its token, or for its answer, takes nothing down with it.
#[tokio::test]
async fn dropping_a_request_drops_nothing_else() {
    for nth in 0..2 {
        let (api, mint) = (Api::accepting("token-1").await, Mint::default());
        let tokens = mint.handle();
        let client = &Client::own(&api.layer(&tokens), &api.origins())[nth];
        mint.hold(true);
        let mut waiting = Box::pin(client.get(api.url("/")));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(waiting);
        mint.hold(false);
        assert_eq!(tokens.token().await.unwrap().expose_secret(), "token-1");

        let hold = api.server.hold();
        tokio::select! {
            biased;
            _ = client.get(api.url("/")) => unreachable!("its answer is held"),
            () = api.server.requests_reached(1) => {}
        }
        drop(hold);
        assert_eq!(client.get(api.url("/")).await.status, 200);
        assert_eq!(mint.fetches(), 1);
    }
}

/// H5, H6: within the layer's bound a request waits for its token; then it fails, and nothing was sent.
#[tokio::test]
async fn a_wait_for_a_token_is_bounded() {
    for nth in 0..2 {
        let (api, mint) = (Api::accepting("token-1").await, Mint::default());
        mint.hold(true);
        let layer = api.layer(&mint.handle()).wait(Duration::from_millis(20));
        let error = Client::own(&layer, &api.origins())[nth].send(get(api.url("/"))).await.err().unwrap();
        assert_eq!(crate::errors::token_error(&*error).unwrap().kind(), ErrorKind::Timeout);
        assert!(api.seen().is_empty());
    }
}

/// R6: what is still on its way of a small 401 is read, so that the replay goes over the same connection.
#[tokio::test]
async fn a_401_is_drained() {
    for nth in 0..2 {
        let late = ScriptedReply::trickle(401, "no", Duration::from_millis(5));
        let server = ScriptedServer::start([late, ScriptedReply::new(200, "yes")]).await.unwrap();
        let origins: tower_token::Origins = server.base_url().parse().unwrap();
        let layer = BearerAuthLayer::new(origins.clone(), Mint::default().patient_handle());
        assert_eq!(Client::own(&layer, &origins)[nth].get(server.base_url()).await.status, 200);
        assert_eq!((server.requests().len(), server.connections()), (2, 1));
    }
}

/// R6: a 401 that is large, or slow, is not read to its end before the replay.
#[tokio::test]
async fn an_endless_401_is_let_go() {
    let mut replies = vec![ScriptedReply::endless(401, "x".repeat(1000)), ScriptedReply::new(200, "yes")].into_iter();
    let server = ScriptedServer::start_with(move |_| replies.next().unwrap()).await.unwrap();
    let layer = BearerAuthLayer::new(server.base_url().parse().unwrap(), Mint::default().handle());
    let response = client(layer).unwrap().get(server.base_url()).send().await.unwrap();
    assert_eq!(Answer::read(response.into()).await.unwrap().body, "yes");
    server.ends_reached(1).await;
}
