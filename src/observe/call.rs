use super::{
    event::{Event, Level},
    trace,
};
use crate::error::TokenError;

/// A token call, by where it goes: host and port, since path, query and user info may hold secrets.
pub(crate) struct Call {
    host: Box<str>,
    port: Option<u16>,
}

impl Call {
    pub(crate) fn to(host: &str, port: Option<u16>) -> Call {
        Call { host: host.into(), port }
    }

    /// It came to this: a status, if an answer came, and an error, unless all of it did.
    pub(crate) fn ended(&self, status_code: Option<u16>, error: Option<&TokenError>) {
        let message = if status_code.is_some() { "token call answered" } else { "token call failed" };
        let event = Event { message, server_address: Some(&self.host), server_port: self.port, status_code, ..Event::default() };
        let event = match error {
            Some(error) => event.error(error),
            None => event,
        };
        trace::emit(Level::Debug, &event);
    }
}
