use std::fmt;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{
    HeaderMap,
    header::{AUTHORIZATION, Entry, HeaderName, HeaderValue},
};

use super::{challenge::is_tchar, layer::CallerHeader};
use crate::{
    error::{ErrorKind, TokenError},
    refresh::Cell,
    token::AccessToken,
};

/// An authentication scheme, as a type: [`Bearer`] or [`OAuth`].
pub trait Scheme: sealed::Sealed {
    /// Its name in the `Authorization` header and in challenges.
    const NAME: &'static str;
}

/// `Authorization: Bearer <token>`, RFC 6750.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Bearer;

/// `Authorization: OAuth <token>`, as Yandex and some others have it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OAuth;

impl Scheme for Bearer {
    const NAME: &'static str = "Bearer";
}

impl Scheme for OAuth {
    const NAME: &'static str = "OAuth";
}

mod sealed {
    #[expect(unnameable_types, reason = "that nobody can name it is what seals `Scheme`")]
    pub trait Sealed {}
    impl Sealed for super::Bearer {}
    impl Sealed for super::OAuth {}
}

/// In which header a token goes, and with which word before it.
///
/// # Examples
///
/// ```
/// use http::HeaderName;
/// use tower_token::middleware::HeaderStyle;
///
/// let api_key = HeaderStyle::bare(HeaderName::from_static("x-api-key")); // x-api-key: <token>
/// let word = HeaderStyle::with_word(http::header::AUTHORIZATION, "Token")?; // authorization: Token <token>
/// # drop((api_key, word));
/// # Ok::<(), tower_token::TokenError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HeaderStyle {
    name: HeaderName,
    /// With its space, or empty.
    prefix: String,
}

impl HeaderStyle {
    /// `<name>: <token>`.
    ///
    /// A redirect follower *inside* the layer strips `Authorization` when it leaves the origin, if only for the first hop, but not a
    /// name of your own.
    pub fn bare(name: HeaderName) -> HeaderStyle {
        HeaderStyle { name, prefix: String::new() }
    }

    /// `<name>: <word> <token>`.
    ///
    /// # Errors
    ///
    /// `Misconfigured` unless the word is an RFC 9110 token: letters, digits and ``!#$%&'*+-.^_`|~``.
    pub fn with_word(name: HeaderName, word: &str) -> Result<HeaderStyle, TokenError> {
        if word.is_empty() || !word.bytes().all(is_tchar) {
            let text = "the word before the token is empty or has a character that no authentication scheme may have";
            return Err(TokenError::new(ErrorKind::Misconfigured, text));
        }
        Ok(HeaderStyle { name, prefix: format!("{word} ") })
    }

    pub(super) fn of_scheme<C: Scheme>() -> HeaderStyle {
        HeaderStyle { name: AUTHORIZATION, prefix: format!("{} ", C::NAME) }
    }

    pub(super) fn is_on(&self, headers: &HeaderMap) -> bool {
        headers.contains_key(&self.name)
    }

    /// Puts the header on, or leaves a caller's own; says whether it is on.
    #[inline(always)]
    pub(super) fn put(&self, headers: &mut HeaderMap, header: &Header, callers: CallerHeader) -> Result<bool, TokenError> {
        let value = header.value.clone();
        // A name that is known to the compiler is hashed and copied beforehand.
        let on = match callers {
            // Dearer to look first, and a caller's own header is rare.
            CallerHeader::KeepCallers if self.name == AUTHORIZATION => headers.try_append(AUTHORIZATION, value),
            CallerHeader::KeepCallers => headers.try_append(&self.name, value),
            // In the place of every value of that name.
            CallerHeader::Replace if self.name == AUTHORIZATION => headers.try_insert(AUTHORIZATION, value).map(|_theirs| false),
            CallerHeader::Replace => headers.try_insert(&self.name, value).map(|_theirs| false),
        };
        match on {
            Ok(false) => Ok(true),
            Ok(true) => {
                self.take_last(headers);
                Ok(false)
            }
            Err(_full) => Err(too_many()),
        }
    }

