use std::{fmt, time::SystemTime};

use super::{endpoint_exchange::EndpointExchange, exchange::Exchange};
use crate::{
    error::TokenError,
    source::{FetchContext, TokenSource},
    token::{AccessToken, RefreshToken},
};

/// The source that a [`TokenEndpoint`](super::TokenEndpoint) makes: one request per fetch, or two where a refresh token has died.
///
/// Where the description has a refresh step, the refresh token is kept in memory, and in memory alone: a new process logs in
/// again. Whenever it is in doubt, it is forgotten and the credentials are sent again, since a refresh token that comes twice
/// is a stolen one to a strict server.
///
/// It is not `Clone`: two engines over one set of credentials would log in twice as often, and some vendors end the older
/// session. Share the engine instead, by cloning its handle.
///
/// # Cancel safety
///
/// A fetch that is dropped, by the engine's fetch timeout, is given up together with the refresh token that it was using, and
/// the next one logs in: nothing is lost that the credentials do not bring back.
pub struct EndpointSource {
    exchange: EndpointExchange,
    refresh: Option<RefreshToken>,
}

impl EndpointSource {
    pub(super) fn new(exchange: EndpointExchange) -> EndpointSource {
        EndpointSource { exchange, refresh: None }
    }

    /// Sends login and refresh to other URLs, which the caller has checked.
    #[cfg(feature = "provider")]
    pub(crate) fn sent_to(self, login: http::Uri, refresh: Option<http::Uri>) -> EndpointSource {
        EndpointSource { exchange: self.exchange.sent_to(login, refresh), ..self }
    }
}

impl TokenSource for EndpointSource {
    async fn fetch(&mut self, cx: FetchContext) -> Result<AccessToken, TokenError> {
        // Taken, so that a fetch that is dropped has used it up.
        if let Some(token) = self.refresh.take().filter(|token| lives(token, cx.clock().wall())) {
            let came = self.exchange.refresh(&token, cx.clock()).await;
            if !came.login_again {
                self.refresh = came.refresh.or_else(|| (!came.unanswered).then_some(token));
                return came.token;
            }
        }
        let came = self.exchange.log_in(cx.clock()).await;
        self.refresh = came.refresh;
        came.token
    }
}

fn lives(token: &RefreshToken, now: SystemTime) -> bool {
    token.expiry().is_none_or(|at| at > now)
}

