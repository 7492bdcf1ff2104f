use http::{HeaderMap, StatusCode, header};

use super::{
    call::Call, code, endpoint::ErrorClass, exchange::Exchanged, expiry::Expires, json::Document, reading::Reading,
    retry_after::retry_after, salvage::salvage,
};
use crate::{
    error::{ErrorKind, TokenError},
    token::{AccessToken, RefreshToken},
    transport::{Answer, Reply},
};

/// As often in a row as an unreadable refusal must come to be believed.
const UNREADABLE_LIMIT: u32 = 3;

/// What an answer comes to.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) exchanged: Exchanged,
    /// How many unreadable refusals have come in a row, this one included.
    pub(super) unreadable: u32,
}

/// Judges an answer, whatever its bytes: see [the table](crate::grant#how-a-reply-is-judged).
///
/// The refresh token is taken out first, and nothing that is wrong with the rest takes it away again (G3). `unreadable` is how
/// many unreadable refusals came in a row before this answer.
pub(super) fn judge(reading: &Reading, call: &Call<'_>, answer: Answer, unreadable: u32) -> Verdict {
    let (reply, broken) = match answer {
        Answer::Whole(reply) => (reply, None),
        Answer::Partial(reply, error) => (reply, Some(error)),
        Answer::Lost(error) => return Verdict::without_reply(error, true),
        Answer::Unsent(error) => return Verdict::without_reply(error, false),
    };
    let status = reply.status();
    let document = Document::parse(reply.body());
    let refresh = refresh_token(reading, call, &reply, document.as_ref());
    let lack = if status.is_success() {
        match token(reading, call, reply.headers(), document.as_ref()) {
            Ok(_) if document.as_ref().is_some_and(is_bound) => {
                let text = "the token endpoint gave a DPoP-bound token, which cannot be sent under another scheme";
                return Verdict::brought(refresh, Err(TokenError::new(ErrorKind::Misconfigured, text)));
            }
            Ok(token) => return Verdict::brought(refresh, Ok(token)),
            Err(lack) => Some(lack),
        }
    } else {
        None
    };
    let code = document.as_ref().and_then(|document| code::find(reading, document, call));
    let described = code.as_ref().and_then(|code| code.listed).or_else(|| reading.on_status.get(&status.as_u16()).copied());
    let class = described.unwrap_or_else(|| default_class(status, reading.refusal));
    let doubtful = described.is_none() && document.is_none() && status.is_client_error() && class != ErrorClass::Transient;
    let unreadable = if doubtful { unreadable.saturating_add(1) } else { 0 };
    let class = match doubtful {
        true if unreadable < UNREADABLE_LIMIT => ErrorClass::Transient,
        true => reading.refusal,
        false => class,
    };
    // A login that goes on with another refresh token is not over.
    let class = if class == ErrorClass::LoginAgain && refresh.is_some() { ErrorClass::Transient } else { class };
    let kind = class.kind();
    let listed = code.as_ref().filter(|code| code.listed.is_some());
    // A 2xx that is no JSON may be what is left of a token; 502 and 504 are a gateway's word that it got no whole answer.
    let unknown = match lack {
        Some(_) => document.is_none(),
        None => listed.is_none() && matches!(status.as_u16(), 502 | 504),
    };
    let cut_off = broken.filter(|_| status.is_success() && document.is_none() && class == ErrorClass::Transient);
    let mut error = cut_off.unwrap_or_else(|| {
        let shown =
            Shown { class, lack, unreadable: doubtful.then_some(unreadable), code: listed.map(|code| code.text.as_str()) };
        TokenError::new(kind, shown.text(&reply))
    });
    if let Some(delay) = retry_after(reply.headers(), call.answered).filter(|_| kind == ErrorKind::Transient) {
        error = error.retry_after(delay);
    }
    if let Some(code) = code {
        error = error.with_code(code.text);
    }
    let exchanged = Exchanged {
        login_again: class == ErrorClass::LoginAgain,
        unanswered: unknown && class == ErrorClass::Transient && refresh.is_none(),
        refresh,
        token: Err(error),
        id_token: None,
    };
    Verdict { exchanged, unreadable }
}

impl Verdict {
    fn brought(refresh: Option<RefreshToken>, token: Result<AccessToken, TokenError>) -> Verdict {
        Verdict { exchanged: Exchanged { refresh, token, login_again: false, unanswered: false, id_token: None }, unreadable: 0 }
    }

