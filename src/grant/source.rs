use std::fmt;

use super::{endpoint_exchange::EndpointExchange, login::Login, rotation::Rotation};
use crate::{
    error::TokenError,
    source::{FetchContext, TokenSource},
    store::{MemoryStore, TokenStore},
    token::AccessToken,
};

/// The source that a [`TokenEndpoint`](super::TokenEndpoint) makes: one request per fetch, or two where a refresh token has died.
///
/// Where the description has a refresh step, the refresh token is taken for one that rotates: it is used once, by one at a time,
/// and what came for it is stored before it is used.
///
/// | refresh is answered with | what follows |
/// |---|---|
/// | a new refresh token | it is stored and takes the old one's place, whatever the rest of the reply says |
/// | an access token alone | the old refresh token goes on |
/// | a failure | the refresh token is kept for the next fetch |
/// | nothing: the answer is lost | it is sent again, 3 times within 10 s, as it may not have arrived; later, the credentials log in |
/// | that it is dead | the credentials log in; are they refused too, it is `Refused` |
///
/// One whose end has passed is not sent: the credentials log in.
///
/// It is not `Clone`: two engines over one set of credentials would log in twice as often, and some vendors end the older
/// session. Share the engine instead, by cloning its handle.
///
/// # Cancel safety
///
/// With a refresh step, or over a [store](Self::store), login and refresh run in a task of their own: a fetch that is dropped, by
/// the engine's fetch timeout, loses no refresh token, and the next one joins that task. Without, the request is dropped with the
/// fetch: nothing is lost that the credentials do not bring back.
pub struct EndpointSource<T: TokenStore = MemoryStore>(Way<T>);

enum Way<T: TokenStore> {
    /// Each fetch logs in: there is nothing to keep.
    LogIn(Box<EndpointExchange>),
    Rotate(Rotation<EndpointExchange, T>),
}

impl EndpointSource {
    pub(crate) fn new(exchange: EndpointExchange) -> EndpointSource {
        match exchange.refreshes() {
            true => EndpointSource::rotating(exchange, Login::new(MemoryStore::new())),
            false => EndpointSource(Way::LogIn(exchange.into())),
        }
    }
}

impl<T: TokenStore> EndpointSource<T> {
    fn rotating(exchange: EndpointExchange, login: Login<T>) -> EndpointSource<T> {
        EndpointSource(Way::Rotate(Rotation::new(exchange, login)))
    }

    /// Where the login survives: its refresh token and its access token. What is stored is continued, by whichever credentials it
    /// was begun.
    ///
    /// # Defaults
    ///
    /// A [`MemoryStore`] if the description has a refresh step, so that a new process logs in again; none if it has not.
    #[must_use]
    pub fn store<U: TokenStore>(self, store: U) -> EndpointSource<U> {
        EndpointSource::rotating(self.exchange().clone(), Login::new(store))
    }

    /// Sends login and refresh to other URLs, which the caller has checked.
    #[cfg(feature = "provider")]
    pub(crate) fn sent_to(self, login: http::Uri, refresh: Option<http::Uri>) -> EndpointSource<T> {
        let exchange = self.exchange().clone().sent_to(login, refresh);
        match self.0 {
            Way::LogIn(_) => EndpointSource(Way::LogIn(exchange.into())),
            Way::Rotate(rotation) => EndpointSource::rotating(exchange, rotation.login().clone()),
        }
    }

    fn exchange(&self) -> &EndpointExchange {
        match &self.0 {
            Way::LogIn(exchange) => exchange,
            Way::Rotate(rotation) => rotation.exchange(),
        }
    }
}

impl<T: TokenStore> TokenSource for EndpointSource<T> {
    async fn fetch(&mut self, cx: FetchContext) -> Result<AccessToken, TokenError> {
        match &mut self.0 {
            Way::LogIn(exchange) => exchange.log_in(cx.clock()).await.token,
            Way::Rotate(rotation) => rotation.fetch(cx).await,
        }
    }
}

