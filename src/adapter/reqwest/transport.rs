use reqwest::{Client, redirect::Policy, retry};

use super::service::{ReqwestService, no_client};
use crate::{error::TokenError, transport::Transport};

/// Token calls over a reqwest client of their own.
///
/// It follows no redirect, sends nothing again by itself, keeps no idle connection, sends no `Referer` and asks for no
/// compression. For proxies it does as reqwest does by default: those of the environment and, with reqwest's feature
/// `system-proxy`, of the system. Which TLS it speaks is up to the features of your own `reqwest` dependency.
///
/// For a client of yours, [`Transport::new`]`(`[`ReqwestService::over_redirect_free`]`(client))`; what the client must not do
/// stands there.
///
/// # Errors
///
/// `Misconfigured` if reqwest cannot make a client, as where its TLS finds no root certificates.
///
/// # Examples
///
/// ```
/// let transport = tower_token::adapter::reqwest::transport()?;
/// # drop(transport);
/// # Ok::<(), tower_token::TokenError>(())
/// ```
pub fn transport() -> Result<Transport, TokenError> {
    let client = Client::builder()
        .redirect(Policy::none())
        .retry(retry::never())
        // A connection that the server has closed meanwhile loses the request, and with it a refresh token.
        .pool_max_idle_per_host(0)
        .referer(false)
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .build();
    client.map(|client| Transport::new(ReqwestService::over_redirect_free(client))).map_err(no_client)
}
