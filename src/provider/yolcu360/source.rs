use std::fmt;

use zeroize::Zeroizing;

use crate::{
    error::TokenError,
    grant::{EndpointSource, ErrorClass, ExpiryFormat, TokenEndpoint},
    middleware::{BearerAuthLayer, Origins},
    provider::{base_url::BaseUrl, code_in::CODE_AT, credential::credential},
    source::{FetchContext, TokenSource},
    store::{MemoryStore, TokenStore},
    token::AccessToken,
    transport::Transport,
};

/// Where Yolcu360's API lives, in production: the only environment that its page names.
pub const BASE_URL: &str = "https://api.pro.yolcu360.com/api/v1";

const VENDOR: &str = "Yolcu360";
const LOGIN_PATH: &str = "/auth/login";
const REFRESH_PATH: &str = "/auth/refresh";

/// Yolcu360's tokens, for an agency's key and secret, with the refresh token in a [`TokenStore`].
///
/// It is not `Clone`: several layers share one handle on it, and so one login.
///
/// # Cancel safety
///
/// Login and refresh run in a task of their own: a fetch that is dropped loses no refresh token, and the next one joins that task.
///
/// # Examples
///
/// Over a service of your own:
///
/// ```
/// use tower_token::provider::yolcu360::Yolcu360;
/// # let service = tower::service_fn(|_: http::Request<http_body_util::Full<bytes::Bytes>>| async {
/// #     Ok::<_, std::io::Error>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
/// # });
///
/// let layer = Yolcu360::over(service, "your_api_key_here", "your_api_secret_here")?.layer();
/// # drop(layer);
/// # Ok::<(), tower_token::TokenError>(())
/// ```
pub struct Yolcu360<T: TokenStore = MemoryStore> {
    source: EndpointSource<T>,
    origins: Origins,
}

impl Yolcu360 {
    /// Over the client of this crate. No I/O happens yet.
    ///
    /// White space around key and secret is cut off.
    ///
    /// # Errors
    ///
    /// `Misconfigured`, naming the field, if key or secret is empty, or if [`Transport::client`] fails.
    #[cfg(feature = "client")]
    pub fn new(key: impl Into<String>, secret: impl Into<String>) -> Result<Yolcu360, TokenError> {
        Yolcu360::over(Transport::client()?, key, secret)
    }

    /// Over a [`Transport`], or over any service that makes one.
    ///
    /// # Errors
    ///
    /// As `new`.
    pub fn over(
        transport: impl Into<Transport>,
        key: impl Into<String>,
        secret: impl Into<String>,
    ) -> Result<Yolcu360, TokenError> {
        let (key, secret) = (Zeroizing::new(key.into()), Zeroizing::new(secret.into()));
        let secrets = [("key", credential(VENDOR, "key", &key)?), ("secret", credential(VENDOR, "secret", &secret)?)];
        let source = token_endpoint().source(transport, secrets)?;
        Ok(Yolcu360 { source, origins: BaseUrl::parse(VENDOR, BASE_URL)?.into_origins() })
    }
}

impl<T: TokenStore> Yolcu360<T> {
    /// Where the refresh token survives. What is stored is continued, by whichever key and secret it was begun.
    ///
    /// # Defaults
    ///
    /// A [`MemoryStore`]: a restart loses the login, which here costs one more with key and secret, and no call notices.
    #[must_use]
    pub fn store<U: TokenStore>(self, store: U) -> Yolcu360<U> {
        Yolcu360 { source: self.source.store(store), origins: self.origins }
    }

    /// Another place than [`BASE_URL`]: staging, an emulator, a proxy. Login and refresh are sent there, and
    /// [`origins`](Self::origins) follow. It ends as [`BASE_URL`] does, with `/api/v1` or what stands for it.
    ///
    /// # Errors
    ///
    /// `Misconfigured` unless it is https, or plain http to loopback, without user info, query or fragment.
    pub fn base_url(self, url: impl AsRef<str>) -> Result<Yolcu360<T>, TokenError> {
        let base = BaseUrl::parse(VENDOR, url.as_ref())?;
        let source = self.source.sent_to(base.at(LOGIN_PATH)?, Some(base.at(REFRESH_PATH)?));
        Ok(Yolcu360 { source, origins: base.into_origins() })
    }

