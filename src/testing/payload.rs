use std::{
    error, fmt, mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// The body of an emulator's answer: whole, or ending before its announced length is reached.
#[derive(Debug)]
pub(super) struct Payload {
    data: Bytes,
    /// How many bytes are announced and never come.
    missing: u64,
    flushed: bool,
}

/// The connection is to be cut here: over HTTP/2, the stream is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut;

impl Payload {
    /// All of `data` is announced, and its first `sent` bytes come.
    pub(super) fn truncated(data: Bytes, sent: usize) -> Payload {
        let kept = data.slice(..data.len().min(sent));
        Payload { missing: (data.len() - kept.len()) as u64, data: kept, flushed: false }
    }
}

impl From<Bytes> for Payload {
    fn from(data: Bytes) -> Payload {
        Payload { data, missing: 0, flushed: false }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let data = mem::take(&mut self.data);
        if !data.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if self.missing == 0 {
            return Poll::Ready(None);
        }
        // A body that fails makes hyper drop what it has not written yet, so it gets one turn to do that.
        if !mem::replace(&mut self.flushed, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(Cut)))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && self.missing == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.len() as u64 + self.missing)
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the emulator cuts the connection here")
    }
}

impl error::Error for Cut {}
