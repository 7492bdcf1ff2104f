use std::time::SystemTime;

use http::{HeaderMap, StatusCode, header};

use super::{
    code::{self, Code},
    endpoint::{ErrorClass, TokenEndpoint},
    json::Document,
    retry_after::retry_after,
    secrets::Secrets,
};
use crate::{
    error::{ErrorKind, TokenError},
    token::AccessToken,
    transport::Reply,
};

/// As often in a row as an unreadable refusal must come to be believed.
const UNREADABLE_LIMIT: u32 = 3;

/// What a reply comes to.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) outcome: Result<AccessToken, TokenError>,
    /// How many unreadable refusals have come in a row, this one included.
    pub(super) unreadable: u32,
}

/// Judges a reply, whatever its bytes: see [the table](crate::grant#how-a-reply-is-judged).
///
/// `unreadable` is how many unreadable refusals came in a row before it; `now` is the wall clock's time.
pub(super) fn judge(endpoint: &TokenEndpoint, secrets: &Secrets, reply: &Reply, unreadable: u32, now: SystemTime) -> Verdict {
    let status = reply.status();
    let document = Document::parse(reply.body());
    let lack = if status.is_success() {
        match token(endpoint, document.as_ref()) {
            Ok(_) if document.as_ref().is_some_and(is_bound) => {
                let text = "the token endpoint gave a DPoP-bound token, which cannot be sent under another scheme";
                return Verdict { outcome: Err(TokenError::new(ErrorKind::Misconfigured, text)), unreadable: 0 };
            }
            Ok(token) => return Verdict { outcome: Ok(token), unreadable: 0 },
            Err(lack) => Some(lack),
        }
    } else {
        None
    };
    let code = document.as_ref().and_then(|document| code::find(endpoint, document, secrets));
    let described = code.as_ref().and_then(|code| code.listed).or_else(|| endpoint.on_status.get(&status.as_u16()).copied());
    let class = described.unwrap_or_else(|| default_class(status));
    let doubtful = described.is_none() && document.is_none() && status.is_client_error() && class != ErrorClass::Transient;
    let unreadable = if doubtful { unreadable.saturating_add(1) } else { 0 };
    let kind = match class {
        _ if doubtful && unreadable < UNREADABLE_LIMIT => ErrorKind::Transient,
        _ if doubtful => ErrorKind::Refused,
        ErrorClass::Transient => ErrorKind::Transient,
        ErrorClass::Refused => ErrorKind::Refused,
        ErrorClass::Misconfigured => ErrorKind::Misconfigured,
    };

    let shown = match &code {
        Some(Code { text, listed: Some(_) }) => format!("{} {text}", status.as_u16()),
        _ => status.as_u16().to_string(),
    };
    let text = match lack {
        Some(lack) => format!("the token endpoint answered {shown}, {lack} ({})", looks(reply)),
        None if status.is_redirection() => {
            format!("the token endpoint redirects ({shown}); redirects are never followed")
        }
        None if doubtful => {
            format!("the token endpoint answered {shown}, unreadable, {unreadable} in a row ({})", looks(reply))
        }
        None if kind == ErrorKind::Refused => format!("the token endpoint refused the credentials ({shown})"),
        None if kind == ErrorKind::Misconfigured => format!("the token endpoint does not take this request ({shown})"),
        None => format!("the token endpoint has failed for now ({shown})"),
    };
    let mut error = TokenError::new(kind, text);
    if let Some(delay) = retry_after(reply.headers(), now).filter(|_| kind == ErrorKind::Transient) {
        error = error.retry_after(delay);
    }
    if let Some(code) = code {
        error = error.with_code(code.text);
    }
    Verdict { outcome: Err(error), unreadable }
}

/// The token of a successful reply, or what is wrong with it.
fn token(endpoint: &TokenEndpoint, document: Option<&Document<'_>>) -> Result<AccessToken, String> {
    let document = document.ok_or("but not with JSON")?;
    let pointer = &endpoint.token_at;
    let value = document.at(pointer).ok_or_else(|| format!("without a token at `{pointer}`"))?;
    let mut secret = value.text().ok_or_else(|| match value.is_string() {
        true => format!("with a broken string at `{pointer}`"),
        false => format!("with something else than a string at `{pointer}`"),
    })?;
    // The text of this error names an offset and a class of bytes.
    let token = AccessToken::new(std::mem::take(&mut *secret)).map_err(|error| format!("but {error}"))?;
    let lifetime = endpoint.expiries().find_map(|(pointer, format)| format.lifetime(document.at(pointer)?));
    Ok(match lifetime {
        Some(lifetime) => token.expires_in(lifetime),
        None => token,
    })
}

