use std::{
    fmt, mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
    vec,
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::replay::{Kept, ReplayPolicy, known};

/// Frames below this many bytes are copied together: kept one by one they would take more room than their bytes.
const SMALL: usize = 512;

/// Keeps what passes of a streaming body, up to `limit` bytes, and sends it again if the whole of it has passed.
///
/// Nothing is read ahead and nothing is held back: the body streams as it would without. What has passed is kept until the
/// answer is there; frames of 512 bytes and more are shared, not copied. A body beyond the limit, one that failed, and one that
/// was not sent to its end when the 401 came are handed their 401, with [`NotReplayed`](super::NotReplayed) in its extensions.
/// As with [`KnownOrEmpty`](super::KnownOrEmpty), a body that is empty from the start is kept as `B::default()`.
///
/// It takes bodies of `Bytes` that are `Default` and `Unpin`, as axum's and tonic's are.
///
/// The risk is memory: each request in flight may hold `limit` bytes, up to twice that if they came in small frames, and more
/// where a frame is a slice of a larger buffer, which is kept whole: a frame of 512 bytes out of 64 KiB holds those 64 KiB.
///
/// # Examples
///
/// The second argument turns what this makes of a body back into the request body's type; for axum and tonic it is `Body::new`:
///
/// ```
/// use axum_core::body::Body;
/// use tower_token::middleware::BoundedBuffer;
/// use tower_token::{BearerAuthLayer, Origins, StaticToken};
///
/// let origins = "https://api.example.com".parse::<Origins>()?;
/// let layer = BearerAuthLayer::new(origins, StaticToken::new("secret")?).replay(BoundedBuffer::new(64 * 1024, Body::new));
/// # drop(layer);
/// # Ok::<(), tower_token::TokenError>(())
/// ```
#[derive(Clone, Copy)]
pub struct BoundedBuffer<F> {
    limit: usize,
    wrap: F,
}

impl<F> BoundedBuffer<F> {
    /// Keeps up to `limit` bytes of a body; `wrap` turns a [`BufferedBody`] into the request body's type.
    pub fn new<B>(limit: usize, wrap: F) -> BoundedBuffer<F>
    where
        F: Fn(BufferedBody<B>) -> B,
    {
        BoundedBuffer { limit, wrap }
    }
}

impl<B, F> ReplayPolicy<B> for BoundedBuffer<F>
where
    B: Body<Data = Bytes> + Default + Unpin + 'static,
    F: Fn(BufferedBody<B>) -> B + Clone + Send + 'static,
{
    fn keep(&self, body: &mut B) -> Option<Kept<B>> {
        if body.is_end_stream() {
            return Some(Kept::body(B::default()));
        }
        if body.size_hint().lower() > self.limit as u64 {
            return None;
        }
        // What is bytes stays bytes: a client may have more use for it than for a stream.
        if let Some(again) = known(body) {
            return Some(Kept::body(again));
        }
        let tape = Arc::new(Mutex::new(Tape { room: Some(self.limit), ..Tape::default() }));
        *body = (self.wrap)(BufferedBody(Inner::First { body: mem::take(body), tape: Arc::downgrade(&tape) }));
        let wrap = self.wrap.clone();
        Some(Kept::later(move || {
            let tape = mem::take(&mut *lock(&tape));
            tape.whole().map(|again| wrap(BufferedBody(again)))
        }))
    }
}

impl<F> fmt::Debug for BoundedBuffer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedBuffer").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// A body under a [`BoundedBuffer`]: the caller's own while it is sent first, and the copy when it is sent again.
pub struct BufferedBody<B>(Inner<B>);

enum Inner<B> {
    /// The tape is gone once the answer is the caller's: nothing is kept from then on.
    First {
        body: B,
        tape: Weak<Mutex<Tape>>,
    },
    Again {
        data: vec::IntoIter<Bytes>,
        trailers: Option<HeaderMap>,
    },
}

/// What has passed of a body.
#[derive(Default)]
struct Tape {
    /// How many more bytes it may keep; `None` if the body cannot be kept.
    room: Option<usize>,
    parts: Vec<Part>,
    trailers: Option<HeaderMap>,
    ended: bool,
}

enum Part {
    Shared(Bytes),
    Copied(BytesMut),
}

impl Tape {
    /// Takes note of what the body gave when it was polled, and of whether that was its end.
    fn note<E>(&mut self, frame: Option<&Result<Frame<Bytes>, E>>, ended: bool) {
        let size = match frame {
            None => Some(0),
            // Nothing may follow the trailers: a body that goes on is none to send again.
            Some(Ok(_)) if self.trailers.is_some() => None,
            Some(Ok(frame)) => match (frame.data_ref(), frame.trailers_ref()) {
                (Some(data), _) => Some(data.len()),
                (None, Some(trailers)) => Some(trailers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()),
                (None, None) => None,
            },
            Some(Err(_)) => None,
        };
        self.room = self.room.zip(size).and_then(|(room, size)| room.checked_sub(size));
        if self.room.is_none() {
            self.parts = Vec::new();
            return;
        }
        if let Some(Ok(frame)) = frame {
            if let Some(data) = frame.data_ref() {
                self.keep(data);
            }
            self.trailers = frame.trailers_ref().cloned();
        }
        // Who sends trailers ends the message with them, and never polls for the end.
        self.ended |= ended || frame.is_none() || self.trailers.is_some();
    }

    fn keep(&mut self, data: &Bytes) {
        match self.parts.last_mut() {
            _ if data.len() >= SMALL => self.parts.push(Part::Shared(data.clone())),
            Some(Part::Copied(tail)) => tail.extend_from_slice(data),
            _ => self.parts.push(Part::Copied(BytesMut::from(&data[..]))),
        }
    }

    /// The body again, if the whole of it has passed.
    fn whole<B>(self) -> Option<Inner<B>> {
        self.room.filter(|_| self.ended)?;
        let data: Vec<Bytes> = self.parts.into_iter().map(Part::into_bytes).collect();
        Some(Inner::Again { data: data.into_iter(), trailers: self.trailers })
    }
}

impl Part {
    fn into_bytes(self) -> Bytes {
        match self {
            Part::Shared(data) => data,
            Part::Copied(data) => data.freeze(),
        }
    }
}

fn lock(tape: &Mutex<Tape>) -> MutexGuard<'_, Tape> {
    tape.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<B: Body<Data = Bytes> + Unpin> Body for BufferedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut self.get_mut().0 {
            Inner::First { body, tape } => {
                let polled = Pin::new(&mut *body).poll_frame(cx);
                if let (Poll::Ready(frame), Some(tape)) = (&polled, tape.upgrade()) {
                    // Asked here, since a server that knows the length never polls for the end.
                    lock(&tape).note(frame.as_ref(), body.is_end_stream());
                }
                polled
            }
            Inner::Again { data, trailers } => {
                let data = data.next().map(Frame::data);
                Poll::Ready(data.or_else(|| trailers.take().map(Frame::trailers)).map(Ok))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::First { body, .. } => body.is_end_stream(),
            Inner::Again { data, trailers } => data.len() == 0 && trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::First { body, .. } => body.size_hint(),
            Inner::Again { data, trailers } => {
                let length = data.as_slice().iter().map(|data| data.len() as u64).sum();
                let mut hint = SizeHint::with_exact(length);
                if trailers.is_some() {
                    // HTTP/1.1 has no room for trailers behind a body whose length is told beforehand.
                    hint = SizeHint::new();
                    hint.set_lower(length);
                }
                hint
            }
        }
    }
}

