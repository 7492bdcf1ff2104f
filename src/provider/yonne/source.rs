#[cfg(any(feature = "client", test))]
use std::ffi::OsString;
use std::fmt;

use zeroize::Zeroizing;

use crate::{
    error::TokenError,
    grant::{EndpointSource, ErrorClass, ExpiryFormat, TokenEndpoint},
    middleware::{BearerAuthLayer, Origins},
    provider::{base_url::BaseUrl, code_in::CODE_AT, credential},
    source::{FetchContext, TokenSource},
    token::AccessToken,
    transport::Transport,
};

/// Where Yonne's API lives.
pub const BASE_URL: &str = "https://api.yonne.app";

const VENDOR: &str = "Yonne";
const TOKEN_PATH: &str = "/api/courier/s2s/auth/token";

const KEY_PREFIX: &str = "ck_live_";
const SECRET_PREFIX: &str = "sk_live_";

/// Yonne's tokens, for an `api_key` and an `api_secret`.
///
/// It is not `Clone`: several layers share one handle on it, and so one login.
///
/// # Examples
///
/// Over a service of your own:
///
/// ```
/// use tower_token::provider::yonne::Yonne;
/// # let service = tower::service_fn(|_: http::Request<http_body_util::Full<bytes::Bytes>>| async {
/// #     Ok::<_, std::io::Error>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
/// # });
///
/// let source = Yonne::over(service, "ck_live_xxxxxxxxxxxx", "sk_live_xxxxxxxxxxxx")?.base_url("http://127.0.0.1:8080")?;
/// # drop(source);
/// # Ok::<(), tower_token::TokenError>(())
/// ```
pub struct Yonne {
    source: EndpointSource,
    origins: Origins,
}

impl Yonne {
    /// Over the client of this crate. No I/O happens yet.
    ///
    /// White space around key and secret is cut off.
    ///
    /// # Errors
    ///
    /// `Misconfigured`, naming the field, if the key does not begin with `ck_live_` or the secret with `sk_live_`, or if
    /// [`Transport::client`] fails.
    #[cfg(feature = "client")]
    pub fn new(api_key: impl Into<String>, api_secret: impl Into<String>) -> Result<Yonne, TokenError> {
        Yonne::over(Transport::client()?, api_key, api_secret)
    }

    /// Over a [`Transport`], or over any service that makes one.
    ///
    /// # Errors
    ///
    /// As `new`.
    pub fn over(
        transport: impl Into<Transport>,
        api_key: impl Into<String>,
        api_secret: impl Into<String>,
    ) -> Result<Yonne, TokenError> {
        let key = Zeroizing::new(api_key.into());
        let secret = Zeroizing::new(api_secret.into());
        let (key, secret) = check_pair(&key, &secret)?;
        let source = token_endpoint().source(transport, [("api_key", key), ("api_secret", secret)])?;
        Ok(Yonne { source, origins: BaseUrl::parse(VENDOR, BASE_URL)?.into_origins() })
    }

    /// As `new`, with key and secret from `COURIER_API_KEY` and `COURIER_API_SECRET`.
    ///
    /// # Errors
    ///
    /// As `new`; and `Misconfigured`, naming the variable, if one is not set or is not Unicode.
    #[cfg(feature = "client")]
    pub fn from_env() -> Result<Yonne, TokenError> {
        let (key, secret) = from_vars(|name| std::env::var_os(name))?;
        Yonne::new(key, secret)
    }

    /// Another place than [`BASE_URL`]: an emulator, a proxy. The exchange is sent there, and [`origins`](Self::origins) follow.
    ///
    /// # Errors
    ///
    /// `Misconfigured` unless it is https, or plain http to loopback, without user info, query or fragment.
    pub fn base_url(self, url: impl AsRef<str>) -> Result<Yonne, TokenError> {
        let base = BaseUrl::parse(VENDOR, url.as_ref())?;
        Ok(Yonne { source: self.source.sent_to(base.at(TOKEN_PATH)?, None), origins: base.into_origins() })
    }

