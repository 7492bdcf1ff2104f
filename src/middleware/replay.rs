//! Which request bodies can be sent twice?

use std::{any::Any, fmt};

use bytes::Bytes;
use http_body::Body;
use http_body_util::{Empty, Full};

/// Decides, before a request is sent, whether it can be sent again, and keeps what that takes.
///
/// A body that is not kept costs nothing: the request goes out, and if a server answers 401, that answer is handed back whole
/// while the token is renewed in the background. A body is never sent truncated, and never an error.
///
/// | policy | keeps |
/// |---|---|
/// | [`Known`] (default) | `Full<Bytes>`, `Empty<Bytes>`, `String`, `Bytes`, `()`, and a `reqwest::Body` of bytes; takes every body |
/// | [`KnownOrEmpty`] | the same, and any body that is empty from the start: for boxed, axum and tonic bodies |
/// | [`CloneBody`] | any body that is `Clone` |
/// | [`BoundedBuffer`](super::BoundedBuffer) | any stream up to a limit, if it was sent to its end |
/// | [`ReplayWith`] | what a closure gives |
/// | [`Never`] | nothing |
///
/// # Examples
///
/// A policy of one's own:
///
/// ```
/// use tower_token::middleware::{Kept, ReplayPolicy};
///
/// /// Keeps texts of up to 1 KiB.
/// #[derive(Clone)]
/// struct ShortText;
///
/// impl ReplayPolicy<String> for ShortText {
///     fn keep(&self, body: &mut String) -> Option<Kept<String>> {
///         (body.len() <= 1024).then(|| Kept::body(body.clone()))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(note = "a body of this type needs another policy: see `AuthLayer::replay`")]
pub trait ReplayPolicy<B> {
    /// Looks at a body that is about to be sent and keeps what it takes to send it again; `None` if it cannot be.
    ///
    /// The body may be changed, so as to listen in while it is sent, as long as it stays the same for the server.
    fn keep(&self, body: &mut B) -> Option<Kept<B>>;
}

/// What a [`ReplayPolicy`] keeps of a body.
pub struct Kept<B>(Inner<B>);

enum Inner<B> {
    Body(B),
    /// Boxed twice, so that one word of the future stands for it: most bodies are kept at once.
    Later(Box<Later<B>>),
}

type Later<B> = Box<dyn FnOnce() -> Option<B> + Send>;

impl<B> Kept<B> {
    /// The second body is ready already.
    pub fn body(body: B) -> Kept<B> {
        Kept(Inner::Body(body))
    }

    /// The second body is made when the 401 is there; `None` if it then turns out that it cannot be.
    pub fn later(make: impl FnOnce() -> Option<B> + Send + 'static) -> Kept<B> {
        Kept(Inner::Later(Box::new(Box::new(make))))
    }

    /// Whether there will be a second body in any case.
    pub(crate) fn is_certain(&self) -> bool {
        matches!(self.0, Inner::Body(_))
    }

    pub(crate) fn into_body(self) -> Option<B> {
        match self.0 {
            Inner::Body(body) => Some(body),
            Inner::Later(make) => make(),
        }
    }
}

impl<B> fmt::Debug for Kept<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

/// Keeps bodies whose type is known to be repeatable: `Full<Bytes>`, `Empty<Bytes>`, `String`, `Bytes` and `()`.
///
/// With the feature `reqwest` also a `reqwest::Body`, unless it is a stream; its bytes are shared, not copied.
///
/// The default. It takes every body; any other type is sent once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known;

impl<B: 'static> ReplayPolicy<B> for Known {
    fn keep(&self, body: &mut B) -> Option<Kept<B>> {
        known(body).map(Kept::body)
    }
}

/// As [`Known`], and keeps any body that is empty from the start, by making another with `B::default()`.
///
/// The first choice for boxed, axum and tonic bodies, whose `Default` is an empty body.
#[derive(Clone, Copy, Debug, Default)]
pub struct KnownOrEmpty;

impl<B: Body + Default + 'static> ReplayPolicy<B> for KnownOrEmpty {
    fn keep(&self, body: &mut B) -> Option<Kept<B>> {
        known(body).or_else(|| body.is_end_stream().then(B::default)).map(Kept::body)
    }
}

/// Keeps a clone of any body that is `Clone`. The clone had better be cheap: each request makes one.
#[derive(Clone, Copy, Debug, Default)]
pub struct CloneBody;

impl<B: Clone> ReplayPolicy<B> for CloneBody {
    fn keep(&self, body: &mut B) -> Option<Kept<B>> {
        Some(Kept::body(body.clone()))
    }
}

/// Keeps what a closure gives: `None` for a body that cannot be repeated.
///
/// # Examples
///
/// ```
/// use http_body_util::{Either, Empty, Full};
/// use bytes::Bytes;
/// use tower_token::middleware::ReplayWith;
///
/// type Upload = Either<Full<Bytes>, Empty<Bytes>>;
/// let policy = ReplayWith(|body: &Upload| -> Option<Upload> {
///     match body {
///         Either::Left(full) => Some(Either::Left(full.clone())),
///         Either::Right(_) => None,
///     }
/// });
/// # drop(policy);
/// ```
#[derive(Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "a closure in its wrapper; there is nothing to add")]
pub struct ReplayWith<F>(pub F);

