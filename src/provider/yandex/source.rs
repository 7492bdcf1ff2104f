use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::Full;
use zeroize::Zeroizing;

use super::{VENDOR, login::token_in};
use crate::{
    clock::{Clock, TokioClock},
    error::{ErrorKind, TokenError},
    grant::Document,
    middleware::{OAuthHeaderLayer, Origins},
    provider::{base_url::BaseUrl, credential::misconfigured},
    source::{FetchContext, FetchReason, TokenSource},
    token::AccessToken,
    transport::Transport,
};

const API: &str = "https://courier.yandex.ru";
const TEST_PATH: &str = "/api/v1/test";

/// A person's token for the Track & Trace API.
///
/// It never changes and nothing renews it, so that a clone does no harm.
///
/// # Examples
///
/// Over a service of your own, which only [`check`](Self::check) needs:
///
/// ```
/// use tower_token::provider::yandex::Yandex;
/// # let service = tower::service_fn(|_: http::Request<http_body_util::Full<bytes::Bytes>>| async {
/// #     Ok::<_, std::io::Error>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
/// # });
///
/// let layer = Yandex::over(service, "y0_AgAAAA...")?.layer();
/// # drop(layer);
/// # Ok::<(), tower_token::TokenError>(())
/// ```
#[derive(Clone)]
pub struct Yandex {
    token: AccessToken,
    transport: Transport,
    test: Uri,
    origins: Origins,
}

impl Yandex {
    /// With what a person brought from the screen: the token, the address of the page that showed it, or that address' fragment.
    /// No I/O happens yet.
    ///
    /// # Errors
    ///
    /// `Refused` with an [`ErrorCode`](super::ErrorCode) for an address that tells of an error, `Misconfigured` for what holds no
    /// token, and if [`Transport::client`] fails. Nothing that was given is shown.
    #[cfg(feature = "client")]
    pub fn new(brought: impl Into<String>) -> Result<Yandex, TokenError> {
        Yandex::over(Transport::client()?, brought)
    }

    /// As `new`, over a [`Transport`], or over any service that makes one.
    ///
    /// # Errors
    ///
    /// As `new`.
    pub fn over(transport: impl Into<Transport>, brought: impl Into<String>) -> Result<Yandex, TokenError> {
        let token = token_in(&Zeroizing::new(brought.into()))?;
        let base = BaseUrl::parse(VENDOR, API)?;
        Ok(Yandex { token, transport: transport.into(), test: base.at(TEST_PATH)?, origins: base.into_origins() })
    }

    /// Another place than `https://courier.yandex.ru`: an emulator, a proxy. [`check`](Self::check) and
    /// [`origins`](Self::origins) follow.
    ///
    /// # Errors
    ///
    /// `Misconfigured` unless it is https, or plain http to loopback, without user info, query or fragment.
    pub fn base_url(self, url: impl AsRef<str>) -> Result<Yandex, TokenError> {
        let base = BaseUrl::parse(VENDOR, url.as_ref())?;
        Ok(Yandex { test: base.at(TEST_PATH)?, origins: base.into_origins(), ..self })
    }

    /// Where the token may go: the origin of the base URL.
    pub fn origins(&self) -> Origins {
        self.origins.clone()
    }

    /// The layer, over an engine of its own: `Authorization: OAuth <token>`.
    ///
    /// To share that engine, to watch it or to configure it, make a [`TokenHandle`](crate::TokenHandle) of the source and a layer
    /// of its [`origins`](Self::origins) and the handle.
    pub fn layer(self) -> OAuthHeaderLayer {
        OAuthHeaderLayer::new(self.origins(), self)
    }