    /// Where the tokens may go: the origin of the base URL.
    pub fn origins(&self) -> Origins {
        self.origins.clone()
    }

    /// The layer for calls to Yonne, over an engine of its own.
    ///
    /// To share that engine, to watch it or to configure it, make a [`TokenHandle`](crate::TokenHandle) of the source and a layer
    /// of its [`origins`](Self::origins) and the handle.
    pub fn layer(self) -> BearerAuthLayer {
        BearerAuthLayer::new(self.origins(), self)
    }
}

impl TokenSource for Yonne {
    async fn fetch(&mut self, cx: FetchContext) -> Result<AccessToken, TokenError> {
        self.source.fetch(cx).await
    }
}

impl fmt::Debug for Yonne {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Yonne").field(&self.source).finish()
    }
}

/// The exchange as data: to put it into a file, or to start from where Yonne's page has moved on.
///
/// Its secrets are named `api_key` and `api_secret`; their prefixes are not checked.
pub fn token_endpoint() -> TokenEndpoint {
    let endpoint = TokenEndpoint::post(format!("{BASE_URL}{TOKEN_PATH}"))
        .secret("api_key", "api_key")
        .secret("api_secret", "api_secret")
        .token_at("/token")
        .expiry_at("/expires_in", ExpiryFormat::Seconds)
        .on_code("TOKEN_MISSING", ErrorClass::Refused)
        .on_code("TOKEN_EXPIRED", ErrorClass::Refused)
        .on_code("TOKEN_INVALID", ErrorClass::Refused)
        .on_code("COURIER_NOT_FOUND", ErrorClass::Refused)
        .on_code("S2S_DISABLED", ErrorClass::Refused)
        .on_code("DB_ERROR", ErrorClass::Transient);
    CODE_AT.into_iter().fold(endpoint, TokenEndpoint::code_at)
}

fn misconfigured(what: String) -> TokenError {
    credential::misconfigured(VENDOR, what)
}

/// Checks key and secret by their prefixes, and never shows what was given.
fn check_pair<'a>(key: &'a str, secret: &'a str) -> Result<(&'a str, &'a str), TokenError> {
    let (key, secret) = (key.trim_ascii(), secret.trim_ascii());
    if key.starts_with(SECRET_PREFIX) && secret.starts_with(KEY_PREFIX) {
        return Err(misconfigured("`api_key` and `api_secret` are swapped".to_owned()));
    }
    check_one("api_key", key, KEY_PREFIX)?;
    check_one("api_secret", secret, SECRET_PREFIX)?;
    Ok((key, secret))
}

fn check_one(field: &str, value: &str, prefix: &str) -> Result<(), TokenError> {
    let wrong = match value.strip_prefix(prefix) {
        _ if value.is_empty() => "is empty".to_owned(),
        Some("") => format!("is nothing but its prefix `{prefix}`"),
        Some(rest) if rest.bytes().all(|byte| byte.is_ascii_graphic()) => return Ok(()),
        Some(_) => "holds a character that is not visible ASCII".to_owned(),
        None if value.starts_with(KEY_PREFIX) => "must begin with `sk_live_`, and this looks like an `api_key`".to_owned(),
        None if value.starts_with(SECRET_PREFIX) => "must begin with `ck_live_`, and this looks like an `api_secret`".to_owned(),
        None => format!("must begin with `{prefix}`"),
    };
    Err(misconfigured(format!("`{field}` {wrong}")))
}