/// Whether a token is bound to a key, as RFC 9449 section 5 says it: a server would reject it under another scheme.
fn is_bound(document: &Document<'_>) -> bool {
    document.at("/token_type").and_then(|kind| kind.text()).is_some_and(|kind| kind.eq_ignore_ascii_case("DPoP"))
}

fn default_class(status: StatusCode) -> ErrorClass {
    match status.as_u16() {
        300..=399 => ErrorClass::Misconfigured,
        408 | 425 | 429 => ErrorClass::Transient,
        404 | 405 | 406 | 407 | 410 | 411 | 413 | 414 | 415 | 421 | 426 | 431 => ErrorClass::Misconfigured,
        400..=499 => ErrorClass::Refused,
        _ => ErrorClass::Transient,
    }
}

/// What a body looks like, in words of ours: a header's text is the server's to choose, and so may hold what it was sent.
fn looks(reply: &Reply) -> String {
    let len = reply.body().len();
    let encoded = match reply.headers().contains_key(header::CONTENT_ENCODING) {
        true => ", with a content-encoding",
        false => "",
    };
    format!("{}{encoded}, {len} bytes", media(reply.headers()))
}

fn media(headers: &HeaderMap) -> &'static str {
    const KNOWN: [&str; 6] = [
        "application/json",
        "application/problem+json",
        "application/x-www-form-urlencoded",
        "application/xml",
        "text/html",
        "text/plain",
    ];
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return "no content-type";
    };
    let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    KNOWN.into_iter().find(|known| known.as_bytes().eq_ignore_ascii_case(essence)).unwrap_or("another content-type")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    use super::*;
    use crate::grant::ExpiryFormat;

    const SECRET: &str = "sk_live_CANARY_secret";

    fn endpoint() -> TokenEndpoint {
        TokenEndpoint::post("https://api.test/token")
            .token_at("/token")
            .expiry_at("/ttl", ExpiryFormat::Seconds)
            .expiry_at("/expires_in", ExpiryFormat::Seconds)
            .code_at("/code")
            .on_code("DISABLED", ErrorClass::Refused)
            .on_code("BUSY", ErrorClass::Transient)
            .on_code("BAD_APP", ErrorClass::Misconfigured)
            .on_status(418, ErrorClass::Transient)
            .on_status(451, ErrorClass::Refused)
    }

    fn reply(status: u16, headers: &[(header::HeaderName, &str)], body: &[u8]) -> Reply {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect();
        Reply::new(StatusCode::from_u16(status).unwrap(), headers, Zeroizing::new(body.to_vec()))
    }

    fn judged(reply: &Reply, unreadable: u32) -> Verdict {
        let secrets = Secrets::new([Zeroizing::new(SECRET.to_owned())]);
        let now = httpdate::parse_http_date("Fri, 20 Nov 2026 12:00:00 GMT").unwrap();
        judge(&endpoint(), &secrets, reply, unreadable, now)
    }

    fn failed(status: u16, body: &str) -> TokenError {
        judged(&reply(status, &[], body.as_bytes()), 0).outcome.unwrap_err()
    }

    /// DESIGN 5 and 6: the table of the module's docs, line by line.
    #[test]
    fn what_a_failure_is() {
        use ErrorKind::{Misconfigured, Refused, Transient};
        for (status, body, kind) in [
            (200, "{}", Transient),
            (204, "", Transient),
            (301, "{}", Misconfigured),
            (304, "", Misconfigured),
            (307, "", Misconfigured),
            (400, "{}", Refused),
            (401, "{}", Refused),
            (403, "[]", Refused),
            (404, "{}", Misconfigured),
            (405, "{}", Misconfigured),
            (408, "{}", Transient),
            (415, "{}", Misconfigured),
            (422, "{}", Refused),
            (425, "<html>", Transient),
            (429, "", Transient),
            (429, "{}", Transient),
            (500, "{}", Transient),
            (501, "", Transient),
            (503, "<html>", Transient),
            (102, "", Transient),
            (999, "", Transient),
            // Unreadable, for the first time.
            (400, "", Transient),
            (401, "<html>", Transient),
            (404, "null", Transient),
            (403, "{\"code\":", Transient),
            // The vendor's code beats the status.
            (503, r#"{"code":"DISABLED"}"#, Refused),
            (401, r#"{"code":"BUSY"}"#, Transient),
            (200, r#"{"code":"DISABLED"}"#, Refused),
            (307, r#"{"code":"BUSY"}"#, Transient),
            (429, r#"{"code":"BAD_APP"}"#, Misconfigured),
            // The description's status beats the default, and is beaten by a code.
            (418, "{}", Transient),
            (418, "", Transient),
            (451, "", Refused),
            (451, "<html>", Refused),
            (451, r#"{"code":"BUSY"}"#, Transient),
            (451, r#"{"code":"WHAT"}"#, Refused),
        ] {
            assert_eq!(failed(status, body).kind(), kind, "{status} {body}");
        }
    }

    /// G8, RFC 9449 section 5: a token that is bound to a key cannot be sent as a bearer's.
    #[test]
    fn a_bound_token_is_misconfigured() {
        for kind in ["DPoP", "dpop"] {
            assert_eq!(failed(200, &format!(r#"{{"token":"tok","token_type":"{kind}"}}"#)).kind(), ErrorKind::Misconfigured);
        }
        for kind in [r#""bearer""#, r#""N_A""#, "null", "7", r#""x-dpop""#] {
            let body = format!(r#"{{"token":"tok","token_type":{kind}}}"#);
            assert!(judged(&reply(200, &[], body.as_bytes()), 0).outcome.is_ok(), "{kind}");
        }
    }

    /// DESIGN 5: an HTML, empty or otherwise unreadable 4xx is believed the third time in a row.
    #[test]
    fn the_third_unreadable_refusal_is_believed() {
        let html = reply(403, &[], b"<html>");
        let row = |before| {
            let verdict = judged(&html, before);
            (verdict.outcome.unwrap_err().kind(), verdict.unreadable)
        };
        assert_eq!(row(0), (ErrorKind::Transient, 1));
        assert_eq!(row(1), (ErrorKind::Transient, 2));
        assert_eq!(row(2), (ErrorKind::Refused, 3));
        assert_eq!(row(u32::MAX), (ErrorKind::Refused, u32::MAX));
        for other in
            [reply(403, &[], b"{}"), reply(429, &[], b""), reply(500, &[], b""), reply(200, &[], b""), reply(451, &[], b"")]
        {
            assert_eq!(judged(&other, 2).unreadable, 0, "{other:?}");
        }
    }

    /// G1: expiries are tried in order, and one that cannot be read gives way to the next.
    #[test]
    fn a_token_with_its_lifetime() {
        for (body, lifetime) in [
            (r#"{"token":"tok","ttl":60,"expires_in":90}"#, Some(60)),
            (r#"{"token":"tok","ttl":null,"expires_in":"90"}"#, Some(90)),
            (r#"{"token":"tok","ttl":"soon","expires_in":90.0}"#, Some(90)),
            (r#"{"token":" tok\n","ttl":-1}"#, Some(0)),
            (r#"{"token":"tok"}"#, None),
            (r#"{"token":"tok","expires_in":{}}"#, None),
            ("\u{feff}{\"token\":\"tok\"}", None),
            (r#"{"token":"tok","code":"DISABLED","weird":1e999}"#, None),
        ] {
            let token = judged(&reply(200, &[], body.as_bytes()), 2).outcome.unwrap();
            assert_eq!(token.expose_secret(), "tok", "{body}");
            assert_eq!(token.lifetime(), lifetime.map(Duration::from_secs), "{body}");
        }
    }

    /// G4: the error says what came instead, and quotes none of it.
    #[test]
    fn a_success_without_a_token_says_what_came_instead() {
        let html = [(header::CONTENT_TYPE, "Text/HTML; charset=utf-8")];
        let gzip = [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_ENCODING, "gzip")];
        let odd = [(header::CONTENT_TYPE, "x/CANARY")];
        for (reply, text) in [
            (reply(200, &html, b"<p>"), "the token endpoint answered 200, but not with JSON (text/html, 3 bytes)"),
            (reply(204, &[], b""), "the token endpoint answered 204, but not with JSON (no content-type, 0 bytes)"),
            (
                reply(200, &gzip, b"\x1f\x8b"),
                "the token endpoint answered 200, but not with JSON (application/json, with a content-encoding, 2 bytes)",
            ),
            (
                reply(200, &odd, b"{}"),
                "the token endpoint answered 200, without a token at `/token` (another content-type, 2 bytes)",
            ),
            (
                reply(200, &[], br#"{"token":7}"#),
                "the token endpoint answered 200, with something else than a string at `/token` (no content-type, 11 bytes)",
            ),
            (
                reply(200, &[], br#"{"token":"\ud800"}"#),
                "the token endpoint answered 200, with a broken string at `/token` (no content-type, 18 bytes)",
            ),
            (
                reply(200, &[], br#"{"token":""}"#),
                "the token endpoint answered 200, but the access token is empty (no content-type, 12 bytes)",
            ),
            (
                reply(200, &[], br#"{"token":"a b"}"#),
                "the token endpoint answered 200, but the access token has a space at byte 1 (no content-type, 15 bytes)",
            ),
        ] {
            let error = judged(&reply, 0).outcome.unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Transient, text));
        }
    }

    /// G17: `code()` gives any code, the text only one that the description lists.
    #[test]
    fn only_a_listed_code_is_shown() {
        let listed = failed(403, r#"{"code":"DISABLED"}"#);
        assert_eq!(
            (listed.code(), listed.to_string().as_str()),
            (Some("DISABLED"), "the token endpoint refused the credentials (403 DISABLED)")
        );
        let unlisted = failed(403, r#"{"code":"CANARY"}"#);
        assert_eq!(
            (unlisted.code(), unlisted.to_string().as_str()),
            (Some("CANARY"), "the token endpoint refused the credentials (403)")
        );
        assert_eq!(failed(403, &format!(r#"{{"code":"{SECRET}"}}"#)).code(), None);
    }

    /// E11: whatever is transient may say when to come back.
    #[test]
    fn retry_after_is_taken_from_transient_replies() {
        for (status, value, seconds) in [
            (429, "120", Some(120)),
            (503, "Fri, 20 Nov 2026 12:00:30 GMT", Some(30)),
            (500, "7", Some(7)),
            (403, "7", Some(7)),
            (503, "-7", None),
            (503, "soon", None),
            (451, "7", None),
        ] {
            let error = judged(&reply(status, &[(header::RETRY_AFTER, value)], b""), 0).outcome.unwrap_err();
            assert_eq!(error.retry_hint(), seconds.map(Duration::from_secs), "{status} {value}");
        }
    }

    fn body() -> impl Strategy<Value = Vec<u8>> {
        let json = (any::<Option<bool>>(), "[ -~]{0,40}", "[ -~]{0,12}").prop_map(|(which, text, number)| {
            let text = text.replace(['"', '\\'], "");
            match which {
                Some(true) => format!(r#"{{"token":"{text} CANARY","ttl":"{number}"}}"#),
                Some(false) => format!(r#"{{"code":"{SECRET}{text}"}}"#),
                None => format!(r#"{{"token":{number},"code":"{text}{SECRET}","CANARY":"#),
            }
            .into_bytes()
        });
        prop_oneof![json, any::<Vec<u8>>()]
    }

    proptest! {
        /// S4: any status, any headers, any bytes: no panic, and nothing that came in shows in the error.
        #[test]
        fn any_reply_is_judged_and_none_is_quoted(status in 100_u16..=999, body in body(), value in "[ -~]{0,20}", before: u32) {
            let headers = [(header::RETRY_AFTER, value.as_str()), (header::CONTENT_TYPE, "CANARY/CANARY"), (header::LOCATION, "https://CANARY/")];
            let verdict = judged(&reply(status, &headers, &body), before);
            if let Err(error) = verdict.outcome {
                let shown = format!("{error} {error:?} {:?}", error.code());
                prop_assert!(!shown.contains("CANARY"), "{shown}");
                prop_assert!(error.code().is_none_or(code::is_code));
            }
        }
    }
}