    /// "Make sure the token works": the page's test call, whose answer should be `{"message":"OK"}`. Needs tokio.
    ///
    /// # Errors
    ///
    /// `Refused` for a 401 or a 403: the token is no good, or its owner is no administrator of the company. `Misconfigured` for a
    /// redirect, a 404, or a 2xx that says something else: that is not the API. Else `Transient` or `Timeout`.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the call, which changes nothing.
    pub async fn check(&self) -> Result<(), TokenError> {
        let mut request = Request::new(Full::<Bytes>::default());
        *request.uri_mut() = self.test.clone();
        let mut header = HeaderValue::try_from(format!("OAuth {}", self.token.expose_secret()))
            .map_err(|_ungrammatical| misconfigured(VENDOR, "the token does not make a header"))?;
        header.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, header);
        let clock: Arc<dyn Clock> = Arc::new(TokioClock);
        let reply = self.transport.send(request, &clock).await?;
        let status = reply.status();
        match status {
            StatusCode::UNAUTHORIZED => Err(no_longer_good()),
            StatusCode::FORBIDDEN => {
                Err(TokenError::new(ErrorKind::Refused, "Yandex: the token's owner must be an administrator of the company"))
            }
            _ if status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) => {
                Err(TokenError::new(ErrorKind::Transient, format!("Yandex answered the test call with {}", status.as_u16())))
            }
            _ if status.is_success() && says_ok(reply.body()) => Ok(()),
            _ => {
                Err(misconfigured(VENDOR, format_args!("the test call was answered with {}, by something else", status.as_u16())))
            }
        }
    }
}

fn says_ok(body: &[u8]) -> bool {
    let document = Document::parse(body);
    let message = document.as_ref().and_then(|document| document.at("/message")?.text());
    message.is_some_and(|message| *message == "OK")
}

fn no_longer_good() -> TokenError {
    let text = "Yandex no longer takes the token: it was revoked, the password was changed, or its owner has logged out of all \
                services; a person must get a new one";
    TokenError::new(ErrorKind::Refused, text)
}

impl TokenSource for Yandex {
    async fn fetch(&mut self, cx: FetchContext) -> Result<AccessToken, TokenError> {
        match cx.reason() {
            FetchReason::Rejected => Err(no_longer_good()),
            FetchReason::First | FetchReason::Expiring => Ok(self.token.clone()),
        }
    }
}

impl fmt::Debug for Yandex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yandex").field("token", &self.token).field("origins", &self.origins).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::Response;
    use tower::service_fn;

    use super::*;

    fn answering(status: u16, body: &'static str) -> Yandex {
        let service = service_fn(move |request: Request<Full<Bytes>>| async move {
            assert_eq!(request.uri(), "https://courier.yandex.ru/api/v1/test");
            assert_eq!(
                (request.method().as_str(), &request.headers()["authorization"]),
                ("GET", &HeaderValue::from_static("OAuth t-1"))
            );
            assert!(request.headers()["authorization"].is_sensitive());
            let mut response = Response::new(Full::new(Bytes::from(body)));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            Ok::<_, Infallible>(response)
        });
        Yandex::over(service, "t-1").unwrap()
    }

    #[tokio::test]
    async fn what_the_test_call_says() {
        use ErrorKind::{Misconfigured, Refused, Transient};
        answering(200, r#"{"message":"OK"}"#).check().await.unwrap();
        for (status, body, kind) in [
            (401, "", Refused),
            (403, "{}", Refused),
            (500, "", Transient),
            (503, r#"{"message":"OK"}"#, Transient),
            (429, "", Transient),
            (302, "", Misconfigured),
            (404, "<html>", Misconfigured),
            (200, "<html>CANARY", Misconfigured),
            (200, r#"{"message":"CANARY"}"#, Misconfigured),
            (200, "", Misconfigured),
        ] {
            let error = answering(status, body).check().await.unwrap_err();
            assert_eq!(error.kind(), kind, "{status} {body}");
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{error}");
        }
    }

    /// S3, S1.
    #[test]
    fn where_it_may_go_and_what_is_shown() {
        let yandex = answering(200, "");
        assert_eq!(format!("{:?}", yandex.origins()), format!("{:?}", "https://courier.yandex.ru".parse::<Origins>().unwrap()));
        assert!(!format!("{yandex:?}").contains("t-1"));
        let moved = yandex.base_url("https://proxy.test/y/").unwrap();
        assert_eq!(
            (moved.test.to_string().as_str(), format!("{:?}", moved.origins())),
            ("https://proxy.test/y/api/v1/test", format!("{:?}", "https://proxy.test".parse::<Origins>().unwrap()))
        );
    }
}
