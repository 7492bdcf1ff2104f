use serde_json::{Value, json};

/// How an emulator writes an error where its vendor's page shows codes and no body.
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
    /// No body at all, as a proxy answers that knows the status only.
    Empty,
}

impl ErrorShape {
    /// The body; without a code it has the message alone.
    pub(super) fn body(self, code: Option<&str>, message: &str) -> Option<Value> {
        Some(match (self, code) {
            (ErrorShape::Empty, _) => return None,
            (ErrorShape::Flat, Some(code)) => json!({ "code": code, "message": message }),
            (ErrorShape::Nested, Some(code)) => json!({ "error": { "code": code, "message": message } }),
            (ErrorShape::Word, Some(code)) => json!({ "error": code, "message": message }),
            (ErrorShape::Nested, None) => json!({ "error": { "message": message } }),
            (ErrorShape::Flat | ErrorShape::Word, None) => json!({ "message": message }),
        })
    }
}
