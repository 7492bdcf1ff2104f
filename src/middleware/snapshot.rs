use bytes::{Buf, Bytes};
use http::{
    Extensions, HeaderMap, Method, Request, Uri, Version,
    header::{HeaderName, HeaderValue},
};

use super::replay::Kept;

/// A request, kept so that it can be sent again.
///
/// Method, URI, version and headers are written into one flat buffer: one allocation and no reference count that other
/// threads share, where a clone would take several of both. It is read back only on a 401.
pub(super) struct Snapshot<B> {
    head: Vec<u8>,
    extensions: Extensions,
    body: Kept<B>,
}

/// Marks the length of a value that is sensitive; no value in memory is that long.
const SENSITIVE: u32 = 1 << 31;

impl<B> Snapshot<B> {
    /// Takes a copy of `request` with `body` in the place of its own, but for the header named `without`: the second request
    /// gets another one. `None` if it holds something of 2 GiB and more.
    pub(super) fn new(request: &Request<B>, body: Kept<B>, without: &HeaderName) -> Option<Snapshot<B>> {
        Some(Snapshot { head: write(request, without)?, extensions: request.extensions().clone(), body })
    }

    /// The request again; `None` if its body turns out not to be repeatable.
    pub(super) fn restore(self) -> Option<Request<B>> {
        let (method, uri, version, headers) = read(Bytes::from(self.head))?;
        let mut request = Request::new(self.body.into_body()?);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.version_mut() = version;
        *request.headers_mut() = headers;
        *request.extensions_mut() = self.extensions;
        Some(request)
    }
}

// The buffer: version, method, the three parts of the URI, then the headers, each piece of text behind its length.

fn write<B>(request: &Request<B>, without: &HeaderName) -> Option<Vec<u8>> {
    let (method, uri, headers) = (request.method().as_str(), request.uri(), request.headers());
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let path = uri.path_and_query().map_or("", |path| path.as_str());

    let fixed = 1 + 4 * LENGTH + method.len() + scheme.len() + authority.len() + path.len();
    let headers = || headers.iter().filter(|(name, _)| *name != without);
    let size = headers().fold(fixed, |size, (name, value)| size + 2 * LENGTH + name.as_str().len() + value.len());
    let mut head = Vec::with_capacity(size);
    head.push(version_tag(request.version())?);
    for text in [method, scheme, authority, path] {
        put(&mut head, text.as_bytes(), 0)?;
    }
    for (name, value) in headers() {
        put(&mut head, name.as_str().as_bytes(), 0)?;
        put(&mut head, value.as_bytes(), if value.is_sensitive() { SENSITIVE } else { 0 })?;
    }
    Some(head)
}

fn read(mut head: Bytes) -> Option<(Method, Uri, Version, HeaderMap)> {
    let version = version_of(head.try_get_u8().ok()?)?;
    let method = Method::from_bytes(&take(&mut head)?.0).ok()?;
    let mut uri = http::uri::Parts::default();
    let (scheme, authority, path) = (take(&mut head)?.0, take(&mut head)?.0, take(&mut head)?.0);
    if !scheme.is_empty() {
        uri.scheme = Some(scheme.as_ref().try_into().ok()?);
    }
    if !authority.is_empty() {
        uri.authority = Some(http::uri::Authority::from_maybe_shared(authority).ok()?);
    }
    if !path.is_empty() {
        uri.path_and_query = Some(http::uri::PathAndQuery::from_maybe_shared(path).ok()?);
    }
    let mut headers = HeaderMap::new();
    while !head.is_empty() {
        let name = HeaderName::from_bytes(&take(&mut head)?.0).ok()?;
        let (value, sensitive) = take(&mut head)?;
        let mut value = HeaderValue::from_maybe_shared(value).ok()?;
        value.set_sensitive(sensitive);
        headers.try_append(name, value).ok()?;
    }
    Some((method, Uri::from_parts(uri).ok()?, version, headers))
}

/// The bytes of a length.
const LENGTH: usize = size_of::<u32>();

fn put(head: &mut Vec<u8>, text: &[u8], flag: u32) -> Option<()> {
    let length = u32::try_from(text.len()).ok().filter(|length| length & SENSITIVE == 0)?;
    head.extend_from_slice(&(length | flag).to_be_bytes());
    head.extend_from_slice(text);
    Some(())
}

