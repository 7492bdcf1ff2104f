use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::aws_lc_rs;

use crate::error::{ErrorKind, TokenError};

/// How long connecting may take, all addresses of a host together: below the timeout of a token call, so that the error says which
/// part hung.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a connection is quiet before the kernel asks whether the other end is still there: a NAT that has forgotten a pooled
/// one is found out between two requests, and not by one of them.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// What is offered to a server by ALPN (RFC 7301).
#[derive(Clone, Copy)]
pub(crate) enum Versions {
    All,
    Http1,
    Http2,
}

/// TCP, and TLS by rustls for `https`. The provider is named, so that a program which also has ring does not panic here.
pub(crate) fn connector(versions: Versions) -> Result<HttpsConnector<HttpConnector>, TokenError> {
    let tls =
        HttpsConnectorBuilder::new().with_provider_and_platform_verifier(aws_lc_rs::default_provider()).map_err(|error| {
            TokenError::wrap(ErrorKind::Misconfigured, "the platform's root certificates cannot be used", error.into())
        })?;
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_keepalive(Some(KEEPALIVE));
    // Which URLs may be plain http is not decided here: an endpoint's URL and the origins of a layer are checked where they are given.
    let tls = tls.https_or_http();
    Ok(match versions {
        Versions::All => tls.enable_all_versions().wrap_connector(tcp),
        Versions::Http1 => tls.enable_http1().wrap_connector(tcp),
        Versions::Http2 => tls.enable_http2().wrap_connector(tcp),
    })
}