    fn without_reply(error: TokenError, unanswered: bool) -> Verdict {
        Verdict {
            exchanged: Exchanged { refresh: None, token: Err(error), login_again: false, unanswered, id_token: None },
            unreadable: 0,
        }
    }
}

/// What the text of an error tells of a reply. None of it is the server's to choose.
struct Shown<'a> {
    class: ErrorClass,
    /// What is wrong with a success.
    lack: Option<String>,
    /// Which in a row of unreadable refusals it is.
    unreadable: Option<u32>,
    /// A code that the description lists.
    code: Option<&'a str>,
}

impl Shown<'_> {
    fn text(self, reply: &Reply) -> String {
        let status = reply.status();
        let shown = match self.code {
            Some(code) => format!("{} {code}", status.as_u16()),
            None => status.as_u16().to_string(),
        };
        match (self.lack, self.unreadable, self.class) {
            (Some(lack), ..) => format!("the token endpoint answered {shown}, {lack} ({})", looks(reply)),
            _ if status.is_redirection() => format!("the token endpoint redirects ({shown}); redirects are never followed"),
            (_, Some(row), _) => format!("the token endpoint answered {shown}, unreadable, {row} in a row ({})", looks(reply)),
            (.., ErrorClass::LoginAgain) => format!("the token endpoint refused the refresh token ({shown})"),
            (.., ErrorClass::Refused) => format!("the token endpoint refused the credentials ({shown})"),
            (.., ErrorClass::Misconfigured) => format!("the token endpoint does not take this request ({shown})"),
            (.., ErrorClass::Transient) => format!("the token endpoint has failed for now ({shown})"),
        }
    }
}

/// The refresh token of any reply that has one. An error that merely shows what it was sent has none, and neither has one that
/// says in words what is wrong with the field of that name.
fn refresh_token(reading: &Reading, call: &Call<'_>, reply: &Reply, document: Option<&Document<'_>>) -> Option<RefreshToken> {
    let mut secret = salvage(reply.body(), reading.refresh_token_at.as_deref()?)?;
    let sent = call.refresh.map(RefreshToken::expose_secret);
    if !reply.status().is_success() && (sent == Some(secret.as_str()) || secret.trim_ascii().contains(' ')) {
        return None;
    }
    let token = RefreshToken::new(std::mem::take(&mut *secret));
    let expiry = reading.refresh_expiry.iter().find_map(|expiry| expiry.format.read(document?.at(&expiry.at)?));
    let at = match expiry {
        Some(Expires::In(lifetime)) => call.sent.checked_add(lifetime),
        Some(Expires::At(at)) => Some(call.ours(at, reply.headers())),
        None => None,
    };
    Some(match at.filter(|at| *at > call.answered) {
        Some(at) => token.expires_at(at),
        None => token,
    })
}

/// The token of a successful reply, or what is wrong with it.
fn token(
    reading: &Reading,
    call: &Call<'_>,
    headers: &HeaderMap,
    document: Option<&Document<'_>>,
) -> Result<AccessToken, String> {
    let document = document.ok_or("but not with JSON")?;
    let pointer = &reading.token_at;
    let value = document.at(pointer).ok_or_else(|| format!("without a token at `{pointer}`"))?;
    let mut secret = value.text().ok_or_else(|| match value.is_string() {
        true => format!("with a broken string at `{pointer}`"),
        false => format!("with something else than a string at `{pointer}`"),
    })?;
    // The text of this error names an offset and a class of bytes.
    let token = AccessToken::new(std::mem::take(&mut *secret)).map_err(|error| format!("but {error}"))?;
    let expiry = reading.expiry.iter().find_map(|expiry| expiry.format.read(document.at(&expiry.at)?));
    match expiry {
        None => Ok(token),
        Some(Expires::In(lifetime)) => Ok(token.expires_in(lifetime)),
        Some(Expires::At(at)) => match call.ours(at, headers) {
            at if at > call.answered => Ok(token.expires_at(at)),
            _ => Err("with a token that has already expired".to_owned()),
        },
    }
}

/// Whether a token is bound to a key, as RFC 9449 section 5 says it: a server would reject it under another scheme.
fn is_bound(document: &Document<'_>) -> bool {
    document.at("/token_type").and_then(|kind| kind.text()).is_some_and(|kind| kind.eq_ignore_ascii_case("DPoP"))
}