    /// Where the tokens may go: the origin of the base URL.
    pub fn origins(&self) -> Origins {
        self.origins.clone()
    }

    /// The layer for calls to Yolcu360, over an engine of its own.
    ///
    /// To share that engine, to watch it or to configure it, make a [`TokenHandle`](crate::TokenHandle) of the source and a layer
    /// of its [`origins`](Self::origins) and the handle.
    pub fn layer(self) -> BearerAuthLayer {
        BearerAuthLayer::new(self.origins(), self)
    }
}

impl<T: TokenStore> TokenSource for Yolcu360<T> {
    async fn fetch(&mut self, cx: FetchContext) -> Result<AccessToken, TokenError> {
        self.source.fetch(cx).await
    }
}

impl<T: TokenStore> fmt::Debug for Yolcu360<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Yolcu360").field(&self.source).finish()
    }
}

/// Login and refresh as data: to put them into a file, or to start from where Yolcu360's page has moved on.
///
/// Its secrets are named `key` and `secret`.
pub fn token_endpoint() -> TokenEndpoint {
    let endpoint = TokenEndpoint::post(format!("{BASE_URL}{LOGIN_PATH}"))
        .secret("key", "key")
        .secret("secret", "secret")
        .token_at("/accessToken")
        .expiry_at("/accessTokenExpireAt", ExpiryFormat::Rfc3339)
        .refresh_token_at("/refreshToken")
        .refresh_expiry_at("/refreshTokenExpireAt", ExpiryFormat::Rfc3339)
        .on_code("1001", ErrorClass::Misconfigured)
        .on_code("1002", ErrorClass::Refused)
        .on_code("1003", ErrorClass::Refused)
        .on_code("1004", ErrorClass::LoginAgain)
        .on_code("1005", ErrorClass::Transient)
        .on_code("1500", ErrorClass::Transient)
        .on_status(400, ErrorClass::Misconfigured)
        .on_status(401, ErrorClass::Refused)
        .refresh(TokenEndpoint::post(format!("{BASE_URL}{REFRESH_PATH}")).refresh_token_field("token"));
    CODE_AT.into_iter().fold(endpoint, TokenEndpoint::code_at)
}

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        convert::Infallible,
        sync::{Arc, Mutex},
        time::Duration,
    };

    use bytes::Bytes;
    use http::{Request, Response, StatusCode};
    use http_body_util::{BodyExt, Full};
    use tower::service_fn;

    use super::{super::ErrorCode, *};
    use crate::{clock::ManualClock, error::ErrorKind, source::FetchReason};

    const KEY: &str = "CANARY-key";
    const SECRET: &str = "CANARY-secret";
    const FIRST: &str = r#"{"accessToken":"a-1","refreshToken":"r-1","accessTokenExpireAt":"2224-12-26T10:30:00Z",
        "refreshTokenExpireAt":"2224-12-27T10:00:00Z",
        "user":{"id":"user_123456","email":"agency@example.com","firstName":"John","lastName":"Doe"}}"#;
    const SECOND: &str = r#"{"accessToken":"a-2","refreshToken":"r-2","accessTokenExpireAt":"2224-12-26T11:30:00Z",
        "refreshTokenExpireAt":"2224-12-27T11:00:00Z"}"#;

    /// URL and body of each call that was made.
    type Sent = Arc<Mutex<Vec<[String; 2]>>>;

    /// Yolcu360 behind a service that gives these replies in turn, the last of them for ever, and notes where each call went
    /// and with what body.
    fn scripted(replies: &[(u16, &str)]) -> (Yolcu360, Sent) {
        let sent = Sent::default();
        let notes = sent.clone();
        let replies: VecDeque<_> = replies.iter().map(|(status, body)| (*status, Bytes::from((*body).to_owned()))).collect();
        let replies = Arc::new(Mutex::new(replies));
        let service = service_fn(move |request: Request<Full<Bytes>>| {
            let notes = notes.clone();
            let (status, body) = {
                let mut replies = replies.lock().unwrap();
                if replies.len() > 1 { replies.pop_front() } else { replies.front().cloned() }.unwrap()
            };
            async move {
                assert_eq!(request.method(), "POST");
                assert_eq!(request.headers()["content-type"], "application/json");
                let url = request.uri().to_string();
                let body_sent = request.into_body().collect().await.unwrap().to_bytes();
                notes.lock().unwrap().push([url, String::from_utf8(body_sent.to_vec()).unwrap()]);
                let mut response = Response::new(Full::new(body));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                Ok::<_, Infallible>(response)
            }
        });
        (Yolcu360::over(service, format!(" {KEY}\n"), SECRET).unwrap(), sent)
    }

    async fn fetch(source: &mut Yolcu360) -> Result<AccessToken, TokenError> {
        source.fetch(FetchContext::new(FetchReason::First)).await
    }

    /// In the place of this one.
    async fn renew(source: &mut Yolcu360, previous: &AccessToken) -> Result<AccessToken, TokenError> {
        let clock = FetchContext::new(FetchReason::First).clock().clone();
        source.fetch(FetchContext::from_engine(FetchReason::Expiring, 1, Some(previous.clone()), clock)).await
    }

    /// The page's two requests and their success responses, to the letter.
    #[tokio::test]
    async fn login_and_refresh_of_the_page() {
        let third = SECOND.replace("a-2", "a-3");
        let (mut source, sent) = scripted(&[(200, FIRST), (200, SECOND), (200, &third)]);
        let mut token = fetch(&mut source).await.unwrap();
        for (secret, end) in [("a-1", "2224-12-26T10:30:00Z"), ("a-2", "2224-12-26T11:30:00Z"), ("a-3", "2224-12-26T11:30:00Z")] {
            let end: jiff::Timestamp = end.parse().unwrap();
            assert_eq!((token.expose_secret(), token.expiry()), (secret, Some(end.into())));
            if secret != "a-3" {
                token = renew(&mut source, &token).await.unwrap();
            }
        }
        let login = format!(r#"{{"key":"{KEY}","secret":"{SECRET}"}}"#);
        let refresh =
            |token: &str| ["https://api.pro.yolcu360.com/api/v1/auth/refresh".to_owned(), format!(r#"{{"token":"{token}"}}"#)];
        let expected = [["https://api.pro.yolcu360.com/api/v1/auth/login".to_owned(), login], refresh("r-1"), refresh("r-2")];
        assert_eq!(*sent.lock().unwrap(), expected);
    }

    /// The codes, which beat any status, and the statuses without one: at the login, and at the refresh, after which
    /// `calls` have been made.
    #[tokio::test]
    async fn what_a_failure_means() {
        use ErrorKind::{Misconfigured, Refused, Transient};
        let other = |text: &str| Some(ErrorCode::Other(text.to_owned()));
        for (status, body, kind, code, calls) in [
            (400, r#"{"code":1001}"#, Misconfigured, Some(ErrorCode::InvalidRequest), 2),
            (401, r#"{"code":1002}"#, Refused, Some(ErrorCode::InvalidKey), 3),
            (403, r#"{"code":"1003"}"#, Refused, Some(ErrorCode::KeyDisabled), 3),
            (401, r#"{"error":{"code":1003}}"#, Refused, Some(ErrorCode::KeyDisabled), 3),
            (401, r#"{"error":"1004"}"#, Refused, Some(ErrorCode::InvalidRefreshToken), 3),
            (429, r#"{"code":1005}"#, Transient, Some(ErrorCode::RateLimited), 2),
            (401, r#"{"code":1005}"#, Transient, Some(ErrorCode::RateLimited), 2),
            (400, r#"{"errorCode":1005}"#, Transient, Some(ErrorCode::RateLimited), 2),
            (500, r#"{"code":1500}"#, Transient, Some(ErrorCode::Internal), 2),
            (400, r#"{"error_code":1500}"#, Transient, Some(ErrorCode::Internal), 2),
            (500, r#"{"errors":[{"code":1002}]}"#, Refused, Some(ErrorCode::InvalidKey), 3),
            (200, r#"{"code":401,"error":{"code":1002}}"#, Refused, Some(ErrorCode::InvalidKey), 3),
            (400, r#"{"code":1006}"#, Misconfigured, other("1006"), 2),
            (401, r#"{"code":"CANARY-secret"}"#, Refused, None, 3),
            (401, r#"{"message":"CANARY-secret"}"#, Refused, None, 3),
            (400, "", Misconfigured, None, 2),
            (401, "", Refused, None, 3),
            (401, "<html>", Refused, None, 3),
            (403, "{}", Refused, None, 3),
            (403, "<html>", Transient, None, 2),
            (429, "", Transient, None, 2),
            (500, "", Transient, None, 2),
            // A gateway's word that no answer came: it is asked for again.
            (502, "<html>", Transient, None, 4),
        ] {
            let (mut source, _) = scripted(&[(status, body)]);
            let at_login = fetch(&mut source).await.unwrap_err();
            let (mut source, sent) = scripted(&[(200, FIRST), (status, body)]);
            let first = fetch(&mut source).await.unwrap();
            let at_refresh = renew(&mut source, &first).await.unwrap_err();
            for error in [at_login, at_refresh] {
                assert_eq!((error.kind(), ErrorCode::of_error(&error)), (kind, code.clone()), "{status} {body}");
                assert!(!format!("{error} {error:?}").contains("CANARY"), "{error}");
            }
            assert_eq!(sent.lock().unwrap().len(), calls, "{status} {body}");
        }
    }

    /// "1 month" by the prose, a day by the example: `refreshTokenExpireAt` has the say, and what has expired is not sent.
    #[tokio::test]
    async fn an_expired_refresh_token_is_a_silent_login() {
        let hour = Duration::from_secs(3600);
        for (hours, path) in [(23, "/auth/refresh"), (24, "/auth/login")] {
            let second = SECOND.replace("2224-12-26T11", "2224-12-28T11");
            let (mut source, sent) = scripted(&[(200, FIRST), (200, &second)]);
            let clock = ManualClock::new();
            clock.set_wall("2224-12-26T10:00:00Z".parse::<jiff::Timestamp>().unwrap().into());
            let context = || FetchContext::from_engine(FetchReason::Expiring, 1, None, Arc::new(clock.clone()));
            source.fetch(context()).await.unwrap();
            clock.advance(hours * hour);
            source.fetch(context()).await.unwrap();
            assert!(sent.lock().unwrap()[1][0].ends_with(path), "{hours}");
        }
    }

    /// S3, G6.
    #[test]
    fn what_was_given_is_checked_and_not_shown() {
        let service = || service_fn(async |_| Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())));
        for (key, secret, text) in [("", SECRET, "`key` is empty"), (KEY, " \n", "`secret` is empty")] {
            let error = Yolcu360::over(service(), key, secret).unwrap_err();
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::Misconfigured, format!("Yolcu360: {text}")));
        }
        let source = Yolcu360::over(service(), KEY, SECRET).unwrap();
        assert_eq!(
            format!("{:?}", source.origins()),
            format!("{:?}", "https://api.pro.yolcu360.com".parse::<Origins>().unwrap())
        );
        let error = Yolcu360::over(service(), KEY, SECRET).unwrap().base_url("http://api.pro.yolcu360.com").unwrap_err();
        assert_eq!(error.to_string(), "Yolcu360: `base_url` must be https; plain http is for loopback alone");
        let shown = r#"Yolcu360(EndpointSource { url: "https://staging.test/v1/auth/login", .. })"#;
        assert_eq!(format!("{:?}", source.base_url("https://staging.test/v1/").unwrap()), shown);
    }
}
