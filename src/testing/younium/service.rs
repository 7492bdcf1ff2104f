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

const TOKEN_ENDPOINT: &str = "/auth/token";

/// The HTTP side of the emulator: paths, methods, bodies and waiting. What the answer says is up to the [`Book`].
pub(super) struct Service {
    pub(super) setting: Setting,
    pub(super) token: Endpoint,
    pub(super) api: Endpoint,
    book: Mutex<Book>,
}

impl Service {
    pub(super) fn new() -> io::Result<Service> {
        let setting = Setting::new(ErrorShape::UnquotedErrors);
        let endpoint = || Endpoint::new(setting.clone());
        let (token, api) = (endpoint(), endpoint());
        Ok(Service { book: Mutex::new(Book::new(setting.clone())?), setting, token, api })
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
            TOKEN_ENDPOINT => self.token_call(&parts, self.token.turn(body).await).await,
            _ => self.api_call(&parts, self.api.turn(body).await).await,
        }
    }

    async fn token_call(&self, parts: &Parts, turn: Turn<'_>) -> Result<Response<Payload>, Cut> {
        let response = turn.acts().then(|| {
            if let Some(over_limit) = turn.over_limit() {
                return over_limit.mark(self.refuse(Refusal::of_login(StatusCode::TOO_MANY_REQUESTS, "Too many requests")));
            }
            if parts.method != Method::POST {
                let refusal = Refusal::of_login(StatusCode::METHOD_NOT_ALLOWED, "Only POST is allowed");
                return message::allow(self.refuse(refusal), "POST");
            }
            let body = turn.body.as_ref().map_err(|unread| Refusal::from(*unread));
            let verdict = body.and_then(|body| self.book().log_in(&parts.headers, body));
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
            let token = book.tokens.number_in(&parts.headers);
            book.calls.push(ApiCall::new(parts, token, answered));
        };
        turn.answer_api(judge, note).await
    }

    fn judge_api_call(&self, parts: &Parts, turn: &Turn<'_>) -> (Response<Bytes>, ApiOutcome) {
        if let Some(over_limit) = turn.over_limit() {
            let response = self.setting.error_shape().response(StatusCode::TOO_MANY_REQUESTS, None, "Too many requests");
            return (over_limit.mark(response), ApiOutcome::RateLimited);
        }
        let admitted = self.book().admit(&parts.headers);
        match admitted.and(turn.body.clone().map_err(Refusal::from)) {
            Ok(body) => {
                let facts = || json!({ "method": parts.method.as_str(), "path": parts.uri.path() });
                (message::served(parts, body, facts), ApiOutcome::Served)
            }
            Err(refusal) => (self.refuse(refusal), refusal.outcome),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Response<Bytes> {
        self.setting.error_shape().response(refusal.status, None, refusal.message)
    }
}
