//! S6: how the token's header goes out over HTTP/2, read from the bytes of its frames.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderName, Request, StatusCode};
use http_body_util::Full;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::{Layer, ServiceExt};
use tower_token::{BearerAuthLayer, Origins, TokenHandle, middleware::HeaderStyle};

use crate::{server::client, support::Mint};

/// RFC 9113 section 3.4.
const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;
const END_STREAM_AND_HEADERS: u8 = 0x1 | 0x4;
const PADDED_OR_PRIORITY: u8 = 0x8 | 0x20;

/// How a field is written in a header block: RFC 7541 section 6.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    Indexed,
    Incremental(Name),
    NotIndexed(Name),
    NeverIndexed(Name),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    /// Of the static table, or of the dynamic one from 62 on.
    Index(usize),
    /// As it is written, Huffman-coded or not.
    Literal(Vec<u8>),
}

/// RFC 7541 section 5.1.
fn integer(block: &mut &[u8], prefix: u32) -> usize {
    let full = (1 << prefix) - 1;
    let mut value = usize::from(take(block, 1)[0]) & full;
    if value == full {
        for shift in (0..).step_by(7) {
            let byte = take(block, 1)[0];
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    value
}

fn take<'a>(block: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = block.split_at(length);
    *block = rest;
    taken
}

fn string(block: &mut &[u8]) -> Vec<u8> {
    let length = integer(block, 7);
    take(block, length).to_vec()
}

/// The fields of a block that is not split over frames; values are skipped.
fn fields(mut block: &[u8]) -> Vec<Field> {
    let mut fields = Vec::new();
    while let Some(&first) = block.first() {
        let (prefix, field): (u32, fn(Name) -> Field) = match first {
            0x80.. => {
                integer(&mut block, 7);
                fields.push(Field::Indexed);
                continue;
            }
            0x40.. => (6, Field::Incremental),
            0x20.. => {
                integer(&mut block, 5);
                continue;
            }
            0x10.. => (4, Field::NeverIndexed),
            _ => (4, Field::NotIndexed),
        };
        let name = match integer(&mut block, prefix) {
            0 => Name::Literal(string(&mut block)),
            index => Name::Index(index),
        };
        string(&mut block);
        fields.push(field(name));
    }
    fields
}

/// Answers the first request of a connection with 401 and the others with 200, and notes their header blocks.
async fn serve(mut stream: TcpStream, blocks: Arc<Mutex<Vec<Vec<u8>>>>) -> std::io::Result<()> {
    stream.read_exact(&mut [0; PREFACE]).await?;
    let frame =
        |kind: u8, flags: u8, id: [u8; 4], payload: &[u8]| [&[0, 0, payload.len() as u8, kind, flags][..], &id, payload].concat();
    stream.write_all(&frame(SETTINGS, 0, [0; 4], &[])).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let [high, middle, low, kind, flags, id @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
        stream.read_exact(&mut payload).await?;
        match kind {
            SETTINGS | PING if flags & ACK == 0 => {
                let echo = if kind == PING { &payload[..] } else { &[] };
                stream.write_all(&frame(kind, ACK, [0; 4], echo)).await?;
            }
            HEADERS => {
                assert_eq!(flags & PADDED_OR_PRIORITY, 0, "this reader does not know them");
                assert_eq!(flags & END_STREAM_AND_HEADERS, END_STREAM_AND_HEADERS, "one frame, and no body");
                let first = {
                    let mut blocks = blocks.lock().unwrap();
                    blocks.push(payload);
                    blocks.len() == 1
                };
                // `:status` by its index, with the value 401; or the static table's `:status: 200`.
                let status: &[u8] = if first { b"\x08\x03401" } else { b"\x88" };
                stream.write_all(&frame(HEADERS, END_STREAM_AND_HEADERS, id, status)).await?;
            }
            _ => {}
        }
    }
}

/// The header blocks of a request, its replay and two more requests.
async fn blocks(style: Option<HeaderStyle>) -> Vec<Vec<Field>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let blocks = Arc::new(Mutex::new(Vec::new()));
    let noted = blocks.clone();
    tokio::spawn(async move { serve(listener.accept().await.unwrap().0, noted).await });
    let layer = BearerAuthLayer::new(url.parse::<Origins>().unwrap(), TokenHandle::new(Mint::default().source()));
    let layer = style.map_or(layer.clone(), |style| layer.header(style));
    let client = layer.layer(client::<Full<Bytes>>(true));
    for _ in 0..3 {
        let request = Request::get(&url).header("x-plain", "not a secret").body(Full::default()).unwrap();
        assert_eq!(client.clone().oneshot(request).await.unwrap().status(), StatusCode::OK);
    }
    let blocks = blocks.lock().unwrap();
    assert_eq!(blocks.len(), 4);
    blocks.iter().map(|block| fields(block)).collect()
}

/// `x-api-key`, by the codes of RFC 7541 appendix B.
fn x_api_key() -> Vec<u8> {
    let codes = ["1111001", "010110", "00011", "101011", "00110", "010110", "1110101", "00101", "1111010"];
    let bits = codes.concat() + "11";
    bits.as_bytes().chunks(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | (bit - b'0'))).collect()
}

/// RFC 7541 section 6.2.3: no hop on the way may put it in a table, from which it could be guessed.
#[tokio::test]
async fn the_header_is_never_indexed() {
    // Of the static table: 23 is `authorization`, 49 is `proxy-authorization`.
    for (name, written) in
        [(None, Name::Index(23)), (Some("proxy-authorization"), Name::Index(49)), (Some("x-api-key"), Name::Literal(x_api_key()))]
    {
        let style = name.map(|name| HeaderStyle::bare(HeaderName::from_static(name)));
        for block in blocks(style).await {
            let never: Vec<_> = block.iter().filter(|field| matches!(field, Field::NeverIndexed(_))).collect();
            assert_eq!(never, [&Field::NeverIndexed(written.clone())], "{name:?}: {block:?}");
        }
    }
}

/// Not a matter of taste of the client: a header that is not sensitive is indexed, and then sent by its number.
#[tokio::test]
async fn another_header_is_indexed() {
    let blocks = blocks(None).await;
    let indexed = |block: &[Field]| block.iter().filter(|field| **field == Field::Indexed).count();
    let incremental = |block: &[Field]| block.iter().filter(|field| matches!(field, Field::Incremental(_))).count();
    assert!(incremental(&blocks[0]) > incremental(&blocks[1]), "{blocks:?}");
    assert!(indexed(&blocks[0]) < indexed(&blocks[1]), "{blocks:?}");
}
