use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, request::Parts};
use http_body::Body;
use serde_json::json;

use super::book::{Book, Refusal};
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

pub(super) const AUTHORIZE: &str = "/authorize";
const API: &str = "/api/v1/";
const TEST: &str = "/api/v1/test";

/// The HTTP side of the emulator: paths, methods, bodies and waiting. What the answer says is up to the [`Book`].
pub(super) struct Service {
    pub(super) setting: Setting,
    pub(super) authorization: Endpoint,
    pub(super) api: Endpoint,
    book: Mutex<Book>,
}

impl Service {
    pub(super) fn new() -> io::Result<Service> {
        let setting = Setting::new(ErrorShape::default());
        let endpoint = || Endpoint::new(setting.clone());
        let (authorization, api) = (endpoint(), endpoint());
        Ok(Service { book: Mutex::new(Book::new()?), setting, authorization, api })
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
            AUTHORIZE => self.authorize(&parts, self.authorization.turn(body).await).await,
            path if path.len() > API.len() && path.starts_with(API) => self.api_call(&parts, self.api.turn(body).await).await,
            _ => Ok(self.refuse(Refusal { status: StatusCode::NOT_FOUND, message: "No such path" }).map(Payload::from)),
        }
    }

    async fn authorize(&self, parts: &Parts, turn: Turn<'_>) -> Result<Response<Payload>, Cut> {
        let response = turn.acts().then(|| {
            if let Some(over_limit) = turn.over_limit() {
                return over_limit.mark(self.refuse(Refusal::TOO_MANY));
            }
            if parts.method != Method::GET {
                return message::allow(self.refuse(Refusal::NOT_GET), "GET");
            }
            // Taken alone: the lock must be free again when a refusal is written.
            let verdict = self.book().authorize(parts.uri.query().unwrap_or_default());
            verdict.map_or_else(
                |message| self.refuse(Refusal { status: StatusCode::BAD_REQUEST, message }),
                |screen| message::redirect(&screen),
            )
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
            let token = book.tokens.number_in(&parts.headers);
            book.calls.push(ApiCall::new(parts, token, answered));
        };
        turn.answer_api(judge, note).await
    }

    fn judge_api_call(&self, parts: &Parts, turn: &Turn<'_>) -> (Response<Bytes>, ApiOutcome) {
        if let Some(over_limit) = turn.over_limit() {
            return (over_limit.mark(self.refuse(Refusal::TOO_MANY)), ApiOutcome::RateLimited);
        }
        let admitted = self.book().admit(&parts.headers);
        let read = turn.body.clone().map_err(|unread| (Refusal::from(unread), ApiOutcome::Failed));
        match admitted.and(read) {
            Ok(_) if parts.uri.path() == TEST && parts.method != Method::GET => {
                (message::allow(self.refuse(Refusal::NOT_GET), "GET"), ApiOutcome::Forbidden)
            }
            Ok(_) if parts.uri.path() == TEST => {
                (message::json_response(StatusCode::OK, &json!({ "message": "OK" })), ApiOutcome::Served)
            }
            Ok(body) => {
                let facts = || json!({ "method": parts.method.as_str(), "path": parts.uri.path() });
                (message::served(parts, body, facts), ApiOutcome::Served)
            }
            Err((refusal, outcome)) => (self.refuse(refusal), outcome),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Response<Bytes> {
        self.setting.error_shape().response(refusal.status, None, refusal.message)
    }
}
