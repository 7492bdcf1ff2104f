//! The main job, from end to end: a key and a secret become a token, the token rides on calls, is renewed before it expires,
//! is replaced when a server revokes it, and outlives its token endpoint.
//!
//! `cargo run --example quickstart --features testing` plays it against an emulator of Yonne on loopback, and fails if
//! anything that it says did not happen.
//!
//! With `COURIER_API_KEY` and `COURIER_API_SECRET` set, `… --features testing -- --real` makes one call to Yonne itself: by
//! the same `client`, which knows nothing of emulators.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt};
use tower_token::{
    BearerAuthLayer, BoxError, Origins, TokenHandle,
    adapter::hyper::HyperClient,
    middleware::AuthService,
    provider::yonne::{self, Yonne},
    testing::YonneEmulator,
};

type Hyper = HyperClient<Full<Bytes>>;

/// A hyper client whose calls to `base_url` carry Yonne's token. This is all that a program needs.
fn client(base_url: &str, tokens: TokenHandle) -> Result<AuthService<Hyper>, BoxError> {
    Ok(BearerAuthLayer::new(base_url.parse::<Origins>()?, tokens).layer(HyperClient::new()?))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    if std::env::args().any(|argument| argument == "--real") {
        return real().await;
    }
    let lifetime = Duration::from_secs(2);
    let yonne = YonneEmulator::start().await?;
    yonne.set_token_lifetime(lifetime);
    let source = Yonne::new(yonne.api_key(), yonne.api_secret())?.base_url(yonne.base_url())?;
    let tokens = TokenHandle::new(source);
    let story = Story { start: Instant::now(), client: client(&yonne.base_url(), tokens.clone())?, tokens, yonne };

    println!("Yonne is played by an emulator on {}; its tokens live for 2 s.", story.yonne.base_url());

    story.chapter("The first call exchanges key and secret for a token. Ten more share it");
    story.call().await?;
    story.calls(10).await?;
    story.claim("eleven calls, one token call", story.yonne.api_calls() == 11 && story.yonne.token_calls() == 1)?;

    story.chapter("The token is renewed in the background before it expires. No call waits or fails");
    let (mut calls, mut serving, until) = (0, 1, Instant::now() + lifetime * 2);
    while Instant::now() < until {
        story.quiet_call().await?;
        calls += 1;
        let now = story.tokens.status().generation();
        if now != serving {
            story.say("engine", &format!("token #{serving} is replaced by #{now}"));
            serving = now;
        }
    }
    let renewals = story.yonne.token_calls() - 1;
    story.say("calls", &format!("{calls} × 200 OK, one after the other, over {renewals} renewals"));
    story.claim("the token was renewed", renewals >= 2)?;
    story.claim("no call met a 401", story.yonne.unauthorized() == 0)?;

    story.chapter("Yonne revokes the token. Twenty calls meet a 401 at the same moment");
    story.yonne.set_token_lifetime(Duration::from_secs(86_400));
    story.fresh_token().await?;
    let (token_calls, api_calls) = (story.yonne.token_calls(), story.yonne.api_calls());
    story.yonne.revoke_all();
    let hold = story.yonne.hold_api_calls();
    let release = async {
        story.yonne.api_calls_reached(api_calls + 20).await;
        hold.release();
    };
    let (all_served, ()) = tokio::join!(story.calls(20), release);
    all_served?;
    story.say(
        "yonne",
        &format!("gave {} × 401, then {} token", story.yonne.unauthorized(), story.yonne.token_calls() - token_calls),
    );
    story.claim("one refresh for all twenty", story.yonne.token_calls() == token_calls + 1)?;
    story.claim("each sent once more, and then served", story.yonne.api_calls() == api_calls + 40)?;

    story.chapter("Yonne's token endpoint goes down. Calls go on with the token that is still valid");
    story.yonne.token_endpoint_down(true);
    let failures = story.tokens.status().failures();
    story.tokens.reset(); // asks for a new token now, which fails
    while story.tokens.status().failures() == failures {
        story.quiet_call().await?;
    }
    story.calls(10).await?;
    let status = story.tokens.status();
    story.say(
        "engine",
        &format!("{:?}, last error {:?}, token #{} still serves", status.state(), status.last_error(), status.generation()),
    );
    story.claim("the refresh failed, and no caller noticed", status.failures() > failures)?;

    println!("\nAll of it happened: {} calls, {} token calls.", story.yonne.api_calls(), story.yonne.token_calls());
    Ok(())
}

/// One call to Yonne itself.
async fn real() -> Result<(), BoxError> {
    let client = client(yonne::BASE_URL, TokenHandle::new(Yonne::from_env()?))?;
    let response = client.oneshot(summary(yonne::BASE_URL)?).await?;
    println!("{}: {} bytes", response.status(), response.into_body().collect().await?.to_bytes().len());
    Ok(())
}

fn summary(base_url: &str) -> Result<Request<Full<Bytes>>, http::Error> {
    Request::get(format!("{base_url}/api/courier/s2s/metrics/summary")).body(Full::default())
}

struct Story<C> {
    start: Instant,
    yonne: YonneEmulator,
    tokens: TokenHandle,
    client: C,
}

impl<C, R> Story<C>
where
    C: Service<Request<Full<Bytes>>, Response = Response<R>, Error: Into<BoxError>> + Clone,
    R: http_body::Body<Error: Into<BoxError>>,
{
    fn chapter(&self, title: &str) {
        println!("\n{title}.");
    }

    fn say(&self, who: &str, what: &str) {
        println!("  {:>6.3} s  {who:<7} {what}", self.start.elapsed().as_secs_f64());
    }

    fn claim(&self, what: &str, happened: bool) -> Result<(), BoxError> {
        self.say(if happened { "✓" } else { "✗" }, what);
        if happened { Ok(()) } else { Err(format!("this did not happen: {what}").into()) }
    }

    async fn quiet_call(&self) -> Result<StatusCode, BoxError> {
        let response = self.client.clone().oneshot(summary(&self.yonne.base_url())?).await.map_err(Into::into)?;
        let status = response.status();
        response.into_body().collect().await.map_err(Into::into)?;
        if status.is_success() { Ok(status) } else { Err(format!("a call was answered with {status}").into()) }
    }

    async fn call(&self) -> Result<(), BoxError> {
        let status = self.quiet_call().await?;
        self.say("call", &format!("{status}, with token #{}", self.tokens.status().generation()));
        Ok(())
    }

    async fn calls(&self, count: usize) -> Result<(), BoxError> {
        futures::future::try_join_all((0..count).map(|_| self.quiet_call())).await?;
        self.say("calls", &format!("{count} × 200 OK, with token #{}", self.tokens.status().generation()));
        Ok(())
    }

    /// Waits until a token of the new lifetime serves.
    async fn fresh_token(&self) -> Result<(), BoxError> {
        let old = self.tokens.status().generation();
        self.tokens.reset();
        while self.tokens.token().await?.generation() == old {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
