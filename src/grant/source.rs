use std::{collections::BTreeMap, fmt, mem};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::Full;
use zeroize::Zeroizing;

use super::{
    endpoint::{Field, Method, TokenEndpoint},
    json::is_pointer,
    judge::judge,
    secrets::Secrets,
};
use crate::{
    error::{ErrorKind, TokenError},
    source::{FetchContext, TokenSource},
    token::AccessToken,
    transport::{SecretBuffer, Transport, check_url, scrub},
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The source that a [`TokenEndpoint`] makes: one request per fetch.
///
/// It is not `Clone`: two engines over one set of credentials would log in twice as often, and some vendors end the older
/// session. Share the engine instead, by cloning its handle.
///
/// # Cancel safety
///
/// A fetch that is dropped, by the engine's fetch timeout, is given up, and the next one asks again: nothing rotates here
/// that could be lost.
pub struct EndpointSource {
    endpoint: TokenEndpoint,
    transport: Transport,
    uri: Uri,
    /// The request's body. The memory is wiped when the source goes; the copies in the HTTP stack's buffers are beyond reach.
    body: Bytes,
    secrets: Secrets,
    /// How many unreadable refusals have come in a row.
    unreadable: u32,
}

impl EndpointSource {
    pub(super) fn new<N, V>(
        endpoint: TokenEndpoint,
        transport: Transport,
        secrets: impl IntoIterator<Item = (N, V)>,
    ) -> Result<EndpointSource, TokenError>
    where
        N: AsRef<str>,
        V: Into<String>,
    {
        let supplied: Vec<(N, Zeroizing<String>)> =
            secrets.into_iter().map(|(name, secret)| (name, Zeroizing::new(secret.into()))).collect();
        let uri = check_url(&endpoint.url).map_err(|why| misconfigured(format!("`url` {why}")))?;
        check(&endpoint)?;
        let fields = fill(&endpoint, &supplied)?;
        let body = json(&fields)?;
        let secrets = Secrets::new(supplied.into_iter().map(|(_, secret)| secret));
        Ok(EndpointSource { endpoint, transport, uri, body, secrets, unreadable: 0 })
    }

    /// Sends the exchange to another URL, which the caller has checked.
    #[cfg(feature = "provider")]
    pub(crate) fn sent_to(mut self, uri: Uri) -> EndpointSource {
        self.uri = uri;
        self
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = match self.endpoint.method {
            Method::Post => http::Method::POST,
        };
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().insert(header::CONTENT_TYPE, JSON);
        request.headers_mut().insert(header::ACCEPT, JSON);
        request
    }
}

impl TokenSource for EndpointSource {
    async fn fetch(&mut self, cx: FetchContext) -> Result<AccessToken, TokenError> {
        // Taken, so that a fetch that fails on the way, or is dropped, ends the row.
        let unreadable = mem::take(&mut self.unreadable);
        let reply = self.transport.send(self.request(), cx.clock()).await?;
        let verdict = judge(&self.endpoint, &self.secrets, &reply, unreadable, cx.clock().wall());
        self.unreadable = verdict.unreadable;
        verdict.outcome
    }
}

impl fmt::Debug for EndpointSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointSource").field("url", &scrub(&self.uri.to_string())).finish_non_exhaustive()
    }
}

fn misconfigured(what: String) -> TokenError {
    TokenError::new(ErrorKind::Misconfigured, format!("the description of the token endpoint: {what}"))
}

/// Checks what the types do not: pointers and statuses.
fn check(endpoint: &TokenEndpoint) -> Result<(), TokenError> {
    let pointers = [("token_at", endpoint.token_at.as_str())]
        .into_iter()
        .chain(endpoint.expiry.iter().map(|expiry| ("expiry", expiry.at.as_str())))
        .chain(endpoint.code_at.iter().map(|pointer| ("code_at", pointer.as_str())));
    for (field, pointer) in pointers {
        if !is_pointer(pointer) {
            return Err(misconfigured(format!("`{field}` is not a JSON pointer, as /data/token")));
        }
    }
    match endpoint.on_status.keys().find(|status| StatusCode::from_u16(**status).is_err()) {
        Some(status) => Err(misconfigured(format!("`on_status` lists {status}, which is not an HTTP status"))),
        None => Ok(()),
    }
}

