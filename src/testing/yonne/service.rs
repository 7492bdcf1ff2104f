use std::{
    convert::Infallible,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use serde_json::{Value, json};

use super::{
    YonneCall, YonneCode,
    book::{Book, COURIER_ID, Refusal},
};
use crate::{error::BoxError, testing::gate::Gate};

const API: &str = "/api/courier/s2s/";
const TOKEN_ENDPOINT: &str = "/api/courier/s2s/auth/token";

/// The largest body that is read, in bytes.
const BODY_LIMIT: usize = 64 << 20;

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
                (response, book.delay(book.token_delay))
            }
            path if path.len() > API.len() && path.starts_with(API) => {
                self.api_gate.enter().await;
                let response = self.api_call(&parts, body).await;
                let book = self.book();
                (response, book.delay(book.api_delay))
            }
            _ => (self.refuse(Refusal::Unlisted(StatusCode::NOT_FOUND, "No such path"), None), None),
        };
        // The answer is made and on its way: a slow reply has a token in it that was already growing old.
        if let Some(delay) = delay {
            delay.await;
        }
        Ok(response)
    }

    async fn token_call(&self, parts: &Parts, body: impl Body<Data = Bytes, Error: Into<BoxError>>) -> Response<Full<Bytes>> {
        let read = collect(body).await;
        let verdict = match read {
            _ if parts.method != Method::POST => Err(Refusal::Unlisted(StatusCode::METHOD_NOT_ALLOWED, "Only POST is allowed")),
            Ok(body) => self.book().log_in(&parts.headers, &body),
            Err(refusal) => Err(refusal),
        };
        match verdict {
            Ok(reply) => json_response(StatusCode::OK, Some(reply)),
            Err(refusal) => {
                let mut response = self.refuse(refusal, None);
                match response.status() {
                    StatusCode::UNAUTHORIZED => self.book().refused_logins += 1,
                    StatusCode::METHOD_NOT_ALLOWED => {
                        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
                    }
                    _ => {}
                }
                response
            }
        }
    }

    async fn api_call(&self, parts: &Parts, body: impl Body<Data = Bytes, Error: Into<BoxError>>) -> Response<Full<Bytes>> {
        let early = {
            let mut book = self.book();
            book.answers_early.then(|| book.admit(&parts.headers))
        };
        let read = if let Some(Err(_)) = early { Ok(Bytes::new()) } else { collect(body).await };
        let body_length = read.as_ref().map_or(0, Bytes::len);
        let admitted = early.unwrap_or_else(|| self.book().admit(&parts.headers));
        let (response, code) = match admitted.and(read) {
            Ok(body) => (served(parts, body), None),
            Err(refusal) => {
                let challenge = self.book().challenge.clone();
                (self.refuse(refusal, challenge), refusal.code())
            }
        };
        let mut book = self.book();
        let call = YonneCall {
            method: parts.method.clone(),
            path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            version: parts.version,
            authorization_values: parts.headers.get_all(header::AUTHORIZATION).iter().count(),
            token: book.number_in(&parts.headers),
            body_length,
            status: response.status(),
            code,
        };
        book.record(call);
        response
    }

    fn refuse(&self, refusal: Refusal, challenge: Option<HeaderValue>) -> Response<Full<Bytes>> {
        let mut book = self.book();
        if let Some(code) = refusal.code() {
            book.count(code);
        }
        let body = book.error_shape.body(refusal.code().map(YonneCode::as_str), refusal.message());
        let mut response = json_response(refusal.status(), body);
        if let Some(challenge) = challenge
            && response.status() == StatusCode::UNAUTHORIZED
        {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The answer to a call that is let in: its own body, byte for byte, or a few facts about it when it has none.
fn served(parts: &Parts, body: Bytes) -> Response<Full<Bytes>> {
    if body.is_empty() {
        let facts = json!({ "courier_id": COURIER_ID, "method": parts.method.as_str(), "path": parts.uri.path() });
        return json_response(StatusCode::OK, Some(facts));
    }
    let mut response = Response::new(Full::new(body));
    if let Some(media_type) = parts.headers.get(header::CONTENT_TYPE) {
        response.headers_mut().insert(header::CONTENT_TYPE, media_type.clone());
    }
    response
}

fn json_response(status: StatusCode, body: Option<Value>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    if let Some(body) = body {
        *response.body_mut() = Full::new(Bytes::from(body.to_string()));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

async fn collect(body: impl Body<Data = Bytes, Error: Into<BoxError>>) -> Result<Bytes, Refusal> {
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Refusal::Unlisted(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"))
        }
        Err(_) => Err(Refusal::Unlisted(StatusCode::BAD_REQUEST, "The body broke off")),
    }
}
