use std::{collections::HashMap, fmt};

use http::{HeaderMap, Method, StatusCode, Version, header, request::Parts};

use super::log::Log;

/// What an emulator made of a call to its protected part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ApiOutcome {
    /// The token was good, and the call was served.
    Served,
    /// No `Authorization` header.
    TokenMissing,
    /// Not a single `Bearer` value, or not a token of this emulator's.
    TokenInvalid,
    /// One of this emulator's tokens, revoked.
    TokenRevoked,
    /// One of this emulator's tokens, expired.
    TokenExpired,
    /// The token was good, and the call was refused for another reason.
    Forbidden,
    /// Over the limit of [`Endpoint::limit`](super::Endpoint::limit).
    RateLimited,
    /// The emulator failed, or could not read the call's body.
    Failed,
    /// A [`Fault`](super::Fault) answered in place of the emulator, which did not look at the token.
    Faulted,
}

/// One call to the protected part of an emulator, as that saw it. It holds no token.
#[derive(Clone)]
#[non_exhaustive]
pub struct ApiCall {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The version that the call was sent with.
    pub version: Version,
    /// The headers, repeated ones included, without `Authorization`.
    pub headers: HeaderMap,
    /// How many `Authorization` values it had: more than one is a client's mistake.
    pub authorization_values: usize,
    /// Which token it carried: 1 for the first that this emulator issued, and so on; `None` without one, or with another's.
    pub token: Option<u64>,
    /// The length of its body in bytes; 0 if it could not be read.
    pub body_length: usize,
    /// What was made of it.
    pub outcome: ApiOutcome,
    /// The status of the answer that went out, a [`Fault`](super::Fault)'s included; `None` if the connection was cut.
    pub status: Option<StatusCode>,
}

/// The calls to the protected part of an emulator.
pub(super) struct ApiCalls {
    log: Log<ApiCall>,
    outcomes: HashMap<ApiOutcome, u64>,
}

/// What became of a call.
pub(super) struct Answered {
    pub(super) body_length: usize,
    pub(super) outcome: ApiOutcome,
    pub(super) status: Option<StatusCode>,
}

impl ApiCall {
    pub(super) fn new(parts: &Parts, token: Option<u64>, answered: Answered) -> ApiCall {
        let Answered { body_length, outcome, status } = answered;
        let mut headers = parts.headers.clone();
        headers.remove(header::AUTHORIZATION);
        ApiCall {
            method: parts.method.clone(),
            path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            version: parts.version,
            headers,
            authorization_values: parts.headers.get_all(header::AUTHORIZATION).iter().count(),
            token,
            body_length,
            outcome,
            status,
        }
    }
}

/// A query or a header may hold a secret, so neither is shown.
impl fmt::Debug for ApiCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiCall")
            .field("method", &self.method)
            .field("path", &self.path.split('?').next().unwrap_or_default())
            .field("version", &self.version)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("authorization_values", &self.authorization_values)
            .field("token", &self.token)
            .field("body_length", &self.body_length)
            .field("outcome", &self.outcome)
            .field("status", &self.status)
            .finish()
    }
}

impl ApiCalls {
    pub(super) fn new() -> ApiCalls {
        ApiCalls { log: Log::new(), outcomes: HashMap::new() }
    }

    pub(super) fn push(&mut self, call: ApiCall) {
        *self.outcomes.entry(call.outcome).or_default() += 1;
        self.log.push(call);
    }

    pub(super) fn calls(&self) -> Vec<ApiCall> {
        self.log.calls()
    }

    pub(super) fn count(&self, outcome: ApiOutcome) -> u64 {
        self.outcomes.get(&outcome).copied().unwrap_or_default()
    }
}
