use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

use super::{
    caller::{Asked, Caller},
    endpoint::{Field, TokenEndpoint},
    exchange::{Exchange, Exchanged},
    secrets::Secrets,
    step::{Step, misconfigured},
};
use crate::{
    clock::Clock,
    error::{ErrorKind, TokenError},
    token::RefreshToken,
    transport::{Transport, scrub},
};

/// The token calls that a [`TokenEndpoint`] describes, over a transport and with the secrets.
#[derive(Clone)]
pub(crate) struct EndpointExchange {
    login: Step,
    refresh: Option<Step>,
    caller: Caller,
    secrets: Secrets,
}

impl EndpointExchange {
    pub(crate) fn new<N, V>(
        endpoint: &TokenEndpoint,
        transport: Transport,
        secrets: impl IntoIterator<Item = (N, V)>,
    ) -> Result<EndpointExchange, TokenError>
    where
        N: AsRef<str>,
        V: Into<String>,
    {
        let supplied: Vec<(N, Zeroizing<String>)> =
            secrets.into_iter().map(|(name, secret)| (name, Zeroizing::new(secret.into()))).collect();
        let login = Step::login(endpoint, &supplied)?;
        let refresh = Step::refresh(endpoint, &supplied)?;
        let fields = || endpoint.request.values().chain(endpoint.refresh.iter().flat_map(|step| step.request.values()));
        let asked_for = |name: &str| fields().any(|field| matches!(field, Field::Secret(wanted) if wanted == name));
        if !supplied.iter().all(|(name, _)| asked_for(name.as_ref())) {
            return Err(misconfigured("a secret was supplied that no field of `request` asks for".to_owned()));
        }
        let steps = [Some(&login), refresh.as_ref()].into_iter().flatten();
        let secrets = Secrets::new(steps.flat_map(Step::secrets));
        Ok(EndpointExchange { login, refresh, caller: Caller::new(transport), secrets })
    }

    /// Logs in and refreshes elsewhere, at URLs that the caller has checked. A step that the description has not is not made.
    #[cfg(feature = "provider")]
    pub(crate) fn sent_to(mut self, login: http::Uri, refresh: Option<http::Uri>) -> EndpointExchange {
        self.login.send_to(login);
        if let (Some(step), Some(uri)) = (&mut self.refresh, refresh) {
            step.send_to(uri);
        }
        self
    }

    /// Whether there is a step for a refresh token.
    pub(super) fn refreshes(&self) -> bool {
        self.refresh.is_some()
    }

    /// Where it logs in, without what a URL may hide.
    pub(super) fn shown_url(&self) -> String {
        scrub(&self.login.uri().to_string())
    }

    /// Sends the credentials, which a description always has.
    pub(super) async fn log_in(&self, clock: &Arc<dyn Clock>) -> Exchanged {
        self.exchange(&self.login, None, clock).await
    }

    async fn exchange(&self, step: &Step, token: Option<&RefreshToken>, clock: &Arc<dyn Clock>) -> Exchanged {
        let asked = Asked { request: step.request(token), secrets: &self.secrets, refresh: token };
        let (exchanged, ()) = self.caller.call(asked, step.reading(), clock, |_| ()).await;
        exchanged
    }
}

impl Exchange for EndpointExchange {
    async fn refresh(&self, token: &RefreshToken, clock: &Arc<dyn Clock>) -> Exchanged {
        match &self.refresh {
            Some(step) => self.exchange(step, Some(token), clock).await,
            None => {
                let text = "the description of the token endpoint has no refresh step for the refresh token";
                let error = TokenError::new(ErrorKind::Refused, text);
                Exchanged { refresh: None, token: Err(error), login_again: true, unanswered: false, id_token: None }
            }
        }
    }

    fn login(&self, clock: &Arc<dyn Clock>) -> Option<impl Future<Output = Exchanged> + Send> {
        Some(self.log_in(clock))
    }
}

