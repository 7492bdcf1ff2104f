use http::StatusCode;

use crate::grant::{Document, is_code};

/// Where a code may stand in the body of an error, for a vendor whose page gives codes and no body.
pub(super) const CODE_AT: [&str; 6] = ["/code", "/error_code", "/errorCode", "/error/code", "/error", "/errors/0/code"];

/// The code in an error's body, a text or a number: one that the vendor's page lists before any other, since frameworks put
/// the status or its name in one field and the vendor's code in another. A success has none.
pub(super) fn code_in(status: StatusCode, body: &[u8], is_listed: impl Fn(&str) -> bool) -> Option<String> {
    if status.is_success() {
        return None;
    }
    let document = Document::parse(body)?;
    let read = |at| {
        let value = document.at(at)?;
        value.number().map(str::to_owned).or_else(|| value.text().map(|text| text.as_str().to_owned()))
    };
    let mut unlisted = None;
    for code in CODE_AT.into_iter().filter_map(read).filter(|code| is_code(code)) {
        if is_listed(&code) {
            return Some(code);
        }
        unlisted = unlisted.or(Some(code));
    }
    unlisted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn where_a_code_is_read() {
        let of = |body: &str| code_in(StatusCode::FORBIDDEN, body.as_bytes(), |code| code == "DISABLED" || code == "1003");
        for (body, code) in [
            (r#"{"code":"DISABLED"}"#, "DISABLED"),
            (r#"{"error":"DISABLED"}"#, "DISABLED"),
            (r#"{"error":{"code":"DISABLED"}}"#, "DISABLED"),
            (r#"{"error_code":"DISABLED"}"#, "DISABLED"),
            (r#"{"errorCode":"DISABLED"}"#, "DISABLED"),
            (r#"{"errors":[{"code":"DISABLED"}]}"#, "DISABLED"),
            (r#"{"code":403,"error":"DISABLED"}"#, "DISABLED"),
            (r#"{"code":"Forbidden","error":"DISABLED"}"#, "DISABLED"),
            (r#"{"code":1003}"#, "1003"),
            (r#"{"code":"1003"}"#, "1003"),
            (r#"{"code":403,"error":{"code":1003}}"#, "1003"),
            (r#"{"code":403}"#, "403"),
            (r#"{"code":"NEW_ONE","error":"NEWER"}"#, "NEW_ONE"),
        ] {
            assert_eq!(of(body).as_deref(), Some(code), "{body}");
        }
        for none in ["", "<html>", "{}", "\"DISABLED\"", "1003", r#"{"error":"not a code"}"#, r#"{"message":"DISABLED"}"#] {
            assert_eq!(of(none), None, "{none}");
        }
        assert_eq!(code_in(StatusCode::OK, br#"{"code":"DISABLED"}"#, |_| true), None);
    }

    proptest! {
        #[test]
        fn any_body_has_a_code_or_none(status in 100_u16..=999, body: Vec<u8>, text in "\\PC{0,80}") {
            let status = StatusCode::from_u16(status).unwrap();
            let _ = code_in(status, &body, |_| false);
            let json = serde_json::json!({"code": text}).to_string();
            if let Some(code) = code_in(status, json.as_bytes(), |_| true) {
                prop_assert!(is_code(&code));
            }
        }
    }
}
