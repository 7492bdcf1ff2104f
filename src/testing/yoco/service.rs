use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header, request::Parts};
use http_body::Body;
use serde_json::json;

use super::{
    book::{AUTHORIZATION, Book, KEYS, METADATA, REVOCATION, TOKEN},
    refusal::Refusal,
};
use crate::{
    error::BoxError,
    testing::{
        ErrorShape,
        api_call::{ApiCall, ApiOutcome},
        endpoint::{Endpoint, Turn},
        message,
        params::Params,
        payload::{Cut, Payload},
        setting::Setting,
    },
};

const API: &str = "/v1/";

/// The HTTP side of the emulator: paths, methods, bodies and waiting. What the answer says is up to the [`Book`].
pub(super) struct Service {
    pub(super) setting: Setting,
    pub(super) authorization: Endpoint,
    pub(super) token: Endpoint,
    pub(super) revocation: Endpoint,
    pub(super) keys: Endpoint,
    pub(super) metadata: Endpoint,
    pub(super) api: Endpoint,
    book: Mutex<Book>,
}

/// What becomes of a call of the identity provider, when it is well-formed HTTP.
type Act = fn(&mut Book, &Parts, &[u8]) -> Response<Bytes>;

impl Service {
    pub(super) fn new() -> io::Result<Service> {
        // What comes nearest to RFC 6749 section 5.2, for the answers that are not the book's.
        let setting = Setting::new(ErrorShape::Word);
        let endpoint = || Endpoint::new(setting.clone());
        Ok(Service {
            authorization: endpoint(),
            token: endpoint(),
            revocation: endpoint(),
            keys: endpoint(),
            metadata: endpoint(),
            api: endpoint(),
            book: Mutex::new(Book::new(setting.clone())?),
            setting,
        })
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn answer<B>(&self, request: Request<B>) -> Result<Response<Payload>, Cut>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>>,
    {
        let (parts, body) = request.into_parts();
        let (endpoint, method, act): (_, _, Act) = match parts.uri.path() {
            AUTHORIZATION => (&self.authorization, "GET", authorize),
            TOKEN => (&self.token, "POST", exchange),
            REVOCATION => (&self.revocation, "POST", revoke),
            KEYS => (&self.keys, "GET", |book, _, _| message::json_response(StatusCode::OK, &book.notary.keys.published())),
            METADATA => (&self.metadata, "GET", |book, _, _| message::json_response(StatusCode::OK, &book.metadata())),
            path if path.len() > API.len() && path.starts_with(API) => {
                return self.api_call(&parts, self.api.turn(body).await).await;
            }
            _ => return Ok(self.refuse(StatusCode::NOT_FOUND, "No such path").map(Payload::from)),
        };
        let turn = endpoint.turn(body).await;
        if let (TOKEN, Ok(body)) = (parts.uri.path(), &turn.body) {
            self.book().note(&Params::parse(body));
        }
        let response = turn.acts().then(|| {
            if let Some(over_limit) = turn.over_limit() {
                return over_limit.mark(self.refuse(StatusCode::TOO_MANY_REQUESTS, "Too many calls"));
            }
            if parts.method != *method {
                return message::allow(self.refuse(StatusCode::METHOD_NOT_ALLOWED, "The method is not allowed"), method);
            }
            match &turn.body {
                Ok(body) => act(&mut self.book(), &parts, body),
                Err(unread) => self.refuse(unread.status(), unread.message()),
            }
        });
        let answer = turn.spoil(response);
        turn.send(answer).await
    }

    async fn api_call(&self, parts: &Parts, turn: Turn<'_>) -> Result<Response<Payload>, Cut> {
        let judge = |turn: &Turn<'_>| self.judge_api_call(parts, turn);
        let note = |answered| {
            let mut book = self.book();
            let token = book.access_tokens.number_in(&parts.headers);
            book.calls.push(ApiCall::new(parts, token, answered));
        };
        turn.answer_api(judge, note).await
    }

    fn judge_api_call(&self, parts: &Parts, turn: &Turn<'_>) -> (Response<Bytes>, ApiOutcome) {
        if let Some(over_limit) = turn.over_limit() {
            let response = over_limit.mark(self.refuse(StatusCode::TOO_MANY_REQUESTS, "Too many calls"));
            return (response, ApiOutcome::RateLimited);
        }
        let mut book = self.book();
        match (book.admit(&parts.headers), &turn.body) {
            (Err((refusal, outcome)), _) => (refused(&mut book, &refusal), outcome),
            (Ok(()), Err(unread)) => (self.refuse(unread.status(), unread.message()), ApiOutcome::Failed),
            (Ok(()), Ok(body)) => {
                let facts = || json!({ "method": parts.method.as_str(), "path": parts.uri.path() });
                (message::served(parts, body.clone(), facts), ApiOutcome::Served)
            }
        }
    }

    /// What no specification of OAuth speaks of.
    fn refuse(&self, status: StatusCode, message: &str) -> Response<Bytes> {
        self.setting.error_shape().response(status, None, message)
    }
}

/// The browser's way back, or a page for the user.
fn authorize(book: &mut Book, parts: &Parts, _: &[u8]) -> Response<Bytes> {
    match book.authorize(parts.uri.query().unwrap_or_default()) {
        Ok(callback) => message::redirect(&callback),
        Err(message) => message::json_response(StatusCode::BAD_REQUEST, &json!({ "message": message })),
    }
}

fn exchange(book: &mut Book, parts: &Parts, body: &[u8]) -> Response<Bytes> {
    let mut response = match book.exchange(&parts.headers, &Params::parse(body)) {
        Ok(reply) => message::json_response(StatusCode::OK, &reply),
        Err(refusal) => refused(book, &refusal),
    };
    // RFC 6749 section 5.1.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

fn revoke(book: &mut Book, parts: &Parts, body: &[u8]) -> Response<Bytes> {
    match book.revoke_by_client(&parts.headers, &Params::parse(body)) {
        Ok(()) => message::response(StatusCode::OK, None, Bytes::new()),
        Err(refusal) => refused(book, &refusal),
    }
}

fn refused(book: &mut Book, refusal: &Refusal) -> Response<Bytes> {
    if let Some(code) = refusal.code() {
        book.count_refusal(code);
    }
    refusal.response()
}