    /// Takes the last value off again.
    #[cold]
    fn take_last(&self, headers: &mut HeaderMap) {
        if let Entry::Occupied(entry) = headers.entry(&self.name) {
            let (name, values) = entry.remove_entry_mult();
            let mut values: Vec<_> = values.collect();
            drop(values.pop());
            for value in values {
                headers.append(name.clone(), value);
            }
        }
    }

    /// Puts the header in the place of whatever has its name: never beside it.
    pub(super) fn insert(&self, headers: &mut HeaderMap, header: &Header) -> Result<(), TokenError> {
        headers.try_insert(&self.name, header.value.clone()).map(drop).map_err(|_full| too_many())
    }

    /// The header for a token: sensitive, so that `Debug` hides it and HTTP/2 does not index it.
    pub(super) fn header(&self, token: &AccessToken) -> Result<Header, TokenError> {
        Header::new(token.generation(), self.prefix.as_bytes(), token.expose_secret().as_bytes())
    }
}

#[cold]
fn too_many() -> TokenError {
    TokenError::new(ErrorKind::Misconfigured, "the request has so many headers that the token does not fit in")
}

/// A token's header value, and which token's it is.
#[derive(Clone)]
pub(super) struct Header {
    pub(super) generation: u64,
    value: HeaderValue,
}

impl Header {
    fn new(generation: u64, prefix: &[u8], secret: &[u8]) -> Result<Header, TokenError> {
        // With room to spare: `Bytes` then have their reference count from the start. Others allocate it at their first clone,
        // in a request, and are dearer to clone ever after.
        let mut text = Vec::with_capacity(prefix.len() + secret.len() + 1);
        text.extend_from_slice(prefix);
        text.extend_from_slice(secret);
        let mut value = HeaderValue::from_maybe_shared(Bytes::from(text)).map_err(|error| {
            TokenError::wrap(ErrorKind::Misconfigured, "the token does not make a header value", error.into())
        })?;
        value.set_sensitive(true);
        Ok(Header { generation, value })
    }

