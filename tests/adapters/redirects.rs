//! R10, S1, X1: where a token goes when a server points elsewhere, and whose 401 counts.
//!
//! Origins differ by their port here. A hop from https to http would take TLS: that reqwest compares schemes as well is its own test.

use http::StatusCode;
use tower_token::{
    BearerAuthLayer, Origins,
    adapter::{
        reqwest::ReqwestService,
        reqwest_middleware::{AuthMiddleware, client},
    },
    middleware::{LeftOrigin, NotReplayed},
    testing::{ScriptedReply, ScriptedServer},
};

use crate::support::{Api, Client, Mint, under_key};

/// How often each server was asked, and with which token.
type Seen = Vec<&'static str>;

struct World {
    api: Api,
    other: Api,
    mint: Mint,
    origins: Origins,
}

impl World {
    /// `/away` of the API leads to the other server, which is on the list or is not.
    async fn new(other_is_listed: bool) -> World {
        let (api, other) = (Api::accepting("token-1").await, Api::accepting("token-1").await);
        api.redirect("/away", 302, other.url("/there"));
        api.redirect("/old", 302, "/new".to_owned());
        let mut origins = api.origins();
        if other_is_listed {
            origins = origins.and(&other.server.base_url()).unwrap();
        }
        World { api, other, mint: Mint::default(), origins }
    }

    fn layer(&self) -> BearerAuthLayer {
        BearerAuthLayer::new(self.origins.clone(), self.mint.handle())
    }

    fn seen(&self) -> (Seen, Seen) {
        let name = |seen: Vec<String>| seen.iter().map(|one| if one == "-" { "-" } else { "token-1" }).collect();
        (name(self.api.seen()), name(self.other.seen()))
    }
}

/// Which client is under the adapter.
#[derive(Clone, Copy, Debug)]
enum Under {
    /// The adapter's own, whose header has this name.
    Own,
    OwnWithKey,
    /// The user's, as reqwest makes it by default, and against what is asked of him.
    Users,
    /// The user's, which follows nothing, and is said to.
    NoneWithKey,
}

impl Under {
    fn clients(self, world: &World) -> [Client; 2] {
        let layer = world.layer();
        match self {
            Under::Own => Client::own(&layer, &world.origins),
            Under::OwnWithKey => Client::own(&under_key(layer), &world.origins),
            Under::Users => Client::users(&layer),
            Under::NoneWithKey => {
                let (layer, client) = (under_key(layer), reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()));
                let client = client.build().unwrap();
                let auth = AuthMiddleware::new_redirect_free(layer.clone());
                let over = reqwest_middleware::ClientBuilder::new(client.clone()).with(auth).build();
                [Client::Middleware(over), Client::service(&layer, ReqwestService::over_redirect_free(client))]
            }
        }
    }
}

#[tokio::test]
async fn a_redirect_within_the_origin_carries_the_token() {
    for (under, status, seen) in [
        (Under::Own, 200, &["token-1"; 2][..]),
        (Under::OwnWithKey, 200, &["token-1"; 2]),
        (Under::Users, 200, &["token-1"; 2]),
        (Under::NoneWithKey, 302, &["token-1"]),
    ] {
        for nth in 0..2 {
            let world = World::new(false).await;
            let answer = under.clients(&world)[nth].get(world.api.url("/old")).await;
            assert_eq!((answer.status, answer.has::<LeftOrigin>()), (status, false), "{under:?} {nth}");
            assert_eq!(world.seen(), (seen.to_vec(), vec![]), "{under:?} {nth}");
            // A URL may hold a secret: the adapters' own clients tell no server where they come from.
            let referred = world.api.server.requests().iter().any(|request| request.headers.contains_key("referer"));
            assert_eq!(referred, matches!(under, Under::Users), "{under:?} {nth}");
        }
    }
}

#[tokio::test]
async fn a_redirect_to_a_stranger_carries_no_token() {
    for (under, status, left, there) in [
        (Under::Own, 302, false, &[][..]),
        (Under::OwnWithKey, 302, false, &[]),
        (Under::Users, 401, true, &["-"]),
        (Under::NoneWithKey, 302, false, &[]),
    ] {
        for nth in 0..2 {
            let world = World::new(false).await;
            let answer = under.clients(&world)[nth].get(world.api.url("/away")).await;
            assert_eq!((answer.status, answer.has::<LeftOrigin>()), (status, left), "{under:?} {nth}");
            assert!(!answer.has::<NotReplayed>(), "a stranger's 401 is no rejection");
            assert_eq!(world.seen(), (vec!["token-1"], there.to_vec()), "{under:?} {nth}");
            assert_eq!(world.mint.fetches(), 1, "{under:?} {nth}");
        }
    }
}

