//! Which requests may carry the token?
//!
//! A token that reaches the wrong server is stolen. No order of middleware rules that out, since a redirect, a link in a reply
//! or a URL from a user can name any server, so the layer compares each request with a list of its own: [`Origins`].

use std::{fmt, str::FromStr, sync::Arc};

use http::{Uri, uri::Scheme};

use crate::{
    error::{ErrorKind, TokenError},
    transport::authority::{self, Host},
};

/// The origins (RFC 6454: scheme, host and port) to whose requests a layer adds its token. All others pass through bare.
///
/// An entry is written as a URL without a path: `https://api.example.com`, or `https://api.example.com:8443/`. It stands for
/// that one host: sub-domains are origins of their own, each to be named. Host names are compared without case and without one
/// trailing dot, IPv6 addresses by value, and a missing port is the scheme's default. A host name whose last label starts with a
/// digit, such as `127.1`, is only text here, whatever a resolver makes of it.
///
/// A clone is one reference count.
///
/// # Plain HTTP
///
/// Everyone on the way can read a token that is sent over plain `http`. Such an entry is therefore an error, except for loopback:
/// `localhost`, 127.0.0.0/8 written as four decimal numbers, and `[::1]`. Where the network itself is encrypted,
/// [`parse_allowing_plain_http`](Self::parse_allowing_plain_http) and
/// [`and_allowing_plain_http`](Self::and_allowing_plain_http) take it.
///
/// # Examples
///
/// ```
/// use tower_token::Origins;
///
/// # fn main() -> Result<(), tower_token::TokenError> {
/// let origins = "https://api.example.com".parse::<Origins>()?.and("https://files.example.com:8443")?;
///
/// assert!("http://api.example.com".parse::<Origins>().is_err(), "a token for everyone on the way to read");
/// assert!("https://api.example.com/v1".parse::<Origins>().is_err(), "an origin has no path");
/// assert!("https://*.example.com".parse::<Origins>().is_err(), "nor a wildcard");
/// # drop(origins);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Origins {
    listed: Arc<[Origin]>,
    unlisted: Unlisted,
    /// Where in `listed` the origin is to which requests without authority go.
    relative: Option<usize>,
}

/// What is allowed besides the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unlisted {
    Nothing,
    /// `https`, and plain `http` to loopback.
    Secure,
    Everything,
}

/// Where a request goes, as far as its token is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// It gets the token.
    Allowed,
    /// It passes through bare.
    Foreign,
    /// The URI does not say: an error, since a request that silently went out bare would be worse.
    Unknown,
}

impl FromStr for Origins {
    type Err = TokenError;

    /// A list of one origin.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](ErrorKind::Misconfigured) for plain `http` to a host other than loopback, and for anything that is not
    /// just scheme, host and port. The error says what is wrong and never shows the entry, which may hold a password.
    fn from_str(entry: &str) -> Result<Origins, TokenError> {
        Origins::none().and(entry)
    }
}

