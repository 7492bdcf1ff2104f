use http::Uri;

use super::authority;

/// Checks a URL that secrets are sent to: https, or plain http to loopback; absolute; without user info or fragment.
///
/// The reason for a refusal reads on after the name of the field, and holds no part of the URL.
pub(crate) fn check_url(text: &str) -> Result<Uri, &'static str> {
    let uri: Uri = text.parse().map_err(|_| "is not a URL")?;
    // The parser drops a fragment without a word.
    if text.contains('#') {
        return Err("must not have a fragment");
    }
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err("must be absolute, as https://host/path");
    };
    let (host, _) = authority::configured(authority.as_str())?;
    if host.is_secure_over(scheme) { Ok(uri) } else { Err("must be https; plain http is for loopback alone") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G6, S2: where a secret may be sent.
    #[test]
    fn https_or_loopback() {
        for good in [
            "https://api.test/token",
            "HTTPS://api.test",
            "https://api.test:8443/t?tenant=1",
            "http://127.0.0.1:8080/t",
            "http://127.9.9.9/t",
            "http://[::1]:1/t",
            "http://LOCALHOST/t",
            "http://localhost.:80",
            "https://api.test:",
            "https://api.test.:0443/t",
        ] {
            assert!(check_url(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("http://api.test/token", "must be https; plain http is for loopback alone"),
            ("http://10.0.0.1/t", "must be https; plain http is for loopback alone"),
            ("http://localhost.evil.test/t", "must be https; plain http is for loopback alone"),
            ("http://127.0.0.1.evil.test/t", "must be https; plain http is for loopback alone"),
            ("http://[::2]/t", "must be https; plain http is for loopback alone"),
            ("ftp://127.0.0.1/t", "must be https; plain http is for loopback alone"),
            ("https://user:canary@api.test/t", "has user info: leave out what is before the `@`"),
            ("http://127.0.0.1@evil.test/t", "has user info: leave out what is before the `@`"),
            ("https://api.test/t#canary", "must not have a fragment"),
            ("https://api.test:99999/t", "has a port above 65535"),
            ("https://api.test:+443", "has a port that is not a number"),
            ("https://api.test:0", "has port 0, to which nothing connects"),
            ("https://:443/t", "has no host"),
            ("https://*.api.test", "has a wildcard: name each host by itself"),
            ("https://a..b", "has two dots in a row in its host, or one before it"),
            ("https://a,b/t", "has a character that no host name has"),
            ("http://127.0.0.1./t", "must be https; plain http is for loopback alone"),
            ("/token", "must be absolute, as https://host/path"),
            ("api.test", "must be absolute, as https://host/path"),
            ("https://", "is not a URL"),
            ("https://a b/", "is not a URL"),
            ("", "is not a URL"),
        ] {
            assert_eq!(check_url(bad), Err(why), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_url_or_a_reason(text in ".*") {
            let _ = check_url(&text);
        }
    }
}
