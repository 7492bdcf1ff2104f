use std::fmt;

use http::{HeaderMap, StatusCode};
use zeroize::Zeroizing;

/// The reply to a token call, read whole.
///
/// `Debug` shows the status and the body's length, never the body or a header: either may hold a token. The body's memory is
/// wiped on drop.
pub struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Zeroizing<Vec<u8>>,
}

impl Reply {
    pub(crate) fn new(status: StatusCode, headers: HeaderMap, body: Zeroizing<Vec<u8>>) -> Reply {
        Reply { status, headers, body }
    }

    /// The status, of whatever class: a redirect is handed up like any other.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body. Of a reply other than 2xx it is empty also where it could not be read whole.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).field("body_len", &self.body.len()).finish_non_exhaustive()
    }
}