impl fmt::Debug for EndpointSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointSource").field("url", &self.exchange.shown_url()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http::{Request, Response, StatusCode};
    use http_body_util::{BodyExt, Full};
    use tower::service_fn;

    use super::*;
    use crate::{error::ErrorKind, grant::TokenEndpoint, source::FetchReason, transport::Transport};

    /// A transport that answers each call with the next of these, and then fails.
    fn scripted(replies: impl IntoIterator<Item = (u16, &'static str)>) -> Transport {
        let replies = std::sync::Arc::new(std::sync::Mutex::new(replies.into_iter().collect::<std::collections::VecDeque<_>>()));
        Transport::new(service_fn(move |_: Request<Full<Bytes>>| {
            let next = replies.lock().unwrap().pop_front();
            async move {
                let (status, body) = next.ok_or("no reply left")?;
                let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                Ok::<_, crate::error::BoxError>(response)
            }
        }))
    }

    fn endpoint() -> TokenEndpoint {
        TokenEndpoint::post("https://api.test/token").secret("key", "key").constant("grant", "api")
    }

    /// DESIGN 5: an unreadable 4xx is no logout until it has come three times in a row.
    #[tokio::test]
    async fn an_unreadable_refusal_is_believed_the_third_time_in_a_row() {
        let html = (403, "<html>");
        let json = (500, "{}");
        let ok = (200, r#"{"access_token":"tok"}"#);
        let transport = scripted([html, html, html, html, ok, html, html, json, html, html, html]);
        let mut source = endpoint().source(transport, [("key", "x")]).unwrap();
        let mut kinds = Vec::new();
        for _ in 0..13 {
            let outcome = source.fetch(FetchContext::new(FetchReason::First)).await;
            kinds.push(outcome.map_or_else(|error| format!("{:?}", error.kind()), |_| "token".to_owned()));
        }
        let (t, r) = ("Transient", "Refused");
        assert_eq!(kinds, [t, t, r, r, "token", t, t, t, t, t, r, t, t]);
    }

    /// A network failure ends the row as well.
    #[tokio::test]
    async fn a_failed_call_ends_the_row() {
        let mut source = endpoint().source(scripted([(403, ""), (403, "")]), [("key", "x")]).unwrap();
        for _ in 0..3 {
            let error = source.fetch(FetchContext::new(FetchReason::First)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Transient);
        }
        source.exchange = endpoint().source(scripted([(403, "")]), [("key", "x")]).unwrap().exchange;
        let error = source.fetch(FetchContext::new(FetchReason::First)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transient);
    }

    /// S3.
    #[test]
    fn debug_shows_no_secret() {
        let source = endpoint().url("https://api.test/t?k=CANARY").source(scripted([]), [("key", "CANARY")]).unwrap();
        assert_eq!(format!("{source:?}"), r#"EndpointSource { url: "https://api.test/t", .. }"#);
    }

    #[test]
    fn a_service_is_taken_as_it_is() {
        let service = service_fn(async |_| Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())));
        assert!(endpoint().source(service, [("key", "x")]).is_ok());
    }

    /// A source with a refresh step, whose transport answers with these in turn and then fails; and the bodies that it sent.
    fn refreshing(
        replies: impl IntoIterator<Item = (u16, &'static str)>,
    ) -> (EndpointSource, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
        let replies = std::sync::Mutex::new(replies.into_iter().collect::<std::collections::VecDeque<_>>());
        let sent = std::sync::Arc::<std::sync::Mutex<Vec<String>>>::default();
        let stage = std::sync::Arc::new((replies, sent.clone()));
        let service = service_fn(move |request: Request<Full<Bytes>>| {
            let stage = stage.clone();
            async move {
                let body = request.into_body().collect().await?.to_bytes();
                stage.1.lock().unwrap().push(String::from_utf8(body.to_vec())?);
                let (status, body) = stage.0.lock().unwrap().pop_front().ok_or("no reply left")?;
                if status == 0 {
                    std::future::pending::<()>().await;
                }
                let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
                *response.status_mut() = StatusCode::from_u16(status)?;
                Ok::<_, crate::error::BoxError>(response)
            }
        });
        let step = TokenEndpoint::post("https://api.test/refresh").refresh_token_field("r");
        let described = endpoint().refresh(step).refresh_expiry_at("/until", crate::grant::ExpiryFormat::EpochSeconds);
        (described.source(service, [("key", "k")]).unwrap(), sent)
    }

    const LOGIN: &str = r#"{"grant":"api","key":"k"}"#;
    const R1: &str = r#"{"r":"r1"}"#;
    const R2: &str = r#"{"r":"r2"}"#;

    /// X4, G7: a refresh token is presented once, unless it is known to be good; and where it is not, the credentials are.
    #[tokio::test]
    async fn a_login_is_continued_until_its_refresh_token_is_in_doubt() {
        const FIRST: (u16, &str) = (200, r#"{"access_token":"a1","refresh_token":"r1"}"#);
        const NEXT: (u16, &str) = (200, r#"{"access_token":"a2","refresh_token":"r2"}"#);
        const ANSWERED: (u16, &str) = (200, r#"{"access_token":"a2"}"#);
        const SHORT: (u16, &str) = (200, r#"{"access_token":"a1","refresh_token":"r1","until":7}"#);
        const LONG: (u16, &str) = (200, r#"{"access_token":"a1","refresh_token":"r1","until":9e9}"#);
        for (replies, sent) in [
            (vec![FIRST, NEXT, NEXT], vec![LOGIN, R1, R2]),
            (vec![FIRST, ANSWERED, NEXT], vec![LOGIN, R1, R1]),
            (vec![LONG, NEXT], vec![LOGIN, R1]),
            // Its end has passed, by a clock that is wrong: it is tried.
            (vec![SHORT, NEXT], vec![LOGIN, R1]),
            // Dead: both in one fetch.
            (vec![FIRST, (401, "{}"), FIRST, NEXT], vec![LOGIN, R1, LOGIN, R1]),
            (vec![FIRST, (401, "{}"), (401, "{}"), FIRST], vec![LOGIN, R1, LOGIN, LOGIN]),
            // Refused for another reason, or not at all.
            (vec![FIRST, (429, "{}"), NEXT], vec![LOGIN, R1, R1]),
            (vec![FIRST, (404, "{}"), NEXT], vec![LOGIN, R1, R1]),
            // In doubt.
            (vec![FIRST, (200, "<html>"), FIRST], vec![LOGIN, R1, LOGIN]),
            (vec![FIRST, (504, ""), FIRST], vec![LOGIN, R1, LOGIN]),
            (vec![FIRST], vec![LOGIN, R1, LOGIN]),
            // Salvaged.
            (vec![FIRST, (200, r#"{"refresh_token":"r2","#), NEXT], vec![LOGIN, R1, R2]),
        ] {
            let (mut source, notes) = refreshing(replies.clone());
            while notes.lock().unwrap().len() < sent.len() {
                let _any = source.fetch(FetchContext::new(FetchReason::Expiring)).await;
            }
            assert_eq!(*notes.lock().unwrap(), sent, "{replies:?}");
        }
    }

    /// E5: a fetch that is dropped takes the refresh token along.
    #[tokio::test]
    async fn a_dropped_refresh_is_not_repeated() {
        const FIRST: (u16, &str) = (200, r#"{"access_token":"a1","refresh_token":"r1"}"#);
        let (mut source, notes) = refreshing([FIRST, (0, ""), FIRST]);
        source.fetch(FetchContext::new(FetchReason::First)).await.unwrap();
        let mut hanging = tokio_test::task::spawn(source.fetch(FetchContext::new(FetchReason::Expiring)));
        assert!(hanging.poll().is_pending() && notes.lock().unwrap().len() == 2);
        drop(hanging);
        source.fetch(FetchContext::new(FetchReason::Expiring)).await.unwrap();
        assert_eq!(*notes.lock().unwrap(), [LOGIN, R1, LOGIN]);
    }

    /// One that is known to have ended is not presented.
    #[tokio::test]
    async fn a_refresh_token_is_not_used_beyond_its_end() {
        let (mut source, notes) = refreshing([(200, r#"{"access_token":"a1"}"#)]);
        source.refresh = Some(RefreshToken::new("r1").expires_at(SystemTime::UNIX_EPOCH));
        source.fetch(FetchContext::new(FetchReason::Expiring)).await.unwrap();
        assert_eq!(*notes.lock().unwrap(), [LOGIN]);
    }
}
