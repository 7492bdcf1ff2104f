use std::{
    convert::Infallible,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body::Body;
use http_body_util::Full;
use serde_json::{Value, json};

use super::{
    YonneCall,
    book::{Book, COURIER_ID, Refusal},
};
use crate::{
    error::BoxError,
    testing::{gate::Gate, message},
};

const API: &str = "/api/courier/s2s/";
const TOKEN_ENDPOINT: &str = "/api/courier/s2s/auth/token";

/// The HTTP side of the emulator: paths, methods, bodies and waiting. What the answer says is up to the [`Book`].
pub(super) struct Service {
    book: Mutex<Book>,
    pub(super) token_gate: Gate,
    pub(super) api_gate: Gate,
}

impl Service {
    pub(super) fn new() -> io::Result<Service> {
        Ok(Service { book: Mutex::new(Book::new()?), token_gate: Gate::new(), api_gate: Gate::new() })
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn answer<B>(&self, request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>>,
    {
        let (parts, body) = request.into_parts();
        let (response, delay) = match parts.uri.path() {
            TOKEN_ENDPOINT => {
                self.token_gate.enter().await;
                let response = self.token_call(&parts, body).await;
                let book = self.book();
                (response, book.setting.sleep(book.token_delay))
            }
            path if path.len() > API.len() && path.starts_with(API) => {
                self.api_gate.enter().await;
                let response = self.api_call(&parts, body).await;
                let book = self.book();
                (response, book.setting.sleep(book.api_delay))
            }
            _ => (self.refuse(Refusal::Unlisted(StatusCode::NOT_FOUND, "No such path"), None), None),
        };
        // The answer is made and on its way: a slow reply has a token in it that was already growing old.
        if let Some(delay) = delay {
            delay.await;
        }
        Ok(response.map(Full::new))
    }

    async fn token_call(&self, parts: &Parts, body: impl Body<Data = Bytes, Error: Into<BoxError>>) -> Response<Bytes> {
        let read = message::read(body).await.map_err(Refusal::from);
        let verdict = match read {
            _ if parts.method != Method::POST => Err(Refusal::Unlisted(StatusCode::METHOD_NOT_ALLOWED, "Only POST is allowed")),
            Ok(body) => self.book().log_in(&parts.headers, &body),
            Err(refusal) => Err(refusal),
        };
        match verdict {
            Ok(reply) => message::json_response(StatusCode::OK, &reply),
            Err(refusal) => {
                let response = self.refuse(refusal, None);
                if response.status() == StatusCode::UNAUTHORIZED {
                    self.book().refused_logins += 1;
                }
                message::allow(response, "POST")
            }
        }
    }

    async fn api_call(&self, parts: &Parts, body: impl Body<Data = Bytes, Error: Into<BoxError>>) -> Response<Bytes> {
        let early = {
            let mut book = self.book();
            book.answers_early.then(|| book.admit(&parts.headers))
        };
        let read = if let Some(Err(_)) = early { Ok(Bytes::new()) } else { message::read(body).await.map_err(Refusal::from) };
        let body_length = read.as_ref().map_or(0, Bytes::len);
        let admitted = early.unwrap_or_else(|| self.book().admit(&parts.headers));
        let (response, code) = match admitted.and(read) {
            Ok(body) => {
                let facts = || json!({ "courier_id": COURIER_ID, "method": parts.method.as_str(), "path": parts.uri.path() });
                (message::served(parts, body, facts), None)
            }
            Err(refusal) => {
                let challenge = self.book().setting.challenge();
                (self.refuse(refusal, challenge), refusal.code())
            }
        };
        let mut book = self.book();
        let call = YonneCall {
            method: parts.method.clone(),
            path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            version: parts.version,
            authorization_values: parts.headers.get_all(header::AUTHORIZATION).iter().count(),
            token: book.ledger.number_in(&parts.headers),
            body_length,
            status: response.status(),
            code,
        };
        book.record(call);
        response
    }

    fn refuse(&self, refusal: Refusal, challenge: Option<HeaderValue>) -> Response<Bytes> {
        let mut book = self.book();
        if let Some(code) = refusal.code() {
            book.count(code);
        }
        let code = refusal.code().map(|code| Value::from(code.as_str()));
        let response = book.setting.error_shape().response(refusal.status(), code.as_ref(), refusal.message());
        message::challenge(response, challenge)
    }
}
