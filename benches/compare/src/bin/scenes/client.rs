//! What the layer adds to a request of a real client.

use std::time::Instant;

use bytes::Bytes;
use compare::{harness::token, stats::median};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::runtime::Builder;
use tower::{BoxError, Layer, Service, ServiceExt};
use tower_http::auth::AddAuthorizationLayer;
use tower_token::{BearerAuthLayer, Origins, StaticToken};

use super::server::serve;

const PAIRS: usize = 20_000;

pub(crate) fn run() -> Result<(), BoxError> {
    println!("hyper client on loopback, one request after the other on one connection; client and server on one thread");
    println!("{PAIRS} pairs of requests, one through each layer; a token of 1,024 B, a body that is kept");
    for (name, http2) in [("HTTP/1.1", false), ("HTTP/2", true)] {
        Builder::new_current_thread().enable_all().build()?.block_on(compare_over(name, http2))?;
    }
    println!();
    Ok(())
}

async fn compare_over(name: &str, http2: bool) -> Result<(), BoxError> {
    let address = serve(|_request| async { Response::new(Full::from("{}")) }).await?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(http2).build(connector);
    let url = format!("http://{address}/v1/orders");
    // Both over clones of one client, which is to say over one connection.
    let mut theirs = AddAuthorizationLayer::bearer(&token()).layer(client.clone());
    let origins = format!("http://{address}").parse::<Origins>()?;
    let mut ours = BearerAuthLayer::new(origins, StaticToken::new(token())?).layer(client);
    for _ in 0..100 {
        request(&mut theirs, &url).await?;
        request(&mut ours, &url).await?;
    }

    let (mut differences, mut baseline) = (Vec::with_capacity(PAIRS), Vec::with_capacity(PAIRS));
    for pair in 0..PAIRS {
        let (theirs, ours) = if pair % 2 == 0 {
            let theirs = request(&mut theirs, &url).await?;
            (theirs, request(&mut ours, &url).await?)
        } else {
            let ours = request(&mut ours, &url).await?;
            (request(&mut theirs, &url).await?, ours)
        };
        differences.push(ours - theirs);
        baseline.push(theirs);
    }
    let (added, baseline) = (median(differences), median(baseline).median);
    println!(
        "  {name:8}  AddAuthorization {:.1} us a request; ours adds {:.0} ns (95 %: {:.0} to {:.0}), {:.2} %",
        baseline / 1e3,
        added.median,
        added.low,
        added.high,
        100.0 * added.median / baseline
    );
    Ok(())
}

/// Nanoseconds of a request.
async fn request<S>(service: &mut S, url: &str) -> Result<f64, BoxError>
where
    S: Service<Request<Full<Bytes>>, Response = Response<Incoming>, Error: Into<BoxError>>,
{
    let request = Request::get(url).body(Full::from("{}"))?;
    let start = Instant::now();
    let response = service.ready().await.map_err(Into::into)?.call(request).await.map_err(Into::into)?;
    let status = response.status();
    response.into_body().collect().await?;
    let took = start.elapsed();
    if status == StatusCode::OK { Ok(took.as_nanos() as f64) } else { Err("a request failed".into()) }
}
