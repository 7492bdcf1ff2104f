use super::{
    call::Call,
    endpoint::ErrorClass,
    json::{Document, Value},
    reading::Reading,
};

/// The longest text that passes for an error code.
const LONGEST: usize = 64;

/// A server's code for a failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) text: String,
    /// What the description makes of it, if it lists it: only then is the text one that we chose, and may be shown.
    pub(super) listed: Option<ErrorClass>,
}

/// Looks for a code at each place where one may stand.
///
/// One that the description lists is taken before one that it does not: frameworks put the name of the status in one field
/// and the vendor's code in another. An unlisted one is taken only if it shares no telling part with a secret that was sent.
pub(super) fn find(reading: &Reading, document: &Document<'_>, call: &Call<'_>) -> Option<Code> {
    let mut unlisted = None;
    for text in reading.code_at.iter().flat_map(|pointer| document.each(pointer)).filter_map(read) {
        if let Some(class) = reading.on_code.get(&text) {
            return Some(Code { text, listed: Some(*class) });
        }
        if unlisted.is_none() && is_code(&text) && !call.leaks_into(&text) {
            unlisted = Some(Code { text, listed: None });
        }
    }
    unlisted
}

fn read(value: Value<'_>) -> Option<String> {
    match value.number() {
        Some(number) => Some(number.to_owned()),
        None => value.text().map(|text| text.as_str().to_owned()),
    }
}

/// Whether a text could be a code rather than prose or a token: short, visible ASCII, and no beginning of a JWT.
pub(crate) fn is_code(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains("eyJ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    use super::*;
    use crate::{
        grant::{TokenEndpoint, secrets::Secrets},
        token::RefreshToken,
    };

    fn secrets() -> Secrets {
        Secrets::new(["sk_live_CANARY", "pin"].map(|secret| Zeroizing::new(secret.to_owned())))
    }

    fn endpoint() -> TokenEndpoint {
        TokenEndpoint::post("https://api.test/token")
            .code_at("/error")
            .code_at("/code")
            .code_at("/errors/*")
            .code_at("/errors/*/code")
            .on_code("DISABLED", ErrorClass::Refused)
            .on_code("1002", ErrorClass::Transient)
            .on_code("sk_live_odd but ours", ErrorClass::Refused)
    }

    fn found(body: &str) -> Option<(String, Option<ErrorClass>)> {
        let document = Document::parse(body.as_bytes()).unwrap();
        let refresh = RefreshToken::new("rt_live_CANARY");
        let now = std::time::SystemTime::UNIX_EPOCH;
        let call = Call { secrets: &secrets(), refresh: Some(&refresh), sent: now, answered: now };
        find(&Reading::login(&endpoint()), &document, &call).map(|code| (code.text, code.listed))
    }

    #[test]
    fn where_a_code_is_found() {
        let listed = |text: &str, class| Some((text.to_owned(), Some(class)));
        let unlisted = |text: &str| Some((text.to_owned(), None));
        for (body, code) in [
            (r#"{"error":"DISABLED"}"#, listed("DISABLED", ErrorClass::Refused)),
            (r#"{"code":1002}"#, listed("1002", ErrorClass::Transient)),
            (r#"{"code":"1002"}"#, listed("1002", ErrorClass::Transient)),
            (r#"{"error":"Forbidden","code":"DISABLED"}"#, listed("DISABLED", ErrorClass::Refused)),
            (r#"{"error":"sk_live_odd but ours"}"#, listed("sk_live_odd but ours", ErrorClass::Refused)),
            (r#"{"error":"Forbidden"}"#, unlisted("Forbidden")),
            (r#"{"error":"Your key is wrong","code":"WRONG"}"#, unlisted("WRONG")),
            (r#"{"error":"disabled","code":7}"#, unlisted("disabled")),
            (r#"{"error":null,"code":true}"#, None),
            (r#"{"error":{"code":"DISABLED"}}"#, None),
            (r#"{"errors":["Your key is wrong","DISABLED"]}"#, listed("DISABLED", ErrorClass::Refused)),
            (r#"{"errors":[{"text":"x"},{"code":"NEW"},{"code":1002}]}"#, listed("1002", ErrorClass::Transient)),
            (r#"{"errors":["Your key is wrong","NEW","NEWER"]}"#, unlisted("NEW")),
            (r#"{"errors":["Your key is wrong"]}"#, None),
            (r#"{"errors":"DISABLED"}"#, None),
            (r#"{"error":""}"#, None),
            ("[]", None),
        ] {
            assert_eq!(found(body), code, "{body}");
        }
    }

    /// G17: an echo of a secret, a token, or a text that plays tricks is no code.
    #[test]
    fn a_hostile_code_is_dropped() {
        for hostile in [
            "sk_live_CANARY",
            "rt_live_CANARY",
            "was:T_LIVE_CANAR",
            "bad:sk_live_CANARY!",
            "SK_LIVE_canary",
            "ive_CANA",
            "xxlive_CANARxx",
            "the-pin",
            "eyJhbGciOiJI",
            "x.eyJhbGciOiJI",
            "two words",
            "\\u001b[31mred",
            "a\\r\\nb",
            "caf\\u00e9",
        ] {
            assert_eq!(found(&format!(r#"{{"error":"{hostile}"}}"#)), None, "{hostile}");
        }
        let long = "a".repeat(65);
        assert_eq!(found(&format!(r#"{{"error":"{long}"}}"#)), None);
        assert!(found(&format!(r#"{{"error":"{}"}}"#, &long[1..])).is_some());
    }

    proptest! {
        /// G17: whatever stands before and after it, a secret does not get through.
        #[test]
        fn no_echo_gets_through(before in "[!-~]{0,20}", from in 0_usize..6, len in 8_usize..14, after in "[!-~]{0,20}") {
            let secret = "sk_live_CANARY";
            let text = [before.as_str(), &secret[from..(from + len).min(secret.len())], after.as_str()].concat();
            prop_assert!(secrets().leak_into(&text));
        }
    }
}
