use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method};

/// A request that a [`ScriptedServer`](super::ScriptedServer) has read to its end.
#[derive(Clone)]
#[non_exhaustive]
pub struct ScriptedRequest {
    /// The method.
    pub method: Method,
    /// The target as it was sent: path and query, as a rule.
    pub path: String,
    /// The headers, repeated ones included.
    pub headers: HeaderMap,
    /// The body, without its chunks.
    pub body: Bytes,
    /// Which connection it came on, counted from 1.
    pub connection: u64,
}

/// Credentials travel in headers, bodies and queries alike, so none of the three is shown.
impl fmt::Debug for ScriptedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedRequest")
            .field("method", &self.method)
            .field("path", &self.path.split('?').next().unwrap_or_default())
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body_length", &self.body.len())
            .field("connection", &self.connection)
            .finish()
    }
}
