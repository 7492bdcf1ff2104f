use http::Uri;

use super::credential::misconfigured;
use crate::{error::TokenError, middleware::Origins, transport::check_url};

/// Where a vendor's API lives: what its paths are appended to, and the origin that its tokens are for.
pub(super) struct BaseUrl {
    vendor: &'static str,
    text: String,
    origins: Origins,
}

impl BaseUrl {
    /// https, or plain http to loopback, without user info, query or fragment; a path is allowed, and a slash at its end.
    pub(super) fn parse(vendor: &'static str, text: &str) -> Result<BaseUrl, TokenError> {
        let flaw = |why: &str| misconfigured(vendor, format_args!("`base_url` {why}"));
        if text.contains('?') {
            return Err(flaw("must not have a query"));
        }
        let uri = check_url(text).map_err(flaw)?;
        let (scheme, authority) = (uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", |whole| whole.as_str()));
        let origins = format!("{scheme}://{authority}").parse()?;
        Ok(BaseUrl { vendor, text: text.trim_end_matches('/').to_owned(), origins })
    }

    /// The URL of a path, which begins with a slash.
    pub(super) fn at(&self, path: &str) -> Result<Uri, TokenError> {
        check_url(&format!("{}{path}", self.text)).map_err(|why| misconfigured(self.vendor, format_args!("`base_url` {why}")))
    }

    pub(super) fn into_origins(self) -> Origins {
        self.origins
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// G6, S1: where secrets are sent, and where tokens are.
    #[test]
    fn https_or_loopback() {
        for (text, whole, origin) in [
            ("https://api.test", "https://api.test/t", "https://api.test"),
            ("https://api.test/", "https://api.test/t", "https://api.test"),
            ("https://api.test:8443/v1//", "https://api.test:8443/v1/t", "https://api.test:8443"),
            ("HTTPS://API.test:443/v1", "https://API.test:443/v1/t", "https://api.test"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/t", "http://127.0.0.1:8080"),
            ("http://[::1]:8080/v1", "http://[::1]:8080/v1/t", "http://[::1]:8080"),
        ] {
            let base = BaseUrl::parse("Acme", text).unwrap();
            assert_eq!(base.at("/t").unwrap().to_string(), whole);
            assert_eq!(format!("{:?}", base.into_origins()), format!("{:?}", origin.parse::<Origins>().unwrap()));
        }
        for (text, why) in [
            ("http://api.test", "must be https; plain http is for loopback alone"),
            ("https://u:CANARY@api.test", "has user info: leave out what is before the `@`"),
            ("https://api.test/?CANARY", "must not have a query"),
            ("https://api.test#CANARY", "must not have a fragment"),
            ("https://*.api.test", "has a wildcard: name each host by itself"),
            ("api.test", "must be absolute, as https://host/path"),
            ("/v1", "must be absolute, as https://host/path"),
            ("", "is not a URL"),
        ] {
            let error = BaseUrl::parse("Acme", text).map(|base| base.text).unwrap_err();
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::Misconfigured, format!("Acme: `base_url` {why}")));
        }
    }

    proptest::proptest! {
        /// What is a base URL is one with each path.
        #[test]
        fn any_text(text in "(https://)?\\PC{0,40}") {
            if let Ok(base) = BaseUrl::parse("Acme", &text) {
                proptest::prop_assert!(base.at("/auth/token").is_ok());
            }
        }
    }
}
