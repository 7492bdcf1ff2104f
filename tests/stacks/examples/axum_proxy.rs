//! axum: a reverse proxy that adds the upstream's token to requests, streams in both directions included.
//!
//! `cargo run --example axum_proxy` plays it between a client and an upstream on loopback, and fails if anything that it says did
//! not happen. `proxy` and `forward` are what a program takes from here.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::channel::mpsc;
use http::{
    HeaderMap, HeaderName, StatusCode, Uri, Version,
    header::{
        AUTHORIZATION, CONNECTION, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, RETRY_AFTER, TE, TRANSFER_ENCODING, UPGRADE,
        WWW_AUTHENTICATE,
    },
    uri::{Authority, Scheme},
};
use http_body_util::{BodyExt, StreamBody};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};
use tower_token::{
    AccessToken, AuthError, BearerAuthLayer, BoxError, Origins, TokenError, TokenHandle,
    middleware::{AuthService, BoundedBuffer, BufferedBody, NotReplayed},
    source_fn,
};

/// How much of a body is kept so that it can be sent again, in bytes. A longer one streams through all the same.
const KEPT: usize = 16 * 1024;

#[derive(Clone)]
struct Proxy {
    scheme: Scheme,
    authority: Authority,
    client: AuthService<Client<HttpConnector, Body>, Policy>,
}

type Policy = BoundedBuffer<fn(BufferedBody<Body>) -> Body>;

/// A proxy before `upstream`, which is an origin.
fn proxy(upstream: &str, tokens: TokenHandle) -> Result<Router, BoxError> {
    let origins = upstream.parse::<Origins>()?;
    let (Some(scheme), Some(authority)) = ({
        let parts = upstream.parse::<Uri>()?.into_parts();
        (parts.scheme, parts.authority)
    }) else {
        return Err("an upstream is a URL".into());
    };
    // It follows no redirect: that is for the caller, who has no token to lose.
    let client = Client::builder(TokioExecutor::new()).build_http();
    let client = BearerAuthLayer::new(origins, tokens).replay(BoundedBuffer::new(KEPT, Body::new as _)).layer(client);
    Ok(Router::new().fallback(forward).with_state(Proxy { scheme, authority, client }))
}