#[cfg(any(feature = "client", test))]
fn from_vars(var: impl Fn(&str) -> Option<OsString>) -> Result<(String, String), TokenError> {
    let read = |name: &str| match var(name).map(OsString::into_string) {
        Some(Ok(value)) => Ok(value),
        Some(Err(_)) => Err(misconfigured(format!("the environment variable `{name}` is not Unicode"))),
        None => Err(misconfigured(format!("the environment variable `{name}` is not set"))),
    };
    Ok((read("COURIER_API_KEY")?, read("COURIER_API_SECRET")?))
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{Arc, Mutex},
    };

    use bytes::Bytes;
    use http::{Request, Response, StatusCode};
    use http_body_util::{BodyExt, Full};
    use tower::service_fn;

    use super::{super::ErrorCode, *};
    use crate::{error::ErrorKind, source::FetchReason};

    const KEY: &str = "ck_live_CANARYkey";
    const SECRET: &str = "sk_live_CANARYsecret";

    fn replying(status: u16, body: &'static str) -> Transport {
        Transport::new(service_fn(move |_: Request<Full<Bytes>>| async move {
            let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            Ok::<_, Infallible>(response)
        }))
    }

    async fn fetched(status: u16, body: &'static str) -> Result<AccessToken, TokenError> {
        Yonne::over(replying(status, body), KEY, SECRET).unwrap().fetch(FetchContext::new(FetchReason::First)).await
    }

    /// The page's request and its success response, to the letter.
    #[tokio::test]
    async fn the_exchange_of_the_page() {
        let seen = Arc::new(Mutex::new(None));
        let record = seen.clone();
        let service = service_fn(move |request: Request<Full<Bytes>>| {
            *record.lock().unwrap() = Some(request);
            let body = r#"{"token":"jwt","courier_id":123,"courier_name":"Acme Logistics","expires_in":86400}"#;
            async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body)))) }
        });
        let mut source = Yonne::over(service, format!(" {KEY}\n"), SECRET).unwrap();
        let token = source.fetch(FetchContext::new(FetchReason::First)).await.unwrap();
        assert_eq!((token.expose_secret(), token.lifetime().unwrap().as_secs()), ("jwt", 86400));

        let request = seen.lock().unwrap().take().unwrap();
        assert_eq!(request.method(), "POST");
        assert_eq!(request.uri(), "https://api.yonne.app/api/courier/s2s/auth/token");
        assert_eq!(request.headers()["content-type"], "application/json");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let sent: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(sent, serde_json::json!({"api_key": KEY, "api_secret": SECRET}));
    }

    /// The reply is followed, not the page's "always 86400".
    #[tokio::test]
    async fn a_shorter_lifetime_is_followed() {
        let token = fetched(200, r#"{"token":"jwt","expires_in":"60"}"#).await.unwrap();
        assert_eq!(token.lifetime().unwrap().as_secs(), 60);
        assert_eq!(fetched(200, r#"{"token":"jwt"}"#).await.unwrap().lifetime(), None);
    }

    #[tokio::test]
    async fn what_the_codes_mean_at_the_token_endpoint() {
        use ErrorKind::{Misconfigured, Refused, Transient};
        for (status, body, kind, code) in [
            (401, r#"{"code":"TOKEN_MISSING"}"#, Refused, Some(ErrorCode::TokenMissing)),
            (401, r#"{"error":"TOKEN_EXPIRED"}"#, Refused, Some(ErrorCode::TokenExpired)),
            (401, r#"{"error":{"code":"TOKEN_INVALID"}}"#, Refused, Some(ErrorCode::TokenInvalid)),
            (404, r#"{"error_code":"COURIER_NOT_FOUND"}"#, Refused, Some(ErrorCode::CourierNotFound)),
            (403, r#"{"errors":[{"code":"S2S_DISABLED"}]}"#, Refused, Some(ErrorCode::S2sDisabled)),
            (403, r#"{"error":"Forbidden","errorCode":"S2S_DISABLED"}"#, Refused, Some(ErrorCode::S2sDisabled)),
            (503, r#"{"code":"DB_ERROR"}"#, Transient, Some(ErrorCode::DbError)),
            (400, r#"{"code":"DB_ERROR"}"#, Transient, Some(ErrorCode::DbError)),
            (401, r#"{"code":"BAD_KEY"}"#, Refused, Some(ErrorCode::Other("BAD_KEY".to_owned()))),
            (401, r#"{"error":"Invalid credentials"}"#, Refused, None),
            (401, r#"{"error":"ck_live_CANARYkey"}"#, Refused, None),
            (404, r#"{"error":"Not found"}"#, Misconfigured, None),
            (503, "<html>", Transient, None),
            (403, "<html>", Transient, None),
        ] {
            let error = fetched(status, body).await.unwrap_err();
            assert_eq!((error.kind(), ErrorCode::of_error(&error)), (kind, code), "{status} {body}");
        }
    }

    /// S3: a slip is named by its field, and what was given is not shown.
    #[test]
    fn key_and_secret_are_checked_by_their_prefixes() {
        for (key, secret, text) in [
            (SECRET, KEY, "Yonne: `api_key` and `api_secret` are swapped"),
            ("", SECRET, "Yonne: `api_key` is empty"),
            (" \n", SECRET, "Yonne: `api_key` is empty"),
            (KEY, "", "Yonne: `api_secret` is empty"),
            ("ck_live_", SECRET, "Yonne: `api_key` is nothing but its prefix `ck_live_`"),
            ("ck_test_CANARY", SECRET, "Yonne: `api_key` must begin with `ck_live_`"),
            (KEY, "CANARY", "Yonne: `api_secret` must begin with `sk_live_`"),
            (SECRET, SECRET, "Yonne: `api_key` must begin with `ck_live_`, and this looks like an `api_secret`"),
            (KEY, KEY, "Yonne: `api_secret` must begin with `sk_live_`, and this looks like an `api_key`"),
            ("ck_live_CAN ARY", SECRET, "Yonne: `api_key` holds a character that is not visible ASCII"),
            (KEY, "sk_live_CANARY\u{2026}", "Yonne: `api_secret` holds a character that is not visible ASCII"),
        ] {
            let error = Yonne::over(replying(200, ""), key, secret).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Misconfigured, text));
        }
    }

    /// G6.
    #[test]
    fn a_base_url_is_https_or_loopback() {
        let based = |url: &str| Yonne::over(replying(200, ""), KEY, SECRET).unwrap().base_url(url);
        for (url, whole) in [
            ("http://127.0.0.1:1234", "http://127.0.0.1:1234/api/courier/s2s/auth/token"),
            ("http://127.0.0.1:1234/", "http://127.0.0.1:1234/api/courier/s2s/auth/token"),
            ("https://proxy.test/yonne", "https://proxy.test/yonne/api/courier/s2s/auth/token"),
        ] {
            assert_eq!(format!("{:?}", based(url).unwrap()), format!("Yonne(EndpointSource {{ url: \"{whole}\", .. }})"));
        }
        let error = based("https://u:CANARY@api.yonne.app").unwrap_err();
        assert_eq!(error.to_string(), "Yonne: `base_url` has user info: leave out what is before the `@`");
    }

    /// S1: tokens go where the exchange went, and nowhere else.
    #[test]
    fn origins_follow_the_base_url() {
        let yonne = Yonne::over(replying(200, ""), KEY, SECRET).unwrap();
        let shown = |yonne: &Yonne| format!("{:?}", yonne.origins());
        assert_eq!(shown(&yonne), format!("{:?}", "https://api.yonne.app".parse::<Origins>().unwrap()));
        let moved = yonne.base_url("https://proxy.test/yonne").unwrap();
        assert_eq!(shown(&moved), format!("{:?}", "https://proxy.test".parse::<Origins>().unwrap()));
    }

    #[test]
    fn the_environment_is_read_by_the_names_of_the_page() {
        let both = |name: &str| Some(OsString::from(name));
        let read = from_vars(both).unwrap();
        assert_eq!(read, ("COURIER_API_KEY".to_owned(), "COURIER_API_SECRET".to_owned()));

        let error = from_vars(|name| (name == "COURIER_API_KEY").then(|| OsString::from(KEY))).unwrap_err();
        assert_eq!(error.to_string(), "Yonne: the environment variable `COURIER_API_SECRET` is not set");
    }

    /// S3.
    #[test]
    fn debug_shows_no_secret() {
        assert!(!format!("{:?}", Yonne::over(replying(200, ""), KEY, SECRET).unwrap()).contains("CANARY"));
    }
}