impl fmt::Debug for EndpointExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointExchange").field("url", &self.shown_url()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Mutex};

    use bytes::Bytes;
    use http::{Request, Response, StatusCode};
    use http_body_util::{BodyExt, Full};
    use tower::service_fn;

    use super::*;
    use crate::clock::TokioClock;

    /// The page of Yolcu360.
    const YOLCU360: &str = r#"
        url = "https://api.pro.yolcu360.com/api/v1/auth/login"
        token_at = "/accessToken"
        expiry = [{ at = "/accessTokenExpireAt", format = "rfc3339" }]
        refresh_token_at = "/refreshToken"
        refresh_expiry = [{ at = "/refreshTokenExpireAt", format = "rfc3339" }]
        code_at = ["/code"]
        on_code = { 1001 = "misconfigured", 1002 = "refused", 1003 = "refused", 1004 = "login_again", 1005 = "transient", 1500 = "transient" }
        request = { key = { secret = "key" }, secret = { secret = "secret" } }
        refresh = { url = "https://api.pro.yolcu360.com/api/v1/auth/refresh", request = { token = "refresh_token" } }
    "#;

    /// The page of Younium, whose errors are no JSON, and whose date is no Thursday.
    const YOUNIUM: &str = r#"
        url = "https://api.younium.com/auth/token"
        token_at = "/accessToken"
        expiry = [{ at = "/expiresIn", format = "seconds" }, { at = "/expires", format = "rfc1123" }]
        code_at = ["/errors/*"]
        on_status = { 400 = "refused", 401 = "refused" }
        request = { clientId = { secret = "id" }, secret = { secret = "secret" } }
    "#;

    type Sent = Arc<Mutex<Vec<(String, String)>>>;

    /// The exchange of a description, over a service that notes what is sent and answers each call alike.
    fn exchange(toml: &str, names: [&'static str; 2], status: u16, body: &'static str) -> (EndpointExchange, Sent) {
        let sent = Sent::default();
        let notes = sent.clone();
        let service = service_fn(move |request: Request<Full<Bytes>>| {
            let notes = notes.clone();
            async move {
                let path = request.uri().path().to_owned();
                let text = request.into_body().collect().await.unwrap().to_bytes();
                notes.lock().unwrap().push((path, String::from_utf8(text.to_vec()).unwrap()));
                let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                Ok::<_, Infallible>(response)
            }
        });
        let endpoint: TokenEndpoint = toml::from_str(toml).unwrap();
        let secrets = [(names[0], "CANARY-1"), (names[1], "CANARY-2")];
        (EndpointExchange::new(&endpoint, service.into(), secrets).unwrap(), sent)
    }

    fn clock() -> Arc<dyn Clock> {
        Arc::new(TokioClock)
    }

    async fn both(toml: &str, names: [&'static str; 2], status: u16, body: &'static str) -> [Exchanged; 2] {
        let (exchange, _) = exchange(toml, names, status, body);
        let login = exchange.login(&clock()).unwrap().await;
        [login, exchange.refresh(&RefreshToken::new("rt-old"), &clock()).await]
    }

    #[tokio::test]
    async fn yolcu360_is_data() {
        const NAMES: [&str; 2] = ["key", "secret"];
        let body = r#"{"accessToken":"eyJ.a.b","refreshToken":"dGhpc2lz","accessTokenExpireAt":"2224-12-26T10:30:00Z",
            "refreshTokenExpireAt":"2224-12-27T10:00:00Z","user":{"id":"user_123456","email":"agency@example.com"}}"#;
        let (exchange, sent) = exchange(YOLCU360, NAMES, 200, body);
        let login = exchange.login(&clock()).unwrap().await;
        let refresh = login.refresh.unwrap();
        assert_eq!(refresh.expose_secret(), "dGhpc2lz");
        assert_eq!(refresh.expiry(), Some(humantime("2224-12-27T10:00:00Z")));
        assert_eq!(login.token.unwrap().expiry(), Some(humantime("2224-12-26T10:30:00Z")));
        assert!(exchange.refresh(&refresh, &clock()).await.token.is_ok());
        let sent = sent.lock().unwrap().clone();
        assert_eq!(sent[0], ("/api/v1/auth/login".to_owned(), r#"{"key":"CANARY-1","secret":"CANARY-2"}"#.to_owned()));
        assert_eq!(sent[1], ("/api/v1/auth/refresh".to_owned(), r#"{"token":"dGhpc2lz"}"#.to_owned()));

        use ErrorKind::{Misconfigured, Refused, Transient};
        for (status, body, at_login, at_refresh, again) in [
            (401, "{}", Refused, Refused, true),
            (401, r#"{"code":1002}"#, Refused, Refused, true),
            (401, r#"{"code":"1004"}"#, Refused, Refused, true),
            (403, r#"{"code":1003}"#, Refused, Refused, true),
            (400, r#"{"code":1001}"#, Misconfigured, Misconfigured, false),
            (400, r#"{"code":1005}"#, Transient, Transient, false),
            (500, r#"{"code":1500}"#, Transient, Transient, false),
            (500, "", Transient, Transient, false),
        ] {
            let [login, refresh] = both(YOLCU360, NAMES, status, body).await;
            assert!(!login.login_again && refresh.login_again == again, "{body}");
            assert_eq!([login, refresh].map(|came| came.token.unwrap_err().kind()), [at_login, at_refresh], "{body}");
        }
    }

    #[tokio::test]
    async fn younium_is_data() {
        const NAMES: [&str; 2] = ["id", "secret"];
        let body =
            r#"{"expires":"Thu, 21 Sep 2025 11:12:01 GMT","expiresIn":86400,"accessToken":"eyJ","refreshToken":"4baf4774"}"#;
        let (exchange, sent) = exchange(YOUNIUM, NAMES, 200, body);
        let login = exchange.login(&clock()).unwrap().await;
        assert_eq!(login.token.unwrap().lifetime().unwrap().as_secs(), 86_400);
        assert!(login.refresh.is_none(), "there is nowhere to send it");
        assert_eq!(sent.lock().unwrap()[0].1, r#"{"clientId":"CANARY-1","secret":"CANARY-2"}"#);
        let dead = exchange.refresh(&RefreshToken::new("4baf4774"), &clock()).await;
        assert!(dead.login_again && !dead.unanswered && dead.token.is_err() && sent.lock().unwrap().len() == 1);

        for (status, body, code) in [
            (401, "{\n    errors: [\"Invalid CANARY-1\"]\n}", None),
            (400, r#"{"errors":["Invalid CANARY-1","and prose"]}"#, None),
            (400, r#"{"errors":["Wrong secret.","INVALID_SECRET"]}"#, Some("INVALID_SECRET")),
            (401, "", None),
        ] {
            let [login, _] = both(YOUNIUM, NAMES, status, body).await;
            let error = login.token.unwrap_err();
            assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, code), "{body}");
            assert_eq!(error.to_string(), format!("the token endpoint refused the credentials ({status})"));
        }
        // Without the relative expiry there is the absolute one, which has passed.
        let [login, _] = both(YOUNIUM, NAMES, 200, r#"{"expires":"Thu, 21 Sep 2025 11:12:01 GMT","accessToken":"eyJ"}"#).await;
        assert_eq!(login.token.unwrap_err().kind(), ErrorKind::Transient);
    }

    fn humantime(text: &str) -> std::time::SystemTime {
        text.parse::<jiff::Timestamp>().unwrap().into()
    }

    #[test]
    fn a_secret_that_is_missing_empty_or_too_many_is_refused() {
        let service = || service_fn(async |_| Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())));
        let renewed = TokenEndpoint::post("https://api.test/r").refresh_token_field("t").secret("pin", "pin");
        let endpoint = TokenEndpoint::post("https://api.test/t").secret("key", "key");
        for (endpoint, secrets, why) in [
            (&endpoint, &[("CANARY", "x")][..], "the field `key` of `request` was not supplied"),
            (&endpoint, &[("key", " ")], "the field `key` of `request` is empty"),
            (&endpoint, &[("key", "x"), ("CANARY", "x")], "no field of `request` asks for"),
            (
                &endpoint.clone().refresh(renewed.clone()),
                &[("key", "x")],
                "the field `pin` of `refresh.request` was not supplied",
            ),
        ] {
            let error = EndpointExchange::new(endpoint, service().into(), secrets.iter().copied()).unwrap_err();
            assert!(error.to_string().ends_with(why), "{error}");
            assert_eq!(error.kind(), ErrorKind::Misconfigured);
        }
        let both = [("key", "CANARY"), ("pin", "CANARY")];
        let exchange = EndpointExchange::new(&endpoint.refresh(renewed), service().into(), both).unwrap();
        // S3.
        assert_eq!(format!("{exchange:?}"), r#"EndpointExchange { url: "https://api.test/t", .. }"#);
    }

    /// As the seam wants it.
    #[test]
    fn an_exchange_is_shared_between_tasks() {
        fn shared<T: Exchange>() {}
        shared::<EndpointExchange>();
    }
}
