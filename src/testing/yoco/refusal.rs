use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use crate::testing::message;

/// An error response: RFC 6749 section 5.2 at the token endpoint, RFC 6750 section 3 in the API.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    code: Option<&'static str>,
    description: &'static str,
    challenge: Option<String>,
}

impl Refusal {
    /// 400 with a code.
    pub(super) fn new(code: &'static str, description: &'static str) -> Refusal {
        Refusal { status: StatusCode::BAD_REQUEST, code: Some(code), description, challenge: None }
    }

    /// "invalid_client": 401, with a challenge, as section 5.2 has it for a client that tried a header.
    pub(super) fn client(description: &'static str) -> Refusal {
        let challenge = Some(r#"Basic realm="yoco""#.to_owned());
        Refusal { status: StatusCode::UNAUTHORIZED, challenge, ..Refusal::new("invalid_client", description) }
    }

    /// A call without a token: "the resource server SHOULD NOT include an error code".
    pub(super) fn bare() -> Refusal {
        let challenge = Some("Bearer".to_owned());
        Refusal { status: StatusCode::UNAUTHORIZED, code: None, description: "A Bearer token is needed", challenge }
    }

    /// A call with a token that is not good, or not good enough.
    pub(super) fn bearer(status: StatusCode, code: &'static str, description: &'static str, scope: Option<&str>) -> Refusal {
        let scope = scope.map(|scope| format!(r#", scope="{scope}""#)).unwrap_or_default();
        let challenge = Some(format!(r#"Bearer error="{code}"{scope}"#));
        Refusal { status, challenge, ..Refusal::new(code, description) }
    }

    /// No randomness, no signature.
    pub(super) fn broken() -> Refusal {
        let description = "The token could not be made";
        Refusal { status: StatusCode::INTERNAL_SERVER_ERROR, ..Refusal::new("server_error", description) }
    }

    pub(super) fn code(&self) -> Option<&'static str> {
        self.code
    }

    pub(super) fn response(&self) -> Response<Bytes> {
        let body = match self.code {
            Some(code) => json!({ "error": code, "error_description": self.description }),
            None => json!({ "message": self.description }),
        };
        let mut response = message::json_response(self.status, &body);
        if let Some(challenge) = self.challenge.as_deref().and_then(|challenge| HeaderValue::from_str(challenge).ok()) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
