use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use super::{call::Call, exchange::Exchanged, judge::judge, reading::Reading, secrets::Secrets};
use crate::{
    clock::Clock,
    error::TokenError,
    token::RefreshToken,
    transport::{Answer, Transport},
};

/// Makes token calls, and remembers between them how many unreadable refusals have come in a row.
pub(super) struct Caller {
    transport: Transport,
    unreadable: AtomicU32,
}

/// How a request is written: an error is that of a request that did not leave.
pub(super) struct Asked<'a> {
    pub(super) request: Result<Request<Full<Bytes>>, TokenError>,
    pub(super) secrets: &'a Secrets,
    pub(super) refresh: Option<&'a RefreshToken>,
}

/// The clone's row begins with its own first call.
impl Clone for Caller {
    fn clone(&self) -> Caller {
        Caller::new(self.transport.clone())
    }
}

impl Caller {
    pub(super) fn new(transport: Transport) -> Caller {
        Caller { transport, unreadable: AtomicU32::new(0) }
    }

    /// Sends a request and judges what comes, which `look` sees before.
    pub(super) async fn call<T>(
        &self,
        asked: Asked<'_>,
        reading: &Reading,
        clock: &Arc<dyn Clock>,
        look: impl FnOnce(&Answer) -> T,
    ) -> (Exchanged, T) {
        // Taken, so that a call that fails on the way, or is dropped, ends the row.
        let unreadable = self.unreadable.swap(0, Ordering::Relaxed);
        let sent = clock.wall();
        let answer = match asked.request {
            Ok(request) => self.transport.call(request, clock).await,
            Err(error) => Answer::Unsent(error),
        };
        let seen = look(&answer);
        let call = Call { secrets: asked.secrets, refresh: asked.refresh, sent, answered: clock.wall() };
        let verdict = judge(reading, &call, answer, unreadable);
        self.unreadable.store(verdict.unreadable, Ordering::Relaxed);
        (verdict.exchanged, seen)
    }
}
