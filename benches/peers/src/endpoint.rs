//! Where peers get their token: one, valid for an hour, and no second. A peer that did not keep it would be measured at
//! fetching; here it fails.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use http::StatusCode;

use crate::case::{BoxError, token};

/// One token.
#[derive(Debug, Default)]
pub(crate) struct Issuer(AtomicBool);

impl Issuer {
    /// Whether the token is still there. From now on it is not.
    pub(crate) fn issue(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }

    /// The reply of a token endpoint: the token, or an error.
    pub(crate) fn reply(&self) -> (StatusCode, String) {
        if self.issue() {
            (StatusCode::OK, format!(r#"{{"access_token":"{}","token_type":"Bearer","expires_in":3600}}"#, token()))
        } else {
            (StatusCode::BAD_REQUEST, r#"{"error":"invalid_grant"}"#.to_owned())
        }
    }
}

/// Starts an endpoint on loopback, which answers until the process ends, and returns its URL.
///
/// # Errors
///
/// If loopback has no port to give.
pub(crate) fn start() -> Result<String, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/token", listener.local_addr()?);
    thread::spawn(move || {
        let issuer = Issuer::default();
        for stream in listener.incoming().flatten() {
            // A caller who hangs up is told by its own error.
            let _ = answer(stream, &issuer);
        }
    });
    Ok(url)
}

fn answer(mut stream: TcpStream, issuer: &Issuer) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    for line in reader.by_ref().lines() {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    let (status, body) = issuer.reply();
    write!(
        stream,
        "HTTP/1.1 {status} \r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}
