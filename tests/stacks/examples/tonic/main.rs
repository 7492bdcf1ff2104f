//! tonic: the layer under a generated client, which says `UNAUTHENTICATED` inside HTTP 200.
//!
//! `cargo run --example tonic` plays it against a tonic server on loopback, and fails if anything that it says did not happen.
//! `auth.rs` is what a program takes from here.

mod auth;
#[expect(clippy::allow_attributes, clippy::allow_attributes_without_reason, unreachable_pub, reason = "generated")]
mod prices;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{Stream, StreamExt, stream};
use tokio::{net::TcpListener, sync::watch};
use tonic::{
    Code, Request, Response, Status,
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tower_token::{AccessToken, BoxError, Origins, TokenHandle, middleware::Generation, source_fn};

use prices::{
    Price, Symbol,
    prices_client::PricesClient,
    prices_server::{Prices, PricesServer},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let exchange = Exchange::default();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let checked = exchange.clone();
    let service = PricesServer::with_interceptor(exchange.clone(), move |call| checked.check(call));
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)));

    let tokens = exchange.tokens();
    let origins = url.parse::<Origins>()?.relative_as(&url)?;
    let channel = Endpoint::new(url)?.connect().await?;
    let mut client = PricesClient::new(auth::authenticated(channel, origins, tokens.clone()));
    let tea = || Symbol { name: "tea".to_owned() };

    println!("A unary call fetches the first token.");
    let answer = client.quote(tea()).await?;
    println!("  {:?}, with token #{}", answer.get_ref(), generation(&answer)?);
    claim("one token call, one call", exchange.token_calls() == 1 && exchange.arrived() == 1)?;

    println!("\nThe token is revoked. The next call is told so in its headers.");
    exchange.revoke_all();
    let answer = client.quote(tea()).await?;
    println!("  {:?}, with token #{}", answer.get_ref(), generation(&answer)?);
    claim("turned away once", exchange.turned_away() == 1)?;
    claim("sent once more with a new token, and served", exchange.token_calls() == 2 && exchange.arrived() == 3)?;

    println!("\nA stream of prices is open when the token is revoked. It is told so in its trailers.");
    let answer = client.watch(tea()).await?;
    println!("  opened with token #{}", generation(&answer)?);
    let mut prices = answer.into_inner();
    println!("  {:?}", prices.message().await?);
    exchange.revoke_all();
    let Err(end) = prices.message().await else { return Err("the stream went on".into()) };
    println!("  {:?}: {}", end.code(), end.message());
    claim("the caller is told", end.code() == Code::Unauthenticated)?;
    // Up to a second: a token that is rejected as soon as this is renewed after a back-off.
    let mut health = tokens.subscribe();
    tokio::time::timeout(Duration::from_secs(10), health.wait_for(|status| status.generation() == 3)).await??;
    let answer = client.watch(tea()).await?;
    println!("  opened again with token #{}", generation(&answer)?);
    claim("the token had been renewed by then", exchange.token_calls() == 3 && exchange.turned_away() == 1)?;

    println!("\nAll of it happened: {} calls, {} token calls.", exchange.arrived(), exchange.token_calls());
    Ok(())
}

fn claim(what: &str, happened: bool) -> Result<(), BoxError> {
    println!("  {} {what}", if happened { "✓" } else { "✗" });
    if happened { Ok(()) } else { Err(format!("this did not happen: {what}").into()) }
}

/// Of the token that a call was served with: tonic passes the extensions of a good answer on.
fn generation<T>(answer: &Response<T>) -> Result<u64, BoxError> {
    let generation: &Generation = answer.extensions().get().ok_or("no generation")?;
    Ok(generation.0)
}

/// The server, and who issues its tokens: `token-1`, `token-2` and so on.
#[derive(Clone, Default)]
struct Exchange(Arc<Books>);

#[derive(Default)]
struct Books {
    issued: AtomicU64,
    /// Tokens up to this one are bad.
    revoked: watch::Sender<u64>,
    arrived: AtomicU64,
    turned_away: AtomicU64,
}

impl Exchange {
    fn tokens(&self) -> TokenHandle {
        let exchange = self.clone();
        TokenHandle::new(source_fn(move |_cx| {
            let number = exchange.0.issued.fetch_add(1, Ordering::Relaxed) + 1;
            async move { AccessToken::new(format!("token-{number}")) }
        }))
    }

    fn revoke_all(&self) {
        self.0.revoked.send_replace(self.token_calls());
    }

    fn token_calls(&self) -> u64 {
        self.0.issued.load(Ordering::Relaxed)
    }

    fn arrived(&self) -> u64 {
        self.0.arrived.load(Ordering::Relaxed)
    }

    fn turned_away(&self) -> u64 {
        self.0.turned_away.load(Ordering::Relaxed)
    }

    /// Lets a call with a good token through, and notes which one that is.
    fn check(&self, mut call: Request<()>) -> Result<Request<()>, Status> {
        self.0.arrived.fetch_add(1, Ordering::Relaxed);
        let value = call.metadata().get("authorization").and_then(|value| value.to_str().ok());
        let number = value.and_then(|value| value.strip_prefix("Bearer token-")?.parse::<u64>().ok());
        match number.filter(|number| *number > *self.0.revoked.borrow()) {
            Some(number) => {
                call.extensions_mut().insert(TokenNumber(number));
                Ok(call)
            }
            None => {
                self.0.turned_away.fetch_add(1, Ordering::Relaxed);
                Err(Status::unauthenticated("this token is not good"))
            }
        }
    }
}

#[derive(Clone, Copy)]
struct TokenNumber(u64);

#[tonic::async_trait]
impl Prices for Exchange {
    async fn quote(&self, call: Request<Symbol>) -> Result<Response<Price>, Status> {
        Ok(Response::new(Price { name: call.into_inner().name, cents: 420 }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<Price, Status>> + Send>>;

    /// One price, and then nothing until the token is revoked.
    async fn watch(&self, call: Request<Symbol>) -> Result<Response<Self::WatchStream>, Status> {
        let number = call.extensions().get::<TokenNumber>().map(|token| token.0);
        let mut revoked = self.0.revoked.subscribe();
        let first = stream::iter([Ok(Price { name: call.into_inner().name, cents: 420 })]);
        let end = stream::once(async move {
            let _gone = revoked.wait_for(|revoked| number <= Some(*revoked)).await.is_err();
            Err(Status::unauthenticated("this token is good no more"))
        });
        Ok(Response::new(first.chain(end).boxed()))
    }
}
