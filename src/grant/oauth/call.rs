use std::{fmt, sync::Arc};

use http::{Request, Uri, header};
use http_body_util::Full;
use zeroize::Zeroizing;

use super::{
    super::{
        ErrorClass, TokenEndpoint,
        caller::{Asked, Caller},
        exchange::{Exchanged, RawIdToken},
        form::{self, Form},
        json::{self, Document, Value},
        reading::Reading,
    },
    client::Client,
    error_code::codes,
    grammar,
};
use crate::{
    clock::Clock,
    error::TokenError,
    token::RefreshToken,
    transport::{Answer, Transport, scrub},
};

/// Calls of one endpoint by one client. What the replies mean is data for the judge, like any vendor's.
pub(super) struct Calls {
    uri: Uri,
    client: Client,
    caller: Caller,
    login: Reading,
    refresh: Reading,
}

impl Calls {
    pub(super) fn new(uri: Uri, client: Client, transport: Transport) -> Calls {
        let described =
            || codes().fold(TokenEndpoint::post(uri.to_string()), |endpoint, (code, class)| endpoint.on_code(code, class));
        let step = described();
        let endpoint = described().code_at("/error").refresh(step.clone());
        // After a login of a user's there is nothing to fall back on: without a known code, none is given up.
        let refresh = Reading { refusal: ErrorClass::Refused, ..Reading::refresh(&step, &endpoint) };
        Calls { login: Reading::login(&endpoint), refresh, uri, client, caller: Caller::new(transport) }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Sends a form, which continues a login if a refresh token is in it, and reads the reply whole. `scopes` are those that were
    /// asked for: they are granted if the reply does not say otherwise (RFC 6749 section 5.1).
    pub(super) async fn token(
        &self,
        form: Form,
        refresh: Option<&RefreshToken>,
        scopes: &[String],
        clock: &Arc<dyn Clock>,
    ) -> Exchanged {
        let (exchanged, (granted, id_token)) = self.call(form, refresh, clock, beside_the_token).await;
        let token = exchanged.token.map(|token| match granted {
            Some(granted) => token.scopes(granted),
            None => token.scopes(scopes),
        });
        Exchanged { token, id_token: id_token.map(RawIdToken), ..exchanged }
    }

    /// Sends a form to an endpoint whose successful replies say nothing.
    pub(super) async fn acknowledged(&self, form: Form, clock: &Arc<dyn Clock>) -> Result<(), TokenError> {
        let is_success = |answer: &Answer| answer.reply().is_some_and(|reply| reply.status().is_success());
        match self.call(form, None, clock, is_success).await {
            (_, true) => Ok(()),
            (exchanged, false) => exchanged.token.map(drop),
        }
    }

    async fn call<T>(
        &self,
        form: Form,
        refresh: Option<&RefreshToken>,
        clock: &Arc<dyn Clock>,
        look: impl FnOnce(&Answer) -> T,
    ) -> (Exchanged, T) {
        let mut request = Request::new(Full::default());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, form::MEDIA_TYPE);
        headers.insert(header::ACCEPT, json::MEDIA_TYPE);
        let (body, secrets) = self.client.authenticate(form, headers).finish();
        *request.body_mut() = Full::new(body);
        let reading = if refresh.is_some() { &self.refresh } else { &self.login };
        self.caller.call(Asked { request: Ok(request), secrets: &secrets, refresh }, reading, clock, look).await
    }
}

/// The scopes and the id_token of a reply.
fn beside_the_token(answer: &Answer) -> (Option<Vec<String>>, Option<Zeroizing<String>>) {
    let Some(document) = answer.reply().and_then(|reply| Document::parse(reply.body())) else { return (None, None) };
    let id_token = document.at("/id_token").and_then(Value::text).filter(|text| !text.is_empty());
    (granted(&document), id_token)
}

/// The scopes of a reply, in one string or in an array; empty is as good as omitted. What is no scope is left out.
fn granted(document: &Document<'_>) -> Option<Vec<String>> {
    let value = document.at("/scope")?;
    let mut scopes = match value.text() {
        Some(text) => text.split_ascii_whitespace().map(str::to_owned).collect(),
        None => value.texts()?,
    };
    scopes.retain(|scope| grammar::scope(scope).is_ok());
    (!scopes.is_empty()).then_some(scopes)
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").field("url", &scrub(&self.uri.to_string())).field("client", &self.client).finish_non_exhaustive()
    }
}