    /// A copy with a reference count of its own: two threads that clone one count fight over its cache line.
    fn deep_copy(&self) -> Option<Header> {
        Header::new(self.generation, &[], self.value.as_bytes()).ok()
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// The current token's header, built once per token and shared by all clones of a service.
#[derive(Debug, Default)]
pub(super) struct SharedHeader(ArcSwapOption<Header>);

impl SharedHeader {
    pub(super) fn get(&self, style: &HeaderStyle, token: &AccessToken) -> Result<Header, TokenError> {
        if let Some(header) = self.of_generation(token.generation()) {
            return Ok(header);
        }
        let header = style.header(token)?;
        self.0.store(Some(header.clone().into()));
        Ok(header)
    }

    fn of_generation(&self, generation: u64) -> Option<Header> {
        self.0.load().as_deref().filter(|header| header.generation == generation).cloned()
    }
}

/// What one clone of a service remembers of the header.
///
/// The second request with a token makes a copy of the clone's own; a clone that lives for one request never pays for that.
#[derive(Debug, Default)]
pub(super) struct LocalHeader {
    own: Option<Header>,
    /// The generation that the last request took from the shared header.
    seen: u64,
}

impl LocalHeader {
    /// The header of the token that may be sent without asking, if there is one and this clone has it.
    #[inline]
    pub(super) fn get(&self, cell: &Cell) -> Option<&Header> {
        // An own copy never has generation 0, which is what a closed cell shows.
        self.own.as_ref().filter(|own| own.generation == cell.generation())
    }

    /// Takes note of a header that was used, and copies it at its second use. Says whether it did.
    pub(super) fn note(&mut self, header: &Header) -> bool {
        let again = self.seen == header.generation;
        self.seen = header.generation;
        if again && self.own.as_ref().is_none_or(|own| own.generation != header.generation) {
            self.own = header.deep_copy();
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(generation: u64) -> AccessToken {
        AccessToken::new("secret").unwrap().stamped(generation, None)
    }

    /// S3, S6: hidden in `Debug`, and never indexed by HPACK.
    #[test]
    fn the_header_is_sensitive_and_redacted() {
        let style = HeaderStyle::of_scheme::<Bearer>();
        let mut headers = HeaderMap::new();
        style.insert(&mut headers, &style.header(&token(1)).unwrap()).unwrap();
        assert_eq!(headers[AUTHORIZATION], "Bearer secret");
        assert!(headers[AUTHORIZATION].is_sensitive());
        assert!(!format!("{headers:?} {:?}", style.header(&token(1)).unwrap()).contains("secret"));
    }

    /// H4: inserted, never appended.
    #[test]
    fn insert_replaces_every_value_of_the_name() {
        let style = HeaderStyle::of_scheme::<OAuth>();
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("one"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("two"));
        style.insert(&mut headers, &style.header(&token(1)).unwrap()).unwrap();
        assert_eq!(headers.get_all(AUTHORIZATION).iter().collect::<Vec<_>>(), ["OAuth secret"]);
    }

    /// H4: a caller's own header stays as it was, all values of it and their order, under any name.
    #[test]
    fn a_callers_values_are_put_back() {
        for style in [HeaderStyle::of_scheme::<Bearer>(), HeaderStyle::bare(HeaderName::from_static("x-api-key"))] {
            let header = style.header(&token(1)).unwrap();
            for count in 0..4 {
                let mut headers = HeaderMap::new();
                headers.insert("x-other", HeaderValue::from_static("other"));
                for n in 0..count {
                    let mut value = HeaderValue::from(n);
                    value.set_sensitive(n == 1);
                    headers.append(&style.name, value);
                }
                let before = headers.clone();
                assert_eq!(style.put(&mut headers, &header, CallerHeader::KeepCallers).unwrap(), count == 0);
                if count == 0 {
                    assert_eq!(headers.remove(&style.name), Some(header.value.clone()));
                }
                assert_eq!(headers, before);
                let sensitive = |headers: &HeaderMap| -> Vec<bool> {
                    headers.get_all(&style.name).iter().map(HeaderValue::is_sensitive).collect()
                };
                assert_eq!(sensitive(&headers), sensitive(&before));
            }
        }
    }

    #[test]
    fn too_many_headers_are_an_error_and_not_a_panic() {
        let style = HeaderStyle::of_scheme::<Bearer>();
        let mut headers = HeaderMap::new();
        for n in 0.. {
            let name = HeaderName::from_bytes(format!("x-{n}").as_bytes()).unwrap();
            if headers.try_insert(name, HeaderValue::from_static("")).is_err() {
                break;
            }
        }
        let error = style.insert(&mut headers, &style.header(&token(1)).unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
    }

    #[test]
    fn a_word_must_be_a_token() {
        for word in ["", "a b", "a\r\nb", "ä", "a:b"] {
            assert!(HeaderStyle::with_word(AUTHORIZATION, word).is_err(), "{word:?}");
        }
    }

    /// H2: built once per token for all clones; a clone copies it at its second request.
    #[test]
    fn a_clone_warms_up_at_its_second_request() {
        let (style, shared, mut local) = (HeaderStyle::of_scheme::<Bearer>(), SharedHeader::default(), LocalHeader::default());
        let cell = Cell::default();
        assert!(local.get(&cell).is_none());
        let first = shared.get(&style, &token(1)).unwrap();
        assert!(!local.note(&first), "one request is no reason for a copy");
        let second = shared.get(&style, &token(1)).unwrap();
        assert_eq!(first.value.as_bytes().as_ptr(), second.value.as_bytes().as_ptr());
        assert!(local.note(&second));
        assert!(!local.note(&shared.get(&style, &token(2)).unwrap()), "a new token starts over");
    }
}
