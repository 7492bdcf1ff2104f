use std::{io, ops::ControlFlow};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};

use super::{ScriptedReply, ScriptedRequest, reply::Script};

/// The most that a request may have in one piece, in bytes: its head, or its body.
const LIMIT: usize = 64 << 20;

/// HTTP/1.1 by hand, since no library would send what this server is for.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
    number: u64,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, number: u64) -> Connection {
        Connection { stream, buffer: BytesMut::new(), number }
    }

    /// Reads the next request. An error is the end of the connection: between two requests that is as it should be.
    pub(super) async fn request(&mut self) -> io::Result<ScriptedRequest> {
        let head = self.until(b"\r\n\r\n").await?;
        let head = std::str::from_utf8(&head).map_err(invalid)?;
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let method = words.next().unwrap_or_default().parse::<Method>().map_err(invalid)?;
        let path = words.next().unwrap_or_default().to_owned();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or_else(|| invalid("a header without a colon"))?;
            let name = name.parse::<HeaderName>().map_err(invalid)?;
            headers.append(name, HeaderValue::from_str(value.trim()).map_err(invalid)?);
        }
        let body = self.body(&headers).await?;
        Ok(ScriptedRequest { method, path, headers, body, connection: self.number })
    }

    async fn body(&mut self, headers: &HeaderMap) -> io::Result<Bytes> {
        if headers.contains_key(header::TRANSFER_ENCODING) {
            return self.chunks().await;
        }
        let Some(length) = headers.get(header::CONTENT_LENGTH) else { return Ok(Bytes::new()) };
        let length = length.to_str().map_err(invalid)?.parse().map_err(invalid)?;
        self.exactly(length).await
    }

    /// RFC 9112 section 7.1, trailers left out.
    async fn chunks(&mut self) -> io::Result<Bytes> {
        let mut body = BytesMut::new();
        loop {
            let line = self.until(b"\r\n").await?;
            let size = std::str::from_utf8(&line).map_err(invalid)?.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(invalid)?;
            if size == 0 {
                while !self.until(b"\r\n").await?.is_empty() {}
                return Ok(body.freeze());
            }
            body.extend_from_slice(&self.exactly(size).await?);
            self.exactly(2).await?;
            if body.len() > LIMIT {
                return Err(invalid("the body is too long"));
            }
        }
    }

    /// Plays a reply. `Continue`: the connection is fit for another request.
    pub(super) async fn play(&mut self, reply: &ScriptedReply) -> io::Result<ControlFlow<()>> {
        if !matches!(reply.script, Script::Raw(_) | Script::Hang | Script::Close) {
            self.stream.write_all(reply.head().as_bytes()).await?;
        }
        match &reply.script {
            Script::Whole(body) => {
                self.stream.write_all(body).await?;
                return Ok(ControlFlow::Continue(()));
            }
            Script::Trickle(body, pause) => {
                for byte in body {
                    time::sleep(*pause).await;
                    self.stream.write_u8(*byte).await?;
                }
                return Ok(ControlFlow::Continue(()));
            }
            Script::Truncated(body, sent) => self.stream.write_all(&body[..body.len().min(*sent)]).await?,
            Script::Endless(piece) => {
                let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
                loop {
                    self.stream.write_all(&chunk).await?;
                }
            }
            Script::Raw(bytes) => self.stream.write_all(bytes).await?,
            // The client's end of the connection is what ends the wait.
            Script::Hang => while self.fill().await.is_ok() {},
            Script::Close => {}
        }
        Ok(ControlFlow::Break(()))
    }

    /// What comes before `mark`, which is taken away with it.
    async fn until(&mut self, mark: &[u8]) -> io::Result<Bytes> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                let before = self.buffer.split_to(at).freeze();
                drop(self.buffer.split_to(mark.len()));
                return Ok(before);
            }
            self.fill().await?;
        }
    }

    async fn exactly(&mut self, length: usize) -> io::Result<Bytes> {
        while self.buffer.len() < length {
            self.fill().await?;
        }
        Ok(self.buffer.split_to(length).freeze())
    }

    async fn fill(&mut self) -> io::Result<()> {
        if self.buffer.len() > LIMIT {
            return Err(invalid("the request is too long"));
        }
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn invalid(error: impl Into<crate::error::BoxError>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
