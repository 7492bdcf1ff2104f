use bytes::{Buf, Bytes};
use http::{
    Extensions, HeaderMap, Method, Request, Uri, Version,
    header::{HeaderName, HeaderValue},
};

use super::replay::Kept;

/// A request, kept so that it can be sent again.
///
/// Method, URI and headers are written into one flat buffer: one allocation and no reference count that other threads share,
/// where a clone would take several of both. It is read back only on a 401.
pub(super) struct Snapshot<B> {
    /// Boxed, and with the version in it: each word here is one more in the future of every response.
    head: Box<[u8]>,
    extensions: Extensions,
    body: Kept<B>,
}

impl<B> Snapshot<B> {
    /// Takes a copy of `request`, before it gets the token, with `body` in the place of its own. `None` if its head is of 2 GiB
    /// and more.
    pub(super) fn new(request: &Request<B>, body: Kept<B>) -> Option<Snapshot<B>> {
        let head = write(request)?.into_boxed_slice();
        Some(Snapshot { head, extensions: request.extensions().clone(), body })
    }

    /// The request again; `None` if its body turns out not to be repeatable.
    pub(super) fn restore(self) -> Option<Request<B>> {
        let (version, method, uri, headers) = read(Bytes::from(self.head))?;
        let mut request = Request::new(self.body.into_body()?);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.version_mut() = version;
        *request.headers_mut() = headers;
        *request.extensions_mut() = self.extensions;
        Some(request)
    }
}

// The buffer: the version; the lengths of the method and of the three parts of the URI, then those four; for each header the two
// lengths of name and value, then those two.

/// A length, as it is written.
type Length = u32;

/// Marks the length of a value that is sensitive. No length reaches it, since the whole buffer is shorter.
const SENSITIVE: Length = 1 << 31;

/// The versions that there are, by their number in the buffer.
const VERSIONS: [Version; 5] = [Version::HTTP_11, Version::HTTP_2, Version::HTTP_10, Version::HTTP_3, Version::HTTP_09];

fn write<B>(request: &Request<B>) -> Option<Vec<u8>> {
    let uri = request.uri();
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let start = [request.method().as_str(), scheme, authority, path];
    let version = VERSIONS.iter().position(|version| *version == request.version())?;

    let size = start.iter().fold(1 + start.len() * size_of::<Length>(), |size, text| size + text.len());
    let size = request
        .headers()
        .iter()
        .fold(size, |size, (name, value)| size + 2 * size_of::<Length>() + name.as_str().len() + value.len());
    if size >= SENSITIVE as usize {
        return None;
    }
    let mut head = Vec::with_capacity(size);
    head.push(version as u8);
    put_lengths(&mut head, start.map(|text| text.len() as Length));
    for text in start {
        head.extend_from_slice(text.as_bytes());
    }
    for (name, value) in request.headers() {
        let flag = if value.is_sensitive() { SENSITIVE } else { 0 };
        put_lengths(&mut head, [name.as_str().len() as Length, value.len() as Length | flag]);
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    Some(head)
}

fn read(mut head: Bytes) -> Option<(Version, Method, Uri, HeaderMap)> {
    let version = *VERSIONS.get(usize::from(head.try_get_u8().ok()?))?;
    let [method, scheme, authority, path] = take_lengths(&mut head)?;
    let method = Method::from_bytes(&take(&mut head, method)?).ok()?;
    let mut uri = http::uri::Parts::default();
    if scheme != 0 {
        uri.scheme = Some(take(&mut head, scheme)?.as_ref().try_into().ok()?);
    }
    if authority != 0 {
        uri.authority = Some(http::uri::Authority::from_maybe_shared(take(&mut head, authority)?).ok()?);
    }
    if path != 0 {
        uri.path_and_query = Some(http::uri::PathAndQuery::from_maybe_shared(take(&mut head, path)?).ok()?);
    }
    let mut headers = HeaderMap::new();
    while !head.is_empty() {
        let [name, value] = take_lengths(&mut head)?;
        let name = HeaderName::from_bytes(&take(&mut head, name)?).ok()?;
        let sensitive = value & SENSITIVE != 0;
        let mut value = HeaderValue::from_maybe_shared(take(&mut head, value & !SENSITIVE)?).ok()?;
        value.set_sensitive(sensitive);
        headers.try_append(name, value).ok()?;
    }
    Some((version, method, Uri::from_parts(uri).ok()?, headers))
}

fn put_lengths<const N: usize>(head: &mut Vec<u8>, lengths: [Length; N]) {
    head.extend_from_slice(lengths.map(Length::to_be_bytes).as_flattened());
}

fn take_lengths<const N: usize>(head: &mut Bytes) -> Option<[Length; N]> {
    let mut lengths = [0; N];
    for length in &mut lengths {
        *length = head.try_get_u32().ok()?;
    }
    Some(lengths)
}

fn take(head: &mut Bytes, length: Length) -> Option<Bytes> {
    let length = length as usize;
    (length <= head.len()).then(|| head.split_to(length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(request: &Request<String>) -> Request<String> {
        Snapshot::new(request, Kept::body(request.body().clone())).unwrap().restore().unwrap()
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
        let versions = VERSIONS.into_iter().cycle();
        for (uri, version) in [
            "https://example.com",
            "https://u@example.com:8443/a/b?c=d",
            "/origin/form?q",
            "*",
            "example.com:443",
            "http://[::1]/",
        ]
        .into_iter()
        .zip(versions)
        {
            let mut secret = HeaderValue::from_static("cookie");
            secret.set_sensitive(true);
            let request = Request::builder()
                .method("PROPFIND")
                .uri(uri)
                .version(version)
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
    fn a_copy_is_one_allocation() {
        let request = Request::get("https://example.com/path").header("a", "b").header("c", "d").body(()).unwrap();
        let head = write(&request).unwrap();
        assert_eq!(head.len(), head.capacity(), "the buffer has the right size from the start");
    }
}
