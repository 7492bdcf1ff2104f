use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::crypto::aws_lc_rs;

use crate::error::{ErrorKind, TokenError};

/// How long connecting may take, all addresses of a host together: below the timeout, so that the error says which part hung.
const CONNECT: Duration = Duration::from_secs(10);

/// The client for token calls.
///
/// It keeps no idle connections: token calls are minutes apart, so a kept one would mostly be found dead, and an exchange on a
/// connection that dies under it cannot be told from one that the server has carried out. For the same reason nothing is sent
/// twice below the engine.
pub(super) fn client() -> Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>, TokenError> {
    let tls =
        HttpsConnectorBuilder::new().with_provider_and_platform_verifier(aws_lc_rs::default_provider()).map_err(|error| {
            TokenError::wrap(ErrorKind::Misconfigured, "the platform's root certificates cannot be used", error.into())
        })?;
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    // Plain http is for loopback alone, which the check of the endpoint's URL sees to.
    let connector = tls.https_or_http().enable_all_versions().wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).retry_canceled_requests(false).build(connector))
}
