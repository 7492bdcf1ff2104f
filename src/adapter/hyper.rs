//! hyper's client, assembled: TLS, HTTP/1.1 and HTTP/2, pooled connections.
//!
//! ```
//! # #[cfg(feature = "testing")]
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tower_token::BoxError> {
//! use http::Request;
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_token::{BearerAuthLayer, Origins, adapter::hyper::HyperClient, provider::yonne::Yonne};
//!
//! # let yonne = tower_token::testing::YonneEmulator::start().await?;
//! # let (url, base_url) = (format!("{}/api/courier/s2s/metrics/summary", yonne.base_url()), yonne.base_url());
//! # let source = Yonne::new(yonne.api_key(), yonne.api_secret())?.base_url(&base_url)?;
//! let layer = BearerAuthLayer::new(base_url.parse::<Origins>()?, source);
//! let client = ServiceBuilder::new().layer(layer).service(HyperClient::new()?);
//! let response = client.oneshot(Request::get(url).body(String::new())?).await?;
//! assert_eq!(response.status(), 200);
//! # Ok(()) }
//! # #[cfg(not(feature = "testing"))]
//! # fn main() {}
//! ```

use std::{
    fmt,
    task::{Context, Poll},
};

use ::hyper::body::Incoming;
use http::{Request, Response};
use http_body::Body;
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, Error, ResponseFuture, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tower_service::Service;

use crate::{
    error::{BoxError, TokenError},
    transport::{Versions, connector},
};

/// A client for API calls, to be wrapped by a layer: hyper-util's `legacy::Client` with TLS by rustls (aws-lc-rs) and the platform's
/// root certificates. `B` is the type of the requests' bodies, and mostly inferred from the first request.
///
/// Clones are cheap and share their connections, so one is enough for a program. It follows no redirect, asks for no compression
/// and reads no proxy from the environment: for a proxy or another TLS library, wrap a hyper-util client of your own, which is a
/// service as it is. It needs tokio when it is called, not to be made; making it reads the root certificates where the platform
/// keeps them in files, and touches no network.
///
/// URLs of plain `http` are served as well. Which of them get a token is for the layer's [`Origins`](crate::Origins) to say.
///
/// Its error is hyper-util's; [`is_connect`](Error::is_connect) tells whether the server was never reached.
///
/// # Defaults
///
/// | | |
/// |---|---|
/// | connecting | 10 s, all addresses of a host together |
/// | an answer | no limit: put a `tower::timeout` around it |
/// | an idle connection | kept for 90 s |
/// | a pooled connection that the server closed before it read anything of the request | another one is used |
///
/// # Cancel safety
///
/// Dropping the future of a call gives the request up: over HTTP/1.1 with its connection, over HTTP/2 with its stream. Whether the
/// server has acted on it is then unknown.
pub struct HyperClient<B>(Client<HttpsConnector<HttpConnector>, B>);

impl<B> HyperClient<B>
where
    B: Body + Send,
    B::Data: Send,
{
    /// HTTP/2 where the server agrees to it by ALPN, else HTTP/1.1; plain `http` is HTTP/1.1.
    ///
    /// # Errors
    ///
    /// `Misconfigured` if the platform has no usable root certificates.
    pub fn new() -> Result<HyperClient<B>, TokenError> {
        HyperClient::speaking(Versions::All)
    }

    /// HTTP/1.1 only.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn http1() -> Result<HyperClient<B>, TokenError> {
        HyperClient::speaking(Versions::Http1)
    }

    /// HTTP/2 only, over plain `http` by prior knowledge (RFC 9113 section 3.3).
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn http2() -> Result<HyperClient<B>, TokenError> {
        HyperClient::speaking(Versions::Http2)
    }

    fn speaking(versions: Versions) -> Result<HyperClient<B>, TokenError> {
        let connector = connector(versions)?;
        let mut builder = Client::builder(TokioExecutor::new());
        // With the timer, connections that have been idle for too long are closed even if nobody asks for one.
        builder.pool_timer(TokioTimer::new()).http2_only(matches!(versions, Versions::Http2));
        Ok(HyperClient(builder.build(connector)))
    }
}

impl<B> Service<Request<B>> for HyperClient<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Incoming>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        self.0.call(request)
    }
}

impl<B> Clone for HyperClient<B> {
    fn clone(&self) -> Self {
        HyperClient(self.0.clone())
    }
}

impl<B> fmt::Debug for HyperClient<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperClient").finish_non_exhaustive()
    }
}
