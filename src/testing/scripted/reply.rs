use std::{fmt, fmt::Write, time::Duration};

use bytes::Bytes;

/// What a [`ScriptedServer`](super::ScriptedServer) does with a request.
#[derive(Clone)]
pub struct ScriptedReply {
    pub(super) script: Script,
    status: u16,
    headers: Vec<(String, String)>,
}

/// How the bytes go out after the head, if there is one.
#[derive(Clone)]
pub(super) enum Script {
    /// Head and body; the connection stays open.
    Whole(Bytes),
    /// The body byte by byte; the connection stays open.
    Trickle(Bytes, Duration),
    /// The head promises all of the body, and so many bytes of it come.
    Truncated(Bytes, usize),
    /// The head, and then this piece for ever.
    Endless(Bytes),
    Raw(Bytes),
    Hang,
    Close,
}

impl ScriptedReply {
    /// A response with a body, well-formed. The connection stays open for the next request.
    pub fn new(status: u16, body: impl Into<Bytes>) -> ScriptedReply {
        ScriptedReply::scripted(status, Script::Whole(body.into()))
    }

    /// A response with a JSON body: a `serde_json::Value`, or any text, well-formed or not.
    pub fn json(status: u16, body: impl ToString) -> ScriptedReply {
        ScriptedReply::new(status, body.to_string()).header("content-type", "application/json")
    }

    /// A response whose body comes byte by byte, with a pause before each: shorter than a timeout between two reads,
    /// and longer in sum than one for the whole. The pauses are real time.
    pub fn trickle(status: u16, body: impl Into<Bytes>, pause: Duration) -> ScriptedReply {
        ScriptedReply::scripted(status, Script::Trickle(body.into(), pause))
    }

    /// A response that announces all of `body`, sends its first `sent` bytes, and ends the connection.
    pub fn truncated(status: u16, body: impl Into<Bytes>, sent: usize) -> ScriptedReply {
        ScriptedReply::scripted(status, Script::Truncated(body.into(), sent))
    }

    /// A response whose body repeats `piece` until the client hangs up. An empty piece would be the end of the body.
    pub fn endless(status: u16, piece: impl Into<Bytes>) -> ScriptedReply {
        ScriptedReply::scripted(status, Script::Endless(piece.into()))
    }

    /// These bytes in place of a response, and the end of the connection.
    pub fn raw(bytes: impl Into<Bytes>) -> ScriptedReply {
        ScriptedReply::scripted(0, Script::Raw(bytes.into()))
    }

    /// No answer: the connection stays open until the client gives up.
    pub fn hang() -> ScriptedReply {
        ScriptedReply::scripted(0, Script::Hang)
    }

    /// The end of the connection, without a byte.
    pub fn close() -> ScriptedReply {
        ScriptedReply::scripted(0, Script::Close)
    }

    /// Adds a header, as it is written: nothing is checked. A `content-length` or `transfer-encoding` of yours replaces the
    /// true one. Without meaning for [`raw`](Self::raw), [`hang`](Self::hang) and [`close`](Self::close).
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> ScriptedReply {
        self.headers.push((name.into(), value.into()));
        self
    }

    fn scripted(status: u16, script: Script) -> ScriptedReply {
        ScriptedReply { script, status, headers: Vec::new() }
    }

    /// Status line and headers, with the framing that the script calls for.
    pub(super) fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            // Writing to a `String` cannot fail.
            let _written = write!(head, "{name}: {value}\r\n").is_ok();
        }
        let framed = |(name, _): &(String, String)| {
            name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding")
        };
        if !self.headers.iter().any(framed) {
            head += &match &self.script {
                Script::Whole(body) | Script::Trickle(body, _) | Script::Truncated(body, _) => {
                    format!("content-length: {}\r\n", body.len())
                }
                Script::Endless(_) => "transfer-encoding: chunked\r\n".to_owned(),
                Script::Raw(_) | Script::Hang | Script::Close => String::new(),
            };
        }
        head + "\r\n"
    }
}

/// Bodies and headers are not shown: a token endpoint's hold tokens.
impl fmt::Debug for ScriptedReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let script = match self.script {
            Script::Whole(_) => "whole",
            Script::Trickle(..) => "trickle",
            Script::Truncated(..) => "truncated",
            Script::Endless(_) => "endless",
            Script::Raw(_) => "raw",
            Script::Hang => "hang",
            Script::Close => "close",
        };
        f.debug_struct("ScriptedReply").field("script", &script).field("status", &self.status).finish_non_exhaustive()
    }
}
