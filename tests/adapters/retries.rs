//! Retry middleware around this one, and under it.

use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, Middleware, Next};
use tower_token::{
    BearerAuthLayer,
    adapter::reqwest_middleware::AuthMiddleware,
    middleware::NewToken,
    testing::{ScriptedReply, ScriptedServer},
};

use crate::support::Mint;

/// Sends a request again, up to twice, while the answer is a 503: as `reqwest-retry` does.
struct Retry;

#[async_trait::async_trait]
impl Middleware for Retry {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        for _ in 0..2 {
            let response = next.clone().run(request.try_clone().unwrap(), extensions).await?;
            if response.status() != 503 {
                return Ok(response);
            }
        }
        next.run(request, extensions).await
    }
}

async fn server(statuses: &[u16]) -> ScriptedServer {
    ScriptedServer::start(statuses.iter().map(|status| ScriptedReply::new(*status, ""))).await.unwrap()
}

fn auth(server: &ScriptedServer, mint: &Mint) -> AuthMiddleware {
    AuthMiddleware::new_redirect_free(BearerAuthLayer::new(server.base_url().parse().unwrap(), mint.handle()))
}

fn tokens(server: &ScriptedServer) -> Vec<String> {
    let token = |request: &tower_token::testing::ScriptedRequest| {
        let values: Vec<_> = request.headers.get_all("authorization").iter().map(|value| value.to_str().unwrap()).collect();
        values.join(" + ").replace("Bearer ", "")
    };
    server.requests().iter().map(token).collect()
}

/// R1: each retry from outside is a request of its own, with the token of its time and one header.
#[tokio::test]
async fn a_retry_outside_takes_the_token_of_its_time() {
    let (server, mint) = (server(&[503, 401, 503, 200]).await, Mint::default());
    let client = ClientBuilder::new(reqwest::Client::new()).with(Retry).with(auth(&server, &mint)).build();
    assert_eq!(client.get(server.base_url()).send().await.unwrap().status(), 200);
    assert_eq!(tokens(&server), ["token-1", "token-1", "token-2", "token-2"]);
    assert_eq!(mint.fetches(), 2);
}

/// R1, R7: a retry inside repeats the request as it is, and its last answer is the one that is looked at; neither a 503 nor an
/// error is answered with a new token.
#[tokio::test]
async fn a_retry_inside_repeats_the_token() {
    let (server, mint) = (server(&[503, 401, 503, 200]).await, Mint::default());
    let client = ClientBuilder::new(reqwest::Client::new()).with(auth(&server, &mint)).with(Retry).build();
    assert_eq!(client.get(server.base_url()).send().await.unwrap().status(), 200);
    assert_eq!(tokens(&server), ["token-1", "token-1", "token-2", "token-2"]);
    assert_eq!(mint.fetches(), 2);
}

/// R7: what did not come to an answer is never sent again here.
#[tokio::test]
async fn an_error_is_handed_on() {
    let (server, mint) = (ScriptedServer::start([ScriptedReply::close()]).await.unwrap(), Mint::default());
    let client = ClientBuilder::new(reqwest::Client::new()).with(auth(&server, &mint)).build();
    let error = client.get(server.base_url()).send().await.unwrap_err();
    assert!(matches!(error, reqwest_middleware::Error::Reqwest(_)), "{error:?}");
    assert_eq!((server.requests().len(), mint.fetches()), (1, 1));
}

/// DESIGN 10: the wish for a new token is met once, however often the request is repeated from outside.
#[tokio::test]
async fn a_retry_outside_does_not_wish_again() {
    let (server, mint) = (server(&[200, 503, 200]).await, Mint::default());
    let client = ClientBuilder::new(reqwest::Client::new()).with(Retry).with(auth(&server, &mint)).build();
    client.get(server.base_url()).send().await.unwrap();
    let request = client.get(server.base_url()).with_extension(NewToken);
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(tokens(&server), ["token-1", "token-2", "token-2"]);
    assert_eq!(mint.fetches(), 2);
}
