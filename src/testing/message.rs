use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Value, json};

use crate::{clock::Moment, error::BoxError};

/// The largest body that an emulator reads, in bytes.
const BODY_LIMIT: usize = 64 << 20;

/// Why a body could not be read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    TooLarge,
    BrokeOff,
}

impl Unread {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Unread::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Unread::BrokeOff => StatusCode::BAD_REQUEST,
        }
    }

    pub(super) fn message(self) -> &'static str {
        match self {
            Unread::TooLarge => "The body is too large",
            Unread::BrokeOff => "The body broke off",
        }
    }
}

pub(super) async fn read(body: impl Body<Data = Bytes, Error: Into<BoxError>>) -> Result<Bytes, Unread> {
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Unread::TooLarge),
        Err(_) => Err(Unread::BrokeOff),
    }
}

/// The token of an `Authorization: Bearer <token>`.
pub(super) fn bearer(value: &HeaderValue) -> Option<&str> {
    credentials(value, "Bearer")
}

/// What follows this scheme in an `Authorization` header; the scheme in any case (RFC 9110 section 11.1).
pub(super) fn credentials<'a>(value: &'a HeaderValue, scheme: &str) -> Option<&'a str> {
    let (given, credentials) = value.to_str().ok()?.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then_some(credentials)
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    is_of(headers, "application/json")
}

pub(super) fn is_form(headers: &HeaderMap) -> bool {
    is_of(headers, "application/x-www-form-urlencoded")
}

/// Whether a body is of this media type, parameters aside.
fn is_of(headers: &HeaderMap, media_type: &str) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type)
}

/// A response with this body; without a media type it has none to speak of.
pub(super) fn response(status: StatusCode, media_type: Option<HeaderValue>, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    if let Some(media_type) = media_type {
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    }
    response
}

pub(super) fn json_response(status: StatusCode, body: &Value) -> Response<Bytes> {
    response(status, Some(HeaderValue::from_static("application/json")), body.to_string())
}

/// A 302: the browser goes on, with what it is to carry in the URL.
pub(super) fn redirect(location: &str) -> Response<Bytes> {
    match HeaderValue::from_str(location) {
        Ok(location) => {
            let mut response = response(StatusCode::FOUND, None, Bytes::new());
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        // Only a redirect URI that was registered so brings us here.
        Err(_) => response(StatusCode::INTERNAL_SERVER_ERROR, None, Bytes::new()),
    }
}

/// A lifetime as vendors write it: whole seconds, unless it has a fraction of one.
pub(super) fn seconds(lifetime: Duration) -> Value {
    if lifetime.subsec_nanos() == 0 { json!(lifetime.as_secs()) } else { json!(lifetime.as_secs_f64()) }
}

/// A moment as `Date` has it (RFC 9110 section 6.6.1); what no calendar of four digits has becomes its first or last second.
pub(super) fn date(now: Moment) -> Option<HeaderValue> {
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let since_epoch = now.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().min(LAST);
    HeaderValue::from_str(&httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since_epoch)).ok()
}

/// The answer to a call that is let in: its own body, byte for byte, or a few facts about it when it has none.
pub(super) fn served(parts: &Parts, body: Bytes, facts: impl FnOnce() -> Value) -> Response<Bytes> {
    if body.is_empty() {
        return json_response(StatusCode::OK, &facts());
    }
    response(StatusCode::OK, parts.headers.get(header::CONTENT_TYPE).cloned(), body)
}

/// A call with another method than the only one: RFC 9110 section 15.5.6 wants to be told which that is.
pub(super) fn allow(mut response: Response<Bytes>, method: &'static str) -> Response<Bytes> {
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(method));
    }
    response
}

/// Adds the challenge, if there is one and the answer is a 401.
pub(super) fn challenge(mut response: Response<Bytes>, challenge: Option<HeaderValue>) -> Response<Bytes> {
    if let Some(challenge) = challenge
        && response.status() == StatusCode::UNAUTHORIZED
    {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}
