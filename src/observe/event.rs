use std::time::Duration;

use crate::error::{ErrorKind, TokenError};

#[derive(Clone, Copy)]
pub(super) enum Level {
    /// A person must act.
    Error,
    /// It ought not to happen, and may mend itself.
    Warn,
    /// Rare, and good to know.
    Info,
    /// Whatever comes with each token or each request.
    Debug,
}

/// What has happened, with the fields that go with it.
#[derive(Default)]
#[cfg_attr(not(feature = "tracing"), expect(dead_code, reason = "nobody reads it without the feature"))]
pub(super) struct Event<'a> {
    /// Words of this crate alone.
    pub(super) message: &'static str,
    pub(super) engine: Option<&'a str>,
    pub(super) generation: Option<u64>,
    pub(super) expires_in: Option<Duration>,
    pub(super) retry_in: Option<Duration>,
    pub(super) waited: Option<Duration>,
    /// Whether requests go on with a token that they have.
    pub(super) serving: Option<bool>,
    pub(super) error_type: Option<&'static str>,
    /// Only its `Display`: the code is the server's text, and the cause is the source's.
    pub(super) error: Option<&'a TokenError>,
    pub(super) status_code: Option<u16>,
    pub(super) resend_count: Option<u32>,
    pub(super) server_address: Option<&'a str>,
    pub(super) server_port: Option<u16>,
}

impl<'a> Event<'a> {
    pub(super) fn of(engine: &'a str, message: &'static str) -> Event<'a> {
        Event { message, engine: Some(engine), ..Event::default() }
    }

    pub(super) fn error(self, error: &'a TokenError) -> Event<'a> {
        Event { error_type: Some(word(error.kind())), error: Some(error), ..self }
    }
}

/// An error's kind, in labels and in `error.type`.
pub(super) fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Transient => "transient",
        ErrorKind::Refused => "refused",
        ErrorKind::Misconfigured => "misconfigured",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Panicked => "panicked",
        ErrorKind::Closed => "closed",
    }
}