/// reqwest takes `Authorization` off even where the other origin is listed; a name of one's own it leaves on.
#[tokio::test]
async fn a_redirect_within_the_list_is_followed() {
    for (under, status, left, there) in [
        (Under::Own, 401, true, &["-"][..]),
        (Under::OwnWithKey, 200, true, &["token-1"]),
        (Under::Users, 401, true, &["-"]),
        (Under::NoneWithKey, 302, false, &[]),
    ] {
        for nth in 0..2 {
            let world = World::new(true).await;
            let answer = under.clients(&world)[nth].get(world.api.url("/away")).await;
            assert_eq!((answer.status, answer.has::<LeftOrigin>()), (status, left), "{under:?} {nth}");
            assert_eq!(world.seen(), (vec!["token-1"], there.to_vec()), "{under:?} {nth}");
            assert_eq!(world.mint.fetches(), 1, "{under:?} {nth}");
        }
    }
}

/// On the way back the token is still off, so that the 401 is wrong about it. It costs one renewal and one replay, no more.
#[tokio::test]
async fn a_way_back_is_not_seen() {
    for nth in 0..2 {
        let world = World::new(false).await;
        world.other.redirect("/there", 302, world.api.url("/home"));
        let answer = Under::Users.clients(&world)[nth].get(world.api.url("/away")).await;
        assert_eq!((answer.status, answer.has::<LeftOrigin>(), world.mint.fetches()), (401, false, 2));
        let bare_hops = world.api.seen().iter().filter(|seen| *seen == "-").count();
        assert_eq!((world.api.seen().len(), bare_hops, world.other.seen()), (4, 2, vec!["-".to_owned(); 2]));
    }
}

/// A 401 behind a redirect within the origin is the API's, and is answered with a new token, from the first URL on.
#[tokio::test]
async fn a_401_behind_a_redirect_is_replayed() {
    for nth in 0..2 {
        let world = World::new(false).await;
        world.api.accept("token-2");
        assert_eq!(Under::Own.clients(&world)[nth].get(world.api.url("/old")).await.status, 200);
        assert_eq!(world.api.seen(), ["token-1", "token-1", "token-2", "token-2"]);
    }
}

/// A second answer from elsewhere is marked like a first one.
#[tokio::test]
async fn a_replay_may_leave_the_origin_too() {
    for nth in 0..2 {
        let world = World::new(false).await;
        let (there, mut first) = (world.other.url("/there"), true);
        let server = ScriptedServer::start_with(move |_| match std::mem::take(&mut first) {
            true => ScriptedReply::new(401, ""),
            false => ScriptedReply::new(302, "").header("location", &there),
        });
        let server = server.await.unwrap();
        let layer = BearerAuthLayer::new(server.base_url().parse().unwrap(), world.mint.handle());
        let answer = Client::users(&layer)[nth].get(server.base_url()).await;
        assert_eq!((answer.status, answer.has::<LeftOrigin>(), world.mint.fetches()), (401, true, 2));
        assert_eq!(world.other.seen(), ["-"]);
    }
}

/// As with reqwest's own limit: ten hops, and then an error.
#[tokio::test]
async fn ten_hops_are_followed() {
    for (hops, fine) in [(10, true), (11, false)] {
        let world = World::new(false).await;
        for hop in 0..hops {
            world.api.redirect(&format!("/{hop}"), 302, format!("/{}", hop + 1));
        }
        let response = client(world.layer()).unwrap().get(world.api.url("/0")).send().await;
        match fine {
            true => assert_eq!(response.unwrap().status(), StatusCode::OK),
            false => assert!(response.unwrap_err().is_redirect()),
        }
    }
}

/// Why a client that follows redirects to strangers must not be under the layer: reqwest takes `Authorization` off on the hop to
/// another origin, and puts it on again for the next one, within that origin. Once it does not, this test says so.
#[tokio::test]
async fn a_client_that_follows_gives_the_token_away() {
    for (under, there) in [(Under::Users, &["-", "token-1"][..]), (Under::Own, &[]), (Under::OwnWithKey, &[])] {
        for nth in 0..2 {
            let world = World::new(false).await;
            world.other.redirect("/there", 302, world.other.url("/again"));
            under.clients(&world)[nth].get(world.api.url("/away")).await;
            assert_eq!(world.seen(), (vec!["token-1"], there.to_vec()), "{under:?} {nth}");
        }
    }
}
