//! A server for tests, played inside the process.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::service_fn;

use crate::{
    clock::{Clock, TokioClock},
    error::BoxError,
    transport::Transport,
};

/// What was sent: URL, headers, body.
pub(super) type Sent = Arc<Mutex<Vec<(String, HeaderMap, String)>>>;

/// A reply: status, headers, body.
pub(super) type Played = (u16, Vec<(HeaderName, &'static str)>, Bytes);

pub(super) fn reply(status: u16, body: impl Into<Bytes>) -> Played {
    (status, Vec::new(), body.into())
}

/// A transport that answers with these, one after the other, and fails when there are no more.
pub(super) fn played(replies: impl IntoIterator<Item = Played>) -> (Transport, Sent) {
    let replies = Arc::new(Mutex::new(replies.into_iter().collect::<VecDeque<_>>()));
    let sent = Sent::default();
    let seen = Arc::clone(&sent);
    let transport = Transport::new(service_fn(move |request: Request<Full<Bytes>>| {
        let next = replies.lock().unwrap().pop_front();
        let seen = Arc::clone(&seen);
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            seen.lock().unwrap().push((parts.uri.to_string(), parts.headers, String::from_utf8(body.to_vec())?));
            let (status, headers, body) = next.ok_or("no reply is left")?;
            let mut response = Response::new(Full::new(body));
            *response.status_mut() = StatusCode::from_u16(status)?;
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse()?);
            }
            Ok::<_, BoxError>(response)
        }
    }));
    (transport, sent)
}

pub(super) fn clock() -> Arc<dyn Clock> {
    Arc::new(TokioClock)
}