impl<B> fmt::Debug for BufferedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferedBody").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, convert::Infallible};

    use axum_core::body::Body as Boxed;
    use http_body_util::BodyExt;
    use proptest::prelude::*;

    use super::*;

    /// A body that gives these frames, and says by `is_end_stream` that there are no more if `honest`.
    #[derive(Default)]
    struct Frames {
        frames: VecDeque<Frame<Bytes>>,
        honest: bool,
    }

    impl Body for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.frames.pop_front().map(Ok))
        }

        fn is_end_stream(&self) -> bool {
            self.honest && self.frames.is_empty()
        }
    }

    fn streamed(sizes: &[usize], honest: bool) -> Boxed {
        let frames = sizes.iter().enumerate().map(|(n, size)| Frame::data(Bytes::from(vec![n as u8; *size]))).collect();
        Boxed::new(Frames { frames, honest })
    }

    async fn read(body: Boxed) -> Vec<u8> {
        body.collect().await.unwrap().to_bytes().to_vec()
    }

    fn keep(limit: usize, body: &mut Boxed) -> Option<Kept<Boxed>> {
        BoundedBuffer::new(limit, Boxed::new).keep(body)
    }

    /// R3, R4: the copy is the body, and a body beyond the limit is sent once, whole.
    #[tokio::test]
    async fn a_stream_is_kept_up_to_the_limit() {
        for (sizes, limit, kept) in [
            (&[5, 5][..], 10, true),
            (&[5, 5], 9, false),
            (&[0, 0], 0, true),
            (&[1; 2000], 2000, true),
            (&[4000, 10, 10, 4000, 10], 8030, true),
            (&[4000, 10, 10, 4000, 11], 8030, false),
        ] {
            for honest in [true, false] {
                let mut body = streamed(sizes, honest);
                let again = keep(limit, &mut body).unwrap();
                let sent = read(body).await;
                assert_eq!(sent, read(streamed(sizes, honest)).await, "what is sent is the caller's body");
                let again = again.into_body();
                assert_eq!(again.is_some(), kept, "{sizes:?} {limit}");
                if let Some(again) = again {
                    assert_eq!(again.size_hint().exact(), Some(sent.len() as u64));
                    assert_eq!(read(again).await, sent);
                }
            }
        }
    }

    /// R5: what was not sent to its end when the 401 came is not sent again.
    #[tokio::test]
    async fn an_unfinished_stream_is_not_sent_again() {
        for (frames_read, honest, kept) in
            [(0, true, false), (1, true, false), (2, false, false), (2, true, true), (3, false, true)]
        {
            let mut body = streamed(&[600, 600], honest);
            let again = keep(usize::MAX, &mut body).unwrap();
            for _ in 0..frames_read {
                drop(body.frame().await);
            }
            assert_eq!(again.into_body().is_some(), kept, "{frames_read} {honest}");
        }
    }

    /// R3: with the frame of trailers a message is at its end, whether the body says so or not, and whether it is polled on or not.
    #[tokio::test]
    async fn trailers_are_sent_again() {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", http::HeaderValue::from_static("7"));
        for honest in [true, false] {
            let frames = VecDeque::from([Frame::data(Bytes::from_static(b"data")), Frame::trailers(trailers.clone())]);
            let mut body = Boxed::new(Frames { frames, honest });
            let again = keep(100, &mut body).unwrap();
            for _ in 0..2 {
                body.frame().await.unwrap().unwrap();
            }
            let again = again.into_body().unwrap();
            assert_eq!(again.size_hint().exact(), None, "a known length would leave HTTP/1.1 no room for trailers");
            let again = again.collect().await.unwrap();
            assert_eq!(again.trailers(), Some(&trailers));
            assert_eq!(again.to_bytes(), "data");
        }
    }

    #[tokio::test]
    async fn a_body_that_goes_on_after_its_trailers_is_not_sent_again() {
        for more in [Frame::data(Bytes::from_static(b"data")), Frame::trailers(HeaderMap::new())] {
            let mut body = Boxed::new(Frames { frames: VecDeque::from([Frame::trailers(HeaderMap::new()), more]), honest: true });
            let again = keep(100, &mut body).unwrap();
            while body.frame().await.is_some() {}
            assert!(again.into_body().is_none());
        }
    }

    #[test]
    fn what_is_empty_or_too_long_from_the_start_is_not_wrapped() {
        let (mut empty, mut long) = (Boxed::empty(), Boxed::from("0123456789"));
        assert!(keep(0, &mut empty).unwrap().into_body().is_some());
        assert!(keep(9, &mut long).is_none());
    }

    /// R4: once the answer is the caller's, nothing more is kept.
    #[tokio::test]
    async fn nothing_is_kept_after_the_answer() {
        let mut body = streamed(&[600, 600, 600], true);
        let again = keep(usize::MAX, &mut body).unwrap();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(!first.is_unique(), "shared with the tape");
        drop(again);
        assert!(first.is_unique());
        assert_eq!(read(body).await.len(), 1200);
    }

    /// R4: not even if it comes to an orderly end after that.
    #[tokio::test]
    async fn a_body_that_fails_is_not_sent_again() {
        struct Failing(u32);
        impl Body for Failing {
            type Data = Bytes;
            type Error = std::io::Error;

            fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
                self.0 += 1;
                Poll::Ready(match self.0 {
                    1 => Some(Ok(Frame::data(Bytes::from_static(b"data")))),
                    2 => Some(Err(std::io::ErrorKind::BrokenPipe.into())),
                    _ => None,
                })
            }
        }
        let mut body = Boxed::new(Failing(0));
        let again = keep(100, &mut body).unwrap();
        body.frame().await.unwrap().unwrap();
        assert!(body.frame().await.unwrap().is_err());
        assert!(body.frame().await.is_none());
        assert!(again.into_body().is_none());
    }

    /// R4: what has been kept goes when the limit is passed; trailers count.
    #[tokio::test]
    async fn beyond_the_limit_nothing_is_kept() {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", http::HeaderValue::from_static("7"));
        for last in [Frame::data(Bytes::from_static(b"123456")), Frame::trailers(trailers)] {
            let frames = VecDeque::from([Frame::data(Bytes::from(vec![0; 600])), last]);
            let mut body = Boxed::new(Frames { frames, honest: true });
            let again = keep(605, &mut body).unwrap();
            let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(!first.is_unique(), "shared with the tape");
            body.frame().await.unwrap().unwrap();
            assert!(first.is_unique());
            assert!(again.into_body().is_none());
        }
    }

    proptest! {
        /// R4: however a body is cut into frames, what is kept of it takes little more room than its bytes.
        #[test]
        fn the_number_of_parts_is_bounded(largest in 1_usize..1500, sizes in prop::collection::vec(any::<usize>(), 0..200)) {
            let sizes: Vec<_> = sizes.into_iter().map(|size| size % largest).collect();
            let mut tape = Tape { room: Some(usize::MAX), ..Tape::default() };
            for size in &sizes {
                tape.note::<Infallible>(Some(&Ok(Frame::data(Bytes::from(vec![0; *size])))), false);
            }
            let total: usize = sizes.iter().sum();
            prop_assert!(tape.parts.len() <= 1 + 2 * total / SMALL);
        }
    }
}