fn take(head: &mut Bytes) -> Option<(Bytes, bool)> {
    let length = head.try_get_u32().ok()?;
    let text = (length & !SENSITIVE) as usize;
    (text <= head.len()).then(|| (head.split_to(text), length & SENSITIVE != 0))
}

fn version_tag(version: Version) -> Option<u8> {
    VERSIONS.iter().position(|known| *known == version).and_then(|at| u8::try_from(at).ok())
}

fn version_of(tag: u8) -> Option<Version> {
    VERSIONS.get(usize::from(tag)).copied()
}

const VERSIONS: [Version; 5] = [Version::HTTP_11, Version::HTTP_2, Version::HTTP_3, Version::HTTP_10, Version::HTTP_09];

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;
    use proptest::prelude::*;

    use super::*;

    fn round_trip(request: &Request<String>) -> Request<String> {
        Snapshot::new(request, Kept::body(request.body().clone()), &AUTHORIZATION).unwrap().restore().unwrap()
    }

    fn assert_same(one: &Request<String>, other: &Request<String>) {
        assert_eq!(one.method(), other.method());
        assert_eq!(one.uri(), other.uri());
        assert_eq!(one.version(), other.version());
        assert_eq!(one.headers(), other.headers());
        for (name, value) in one.headers() {
            let sensitive = |request: &Request<String>| {
                request.headers().get_all(name).iter().map(HeaderValue::is_sensitive).collect::<Vec<_>>()
            };
            assert_eq!(sensitive(one), sensitive(other), "{name} {value:?}");
        }
        assert_eq!(one.body(), other.body());
    }

    #[derive(Clone, Debug, PartialEq)]
    struct Mark(u8);

    #[test]
    fn everything_of_a_request_survives() {
        for uri in [
            "https://example.com",
            "https://u@example.com:8443/a/b?c=d",
            "/origin/form?q",
            "*",
            "example.com:443",
            "http://[::1]/",
        ] {
            let mut secret = HeaderValue::from_static("cookie");
            secret.set_sensitive(true);
            let request = Request::builder()
                .method("PROPFIND")
                .uri(uri)
                .version(Version::HTTP_2)
                .header("x-twice", "one")
                .header("x-twice", "two")
                .header("x-empty", "")
                .header("x-obs", HeaderValue::from_bytes(b"caf\xe9").unwrap())
                .header("cookie", secret)
                .extension(Mark(7))
                .body(String::from("body"))
                .unwrap();
            let again = round_trip(&request);
            assert_same(&request, &again);
            assert_eq!(again.extensions().get(), Some(&Mark(7)), "{uri}");
        }
    }

    proptest! {
        #[test]
        fn any_request_survives(
            path in "/[!-\"$-~]{0,40}",
            values in prop::collection::vec(("[a-z][a-z0-9-]{0,10}", prop::collection::vec(0x20_u8..0x7f, 0..60), any::<bool>()), 0..20),
        ) {
            let Ok(uri) = format!("https://example.com{path}").parse::<Uri>() else { return Ok(()) };
            let mut request = Request::builder().uri(uri).body(String::new()).unwrap();
            for (name, value, sensitive) in values {
                let mut value = HeaderValue::from_bytes(&value).unwrap();
                value.set_sensitive(sensitive);
                request.headers_mut().append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
            }
            assert_same(&request, &round_trip(&request));
        }

        /// The reader is total: it is fed by our own writer only, and yet cannot panic.
        #[test]
        fn any_buffer_is_read_or_refused(bytes: Vec<u8>) {
            drop(read(Bytes::from(bytes)));
        }
    }

    #[test]
    fn the_tokens_own_header_is_left_out() {
        let mut request = Request::get("https://example.com/").header(AUTHORIZATION, "Bearer old").body(String::new()).unwrap();
        request.headers_mut().append(AUTHORIZATION, HeaderValue::from_static("another"));
        assert!(round_trip(&request).headers().is_empty());
    }

    #[test]
    fn a_copy_is_one_allocation() {
        let request = Request::get("https://example.com/path").header("a", "b").header("c", "d").body(()).unwrap();
        let head = write(&request, &AUTHORIZATION).unwrap();
        assert_eq!(head.len(), head.capacity(), "the buffer has the right size from the start");
    }
}
