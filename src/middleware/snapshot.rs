use std::{
    mem,
    sync::atomic::{AtomicUsize, Ordering},
};

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
    /// Boxed, and with the version in it: each word here is one more in the future of every response. Zeros may follow it.
    head: Box<[u8]>,
    extensions: Extensions,
    body: Kept<B>,
}

impl<B> Snapshot<B> {
    /// Takes a copy of `request`, before it gets the token, with `body` in the place of its own. `None` if its head is of 2 GiB
    /// and more.
    pub(super) fn new(request: &Request<B>, body: Kept<B>, room: &Room) -> Option<Snapshot<B>> {
        let head = write(request, room)?;
        Some(Snapshot { head, extensions: request.extensions().clone(), body })
    }

    /// Whether its body is repeatable in any case.
    pub(super) fn is_certain(&self) -> bool {
        self.body.is_certain()
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

/// What the head of a service's next request is likely to take: as much as the last one's took.
///
/// Finding out beforehand is a second pass over the headers, a tenth of what a copy costs. A longer head starts over.
#[derive(Debug)]
pub(super) struct Room(AtomicUsize);

impl Room {
    /// Heads that differ by an identifier's length take the same.
    const STEP: usize = 128;

    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn note(&self, length: usize) {
        let room = length.next_multiple_of(Room::STEP);
        // Clones may share it: it is written only when something changes.
        if room != self.get() {
            self.0.store(room, Ordering::Relaxed);
        }
    }
}

impl Default for Room {
    fn default() -> Room {
        Room((2 * Room::STEP).into())
    }
}

// The buffer: the version; the lengths of the method and of the three parts of the URI, then those four; the number of
// headers; for each the two lengths of name and value, then those two.

/// A length, as it is written.
type Length = u32;

/// Marks the length of a value that is sensitive. No length reaches it, since the whole buffer is shorter.
const SENSITIVE: Length = 1 << 31;

/// The versions that there are, by their number in the buffer.
const VERSIONS: [Version; 5] = [Version::HTTP_11, Version::HTTP_2, Version::HTTP_10, Version::HTTP_3, Version::HTTP_09];

fn write<B>(request: &Request<B>, room: &Room) -> Option<Box<[u8]>> {
    let mut head = vec![0; room.get()].into_boxed_slice();
    let length = match fill(&mut head, request) {
        Some(length) => length,
        None => {
            let size = size(request);
            if size >= SENSITIVE as usize {
                return None;
            }
            head = vec![0; size].into_boxed_slice();
            fill(&mut head, request)?
        }
    };
    room.note(length);
    Some(head)
}

/// Writes the head of a request, and says how long it is; `None` if it does not fit in.
fn fill<B>(head: &mut [u8], request: &Request<B>) -> Option<usize> {
    let mut pen = Pen(head);
    let start = start(request);
    pen.put(&[VERSIONS.iter().position(|version| *version == request.version())? as u8])?;
    pen.put_lengths(start.map(|text| text.len() as Length))?;
    for text in start {
        pen.put(text.as_bytes())?;
    }
    pen.put_lengths([request.headers().len() as Length])?;
    for (name, value) in request.headers() {
        let name = name.as_str().as_bytes();
        let flag = if value.is_sensitive() { SENSITIVE } else { 0 };
        pen.put_lengths([name.len() as Length, value.len() as Length | flag])?;
        pen.put(name)?;
        pen.put(value.as_bytes())?;
    }
    let left = pen.0.len();
    Some(head.len() - left)
}

/// How long it is, for one that is longer than the last one.
#[cold]
fn size<B>(request: &Request<B>) -> usize {
    let start = start(request);
    let size = start.iter().fold(1 + (start.len() + 1) * size_of::<Length>(), |size, text| size + text.len());
    request.headers().iter().fold(size, |size, (name, value)| size + 2 * size_of::<Length>() + name.as_str().len() + value.len())
}

/// What stands before the headers.
fn start<B>(request: &Request<B>) -> [&str; 4] {
    let uri = request.uri();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    [request.method().as_str(), uri.scheme_str().unwrap_or_default(), authority, path]
}

/// Writes to memory until it is full.
struct Pen<'a>(&'a mut [u8]);

impl Pen<'_> {
    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let (here, rest) = mem::take(&mut self.0).split_at_mut_checked(bytes.len())?;
        here.copy_from_slice(bytes);
        self.0 = rest;
        Some(())
    }

    #[inline(always)]
    fn put_lengths<const N: usize>(&mut self, lengths: [Length; N]) -> Option<()> {
        self.put(lengths.map(Length::to_be_bytes).as_flattened())
    }
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
    let [count] = take_lengths(&mut head)?;
    for _ in 0..count {
        let [name, value] = take_lengths(&mut head)?;
        let name = HeaderName::from_bytes(&take(&mut head, name)?).ok()?;
        let sensitive = value & SENSITIVE != 0;
        let mut value = HeaderValue::from_maybe_shared(take(&mut head, value & !SENSITIVE)?).ok()?;
        value.set_sensitive(sensitive);
        headers.try_append(name, value).ok()?;
    }
    Some((version, method, Uri::from_parts(uri).ok()?, headers))
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
        Snapshot::new(request, Kept::body(request.body().clone()), &Room::default()).unwrap().restore().unwrap()
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

    fn of_length(path: usize) -> Request<String> {
        let uri = format!("https://example.com/{}", "p".repeat(path));
        Request::get(uri).header("a", "b").header("c", "d").body(String::new()).unwrap()
    }

    /// One allocation of the right size, from the second request of a length on; a first one that does not fit starts over.
    #[test]
    fn room_is_made_for_what_the_last_request_took() {
        let room = Room::default();
        for (path, before, after) in
            [(10, 256, 128), (10, 128, 128), (500, 561, 640), (500, 640, 640), (510, 640, 640), (10, 640, 128)]
        {
            let request = of_length(path);
            let snapshot = Snapshot::new(&request, Kept::body(String::new()), &room).unwrap();
            assert_eq!((snapshot.head.len(), room.get()), (before, after), "{path}");
            assert_same(&request, &snapshot.restore().unwrap());
        }
    }

    /// Whatever room there is, the copy is whole.
    #[test]
    fn no_room_is_too_small() {
        let request = of_length(20);
        for room in 0..size(&request) + 2 {
            let snapshot = Snapshot::new(&request, Kept::body(String::new()), &Room(room.into())).unwrap();
            assert_same(&request, &snapshot.restore().unwrap());
        }
    }
}
