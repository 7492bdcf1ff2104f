use std::fmt;

use tower_http::set_header::SetRequestHeaderLayer;
use tower_layer::Stack;
use zeroize::Zeroizing;

use super::{Environment, LegalEntity, VENDOR};
use crate::{
    error::TokenError,
    grant::{EndpointSource, ErrorClass, ExpiryFormat, TokenEndpoint},
    middleware::{BearerAuthLayer, Origins},
    provider::{base_url::BaseUrl, credential::credential},
    source::{FetchContext, TokenSource},
    token::AccessToken,
    transport::Transport,
};

const TOKEN_PATH: &str = "/auth/token";

/// A token and a legal entity for each call: see [`Younium::layer_for`].
pub type YouniumLayer = Stack<SetRequestHeaderLayer<LegalEntity>, BearerAuthLayer>;

/// Younium's tokens, for the client id and the secret key of a personal token.
///
/// It is not `Clone`: several layers share one handle on it, and so one login.
///
/// # Examples
///
/// Over a service of your own:
///
/// ```
/// use tower_token::provider::younium::{Environment, Younium};
/// # let service = tower::service_fn(|_: http::Request<http_body_util::Full<bytes::Bytes>>| async {
/// #     Ok::<_, std::io::Error>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
/// # });
///
/// let layer = Younium::over(service, Environment::Production, "client id", "secret key")?.layer_for("Ücretli Araçlar")?;
/// # drop(layer);
/// # Ok::<(), tower_token::TokenError>(())
/// ```
pub struct Younium {
    source: EndpointSource,
    origins: Origins,
}

impl Younium {
    /// Over the client of this crate. No I/O happens yet.
    ///
    /// White space around client id and secret is cut off.
    ///
    /// # Errors
    ///
    /// `Misconfigured`, naming the field, if client id or secret is empty, or if [`Transport::client`] fails.
    #[cfg(feature = "client")]
    pub fn new(environment: Environment, client_id: impl Into<String>, secret: impl Into<String>) -> Result<Younium, TokenError> {
        Younium::over(Transport::client()?, environment, client_id, secret)
    }

    /// Over a [`Transport`], or over any service that makes one.
    ///
    /// # Errors
    ///
    /// As `new`.
    pub fn over(
        transport: impl Into<Transport>,
        environment: Environment,
        client_id: impl Into<String>,
        secret: impl Into<String>,
    ) -> Result<Younium, TokenError> {
        let (id, secret) = (Zeroizing::new(client_id.into()), Zeroizing::new(secret.into()));
        let secrets = [("client_id", credential(VENDOR, "client_id", &id)?), ("secret", credential(VENDOR, "secret", &secret)?)];
        let source = token_endpoint(environment).source(transport, secrets)?;
        Ok(Younium { source, origins: BaseUrl::parse(VENDOR, environment.base_url())?.into_origins() })
    }

    /// Another place than the environment's: an emulator, a proxy. The exchange is sent there, and [`origins`](Self::origins)
    /// follow.
    ///
    /// # Errors
    ///
    /// `Misconfigured` unless it is https, or plain http to loopback, without user info, query or fragment.
    pub fn base_url(self, url: impl AsRef<str>) -> Result<Younium, TokenError> {
        let base = BaseUrl::parse(VENDOR, url.as_ref())?;
        Ok(Younium { source: self.source.sent_to(base.at(TOKEN_PATH)?, None), origins: base.into_origins() })
    }

    /// Where the tokens may go: the origin of the base URL.
    pub fn origins(&self) -> Origins {
        self.origins.clone()
    }

    /// The layer for calls to a tenant with one legal entity, over an engine of its own.
    ///
    /// To share that engine, to watch it or to configure it, make a [`TokenHandle`](crate::TokenHandle) of the source and a layer
    /// of its [`origins`](Self::origins) and the handle.
    pub fn layer(self) -> BearerAuthLayer {
        BearerAuthLayer::new(self.origins(), self)
    }