/// The fields of the request with their values.
///
/// An error names the field and not the secret: a name is given by hand, and the likeliest slip is to give the secret there.
fn fill<'a, N: AsRef<str>>(
    endpoint: &'a TokenEndpoint,
    supplied: &'a [(N, Zeroizing<String>)],
) -> Result<BTreeMap<&'a str, &'a str>, TokenError> {
    let mut fields = BTreeMap::new();
    for (field, value) in &endpoint.request {
        let value = match value {
            Field::Constant(value) => value.as_str(),
            Field::Secret(wanted) => match supplied.iter().find(|(name, _)| name.as_ref() == wanted) {
                Some((_, secret)) if secret.trim_ascii().is_empty() => {
                    return Err(misconfigured(format!("the secret for the field `{field}` of `request` is empty")));
                }
                Some((_, secret)) => secret.as_str(),
                None => return Err(misconfigured(format!("the secret for the field `{field}` of `request` was not supplied"))),
            },
        };
        fields.insert(field.as_str(), value);
    }
    let asked_for = |name: &str| endpoint.request.values().any(|field| matches!(field, Field::Secret(wanted) if wanted == name));
    if supplied.iter().all(|(name, _)| asked_for(name.as_ref())) {
        Ok(fields)
    } else {
        Err(misconfigured("a secret was supplied that no field of `request` asks for".to_owned()))
    }
}

fn json(fields: &BTreeMap<&str, &str>) -> Result<Bytes, TokenError> {
    let room = fields.iter().map(|(field, value)| field.len() + value.len() + 8).sum();
    let mut body = SecretBuffer::with_capacity(room);
    serde_json::to_writer(&mut body, fields).map_err(|_| misconfigured("`request` cannot be written as JSON".to_owned()))?;
    Ok(body.into_bytes())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::Response;
    use tower::service_fn;

    use super::*;
    use crate::{error::ErrorKind, source::FetchReason};

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

    fn message(result: Result<EndpointSource, TokenError>) -> String {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        error.to_string()
    }

    #[test]
    fn a_wrong_description_is_named_by_its_field() {
        for (endpoint, named) in [
            (endpoint().url("http://api.test/token"), "`url` must be https"),
            (endpoint().url("https://u:CANARY@api.test/token"), "`url` has user info"),
            (endpoint().token_at("token"), "`token_at` is not a JSON pointer"),
            (endpoint().expiry_at("/a~2", super::super::ExpiryFormat::Seconds), "`expiry` is not"),
            (endpoint().code_at("code"), "`code_at` is not"),
            (endpoint().on_status(42, super::super::ErrorClass::Refused), "`on_status` lists 42"),
            (endpoint().secret("pin", "CANARY"), "the field `pin` of `request` was not supplied"),
        ] {
            let text = message(endpoint.source(scripted([]), [("key", "CANARY")]));
            assert!(text.contains(named) && !text.contains("CANARY"), "{text}");
        }
    }

    #[test]
    fn a_secret_that_is_missing_empty_or_too_many_is_refused() {
        assert!(
            message(endpoint().source(scripted([]), [("CANARY", "x")]))
                .ends_with("the field `key` of `request` was not supplied")
        );
        assert!(message(endpoint().source(scripted([]), [("key", " ")])).ends_with("the field `key` of `request` is empty"));
        let text = message(endpoint().source(scripted([]), [("key", "x"), ("CANARY", "x")]));
        assert!(text.ends_with("no field of `request` asks for"), "{text}");
    }

    #[test]
    fn the_request_is_json_with_its_escapes() {
        let source = endpoint().source(scripted([]), [("key", "a\"\\\n\u{e9}")]).unwrap();
        assert_eq!(source.body, r#"{"grant":"api","key":"a\"\\\né"}"#.as_bytes());
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
        source.transport = scripted([(403, "")]);
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
}
