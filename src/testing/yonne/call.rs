use http::{Method, StatusCode, Version};

use super::YonneCode;

/// One call below `/api/courier/s2s/`, as the server saw it. It holds no token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct YonneCall {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The version that the call was sent with.
    pub version: Version,
    /// How many `Authorization` values it had: more than one is a client's mistake.
    pub authorization_values: usize,
    /// Which token it carried: 1 for the first that this server issued, and so on; `None` without one, or with another's.
    pub token: Option<u64>,
    /// The length of its body in bytes; 0 if it was answered before the body was read.
    pub body_length: usize,
    /// The status of the answer.
    pub status: StatusCode,
    /// The code in the answer, if it was refused with one.
    pub code: Option<YonneCode>,
}