    /// The layer for calls about one of a tenant's several legal entities, by its id or its name: [`layer`](Self::layer), and
    /// the `legal-entity` header under it.
    ///
    /// # Errors
    ///
    /// As [`LegalEntity::new`], by which the two layers can be had apart.
    pub fn layer_for(self, legal_entity: impl AsRef<str>) -> Result<YouniumLayer, TokenError> {
        let header = LegalEntity::new(legal_entity, self.origins())?.layer();
        Ok(Stack::new(header, self.layer()))
    }
}

impl TokenSource for Younium {
    async fn fetch(&mut self, cx: FetchContext) -> Result<AccessToken, TokenError> {
        self.source.fetch(cx).await
    }
}

impl fmt::Debug for Younium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Younium").field(&self.source).finish()
    }
}

/// The exchange as data: to put it into a file, or to start from where Younium's page has moved on.
///
/// Its secrets are named `client_id` and `secret`.
pub fn token_endpoint(environment: Environment) -> TokenEndpoint {
    TokenEndpoint::post(format!("{}{TOKEN_PATH}", environment.base_url()))
        .secret("clientId", "client_id")
        .secret("secret", "secret")
        .token_at("/accessToken")
        .expiry_at("/expiresIn", ExpiryFormat::Seconds)
        .expiry_at("/expires", ExpiryFormat::Rfc1123)
        .code_at("/errors/*")
        .on_status(400, ErrorClass::Refused)
        .on_status(401, ErrorClass::Refused)
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{Arc, Mutex},
        time::{Duration, SystemTime},
    };

    use bytes::Bytes;
    use http::{Request, Response, StatusCode};
    use http_body_util::{BodyExt, Full};
    use tower::service_fn;

    use super::*;
    use crate::{error::ErrorKind, source::FetchReason};

    const SECRET: &str = "CANARY-secret";

    fn replying(status: u16, body: impl Into<Bytes>) -> Transport {
        let body = body.into();
        Transport::new(service_fn(move |_: Request<Full<Bytes>>| {
            let mut response = Response::new(Full::new(body.clone()));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            async move { Ok::<_, Infallible>(response) }
        }))
    }

    fn over(transport: impl Into<Transport>) -> Younium {
        Younium::over(transport, Environment::Production, "CANARY-id", SECRET).unwrap()
    }

    async fn fetched(status: u16, body: impl Into<Bytes>) -> Result<AccessToken, TokenError> {
        over(replying(status, body)).fetch(FetchContext::new(FetchReason::First)).await
    }

    /// The page's request and its successful response, to the letter; in each of its environments.
    #[tokio::test]
    async fn the_exchange_of_the_page() {
        for (environment, host) in [
            (Environment::Production, "api.younium.com"),
            (Environment::Sandbox, "api.sandbox.younium.com"),
            (Environment::UsProduction, "api.us.younium.com"),
            (Environment::UsSandbox, "api.us.sandbox.younium.com"),
        ] {
            let seen = Arc::new(Mutex::new(None));
            let record = seen.clone();
            let service = service_fn(move |request: Request<Full<Bytes>>| {
                *record.lock().unwrap() = Some(request);
                let body = r#"{"expires":"Thu, 21 Sep 2025 11:12:01 GMT","expiresIn":86400,"accessToken":"eyJhbGciOiJSUzI1NiIsInR5cC",
                    "refreshToken":"4baf4774-5ef9-4983-a8d8-f4fdae7f7000"}"#;
                async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body)))) }
            });
            let mut source = Younium::over(service, environment, " CANARY-id\n", SECRET).unwrap();
            let origin = format!("https://{host}");
            assert_eq!(format!("{:?}", source.origins()), format!("{:?}", origin.parse::<Origins>().unwrap()));
            for reason in [FetchReason::First, FetchReason::Expiring] {
                let token = source.fetch(FetchContext::new(reason)).await.unwrap();
                assert_eq!(token.expose_secret(), "eyJhbGciOiJSUzI1NiIsInR5cC");
                assert_eq!(token.lifetime().unwrap().as_secs(), 86400, "what has passed by the calendar counts from now");

                // The second time as well: nothing takes a refresh token.
                let request = seen.lock().unwrap().take().unwrap();
                assert_eq!(request.method(), "POST");
                assert_eq!(request.uri().to_string(), format!("{origin}/auth/token"));
                assert_eq!(request.headers()["content-type"], "application/json");
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let sent: serde_json::Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(sent, serde_json::json!({"clientId": "CANARY-id", "secret": SECRET}));
            }
        }
    }

    /// G1, G2: the relative expiry first, then the date, whatever day of the week it says.
    #[tokio::test]
    async fn a_date_with_a_wrong_weekday_is_a_date() {
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(4_102_444_800);
        assert_eq!(httpdate::fmt_http_date(end), "Fri, 01 Jan 2100 00:00:00 GMT");
        for day in ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"] {
            let date = format!("{day}, 01 Jan 2100 00:00:00 GMT");
            let token = fetched(200, format!(r#"{{"accessToken":"a","expires":"{date}"}}"#)).await.unwrap();
            assert_eq!(token.expiry(), Some(end), "{day}");
            let token = fetched(200, format!(r#"{{"accessToken":"a","expires":"{date}","expiresIn":60}}"#)).await.unwrap();
            assert_eq!(token.lifetime(), Some(Duration::from_secs(60)), "{day}");
        }
        let past = fetched(200, r#"{"accessToken":"a","expires":"Thu, 21 Sep 2025 11:12:01 GMT"}"#).await.unwrap_err();
        assert_eq!(past.kind(), ErrorKind::Transient);
        assert_eq!(fetched(200, r#"{"accessToken":"a"}"#).await.unwrap().lifetime(), None);
    }

    /// "400 or 401: Invalid credentials or other authentication issues", at once and whatever the body.
    #[tokio::test]
    async fn what_a_failure_means_at_the_token_endpoint() {
        use ErrorKind::{Misconfigured, Refused, Transient};
        for (status, body, kind, code) in [
            (401, "{\n    errors: [\"CANARY-secret is wrong\"]\n}", Refused, None),
            (400, "{\n    errors: [\"<Error message>\"]\n}", Refused, None),
            (401, r#"{"errors":["CANARY-secret"]}"#, Refused, None),
            (400, r#"{"errors":["Wrong secret.","INVALID_SECRET"]}"#, Refused, Some("INVALID_SECRET")),
            (401, "<html>", Refused, None),
            (400, "", Refused, None),
            (403, "{}", Refused, None),
            (403, "{\n    errors: [\"?\"]\n}", Transient, None),
            (404, "{}", Misconfigured, None),
            (307, "", Misconfigured, None),
            (429, "", Transient, None),
            (500, "{\n    errors: [\"?\"]\n}", Transient, None),
            (200, "<html>", Transient, None),
        ] {
            let error = fetched(status, body).await.unwrap_err();
            assert_eq!((error.kind(), error.code()), (kind, code), "{status} {body}");
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{error}");
        }
    }

    /// S3, G6.
    #[test]
    fn what_was_given_is_checked_and_not_shown() {
        for (id, secret, text) in [("", SECRET, "`client_id` is empty"), ("CANARY", " \n", "`secret` is empty")] {
            let error = Younium::over(replying(200, ""), Environment::Sandbox, id, secret).unwrap_err();
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::Misconfigured, format!("Younium: {text}")));
        }
        let error = over(replying(200, "")).base_url("http://api.younium.com").unwrap_err();
        assert_eq!(error.to_string(), "Younium: `base_url` must be https; plain http is for loopback alone");
        let moved = over(replying(200, "")).base_url("https://proxy.test/younium/").unwrap();
        let shown = r#"Younium(EndpointSource { url: "https://proxy.test/younium/auth/token", .. })"#;
        assert_eq!(format!("{moved:?}"), shown);
    }
}
