use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, request::Parts};
use http_body::Body;
use serde_json::{Value, json};

use super::{
    Yolcu360Code,
    book::{Book, Refusal},
};
use crate::{
    error::BoxError,
    testing::{
        ErrorShape,
        api_call::{ApiCall, ApiOutcome},
        endpoint::{Endpoint, Turn},
        message,
        payload::{Cut, Payload},
        setting::Setting,
    },
};

const API: &str = "/api/v1/";
const LOGIN: &str = "/api/v1/auth/login";
const REFRESH: &str = "/api/v1/auth/refresh";

/// The HTTP side of the emulator: paths, methods, bodies and waiting. What the answer says is up to the [`Book`].
pub(super) struct Service {
    pub(super) setting: Setting,
    pub(super) login: Endpoint,
    pub(super) refresh: Endpoint,
    pub(super) api: Endpoint,
    book: Mutex<Book>,
}

/// How a token call is judged by the book, when it is well-formed HTTP.
type Judge = fn(&mut Book, &HeaderMap, &[u8]) -> Result<Value, Refusal>;

impl Service {
    pub(super) fn new() -> io::Result<Service> {
        let setting = Setting::new(ErrorShape::default());
        let endpoint = || Endpoint::new(setting.clone());
        let (login, refresh, api) = (endpoint(), endpoint(), endpoint());
        Ok(Service { book: Mutex::new(Book::new(setting.clone())?), setting, login, refresh, api })
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn answer<B>(&self, request: Request<B>) -> Result<Response<Payload>, Cut>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>>,
    {
        let (parts, body) = request.into_parts();
        match parts.uri.path() {
            LOGIN => self.token_call(&parts, self.login.turn(body).await, Book::log_in).await,
            REFRESH => {
                let turn = self.refresh.turn(body).await;
                if let Ok(body) = &turn.body {
                    self.book().present(body);
                }
                self.token_call(&parts, turn, Book::refresh).await
            }
            path if path.len() > API.len() && path.starts_with(API) => self.api_call(&parts, self.api.turn(body).await).await,
            _ => Ok(self.refuse(Refusal::Unlisted(StatusCode::NOT_FOUND, "No such path")).map(Payload::from)),
        }
    }

    async fn token_call(&self, parts: &Parts, turn: Turn<'_>, judge: Judge) -> Result<Response<Payload>, Cut> {
        let response = turn.acts().then(|| {
            if let Some(over_limit) = turn.over_limit() {
                return over_limit.mark(self.refuse(Refusal::Listed(Yolcu360Code::RateLimited)));
            }
            if parts.method != Method::POST {
                let refusal = Refusal::Unlisted(StatusCode::METHOD_NOT_ALLOWED, "Only POST is allowed");
                return message::allow(self.refuse(refusal), "POST");
            }
            let body = turn.body.as_ref().map_err(|unread| Refusal::from(*unread));
            // Taken alone: the lock must be free again when a refusal is written.
            let verdict = body.and_then(|body| judge(&mut self.book(), &parts.headers, body));
            verdict.map_or_else(|refusal| self.refuse(refusal), |reply| message::json_response(StatusCode::OK, &reply))
        });
        let answer = turn.spoil(response);
        turn.send(answer).await
    }

    async fn api_call(&self, parts: &Parts, turn: Turn<'_>) -> Result<Response<Payload>, Cut> {
        let judge = |turn: &Turn<'_>| {
            let (response, outcome) = self.judge_api_call(parts, turn);
            (message::challenge(response, self.setting.challenge()), outcome)
        };
        let note = |answered| {
            let mut book = self.book();
            let token = book.access_tokens.number_in(&parts.headers);
            book.calls.push(ApiCall::new(parts, token, answered));
        };
        turn.answer_api(judge, note).await
    }

    fn judge_api_call(&self, parts: &Parts, turn: &Turn<'_>) -> (Response<Bytes>, ApiOutcome) {
        if let Some(over_limit) = turn.over_limit() {
            let response = over_limit.mark(self.refuse(Refusal::Listed(Yolcu360Code::RateLimited)));
            return (response, ApiOutcome::RateLimited);
        }
        let admitted = self.book().admit(&parts.headers);
        let read = turn.body.clone().map_err(|unread| (Refusal::from(unread), ApiOutcome::Failed));
        match admitted.and(read) {
            Ok(body) => {
                let facts = || json!({ "method": parts.method.as_str(), "path": parts.uri.path(), "query": parts.uri.query() });
                (message::served(parts, body, facts), ApiOutcome::Served)
            }
            Err((refusal, outcome)) => (self.refuse(refusal), outcome),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Response<Bytes> {
        let shape = self.setting.error_shape();
        match refusal {
            Refusal::Listed(code) => {
                let mut book = self.book();
                book.count(code);
                let number = if book.codes_as_text { json!(code.number().to_string()) } else { json!(code.number()) };
                shape.response(book.status(code), Some(&number), code.description())
            }
            Refusal::Unlisted(status, message) => shape.response(status, None, message),
        }
    }
}