impl Origins {
    /// A list of one origin, which may be plain `http` on any host.
    ///
    /// **Danger**: over plain `http` the token can be read by everyone on the way, and by whoever can make the host's name
    /// resolve to a machine of their own. Fit for a network that is encrypted below HTTP (a mesh's sidecar, a VPN).
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](ErrorKind::Misconfigured) for anything that is not just scheme, host and port.
    pub fn parse_allowing_plain_http(entry: &str) -> Result<Origins, TokenError> {
        Origins::none().and_allowing_plain_http(entry)
    }

    /// Every `https` origin, and plain `http` to loopback.
    ///
    /// **Danger**: whoever chooses the URL gets the token: a redirect that is followed under the layer's eyes, a link in a
    /// reply, a web hook's address, a user. Fit for a client whose URLs are all your own.
    pub fn any() -> Origins {
        Origins { unlisted: Unlisted::Secure, ..Origins::none() }
    }

    /// Widens [`any`](Self::any) to plain `http` on every host. A list stays as it is.
    ///
    /// **Danger**: both dangers at once. Whoever chooses the URL gets the token, and so does everyone on the way.
    #[must_use]
    pub fn allow_plain_http(mut self) -> Origins {
        if self.unlisted == Unlisted::Secure {
            self.unlisted = Unlisted::Everything;
        }
        self
    }

    /// Allows one more origin.
    ///
    /// # Errors
    ///
    /// As for [`from_str`](Self::from_str).
    pub fn and(self, entry: &str) -> Result<Origins, TokenError> {
        let origin = Origin::parse(entry)?;
        origin.must_be_secure(
            "plain http is allowed to loopback only, unless `Origins::parse_allowing_plain_http` takes the origin",
        )?;
        Ok(self.with(origin).0)
    }

    /// Allows one more origin, which may be plain `http` on any host.
    ///
    /// **Danger**: as for [`parse_allowing_plain_http`](Self::parse_allowing_plain_http).
    ///
    /// # Errors
    ///
    /// As for [`parse_allowing_plain_http`](Self::parse_allowing_plain_http).
    pub fn and_allowing_plain_http(self, entry: &str) -> Result<Origins, TokenError> {
        Ok(self.with(Origin::parse(entry)?).0)
    }

    /// Says where requests go whose URI does not, and allows that origin.
    ///
    /// Over some services a URI is only a path (`/v1/pets`), `*`, or host and port: an HTTP/1 connection, tonic's default, a
    /// router under test. Without this such a request is an error, not sent. With it, a path or `*` gets the token. Host and
    /// port are looked up with the scheme of this origin, and remain an error unless they are allowed.
    ///
    /// A second call moves the requests to its own origin; the first stays allowed.
    ///
    /// **Danger**: the connection is not looked at. Name the place where the service under the layer really connects.
    ///
    /// # Errors
    ///
    /// As for [`from_str`](Self::from_str), but plain `http` is no error where it is allowed already, as after
    /// [`and_allowing_plain_http`](Self::and_allowing_plain_http).
    ///
    /// # Examples
    ///
    /// ```
    /// use tower_token::Origins;
    ///
    /// # fn main() -> Result<(), tower_token::TokenError> {
    /// let channel = "https://api.example.com".parse::<Origins>()?.relative_as("https://api.example.com")?;
    ///
    /// let mesh = "http://pets.internal:50051";
    /// let channel = Origins::parse_allowing_plain_http(mesh)?.relative_as(mesh)?;
    /// # drop(channel);
    /// # Ok(())
    /// # }
    /// ```
    pub fn relative_as(self, entry: &str) -> Result<Origins, TokenError> {
        let origin = Origin::parse(entry)?;
        if !self.allows(&origin.scheme, &origin.authority) {
            origin.must_be_secure(
                "plain http is allowed to loopback only, unless `Origins::and_allowing_plain_http` takes the origin first",
            )?;
        }
        let (origins, index) = self.with(origin);
        Ok(Origins { relative: Some(index), ..origins })
    }

    /// Where a request for `uri` goes. No allocation; one comparison of scheme and text for a URI that is written as its entry.
    #[inline(always)]
    pub(crate) fn judge(&self, uri: &Uri) -> Destination {
        if self.allows_as_written(uri) { Destination::Allowed } else { self.judge_normalised(uri) }
    }

    /// A URI is mostly written as its entry is kept: equal text is the same origin, with nothing to take apart.
    #[inline(always)]
    fn allows_as_written(&self, uri: &Uri) -> bool {
        let Some(authority) = uri.authority() else { return false };
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return false,
        };
        let authority = authority.as_str();
        (https && self.unlisted != Unlisted::Nothing && authority::ends_in_a_name(authority))
            || self.listed.iter().any(|origin| origin.https == https && *origin.authority == *authority)
    }

    #[inline(never)]
    fn judge_normalised(&self, uri: &Uri) -> Destination {
        match (uri.scheme(), uri.authority()) {
            (Some(scheme), Some(authority)) if self.allows(scheme, authority.as_str()) => Destination::Allowed,
            (Some(_), Some(_)) => Destination::Foreign,
            _ => self.judge_relative(uri),
        }
    }

    fn judge_relative(&self, uri: &Uri) -> Destination {
        let Some(connection) = self.relative.and_then(|index| self.listed.get(index)) else { return Destination::Unknown };
        match (uri.scheme(), uri.authority()) {
            (None, None) => Destination::Allowed,
            (None, Some(authority)) if self.allows(&connection.scheme, authority.as_str()) => Destination::Allowed,
            _ => Destination::Unknown,
        }
    }

    fn allows(&self, scheme: &Scheme, authority: &str) -> bool {
        let Some(default_port) = authority::default_port(scheme) else { return false };
        // The last `@` ends the user info, as for `http::Uri`, which connectors ask for the host.
        let authority = authority.rsplit_once('@').map_or(authority, |(_, rest)| rest);
        let Ok((host, port)) = authority::split(authority) else { return false };
        let port = port.unwrap_or(default_port);
        self.listed.iter().any(|origin| origin.scheme == *scheme && origin.port == port && origin.host.is(&host))
            || match self.unlisted {
                Unlisted::Nothing => false,
                Unlisted::Secure => host.is_secure_over(scheme),
                Unlisted::Everything => true,
            }
    }

    fn none() -> Origins {
        Origins { listed: Arc::from([]), unlisted: Unlisted::Nothing, relative: None }
    }

    /// With `origin` listed, once, and where.
    fn with(self, origin: Origin) -> (Origins, usize) {
        if let Some(index) = self.listed.iter().position(|listed| *listed == origin) {
            return (self, index);
        }
        let index = self.listed.len();
        (Origins { listed: self.listed.iter().cloned().chain([origin]).collect(), ..self }, index)
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origins")
            .field("listed", &self.listed)
            .field("unlisted", &self.unlisted)
            .field("relative_as", &self.relative.and_then(|index| self.listed.get(index)))
            .finish()
    }
}