async fn forward(State(proxy): State<Proxy>, request: Request) -> Response {
    let (mut head, body) = request.into_parts();
    strip_hop_by_hop(&mut head.headers);
    // The caller's credentials are for this proxy. The layer leaves a header of the caller's as it is: it would be forwarded, and
    // no token put on.
    head.headers.remove(AUTHORIZATION);
    // The connection's own: the one to the upstream may speak another version, and has another name.
    head.headers.remove(HOST);
    head.version = Version::default();
    let mut uri = head.uri.into_parts();
    (uri.scheme, uri.authority) = (Some(proxy.scheme), Some(proxy.authority));
    // A CONNECT has no path.
    let Ok(uri) = Uri::from_parts(uri) else { return StatusCode::BAD_REQUEST.into_response() };
    head.uri = uri;
    match proxy.client.oneshot(Request::from_parts(head, body)).await {
        Ok(response) if response.status() == StatusCode::UNAUTHORIZED => unauthorized(&response),
        Ok(mut response) => {
            strip_hop_by_hop(response.headers_mut());
            response.map(Body::new)
        }
        Err(AuthError::Token(_)) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Err(AuthError::Service(_)) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

/// A 401 is about the proxy's own token: nothing that the caller could mend.
fn unauthorized<B>(response: &http::Response<B>) -> Response {
    let renewed = response.extensions().get::<TokenError>().is_none();
    match response.extensions().get::<NotReplayed>() {
        // A body that was not kept. A new token is there or on its way.
        Some(_) if renewed => (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")]).into_response(),
        _ => StatusCode::BAD_GATEWAY.into_response(),
    }
}

/// RFC 9110 section 7.6.1: what is between two neighbours, and what they name as such.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    const ALWAYS: [HeaderName; 8] = [
        CONNECTION,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<HeaderName> = values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok()).collect();
    for name in named.into_iter().chain(ALWAYS) {
        headers.remove(name);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let upstream = Upstream::default();
    let behind = serve(Router::new().fallback(answer).with_state(upstream.clone())).await?;
    let tokens = upstream.tokens();
    let url = serve(proxy(&behind, tokens.clone())?).await?;
    let client = |http2| Client::builder(TokioExecutor::new()).http2_only(http2).build_http::<Body>();
    let (http1, http2) = (client(false), client(true));

    println!("A caller sends credentials and a header of the connection's. The upstream gets its own token, and neither.");
    let call = || {
        let call = Request::get(format!("{url}/orders?full=1")).header(AUTHORIZATION, "Bearer the-callers");
        let call = call.header(CONNECTION, "x-hop").header("x-hop", "here").header(PROXY_AUTHORIZATION, "Basic bWU6bWU=");
        call.header("x-end", "there").body(Body::empty())
    };
    let response = http1.request(call()?).await?;
    claim("it is served", response.status() == StatusCode::OK)?;
    let seen = upstream.last()?;
    claim("by path and query", seen.uri.path_and_query().is_some_and(|path| path == "/orders?full=1"))?;
    claim("one Authorization, the upstream's", seen.headers.get_all(AUTHORIZATION).iter().eq(["Bearer token-1"]))?;
    let gone = ["connection", "x-hop", "proxy-authorization"].iter().all(|name| !seen.headers.contains_key(*name));
    claim("what is between neighbours has gone, the rest has not", gone && seen.headers["x-end"] == "there")?;

    println!("\nThe token is revoked. A call with a little body is sent once more, and its caller sees nothing.");
    upstream.revoke_all();
    let response = http1.request(Request::put(format!("{url}/orders/7")).body(Body::from("a little"))?).await?;
    claim("it is served", response.status() == StatusCode::OK)?;
    claim("with its body", response.into_body().collect().await?.to_bytes() == "a little")?;
    claim("by the second of two requests", upstream.arrived() == 3)?;
    claim("which came with a new token", upstream.last()?.headers[AUTHORIZATION] == "Bearer token-2")?;

    println!("\nA stream goes both ways at once: what is sent comes back before more is sent.");
    let (mut sent, mut came_back) = stream(&http2, &url).await?;
    claim("it is answered before it ends", came_back.status() == StatusCode::OK)?;
    for chunk in ["one", "two", "three"] {
        sent.try_send(Ok(http_body::Frame::data(Bytes::from(chunk))))?;
        let frame = came_back.body_mut().frame().await.ok_or("the stream ended")??;
        claim(chunk, frame.into_data().is_ok_and(|data| data == chunk))?;
    }
    drop(sent);
    claim("and it ends", came_back.into_body().collect().await?.to_bytes().is_empty())?;

    println!("\nThe token is revoked, and a stream meets the 401. It is not kept, so it cannot be sent again.");
    // A token of its own accord first: one that is rejected as soon as it has replaced a rejected one makes the engine back off.
    tokens.reset();
    tokens.subscribe().wait_for(|status| status.generation() == 3).await?;
    upstream.revoke_all();
    let arrived = upstream.arrived();
    let (sent, response) = stream(&http2, &url).await?;
    drop(sent);
    claim("the caller is told to come again", response.status() == StatusCode::SERVICE_UNAVAILABLE)?;
    claim("soon", response.headers().get(RETRY_AFTER).is_some_and(|after| after == "1"))?;
    claim("and not by whose token it was refused", !response.headers().contains_key(WWW_AUTHENTICATE))?;
    claim("it was sent once", upstream.arrived() == arrived + 1)?;
    let response = http2.request(call()?).await?;
    claim("the next call goes through", response.status() == StatusCode::OK)?;

    println!("\nAll of it happened: {} requests, {} token calls.", upstream.arrived(), upstream.token_calls());
    Ok(())
}

type Chunks = mpsc::Sender<Result<http_body::Frame<Bytes>, std::convert::Infallible>>;

/// Opens a stream, and gives where to send on it, and the answer as far as it has come.
async fn stream(
    client: &Client<HttpConnector, Body>,
    url: &str,
) -> Result<(Chunks, http::Response<hyper::body::Incoming>), BoxError> {
    let (sent, chunks) = mpsc::channel(1);
    let request = Request::post(format!("{url}/echo")).body(Body::new(StreamBody::new(chunks)))?;
    Ok((sent, client.request(request).await?))
}

fn claim(what: &str, happened: bool) -> Result<(), BoxError> {
    println!("  {} {what}", if happened { "✓" } else { "✗" });
    if happened { Ok(()) } else { Err(format!("this did not happen: {what}").into()) }
}

/// Serves on loopback, and gives the origin.
async fn serve(router: Router) -> Result<String, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(origin)
}

/// The server behind the proxy, and who issues its tokens: `token-1`, `token-2` and so on.
#[derive(Clone, Default)]
struct Upstream(Arc<Books>);

#[derive(Default)]
struct Books {
    issued: AtomicU64,
    /// Tokens up to this one are bad.
    revoked: AtomicU64,
    arrived: AtomicU64,
    last: Mutex<Option<http::request::Parts>>,
}

impl Upstream {
    fn tokens(&self) -> TokenHandle {
        let upstream = self.clone();
        TokenHandle::new(source_fn(move |_cx| {
            let number = upstream.0.issued.fetch_add(1, Ordering::Relaxed) + 1;
            async move { AccessToken::new(format!("token-{number}")) }
        }))
    }

    fn revoke_all(&self) {
        self.0.revoked.store(self.token_calls(), Ordering::Relaxed);
    }

    fn token_calls(&self) -> u64 {
        self.0.issued.load(Ordering::Relaxed)
    }

    fn arrived(&self) -> u64 {
        self.0.arrived.load(Ordering::Relaxed)
    }

    fn accepts(&self, headers: &HeaderMap) -> bool {
        let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let number = value.and_then(|value| value.strip_prefix("Bearer token-")?.parse::<u64>().ok());
        number.is_some_and(|number| number > self.0.revoked.load(Ordering::Relaxed))
    }

    /// The head of the request that came last.
    fn last(&self) -> Result<http::request::Parts, BoxError> {
        let last = self.0.last.lock().map_err(|_| "a request panicked")?;
        last.clone().ok_or_else(|| "no request came".into())
    }
}

/// A body comes back as it arrives.
async fn answer(State(upstream): State<Upstream>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let accepted = upstream.accepts(&head.headers);
    upstream.0.arrived.fetch_add(1, Ordering::Relaxed);
    if let Ok(mut last) = upstream.0.last.lock() {
        *last = Some(head);
    }
    match accepted {
        true => body.into_response(),
        false => (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, r#"Bearer error="invalid_token""#)]).into_response(),
    }
}
