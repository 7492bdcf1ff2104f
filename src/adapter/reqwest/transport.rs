use std::time::Duration;

use reqwest::{Client, redirect::Policy, retry};

use super::service::{ReqwestService, no_client};
use crate::{error::TokenError, transport::Transport};

/// How long connecting may take: below the transport's timeout, so that the error says which part hung.
const CONNECT: Duration = Duration::from_secs(10);

/// Token calls over a reqwest client of their own.
///
/// It follows no redirect, sends nothing again by itself, keeps no idle connection, sends no `Referer` and asks for no
/// compression. Connecting may take 10 s, and a whole call as long as [`Transport::timeout`] says (15 s). For proxies it does as reqwest does by default: those of the environment and, with reqwest's feature
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
        .connect_timeout(CONNECT)
        .referer(false)
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .build();
    client.map(|client| Transport::new(ReqwestService::over_redirect_free(client))).map_err(no_client)
}

#[cfg(all(test, feature = "grant"))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        clock::{Clock, TokioClock},
        transport::Answer,
    };

    /// F2: a refresh token that did not leave is not taken for one that a server may have used up, and the other way round.
    #[tokio::test]
    async fn what_could_not_connect_was_not_sent() {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let request = || http::Request::get(format!("http://{}/", listener.local_addr().unwrap())).body(Default::default());
        let hang_up = async { drop(listener.accept().await.unwrap()) };
        let call = transport().unwrap().call(request().unwrap(), &clock);
        let (lost, ()) = tokio::join!(call, hang_up);
        assert!(matches!(lost, Answer::Lost(_)), "{lost:?}");

        let request = request().unwrap();
        drop(listener);
        let unsent = transport().unwrap().call(request, &clock).await;
        assert!(matches!(unsent, Answer::Unsent(_)), "{unsent:?}");
    }
}
