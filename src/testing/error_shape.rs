use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::message;

/// How an emulator writes an error, where its vendor's page shows codes and no body, or where something before the vendor's
/// server answers in its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorShape {
    /// `{"code": "TOKEN_EXPIRED", "message": ".."}`
    #[default]
    Flat,
    /// `{"error": {"code": "TOKEN_EXPIRED", "message": ".."}}`
    Nested,
    /// `{"error": "TOKEN_EXPIRED", "message": ".."}`
    Word,
    /// `{"errors": [".."]}`: the messages, and no code.
    Errors,
    /// `{\n    errors: [".."]\n}`, said to be JSON: the name is not quoted, so that it is not.
    UnquotedErrors,
    /// The message as `text/plain`.
    Text,
    /// A page for people, as a proxy or a firewall has it.
    Html,
    /// No body at all, as a proxy answers that knows the status only.
    Empty,
}

impl ErrorShape {
    /// The whole answer; without a code it has the message alone.
    pub(super) fn response(self, status: StatusCode, code: Option<&Value>, message: &str) -> Response<Bytes> {
        let typed = |media_type, body| message::response(status, Some(HeaderValue::from_static(media_type)), body);
        let body = match (self, code) {
            (ErrorShape::Flat, Some(code)) => json!({ "code": code, "message": message }),
            (ErrorShape::Nested, Some(code)) => json!({ "error": { "code": code, "message": message } }),
            (ErrorShape::Word, Some(code)) => json!({ "error": code, "message": message }),
            (ErrorShape::Nested, None) => json!({ "error": { "message": message } }),
            (ErrorShape::Flat | ErrorShape::Word, None) => json!({ "message": message }),
            (ErrorShape::Errors, _) => json!({ "errors": [message] }),
            (ErrorShape::UnquotedErrors, _) => {
                return typed("application/json", format!("{{\n    errors: [{}]\n}}", json!(message)));
            }
            (ErrorShape::Text, _) => return typed("text/plain", message.to_owned()),
            (ErrorShape::Html, _) => {
                return typed("text/html", format!("<!doctype html>\n<title>{status}</title>\n<h1>{status}</h1>\n"));
            }
            (ErrorShape::Empty, _) => return message::response(status, None, Bytes::new()),
        };
        message::json_response(status, &body)
    }
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    /// Each shape, with a code and without, and what it says it is.
    #[test]
    fn shapes() {
        let json = Some("application/json");
        for (shape, media_type, with, without) in [
            (ErrorShape::Flat, json, r#"{"code":7,"message":"No"}"#, r#"{"message":"No"}"#),
            (ErrorShape::Nested, json, r#"{"error":{"code":7,"message":"No"}}"#, r#"{"error":{"message":"No"}}"#),
            (ErrorShape::Word, json, r#"{"error":7,"message":"No"}"#, r#"{"message":"No"}"#),
            (ErrorShape::Errors, json, r#"{"errors":["No"]}"#, r#"{"errors":["No"]}"#),
            (ErrorShape::UnquotedErrors, json, "{\n    errors: [\"No\"]\n}", "{\n    errors: [\"No\"]\n}"),
            (ErrorShape::Text, Some("text/plain"), "No", "No"),
            (ErrorShape::Empty, None, "", ""),
        ] {
            for (code, body) in [(Some(&json!(7)), with), (None, without)] {
                let response = shape.response(StatusCode::FORBIDDEN, code, "No");
                let said = response.headers().get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap());
                assert_eq!((response.status().as_u16(), said, response.body().as_ref()), (403, media_type, body.as_bytes()));
            }
        }
        let page = ErrorShape::Html.response(StatusCode::OK, None, "No");
        assert!(page.body().starts_with(b"<!doctype html>") && page.headers()[header::CONTENT_TYPE] == "text/html");
    }
}