/// One entry of the list.
#[derive(Clone, PartialEq, Eq)]
struct Origin {
    scheme: Scheme,
    /// Whether that is `https`, and not `http`: comparing schemes is a call.
    https: bool,
    /// As a URI usually has it: lower case, no default port.
    authority: Box<str>,
    host: Host<Box<str>>,
    port: u16,
}

impl Origin {
    fn parse(entry: &str) -> Result<Origin, TokenError> {
        Origin::read(entry).map_err(|flaw| TokenError::new(ErrorKind::Misconfigured, format!("an origin {flaw}")))
    }

    fn read(entry: &str) -> Result<Origin, &'static str> {
        if !entry.is_ascii() {
            return Err("has a non-ASCII character: write its host in punycode (`xn--...`)");
        }
        let Some((scheme, rest)) = entry.split_once("://") else {
            return Err("is not a URL: it is written `https://host` or `https://host:port`");
        };
        let scheme = match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => Scheme::HTTPS,
            _ if scheme.eq_ignore_ascii_case("http") => Scheme::HTTP,
            _ => return Err("has a scheme other than `https` and `http`"),
        };
        let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (host, port) = authority::configured(authority)?;
        match tail {
            "" | "/" => {}
            _ if tail.contains('#') => return Err("has a fragment: leave out what is from the `#` on"),
            _ if tail.contains('?') => return Err("has a query: leave out what is from the `?` on"),
            _ => return Err("has a path: leave out what follows host and port"),
        }
        let default_port = authority::default_port(&scheme).unwrap_or_default();
        let port = port.unwrap_or(default_port);
        let host = match host {
            Host::Name(name) => Host::Name(name.to_ascii_lowercase().into_boxed_str()),
            Host::V6(address) => Host::V6(address),
        };
        let authority = if port == default_port { host.to_string() } else { format!("{host}:{port}") };
        Ok(Origin { https: scheme == Scheme::HTTPS, scheme, authority: authority.into_boxed_str(), host, port })
    }

    /// RFC 6750 section 5.3: a bearer token is not for the clear.
    fn must_be_secure(&self, otherwise: &'static str) -> Result<(), TokenError> {
        if self.host.is_secure_over(&self.scheme) {
            return Ok(());
        }
        Err(TokenError::new(ErrorKind::Misconfigured, otherwise))
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::{Destination::*, *};

    fn origins(entry: &str) -> Origins {
        Origins::parse_allowing_plain_http(entry).unwrap()
    }

    fn judge(origins: &Origins, uri: &str) -> Destination {
        origins.judge(&uri.parse().unwrap_or_else(|_| panic!("{uri} is no URI")))
    }

    /// S1, X1: which URLs are the entry's origin, however they are written.
    #[test]
    fn one_entry() {
        for (entry, uri, expected) in [
            ("https://api.example.com", "https://api.example.com/", Allowed),
            ("https://api.example.com", "https://api.example.com", Allowed),
            ("https://api.example.com/", "https://api.example.com/v1?q=1", Allowed),
            ("HTTPS://API.example.COM", "https://api.example.com/", Allowed),
            ("https://api.example.com.", "https://api.example.com/", Allowed),
            ("https://api.example.com:", "https://api.example.com/", Allowed),
            ("https://api.example.com:443", "https://api.example.com/", Allowed),
            ("https://api.example.com", "HTTPS://Api.Example.Com/", Allowed),
            ("https://api.example.com", "https://api.example.com./", Allowed),
            ("https://api.example.com", "https://api.example.com:443/", Allowed),
            ("https://api.example.com", "https://api.example.com:0443/", Allowed),
            ("https://api.example.com", "https://api.example.com:/", Allowed),
            ("https://api.example.com", "https://API.example.com.:443/", Allowed),
            ("https://api.example.com", "https://user:pass@api.example.com/", Allowed),
            ("https://api.example.com", "https://evil.test:443@api.example.com/", Allowed),
            ("https://api.example.com", "https://evil.test@x@api.example.com/", Allowed),
            ("https://api.example.com", "https://api.example.com//evil.test/", Allowed),
            ("https://api.example.com", "https://api.example.com/@evil.test", Allowed),
            ("https://api.example.com:8443", "https://api.example.com:8443/", Allowed),
            ("https://my_host", "https://my_host/", Allowed),
            ("https://xn--mnchen-3ya.example", "https://XN--mnchen-3ya.example/", Allowed),
            // Another host.
            ("https://api.example.com", "https://evil.test/", Foreign),
            ("https://api.example.com", "https://example.com/", Foreign),
            ("https://api.example.com", "https://v2.api.example.com/", Foreign),
            ("https://api.example.com", "https://evilapi.example.com/", Foreign),
            ("https://api.example.com", "https://api.example.com.evil.test/", Foreign),
            ("https://api.example.com", "https://api.example.com../", Foreign),
            ("https://api.example.com", "https://.api.example.com/", Foreign),
            ("https://api.example.com", "https://api.example.com@evil.test/", Foreign),
            ("https://api.example.com", "https://api.example.com:443@evil.test/", Foreign),
            ("https://api.example.com", "https://x@api.example.com@evil.test/", Foreign),
            ("https://api.example.com", "https://:443/", Foreign),
            ("https://api.example.com", "https://./", Foreign),
            ("https://api.example.com", "https://[::1]/", Foreign),
            ("https://api.example.com", "https://evil.test:[x]api.example.com/", Foreign),
            ("https://api.example.com", "https://evil.test,api.example.com/", Foreign),
            // Another scheme.
            ("https://api.example.com", "http://api.example.com/", Foreign),
            ("https://api.example.com", "http://api.example.com:443/", Foreign),
            ("http://api.example.com", "https://api.example.com/", Foreign),
            ("http://api.example.com", "https://api.example.com:80/", Foreign),
            ("https://api.example.com", "wss://api.example.com/", Foreign),
            ("https://api.example.com", "ftp://api.example.com/", Foreign),
            // Another port. The one above 65535 goes to 443 in a connector that asks `Uri::port`.
            ("https://api.example.com", "https://api.example.com:8443/", Foreign),
            ("https://api.example.com", "https://api.example.com:80/", Foreign),
            ("https://api.example.com", "https://api.example.com:0/", Foreign),
            ("https://api.example.com", "https://api.example.com:65536/", Foreign),
            ("https://api.example.com", "https://api.example.com:65979/", Foreign),
            ("https://api.example.com", "https://api.example.com:99999999999999999999/", Foreign),
            ("https://api.example.com", "https://api.example.com:+443/", Foreign),
            ("https://api.example.com", "https://api.example.com:443x/", Foreign),
            ("https://api.example.com:8443", "https://api.example.com/", Foreign),
            ("http://api.example.com", "http://api.example.com:80/", Allowed),
            // Addresses.
            ("https://[2001:db8::1]", "https://[2001:db8::1]/", Allowed),
            ("https://[2001:db8::1]", "https://[2001:0DB8:0:0:0:0:0:1]:443/", Allowed),
            ("https://[2001:db8:0:0::1]:8443", "https://[2001:db8::1]:8443/", Allowed),
            ("https://[2001:db8::1]", "https://[2001:db8::2]/", Foreign),
            ("https://[2001:db8::1]", "https://[2001:db8::1]:8443/", Foreign),
            ("https://[2001:db8::1]", "https://[2001:db8::1]x/", Foreign),
            ("https://[fe80::1]", "https://[fe80::1%25eth0]/", Foreign),
            ("https://[::ffff:192.0.2.1]", "https://192.0.2.1/", Foreign),
            ("https://192.0.2.1", "https://192.0.2.1/", Allowed),
            ("https://192.0.2.1", "https://192.0.2.1./", Foreign),
            ("https://192.0.2.1", "https://192.0.513/", Foreign),
            ("https://192.0.2.1", "https://3221225985/", Foreign),
            ("https://192.0.2.1", "https://0xc0000201/", Foreign),
            ("https://192.0.2.1", "https://192.0.2.01/", Foreign),
            ("https://127.1", "https://127.1/", Allowed),
            ("https://127.1", "https://127.0.0.1/", Foreign),
            ("https://127.0.0.1", "https://127.1/", Foreign),
            ("https://0X7F.1", "https://0x7f.1/", Allowed),
        ] {
            assert_eq!(judge(&origins(entry), uri), expected, "{entry}: {uri}");
        }
    }

    /// What no parser makes but a program can: connectors do not take these for the schemes that they resemble.
    #[test]
    fn a_scheme_built_in_capitals_is_foreign() {
        let uri = Uri::builder().scheme("HTTPS").authority("api.example.com").path_and_query("/").build().unwrap();
        assert_eq!(origins("https://api.example.com").judge(&uri), Foreign);
        assert_eq!(Origins::any().allow_plain_http().judge(&uri), Foreign);
    }

    /// S1, S2: each error says what is wrong and holds nothing of the entry.
    #[test]
    fn entries_that_are_errors() {
        for (entry, named) in [
            ("", "not a URL"),
            ("sekret.example", "not a URL"),
            ("sekret.example:443", "not a URL"),
            ("//sekret.example", "not a URL"),
            ("https:/sekret.example", "not a URL"),
            ("/sekret", "not a URL"),
            ("*", "not a URL"),
            ("ftp://sekret.example", "scheme"),
            ("*://sekret.example", "scheme"),
            (" https://sekret.example", "scheme"),
            ("://sekret.example", "scheme"),
            ("https://", "no host"),
            ("https:///", "no host"),
            ("https://.", "wildcard"),
            ("https://:8443", "no host"),
            ("https://sekret.example/v1", "path"),
            ("https://sekret.example//", "path"),
            ("https://sekret.example/?", "query"),
            ("https://sekret.example?sekret=1", "query"),
            ("https://sekret.example/sekret?sekret", "query"),
            ("https://sekret.example#", "fragment"),
            ("https://sekret.example/?a#sekret", "fragment"),
            ("https://user:sekret@example.com", "user info"),
            ("https://sekret@example.com/", "user info"),
            ("https://@example.com", "user info"),
            ("https://*.sekret.example", "wildcard"),
            ("https://*", "wildcard"),
            ("https://sekret.example:*", "wildcard"),
            ("https://.sekret.example", "wildcard"),
            ("https://sekrét.example", "punycode"),
            ("https://sekret.example ", "character"),
            ("https://sekret.example\n", "character"),
            ("https://sek%72et.example", "character"),
            ("https://sekret.example\\@evil.test", "user info"),
            ("https://sekret.example\\evil.test", "character"),
            ("https://sekret,evil.test", "character"),
            ("https://sekret..example", "dots in a row"),
            ("https://sekret.example..", "dots in a row"),
            ("https://sekret.example:65536", "above 65535"),
            ("https://sekret.example:0", "port 0"),
            ("https://sekret.example:https", "not a number"),
            ("https://sekret.example:+443", "not a number"),
            ("https://sekret.example:-1", "not a number"),
            ("https://::1", "in brackets"),
            ("https://[::1", "in brackets"),
            ("https://[sekret]", "in brackets"),
            ("https://[fe80::1%25sekret]", "in brackets"),
            ("https://[::1]8443", "after its host"),
            ("https://[::1]:", ""),
        ] {
            let errors = [
                entry.parse::<Origins>().err(),
                Origins::parse_allowing_plain_http(entry).err(),
                Origins::any().and(entry).err(),
                Origins::any().and_allowing_plain_http(entry).err(),
                Origins::any().relative_as(entry).err(),
            ];
            for error in errors {
                let Some(error) = error else {
                    assert_eq!(named, "", "{entry} is no error");
                    continue;
                };
                assert_eq!(error.kind(), ErrorKind::Misconfigured);
                assert!(error.to_string().contains(named), "{entry}: {error}");
                assert!(!format!("{error} {error:?}").contains("sek"), "{entry}: {error}");
            }
        }
    }

    /// S2: in the clear to loopback only, where an address counts as loopback only in its plain form.
    #[test]
    fn plain_http_needs_loopback_or_an_opt_in() {
        let loopback =
            ["localhost", "LOCALHOST", "localhost.", "localhost:8080", "127.0.0.1", "127.255.0.1:80", "[::1]", "[0:0::1]:9"];
        for host in loopback {
            let entry = format!("http://{host}");
            entry.parse::<Origins>().unwrap();
            Origins::any().relative_as(&entry).unwrap();
            assert_eq!(judge(&Origins::any(), &entry), Allowed, "{entry}");
        }
        for host in [
            "api.example.com",
            "10.0.0.7:8080",
            "0.0.0.0",
            "[::]",
            "[::ffff:127.0.0.1]",
            "127.1",
            "0x7f.1",
            "0177.0.0.1",
            "127.0.0.01",
            "127.0.0.1.",
            "2130706433",
            "localhost.example.com",
            "evil.localhost",
            "localhost.localdomain",
        ] {
            let entry = format!("http://{host}");
            let error = entry.parse::<Origins>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misconfigured);
            assert!(error.to_string().contains("`Origins::parse_allowing_plain_http`"), "{entry}: {error}");
            let error = Origins::any().relative_as(&entry).unwrap_err();
            assert!(error.to_string().contains("`Origins::and_allowing_plain_http`"), "{entry}: {error}");

            assert_eq!(judge(&Origins::any(), &entry), Foreign, "{entry}");
            assert_eq!(judge(&Origins::any().allow_plain_http(), &entry), Allowed, "{entry}");
            assert_eq!(judge(&Origins::any().and_allowing_plain_http(&entry).unwrap(), &entry), Allowed, "{entry}");
            assert_eq!(judge(&Origins::parse_allowing_plain_http(&entry).unwrap(), &entry), Allowed, "{entry}");
        }
    }

    #[test]
    fn any_is_every_https_origin_that_a_connector_cannot_misread() {
        for (uri, expected) in [
            ("https://api.example.com/", Allowed),
            ("https://evil.test:8443/", Allowed),
            ("https://user@[2001:db8::1]/", Allowed),
            ("https://127.1/", Allowed),
            ("https://evil.test:65536/", Foreign),
            ("https://:443/", Foreign),
            ("wss://evil.test/", Foreign),
        ] {
            assert_eq!(judge(&Origins::any(), uri), expected, "{uri}");
            assert_eq!(judge(&Origins::any().allow_plain_http(), uri), expected, "{uri}");
        }
    }

    #[test]
    fn a_list_is_not_widened_to_plain_http() {
        let origins = "https://api.example.com".parse::<Origins>().unwrap().allow_plain_http();
        assert_eq!(judge(&origins, "http://api.example.com/"), Foreign);
        assert_eq!(judge(&origins, "http://localhost/"), Foreign);
    }

    #[test]
    fn several_entries() {
        let origins = "https://a.test".parse::<Origins>().unwrap().and("https://b.test:8443").unwrap();
        let origins = origins.and("https://A.test:443/").unwrap().and_allowing_plain_http("http://c.test").unwrap();
        assert_eq!(origins.listed.len(), 3, "{origins:?}");
        for (uri, expected) in [
            ("https://a.test/", Allowed),
            ("https://b.test:8443/", Allowed),
            ("http://c.test/", Allowed),
            ("https://b.test/", Foreign),
            ("https://a.test:8443/", Foreign),
            ("http://a.test/", Foreign),
            ("https://c.test/", Foreign),
        ] {
            assert_eq!(judge(&origins, uri), expected, "{uri}");
        }
    }

    /// `None` of an origin or an authority is never silently bare.
    #[test]
    fn uris_without_scheme_or_authority() {
        let list = origins("https://api.example.com").and("https://files.example.com:8443").unwrap();
        let mesh = origins("http://pets.internal:50051").relative_as("http://pets.internal:50051").unwrap();
        let moved = list.clone().relative_as("https://old.test").unwrap().relative_as("https://api.example.com").unwrap();
        for (origins, uri, expected) in [
            (&list, "/v1?q=1", Unknown),
            (&list, "*", Unknown),
            (&list, "api.example.com", Unknown),
            (&list, "api.example.com:443", Unknown),
            (&Origins::any(), "/v1", Unknown),
            (&Origins::any(), "*", Unknown),
            (&Origins::any(), "api.example.com:443", Unknown),
            (&Origins::any().allow_plain_http(), "/v1", Unknown),
            (&list.clone().relative_as("https://api.example.com").unwrap(), "/v1?q=1", Allowed),
            (&list.clone().relative_as("https://api.example.com").unwrap(), "//evil.test/", Allowed),
            (&list.clone().relative_as("https://new.test").unwrap(), "*", Allowed),
            (&list.clone().relative_as("https://new.test").unwrap(), "https://new.test/", Allowed),
            (&list.clone().relative_as("https://new.test").unwrap(), "https://evil.test/", Foreign),
            (&list.clone().relative_as("https://new.test").unwrap(), "new.test:443", Allowed),
            (&list.clone().relative_as("https://new.test").unwrap(), "user@NEW.test", Allowed),
            (&list.clone().relative_as("https://new.test").unwrap(), "files.example.com:8443", Allowed),
            (&list.clone().relative_as("https://new.test").unwrap(), "files.example.com", Unknown),
            (&list.clone().relative_as("https://new.test").unwrap(), "evil.test:443", Unknown),
            (&list.clone().relative_as("https://new.test").unwrap(), "new.test:80", Unknown),
            (&list.clone().relative_as("https://new.test").unwrap(), "new.test:65979", Unknown),
            (&moved, "/", Allowed),
            (&moved, "https://old.test/", Allowed),
            (&mesh, "/", Allowed),
            (&mesh, "pets.internal:50051", Allowed),
            (&mesh, "pets.internal", Unknown),
            (&mesh, "https://pets.internal:50051", Foreign),
            (&Origins::any().relative_as("https://api.example.com").unwrap(), "evil.test:443", Allowed),
            (&Origins::any().relative_as("http://localhost").unwrap(), "evil.test:80", Unknown),
            (&Origins::any().allow_plain_http().relative_as("http://c.test").unwrap(), "/", Allowed),
        ] {
            assert_eq!(judge(origins, uri), expected, "{origins:?}: {uri}");
        }
    }

    #[test]
    fn debug_reads_like_the_entries() {
        let origins = origins("https://API.example.com:443/").relative_as("https://[::1]:8443").unwrap();
        let listed = "listed: [https://api.example.com, https://[::1]:8443]";
        let expected = format!("Origins {{ {listed}, unlisted: Nothing, relative_as: Some(https://[::1]:8443) }}");
        assert_eq!(format!("{origins:?}"), expected);
    }

    /// URLs that are near one another: most pairs share a host, a port or a scheme in some spelling.
    fn near() -> impl Strategy<Value = String> {
        let host = prop_oneof![
            "(a|A|b)(\\.|\\.t|\\.T|\\.t\\.){0,2}",
            "(127\\.0\\.0\\.1|127\\.1|0x7f\\.1|2130706433|localhost)\\.?",
            "\\[(::1|0:0::1|::2|::FFFF:127\\.0\\.0\\.1)\\]",
            "[a-b.:@\\[\\]0-9]{0,8}",
        ];
        ("https?", "((a|b)(:b)?@)?", host, "(:|:443|:80|:0443|:8443|:65536|:65979|:x)?", "(/|/a@b)?")
            .prop_map(|(scheme, user, host, port, path)| format!("{scheme}://{user}{host}{port}{path}"))
    }

    /// The origin as the WHATWG's parser has it, less one trailing dot.
    fn oracle(url: &str) -> Option<(String, String, u16)> {
        let url = Url::parse(url).ok()?;
        let host = url.host_str()?;
        Some((url.scheme().to_owned(), host.strip_suffix('.').unwrap_or(host).to_owned(), url.port_or_known_default()?))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        /// S1: what is allowed has scheme, host and port of the entry in another parser's eyes too.
        #[test]
        fn allowed_is_the_same_origin(entry in near(), url in near()) {
            let (Ok(origins), Ok(uri)) = (Origins::parse_allowing_plain_http(&entry), url.parse::<Uri>()) else { return Ok(()) };
            if origins.judge(&uri) == Allowed {
                prop_assert_eq!(oracle(&entry), oracle(&url));
                prop_assert!(oracle(&url).is_some());
            }
        }

        /// And the other way round for names and IPv6 addresses: no spelling of the entry's own origin is missed.
        #[test]
        fn the_same_origin_is_allowed(host in "(a|b)(\\.t)?|\\[::1\\]", port in "(:443|:80|:8443)?", url in near()) {
            let without_user = url.split_once('@').map_or(url.clone(), |(_, rest)| format!("https://{rest}"));
            for entry in [format!("https://{host}{port}"), without_user] {
                let (Ok(origins), Ok(uri)) = (Origins::parse_allowing_plain_http(&entry), url.parse::<Uri>()) else { continue };
                let numeric = oracle(&entry).is_some_and(|(_, host, _)| host.starts_with(|first: char| first.is_ascii_digit()));
                // What the other parser cannot read at all, as `a.0`, is no origin to agree about.
                if !numeric && oracle(&entry).is_some() && oracle(&entry) == oracle(&url) {
                    prop_assert_eq!(origins.judge(&uri), Allowed, "{} {}", entry, url);
                }
            }
        }

        /// What is written as its entry is found by text alone, and so is whatever the entry was written like.
        #[test]
        fn an_entry_allows_itself(entry in near()) {
            let Ok(origins) = Origins::parse_allowing_plain_http(&entry) else { return Ok(()) };
            prop_assert_eq!(judge(&origins, &entry), Allowed);
            let canonical = format!("{:?}", origins.listed[0]);
            prop_assert_eq!(judge(&origins, &canonical), Allowed);
            prop_assert!(Origins::parse_allowing_plain_http(&canonical).unwrap().listed[0] == origins.listed[0]);
        }

        /// Total: any URI is judged, any entry is an origin or an error that shows nothing of it.
        #[test]
        fn no_uri_and_no_entry_panics(uri in "([a-z]{1,5}://)?[!-~]{0,24}", entry in "(https?://)?.{0,16}") {
            if let Ok(uri) = uri.parse::<Uri>() {
                for origins in [Origins::any(), origins("https://a.test").relative_as("https://b.test").unwrap()] {
                    origins.judge(&uri);
                }
            }
            if let Err(error) = entry.parse::<Origins>() {
                prop_assert!(error.to_string().starts_with("an origin ") || error.to_string().starts_with("plain http "));
            }
        }
    }
}
