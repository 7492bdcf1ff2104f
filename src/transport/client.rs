use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use super::connector::{Versions, connector};
use crate::error::TokenError;

/// The client for token calls.
///
/// It keeps no idle connections: token calls are minutes apart, so a kept one would mostly be found dead, and an exchange on a
/// connection that dies under it cannot be told from one that the server has carried out. For the same reason nothing is sent
/// twice below the engine.
pub(super) fn client() -> Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>, TokenError> {
    let connector = connector(Versions::All)?;
    Ok(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).retry_canceled_requests(false).build(connector))
}