fn default_class(status: StatusCode, refusal: ErrorClass) -> ErrorClass {
    match status.as_u16() {
        300..=399 => ErrorClass::Misconfigured,
        408 | 425 | 429 => ErrorClass::Transient,
        404 | 405 | 406 | 407 | 410 | 411 | 413 | 414 | 415 | 421 | 426 | 431 => ErrorClass::Misconfigured,
        400..=499 => refusal,
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
    use std::time::{Duration, SystemTime};

    use http::HeaderValue;
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    use super::*;
    use crate::grant::{ExpiryFormat, TokenEndpoint, secrets::Secrets};

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

    fn noon() -> SystemTime {
        httpdate::parse_http_date("Fri, 20 Nov 2026 12:00:00 GMT").unwrap()
    }

    fn verdict(reading: &Reading, answer: Answer, unreadable: u32) -> Verdict {
        let secrets = Secrets::new([Zeroizing::new(SECRET.to_owned())]);
        let refresh = RefreshToken::new("rt-old");
        judge(reading, &Call { secrets: &secrets, refresh: Some(&refresh), sent: noon(), answered: noon() }, answer, unreadable)
    }

    struct Judged {
        outcome: Result<AccessToken, TokenError>,
        unreadable: u32,
    }

    fn judged(answer: Reply, unreadable: u32) -> Judged {
        let Verdict { exchanged, unreadable } = verdict(&Reading::login(&endpoint()), Answer::Whole(answer), unreadable);
        Judged { outcome: exchanged.token, unreadable }
    }

    fn failed(status: u16, body: &str) -> TokenError {
        judged(reply(status, &[], body.as_bytes()), 0).outcome.unwrap_err()
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
            assert!(judged(reply(200, &[], body.as_bytes()), 0).outcome.is_ok(), "{kind}");
        }
    }

    /// DESIGN 5: an HTML, empty or otherwise unreadable 4xx is believed the third time in a row.
    #[test]
    fn the_third_unreadable_refusal_is_believed() {
        let row = |before| {
            let verdict = judged(reply(403, &[], b"<html>"), before);
            (verdict.outcome.unwrap_err().kind(), verdict.unreadable)
        };
        assert_eq!(row(0), (ErrorKind::Transient, 1));
        assert_eq!(row(1), (ErrorKind::Transient, 2));
        assert_eq!(row(2), (ErrorKind::Refused, 3));
        assert_eq!(row(u32::MAX), (ErrorKind::Refused, u32::MAX));
        for other in
            [reply(403, &[], b"{}"), reply(429, &[], b""), reply(500, &[], b""), reply(200, &[], b""), reply(451, &[], b"")]
        {
            let shown = format!("{other:?}");
            assert_eq!(judged(other, 2).unreadable, 0, "{shown}");
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
            let token = judged(reply(200, &[], body.as_bytes()), 2).outcome.unwrap();
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
            let error = judged(reply, 0).outcome.unwrap_err();
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
            let error = judged(reply(status, &[(header::RETRY_AFTER, value)], b""), 0).outcome.unwrap_err();
            assert_eq!(error.retry_hint(), seconds.map(Duration::from_secs), "{status} {value}");
        }
    }

    /// A description with a refresh step, as it reads the reply to that.
    fn refreshing() -> Reading {
        let endpoint = endpoint()
            .expiry_at("/expires_at", ExpiryFormat::Rfc3339)
            .refresh_expiry_at("/refresh_expires_in", ExpiryFormat::Seconds)
            .refresh_expiry_at("/refresh_expires_at", ExpiryFormat::Rfc3339)
            .on_code("GONE", ErrorClass::LoginAgain)
            .refresh(
                TokenEndpoint::post("https://api.test/refresh")
                    .refresh_token_field("token")
                    .on_code("BAD_APP", ErrorClass::Refused)
                    .on_status(409, ErrorClass::LoginAgain),
            );
        Reading::refresh(endpoint.refresh.as_ref().unwrap(), &endpoint)
    }

    fn refreshed(status: u16, body: &str) -> Exchanged {
        verdict(&refreshing(), Answer::Whole(reply(status, &[], body.as_bytes())), 0).exchanged
    }

    /// X4: what is known of the refresh token when no token comes: that it is dead, that nobody knows, or nothing.
    #[test]
    fn what_a_failed_refresh_says_of_the_refresh_token() {
        use ErrorKind::{Misconfigured, Refused, Transient};
        const DEAD: (bool, bool) = (true, false);
        const UNKNOWN: (bool, bool) = (false, true);
        const NOTHING: (bool, bool) = (false, false);
        for (status, body, kind, says) in [
            // A refusal is of what was sent, unless the step's own table says otherwise.
            (400, "{}", Refused, DEAD),
            (401, "{}", Refused, DEAD),
            (401, r#"{"code":"GONE"}"#, Refused, DEAD),
            (200, r#"{"code":"GONE"}"#, Refused, DEAD),
            (403, r#"{"code":"DISABLED"}"#, Refused, DEAD),
            (451, "", Refused, DEAD),
            (409, "", Refused, DEAD),
            (500, r#"{"code":"BAD_APP"}"#, Refused, NOTHING),
            (404, "{}", Misconfigured, NOTHING),
            (307, "", Misconfigured, NOTHING),
            (429, "{}", Transient, NOTHING),
            (500, "", Transient, NOTHING),
            (503, "<html>", Transient, NOTHING),
            (401, "<html>", Transient, NOTHING),
            (401, r#"{"code":"BUSY"}"#, Transient, NOTHING),
            (200, "{}", Transient, NOTHING),
            // Something was cut off, or a gateway speaks.
            (200, "", Transient, UNKNOWN),
            (200, "<html>", Transient, UNKNOWN),
            (200, r#"{"token":"tok","refresh_tok"#, Transient, UNKNOWN),
            (502, "<html>", Transient, UNKNOWN),
            (504, "", Transient, UNKNOWN),
            (504, r#"{"code":"BUSY"}"#, Transient, NOTHING),
            (504, r#"{"code":"WHAT"}"#, Transient, UNKNOWN),
            // What brings a new one is no end, and leaves no doubt.
            (401, r#"{"refresh_token":"rt-new"}"#, Transient, NOTHING),
            (200, r#"{"refresh_token":"rt-new","#, Transient, NOTHING),
            (504, r#"{"refresh_token":"rt-new"}"#, Transient, NOTHING),
        ] {
            let came = refreshed(status, body);
            assert_eq!(came.refresh.is_some(), body.contains("rt-new"), "{status} {body}");
            assert_eq!((came.token.unwrap_err().kind(), (came.login_again, came.unanswered)), (kind, says), "{status} {body}");
        }
        let row = |before| {
            let html = Answer::Whole(reply(401, &[], b"<html>"));
            verdict(&refreshing(), html, before).exchanged.login_again
        };
        assert_eq!([row(0), row(1), row(2)], [false, false, true]);
    }

    #[test]
    fn what_never_came_whole() {
        let cause = || TokenError::new(ErrorKind::Timeout, "the cause");
        let come = |answer| verdict(&refreshing(), answer, 2);
        for (answer, unanswered) in [(Answer::Lost(cause()), true), (Answer::Unsent(cause()), false)] {
            let Verdict { exchanged, unreadable } = come(answer);
            assert_eq!((exchanged.unanswered, exchanged.login_again, unreadable), (unanswered, false, 0));
            assert_eq!(exchanged.token.unwrap_err().to_string(), "the cause");
        }
        let cut = |status, body: &str| come(Answer::Partial(reply(status, &[], body.as_bytes()), cause())).exchanged;
        let broken = cut(200, r#"{"token":"tok","refresh"#);
        assert!(broken.unanswered && broken.token.unwrap_err().kind() == ErrorKind::Timeout);
        let salvaged = cut(200, r#"{"refresh_token":"rt-new","tok"#);
        assert!(!salvaged.unanswered && salvaged.token.is_err() && salvaged.refresh.is_some());
        // JSON ends where it ends, whatever the framing promised.
        let whole = cut(200, r#"{"token":"tok","refresh_token":"rt-new"}"#);
        assert!(whole.token.is_ok() && whole.refresh.is_some());
        // The status is an answer.
        let refused = cut(409, "");
        assert!(refused.login_again && !refused.unanswered);
    }

    /// G7: an error that shows what it was sent brings nothing new; a success that repeats it, perhaps a new expiry.
    #[test]
    fn an_echo_is_no_new_refresh_token() {
        let echo = r#"{"refresh_token":"rt-old","refresh_expires_in":60}"#;
        let refused = refreshed(401, echo);
        assert!(refused.refresh.is_none() && refused.login_again);
        assert_eq!(refreshed(200, echo).refresh.unwrap().expiry(), Some(noon() + Duration::from_secs(60)));
    }

    /// Without a refresh step there is no use for one, and it is not kept.
    #[test]
    fn a_login_without_a_refresh_step_keeps_no_refresh_token() {
        let answer = Answer::Whole(reply(200, &[], br#"{"token":"tok","refresh_token":"rt-new"}"#));
        assert!(verdict(&Reading::login(&endpoint()), answer, 0).exchanged.refresh.is_none());
    }

    /// G2: absolute expiries, on our clock; one that is past says nothing of a refresh token.
    #[test]
    fn absolute_expiries() {
        let date = |date| {
            Answer::Whole(reply(200, &[(header::DATE, date)], br#"{"token":"tok","refresh_token":"rt-new","expires_at":"2026-11-20T13:00:00Z","refresh_expires_at":"2026-11-21T12:00:00Z"}"#))
        };
        let hour = Duration::from_secs(3600);
        for (sent, token, refresh) in [
            ("Fri, 20 Nov 2026 12:00:00 GMT", Some(hour), Some(24 * hour)),
            ("Fri, 20 Nov 2026 12:30:00 GMT", Some(hour / 2), Some(24 * hour - hour / 2)),
            ("Fri, 20 Nov 2026 11:00:00 GMT", Some(2 * hour), Some(25 * hour)),
            ("Fri, 20 Nov 2026 13:00:00 GMT", None, Some(23 * hour)),
            ("Sun, 22 Nov 2026 13:00:00 GMT", None, None),
        ] {
            let came = verdict(&refreshing(), date(sent), 0).exchanged;
            assert_eq!(came.refresh.unwrap().expiry(), refresh.map(|left| noon() + left), "{sent}");
            match (came.token, token) {
                (Ok(came), Some(left)) => assert_eq!((came.expiry(), came.lifetime()), (Some(noon() + left), None), "{sent}"),
                (Err(error), None) => {
                    assert_eq!(error.kind(), ErrorKind::Transient);
                    assert!(error.to_string().contains("200, with a token that has already expired"), "{error}");
                }
                (came, _) => panic!("{sent}: {came:?}"),
            }
        }
        // The order of the description counts: the relative one is first here.
        let both = refreshed(
            200,
            r#"{"token":"tok","expires_at":"2020-01-01T00:00:00Z","expires_in":0,"refresh_token":"r","refresh_expires_in":0,"refresh_expires_at":"2026-11-21T12:00:00Z"}"#,
        );
        assert_eq!(both.token.unwrap().lifetime(), Some(Duration::ZERO));
        assert_eq!(both.refresh.unwrap().expiry(), None);
    }

    /// A reply that is right, member by member.
    const WHOLE: [(&str, &str); 8] = [
        ("token", r#""tok""#),
        ("ttl", "3600"),
        ("expires_at", r#""2026-11-20T13:00:00Z""#),
        ("refresh_token", r#""rt-new""#),
        ("refresh_expires_in", "86400"),
        ("refresh_expires_at", r#""2026-11-21T12:00:00Z""#),
        ("token_type", r#""Bearer""#),
        ("user", r#"{"id":"user_1","roles":["a",{"b":null}],"refresh_count":1.5}"#),
    ];

    fn joined<T: AsRef<str>>(members: impl IntoIterator<Item = (T, T)>) -> String {
        let members = members.into_iter().map(|(name, value)| format!(r#""{}":{}"#, name.as_ref(), value.as_ref()));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }

    /// Judges a body in whole and broken off, under several statuses: there is a token or a typed error that shows nothing, and
    /// the refresh token is this one.
    #[track_caller]
    fn assert_kept(body: &[u8], refresh: Option<&str>) {
        let broken = || TokenError::new(ErrorKind::Transient, "broken off");
        for status in [200, 401, 500] {
            for whole in [true, false] {
                let reply = reply(status, &[], body);
                let answer = if whole { Answer::Whole(reply) } else { Answer::Partial(reply, broken()) };
                let came = verdict(&refreshing(), answer, 0).exchanged;
                let shown = String::from_utf8_lossy(&body[..body.len().min(400)]);
                assert_eq!(came.refresh.as_ref().map(RefreshToken::expose_secret), refresh, "{status} {shown}");
                assert!(!(came.login_again && came.unanswered), "{shown}");
                match came.token {
                    Ok(token) => {
                        assert!(status == 200 && !token.expose_secret().is_empty(), "{shown}");
                        assert!(!came.login_again && !came.unanswered, "{shown}");
                    }
                    Err(error) => {
                        assert!(matches!(error.kind(), ErrorKind::Transient | ErrorKind::Refused | ErrorKind::Misconfigured));
                        let text = format!("{error} {error:?}");
                        assert!(!text.contains("rt-new") && !text.contains("tok\""), "{text}");
                    }
                }
            }
        }
    }

    /// G3, X6: each member in turn is missing, null, of each wrong type, empty, huge, broken, or doubled.
    #[test]
    fn g3_no_corruption_of_a_member_loses_the_refresh_token() {
        let huge = format!(r#""{}""#, "x".repeat(1 << 18));
        let digits = "9".repeat(400);
        let values = [
            "null",
            "true",
            "false",
            "0",
            "-1",
            "7",
            "1.5",
            "1e999",
            "-1e999",
            "[]",
            "{}",
            r#"["x"]"#,
            r#"{"x":"y"}"#,
            r#""""#,
            r#"" ""#,
            r#""x""#,
            r#""\ud800""#,
            r#""a\nb""#,
            "\"a\nb\"",
            r#""x"#,
            "x",
            "",
            "'x'",
            "NaN",
            "[",
            "{",
            "]",
            "}",
            ",",
            ":",
            &huge,
            &digits,
        ];
        assert_kept(joined(WHOLE).as_bytes(), Some("rt-new"));
        for (at, (name, value)) in WHOLE.into_iter().enumerate() {
            let is_refresh = name == "refresh_token";
            let without = WHOLE.iter().copied().filter(|(other, _)| *other != name);
            assert_kept(joined(without).as_bytes(), (!is_refresh).then_some("rt-new"));
            for corrupt in values {
                let mut members = WHOLE.to_vec();
                members[at].1 = corrupt;
                // A text that is one: the whole of it.
                let text = match corrupt {
                    _ if !is_refresh => Some("rt-new"),
                    r#""x""# => Some("x"),
                    r#""a\nb""# => Some("a\nb"),
                    _ if corrupt == huge => Some(huge.trim_matches('"')),
                    // Without its quote it ends at the next one, and what stands between is no refresh token but a string all the same.
                    r#""x"# => Some("x,"),
                    _ => None,
                };
                assert_kept(joined(members.clone()).as_bytes(), text);
                // Doubled: of two that can be read the last, and of one that can be read that one.
                if corrupt != r#""x"# {
                    members.insert(at, (name, value));
                    assert_kept(joined(members.clone()).as_bytes(), text.or(Some("rt-new")));
                    members.swap(at, at + 1);
                    assert_kept(joined(members).as_bytes(), Some("rt-new"));
                }
            }
        }
    }

    /// G3: cut off at each byte, it is there as soon as its last quote has come.
    #[test]
    fn g3_no_truncation_loses_the_refresh_token() {
        let body = joined(WHOLE);
        let end = body.find(r#""rt-new""#).unwrap() + r#""rt-new""#.len();
        for cut in 0..body.len() {
            assert_kept(&body.as_bytes()[..cut], (cut >= end).then_some("rt-new"));
        }
    }

    /// G3: any byte outside of it may be missing or wrong.
    #[test]
    fn g3_no_wrong_byte_loses_the_refresh_token() {
        let body = joined(WHOLE).into_bytes();
        let text = String::from_utf8(body.clone()).unwrap();
        let start = text.find(r#""refresh_token""#).unwrap();
        let end = text.find(r#""rt-new""#).unwrap() + r#""rt-new""#.len();
        for at in (0..start).chain(end..body.len()) {
            let mut missing = body.clone();
            missing.remove(at);
            assert_kept(&missing, Some("rt-new"));
            for byte in *b"\"\\{}[]:,x <7\x00\xff" {
                let mut wrong = body.clone();
                wrong[at] = byte;
                assert_kept(&wrong, Some("rt-new"));
            }
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
            let verdict = judged(reply(status, &headers, &body), before);
            if let Err(error) = verdict.outcome {
                let shown = format!("{error} {error:?} {:?}", error.code());
                prop_assert!(!shown.contains("CANARY"), "{shown}");
                prop_assert!(error.code().is_none_or(code::is_code));
            }
        }
    }
}
