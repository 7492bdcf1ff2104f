//! What a parameter may consist of: RFC 6749 appendix A, and the URIs of RFC 3986. An error names the parameter and never its
//! text, since the likeliest slip is to give a secret in the wrong place.

use crate::{
    error::{ErrorKind, TokenError},
    transport::check_url,
};

pub(super) fn misconfigured(field: &str, why: &str) -> TokenError {
    TokenError::new(ErrorKind::Misconfigured, format!("the OAuth grant: `{field}` {why}"))
}

/// `1*VSCHAR`, where the RFC also takes none: section A.1 for a client's id, A.11 for a code.
pub(super) fn visible(text: &str) -> Result<(), &'static str> {
    match text.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
        _ if text.is_empty() => Err("is empty"),
        true => Ok(()),
        false => Err("has a character that is not visible ASCII"),
    }
}

/// Any text but a control character: the RFC's ASCII is more than servers keep to, and it is always encoded.
pub(super) fn without_controls(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("is empty");
    }
    if text.contains(char::is_control) { Err("has a control character or a line break") } else { Ok(()) }
}

/// One `scope-token` (section 3.3).
pub(super) fn scope(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("has an empty scope");
    }
    if text.contains(' ') {
        return Err("has a scope with a space: give each scope by itself");
    }
    let fits = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    if text.bytes().all(fits) { Ok(()) } else { Err("has a scope with a character that no scope has") }
}

/// The name of a parameter (section 8.2).
pub(super) fn name(text: &str) -> Result<(), &'static str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if !text.is_empty() && text.bytes().all(fits) {
        Ok(())
    } else {
        Err("has a name that is not made of letters, digits and -._")
    }
}

/// An absolute URI without a fragment: what a resource (RFC 8707 section 2) and a redirection endpoint are.
pub(super) fn absolute_uri(text: &str) -> Result<(), &'static str> {
    let Some((scheme, rest)) = text.split_once(':') else {
        return Err("must be an absolute URI");
    };
    let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(in_scheme) || rest.is_empty() {
        return Err("must be an absolute URI");
    }
    if rest.contains('#') {
        return Err("must not have a fragment");
    }
    let in_uri = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte);
    let escaped = |escape: &str| escape.len() >= 2 && escape.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if !rest.bytes().all(in_uri) || !rest.split('%').skip(1).all(escaped) {
        return Err("has a character that a URI has only percent-encoded");
    }
    Ok(())
}

/// Where a code is sent: https, plain http to loopback, or an app's own scheme (RFC 8252 section 7).
pub(super) fn redirect_uri(text: &str) -> Result<(), &'static str> {
    absolute_uri(text)?;
    let is_web = ["http:", "https:"]
        .into_iter()
        .any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    if is_web { check_url(text).map(drop) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// S8: what could end a line, a field or a parameter is refused in each of them.
    #[test]
    fn injections() {
        for injected in ["a\rb", "a\nb", "a\r\nX: y", "a\0b", "a\u{7f}", "a\u{85}b", "a\tb"] {
            for (check, what) in [
                (visible as fn(&str) -> Result<(), &'static str>, "visible"),
                (without_controls, "without_controls"),
                (scope, "scope"),
                (name, "name"),
                (absolute_uri, "absolute_uri"),
                (redirect_uri, "redirect_uri"),
            ] {
                assert!(check(injected).is_err(), "{what} {injected:?}");
                assert!(check(&format!("https://a.test/{injected}")).is_err(), "{what} {injected:?}");
                assert!(check("").is_err(), "{what}");
            }
        }
    }

    #[test]
    fn scopes() {
        for good in ["openid", "business/orders:read", "courier:logistician", "https://a.test/x.read", "!#[]~"] {
            assert_eq!(scope(good), Ok(()), "{good}");
        }
        for bad in ["a b", "a\"b", "a\\b", "é", "a&b\u{a0}"] {
            assert!(scope(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_and_ids() {
        assert_eq!((visible("a b:%~"), visible("id")), (Ok(()), Ok(())));
        assert!(visible("é").is_err());
        assert_eq!(without_controls("p\u{e4}ss w:%&+=rd\u{1f511}"), Ok(()));
        assert_eq!(name("audience_v1.x-y"), Ok(()));
        for bad in ["a=b", "a&b", "a b", "a%20", "é"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn uris() {
        for good in ["https://api.test", "urn:x:y", "api://1-2", "https://a.test/p%20q?x=%C3%A9&y", "com.app:/cb"] {
            assert_eq!(absolute_uri(good), Ok(()), "{good}");
        }
        for bad in [
            "api.test",
            "/path",
            ":x",
            "1a:x",
            "https:",
            "https://a.test#f",
            "https://a b",
            "https://a.test/%zz",
            "x:%2",
            "x:é",
            "x:<y>",
        ] {
            assert!(absolute_uri(bad).is_err(), "{bad}");
        }
    }

    /// RFC 8252 section 7, RFC 9700 section 4.1: an authorization code is not for the clear.
    #[test]
    fn redirects() {
        for good in [
            "https://app.test/cb?x=1",
            "http://127.0.0.1:8080/cb",
            "http://[::1]:1/",
            "com.example.app:/oauth2",
            "HTTPS://a.test/",
        ] {
            assert_eq!(redirect_uri(good), Ok(()), "{good}");
        }
        for bad in [
            "http://app.test/cb",
            "HTTP://app.test/",
            "https://u:p@app.test/",
            "https:/cb",
            "app.test/cb",
            "https://app.test/cb#x",
        ] {
            assert!(redirect_uri(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text(text in ".*") {
            let _ = (visible(&text), without_controls(&text), scope(&text), name(&text), redirect_uri(&text));
        }
    }
}
