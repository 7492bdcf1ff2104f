//! Which host and port does a URL name? One reader for requests and for configuration, so that both mean the same place.
//!
//! `http::Uri` is not asked: it reads a port above 65535 as no port, so that the default would be meant, and `+443` as 443.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use http::uri::Scheme;

/// A host without its port; a name, which a dotted IPv4 address is too, has no trailing dot.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Host<N> {
    Name(N),
    V6(Ipv6Addr),
}

impl<N: AsRef<str>> Host<N> {
    pub(crate) fn is<M: AsRef<str>>(&self, other: &Host<M>) -> bool {
        match (self, other) {
            (Host::Name(name), Host::Name(other)) => name.as_ref().eq_ignore_ascii_case(other.as_ref()),
            (Host::V6(address), Host::V6(other)) => address == other,
            _ => false,
        }
    }

    /// Whether a secret may go there: RFC 6750 section 5.3, a bearer token is not for the clear.
    pub(crate) fn is_secure_over(&self, scheme: &Scheme) -> bool {
        *scheme == Scheme::HTTPS || (*scheme == Scheme::HTTP && self.is_loopback())
    }

    /// `0x7f.1`, `0177.0.0.1` and their like reach loopback through some resolvers and not through others, so they do not count.
    fn is_loopback(&self) -> bool {
        match self {
            Host::Name(name) => {
                let name = name.as_ref();
                name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
            }
            Host::V6(address) => address.is_loopback(),
        }
    }
}

impl<N: AsRef<str>> fmt::Display for Host<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name.as_ref()),
            Host::V6(address) => write!(f, "[{address}]"),
        }
    }
}

/// Host and port of an authority without user info, or what is wrong with it.
pub(crate) fn split(authority: &str) -> Result<(Host<&str>, Option<u16>), &'static str> {
    if let Some(rest) = authority.strip_prefix('[') {
        let flaw = "has a bracket, but no IPv6 address in brackets";
        let (address, rest) = rest.split_once(']').ok_or(flaw)?;
        let address = address.parse().map_err(|_| flaw)?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((Host::V6(address), port_of(port)?)),
            None if rest.is_empty() => Ok((Host::V6(address), None)),
            None => Err("has something other than a port after its host"),
        };
    }
    let (name, port) = authority.split_once(':').unwrap_or((authority, ""));
    if port.contains(':') {
        return Err("has too many colons: an IPv6 address is written in brackets");
    }
    let port = port_of(port)?;
    Ok((Host::Name(name_of(name)?), port))
}

/// As [`split`], for an authority that a person wrote down: whatever names no single place to connect to is an error.
pub(crate) fn configured(authority: &str) -> Result<(Host<&str>, Option<u16>), &'static str> {
    if authority.contains('@') {
        return Err("has user info: leave out what is before the `@`");
    }
    if authority.contains('*') || authority.starts_with('.') {
        return Err("has a wildcard: name each host by itself");
    }
    match split(authority)? {
        (_, Some(0)) => Err("has port 0, to which nothing connects"),
        host_and_port => Ok(host_and_port),
    }
}

/// Whether the authority of a URI ends in a letter: it is a host name then, perhaps after user info, and has no port.
#[inline]
pub(crate) fn ends_in_a_name(authority: &str) -> bool {
    authority.as_bytes().last().is_some_and(u8::is_ascii_alphabetic)
}

fn name_of(text: &str) -> Result<&str, &'static str> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.is_empty() {
        return Err("has no host");
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')) {
        return Err("has a character that no host name has");
    }
    if name.split('.').any(str::is_empty) {
        return Err("has two dots in a row in its host, or one before it");
    }
    // What may be read as an IPv4 address is left as it is: with a dot at its end it would be a name for the resolver to answer.
    let numeric = name.rsplit('.').next().is_some_and(|label| label.starts_with(|first: char| first.is_ascii_digit()));
    Ok(if numeric { text } else { name })
}

/// The port that `text` names; none if it is empty (RFC 3986 section 3.2.3).
fn port_of(text: &str) -> Result<Option<u16>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("has a port that is not a number");
    }
    text.parse().map(Some).map_err(|_| "has a port above 65535")
}

pub(crate) fn default_port(scheme: &Scheme) -> Option<u16> {
    match scheme {
        _ if *scheme == Scheme::HTTPS => Some(443),
        _ if *scheme == Scheme::HTTP => Some(80),
        _ => None,
    }
}