impl<T: TokenStore> fmt::Debug for EndpointSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointSource").field("url", &self.exchange().shown_url()).finish_non_exhaustive()
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
        let (mut source, _) = scripted_source(endpoint(), [(403, ""), (403, ""), LOST, (403, "")]);
        for _ in 0..4 {
            let error = source.fetch(FetchContext::new(FetchReason::First)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Transient);
        }
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

    type Reply = (u16, &'static str);
    type Sent = std::sync::Arc<std::sync::Mutex<Vec<String>>>;

    /// No answer comes, and none ever will.
    const LOST: Reply = (1, "");
    const HANGS: Reply = (0, "");

    /// A source whose transport answers with these in turn and then fails; and the bodies that it sent.
    fn scripted_source(described: TokenEndpoint, replies: impl IntoIterator<Item = Reply>) -> (EndpointSource, Sent) {
        let replies = std::sync::Mutex::new(replies.into_iter().collect::<std::collections::VecDeque<_>>());
        let sent = Sent::default();
        let stage = std::sync::Arc::new((replies, sent.clone()));
        let service = service_fn(move |request: Request<Full<Bytes>>| {
            let stage = stage.clone();
            async move {
                let body = request.into_body().collect().await?.to_bytes();
                stage.1.lock().unwrap().push(String::from_utf8(body.to_vec())?);
                let reply = stage.0.lock().unwrap().pop_front().unwrap_or(LOST);
                match reply {
                    HANGS => std::future::pending().await,
                    LOST => Err("the connection broke")?,
                    (status, body) => {
                        let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
                        *response.status_mut() = StatusCode::from_u16(status)?;
                        Ok::<_, crate::error::BoxError>(response)
                    }
                }
            }
        });
        (described.source(service, [("key", "k")]).unwrap(), sent)
    }

    fn refreshing(replies: impl IntoIterator<Item = Reply>) -> (EndpointSource, Sent) {
        let step = TokenEndpoint::post("https://api.test/refresh").refresh_token_field("r");
        scripted_source(endpoint().refresh(step).refresh_expiry_at("/until", crate::grant::ExpiryFormat::EpochSeconds), replies)
    }

    const LOGIN: &str = r#"{"grant":"api","key":"k"}"#;
    const R1: &str = r#"{"r":"r1"}"#;
    const R2: &str = r#"{"r":"r2"}"#;
    const FIRST: Reply = (200, r#"{"access_token":"a1","refresh_token":"r1"}"#);
    const NEXT: Reply = (200, r#"{"access_token":"a2","refresh_token":"r2"}"#);

    /// X4, G7: a refresh token is used once; it is sent again only where the answer to it is lost, and within the window.
    #[tokio::test]
    async fn a_login_is_continued_with_its_refresh_token() {
        const ANSWERED: Reply = (200, r#"{"access_token":"a2"}"#);
        const SHORT: Reply = (200, r#"{"access_token":"a1","refresh_token":"r1","until":7}"#);
        const LONG: Reply = (200, r#"{"access_token":"a1","refresh_token":"r1","until":9e9}"#);
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
            // In doubt: at once, three times in all.
            (vec![FIRST, (200, "<html>"), NEXT], vec![LOGIN, R1, R1]),
            (vec![FIRST, LOST, (504, ""), NEXT, NEXT], vec![LOGIN, R1, R1, R1, R2]),
            // Salvaged.
            (vec![FIRST, (200, r#"{"refresh_token":"r2","#), NEXT], vec![LOGIN, R1, R2]),
        ] {
            let (mut source, notes) = refreshing(replies.clone());
            for _ in &sent {
                if notes.lock().unwrap().len() < sent.len() {
                    let _any = source.fetch(FetchContext::new(FetchReason::Expiring)).await;
                }
            }
            assert_eq!(*notes.lock().unwrap(), sent, "{replies:?}");
        }
    }

    /// E5: a fetch that is dropped takes nothing along; the next one joins what it had begun.
    #[tokio::test]
    async fn a_dropped_refresh_is_joined() {
        let (mut source, notes) = refreshing([FIRST, HANGS]);
        source.fetch(FetchContext::new(FetchReason::First)).await.unwrap();
        for _ in 0..2 {
            let mut hanging = tokio_test::task::spawn(source.fetch(FetchContext::new(FetchReason::Expiring)));
            while notes.lock().unwrap().len() < 2 {
                assert!(hanging.poll().is_pending());
                tokio::task::yield_now().await;
            }
            assert!(hanging.poll().is_pending());
        }
        assert_eq!(*notes.lock().unwrap(), [LOGIN, R1], "it was sent once");
    }

    /// F1: over a store of its own the login outlives the source.
    #[tokio::test]
    async fn a_login_in_a_store_is_continued() {
        let store = MemoryStore::new();
        let (first, _) = refreshing([FIRST]);
        first.store(store.clone()).fetch(FetchContext::new(FetchReason::First)).await.unwrap();
        let (second, notes) = refreshing([NEXT]);
        let mut second = second.store(store);
        assert_eq!(second.fetch(FetchContext::new(FetchReason::First)).await.unwrap().expose_secret(), "a1");
        assert_eq!(second.fetch(FetchContext::new(FetchReason::Rejected)).await.unwrap().expose_secret(), "a2");
        assert_eq!(*notes.lock().unwrap(), [R1]);
    }

    /// Without a refresh step there is nothing to keep: each fetch logs in, in its own future.
    #[tokio::test]
    async fn without_a_refresh_step_each_fetch_logs_in() {
        let (mut source, notes) = scripted_source(endpoint(), [FIRST, HANGS, FIRST]);
        source.fetch(FetchContext::new(FetchReason::First)).await.unwrap();
        let mut hanging = tokio_test::task::spawn(source.fetch(FetchContext::new(FetchReason::First)));
        assert!(hanging.poll().is_pending() && notes.lock().unwrap().len() == 2);
        drop(hanging);
        source.fetch(FetchContext::new(FetchReason::First)).await.unwrap();
        assert_eq!(*notes.lock().unwrap(), [LOGIN, LOGIN, LOGIN]);
    }
}