impl<B, F: Fn(&B) -> Option<B>> ReplayPolicy<B> for ReplayWith<F> {
    fn keep(&self, body: &mut B) -> Option<Kept<B>> {
        (self.0)(body).map(Kept::body)
    }
}

impl<F> fmt::Debug for ReplayWith<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayWith").finish_non_exhaustive()
    }
}

/// Keeps nothing: each request is sent once, and a 401 renews the token for the next one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Never;

impl<B> ReplayPolicy<B> for Never {
    fn keep(&self, _body: &mut B) -> Option<Kept<B>> {
        None
    }
}

/// A copy of a body whose type is one of those known to be repeatable. The comparisons of types cost nothing at run time.
pub(super) fn known<B: 'static>(body: &mut B) -> Option<B> {
    if let Some(copy) = copy_of_reqwest(body) {
        return Some(copy);
    }
    copy_of::<Full<Bytes>, B>(body)
        .or_else(|| copy_of::<Empty<Bytes>, B>(body))
        .or_else(|| copy_of::<String, B>(body))
        .or_else(|| copy_of::<Bytes, B>(body))
        .or_else(|| copy_of::<(), B>(body))
}

/// A clone of `body` if its type `B` is `K`.
fn copy_of<K: Clone + 'static, B: 'static>(body: &B) -> Option<B> {
    (body as &dyn Any).downcast_ref::<K>().cloned().and_then(cast)
}

/// `value` if its type `K` is `B`.
fn cast<K: 'static, B: 'static>(value: K) -> Option<B> {
    let mut place: Option<B> = None;
    *(&mut place as &mut dyn Any).downcast_mut::<Option<K>>()? = Some(value);
    place
}

/// A second body of the same bytes if `B` is `reqwest::Body`, and no stream.
///
/// Its own `try_clone` is private, that of a request is not.
#[cfg(feature = "reqwest")]
fn copy_of_reqwest<B: 'static>(body: &mut B) -> Option<B> {
    let body = (body as &mut dyn Any).downcast_mut::<reqwest::Body>()?;
    body.as_bytes()?;
    let url = reqwest::Url::parse("http://localhost").ok()?;
    let mut carrier = reqwest::Request::new(http::Method::GET, url);
    *carrier.body_mut() = Some(std::mem::take(body));
    let copy = carrier.try_clone().and_then(|mut copy| copy.body_mut().take());
    *body = carrier.body_mut().take().unwrap_or_default();
    copy.and_then(cast)
}

#[cfg(not(feature = "reqwest"))]
fn copy_of_reqwest<B>(_: &mut B) -> Option<B> {
    None
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn kept<B>(policy: impl ReplayPolicy<B>, mut body: B) -> Option<B> {
        policy.keep(&mut body).and_then(Kept::into_body)
    }

    #[test]
    fn known_keeps_what_it_knows_and_takes_the_rest() {
        assert_eq!(kept(Known, String::from("text")).as_deref(), Some("text"));
        assert_eq!(kept(Known, Bytes::from_static(b"bytes")).as_deref(), Some(&b"bytes"[..]));
        assert!(kept(Known, Full::new(Bytes::from_static(b"full"))).is_some());
        assert!(kept(Known, Empty::<Bytes>::new()).is_some());
        assert!(kept(Known, ()).is_some());
        assert!(kept(Known, vec![0_u8]).is_none());
        assert!(kept(Known, Empty::<Bytes>::new().boxed()).is_none());
    }

    /// R3, R4: both bodies are the bytes that were there, and not a copy of them.
    #[cfg(feature = "reqwest")]
    #[test]
    fn known_keeps_a_body_of_reqwests_that_is_bytes() {
        for bytes in [vec![7; 1000], Vec::new()] {
            let (expected, place) = (bytes.clone(), bytes.as_ptr());
            let mut body = reqwest::Body::from(bytes);
            let again = Known.keep(&mut body).and_then(Kept::into_body).unwrap();
            for same in [&body, &again] {
                let same = same.as_bytes().unwrap();
                assert_eq!(same, expected);
                assert!(same.is_empty() || same.as_ptr() == place);
            }
            let mut stream = reqwest::Body::wrap(body);
            assert!(Known.keep(&mut stream).is_none());
            assert!(stream.as_bytes().is_none());
        }
    }

    #[test]
    fn an_empty_body_of_any_type_is_kept_by_known_or_empty() {
        type Boxed = axum_core::body::Body;
        assert!(kept(KnownOrEmpty, Boxed::empty()).is_some());
        assert!(kept(KnownOrEmpty, Boxed::from("text")).is_none());
        assert!(kept(KnownOrEmpty, String::from("text")).is_some());
    }

    #[test]
    fn the_others_do_as_they_are_told() {
        assert!(kept(CloneBody, vec![1_u8]).is_some());
        assert!(kept(Never, String::new()).is_none());
        assert!(kept(ReplayWith(|n: &u8| n.checked_sub(1)), 1).is_some());
        assert!(kept(ReplayWith(|n: &u8| n.checked_sub(1)), 0).is_none());
    }
}
