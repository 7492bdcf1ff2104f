//! Token calls over real sockets: the default client and the key+secret exchange against a server that misbehaves.
#![cfg(all(feature = "client", feature = "provider"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    error::Error,
    io,
    iter::successors,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tower_token::{
    AccessToken, ErrorKind, FetchContext, FetchReason, TokenError, TokenSource,
    grant::{Encoding, EndpointSource, TokenEndpoint},
    provider::yonne::Yonne,
    transport::Transport,
};

const KEY: &str = "ck_live_CANARYkey";
const SECRET: &str = "sk_live_CANARYsecret";

/// A server that answers each connection with the next of these bytes, and then hangs up. It hands back the requests.
async fn server(replies: Vec<Vec<u8>>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let requests = tokio::spawn(async move {
        let mut requests = Vec::new();
        for reply in replies {
            let (mut stream, _) = listener.accept().await.unwrap();
            requests.push(request(&mut stream).await);
            // The client may hang up first: that is what some tests are about.
            let _ = stream.write_all(&reply).await;
        }
        requests
    });
    (base, requests)
}

/// Reads one request whole.
async fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "the request breaks off");
        let text = String::from_utf8(bytes.clone()).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |len| len.parse().unwrap());
            if body.len() == length {
                return text;
            }
        }
    }
}

fn reply(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

fn endpoint(base: &str) -> EndpointSource {
    TokenEndpoint::post(format!("{base}/token?tenant=CANARY"))
        .secret("key", "key")
        .source(Transport::client().unwrap(), [("key", SECRET)])
        .unwrap()
}

async fn fetch(source: &mut impl TokenSource) -> Result<AccessToken, TokenError> {
    source.fetch(FetchContext::new(FetchReason::First)).await
}

/// The error of one fetch from a server that answers with these bytes. S3, S4, S5: nothing of request, URL query and reply
/// shows in it or in its causes.
async fn failure(bytes: Vec<u8>) -> TokenError {
    let (base, _requests) = server(vec![bytes]).await;
    let error = fetch(&mut endpoint(&base)).await.unwrap_err();
    assert_silent(&error);
    error
}

fn assert_silent(error: &TokenError) {
    for error in successors(Some(error as &dyn Error), |&error| error.source()) {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("CANARY"), "{shown}");
    }
}

/// The page's exchange, over the default client.
#[tokio::test]
async fn yonne_exchanges_key_and_secret_for_a_token() {
    let ok = reply("200 OK", "content-type: application/json\r\n", br#"{"token":"jwt","courier_id":123,"expires_in":86400}"#);
    let (base, requests) = server(vec![ok]).await;
    let mut source = Yonne::new(KEY, SECRET).unwrap().base_url(base).unwrap();
    assert_eq!(fetch(&mut source).await.unwrap().expose_secret(), "jwt");

    let requests = requests.await.unwrap();
    assert!(requests[0].starts_with("POST /api/courier/s2s/auth/token HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(requests[0].contains("\r\ncontent-type: application/json\r\n"), "{}", requests[0]);
    assert!(requests[0].ends_with(&format!(r#"{{"api_key":"{KEY}","api_secret":"{SECRET}"}}"#)), "{}", requests[0]);
}

/// G6: a redirect is an error, and the place it points to is never called.
#[tokio::test]
async fn g6_a_redirect_is_not_followed() {
    for status in ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        elsewhere.set_nonblocking(true).unwrap();
        let location = format!("location: http://{}/CANARY\r\n", elsewhere.local_addr().unwrap());
        let error = failure(reply(status, &location, b"")).await;
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{status}");
        assert!(error.to_string().contains("redirects are never followed"), "{error}");
        assert_eq!(elsewhere.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "{status}");
    }
}

/// G4: a success without a token is transient, and says what came instead.
#[tokio::test]
async fn g4_a_success_that_is_no_token_is_transient() {
    let truncated = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"access_token\":\"CANARY".to_vec();
    let cut_json = reply("200 OK", "", b"{\"access_token\":\"CANARY");
    let gzip = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
    for (bytes, named) in [
        (reply("200 OK", "content-type: text/html\r\n", b"<html>CANARY"), "text/html, 12 bytes"),
        (reply("200 OK", "", b""), "no content-type, 0 bytes"),
        (b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), "answered 204, but not with JSON"),
        (reply("200 OK", gzip, b"\x1f\x8b\x08\x00CANARY"), "application/json, with a content-encoding"),
        (reply("200 OK", "", b"{\"access_token\":\"CANARY CANARY\"}"), "has a space at byte 6"),
        (cut_json, "but not with JSON"),
        (truncated, "broke off"),
        (b"CANARY\r\n\r\n".to_vec(), "failed before a reply came"),
        (Vec::new(), "failed before a reply came"),
    ] {
        let error = failure(bytes).await;
        assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
}

/// G5: no more than 1 MiB is read, whether the length is announced or not.
#[tokio::test]
async fn g5_a_giant_or_endless_body_is_given_up() {
    let announced = reply("200 OK", "", &vec![b' '; 10 << 20]);
    let mut endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..1 << 10 {
        endless.extend_from_slice(b"2000\r\n");
        endless.resize(endless.len() + 0x2000, b' ');
        endless.extend_from_slice(b"\r\n");
    }
    for bytes in [announced, endless] {
        let error = failure(bytes).await;
        assert_eq!(error.kind(), ErrorKind::Transient);
        assert!(error.to_string().contains("larger than 1 MiB"), "{error}");
    }
}

/// E9, G5: the timeout ends a call whose headers never come, and one whose body never ends.
#[tokio::test]
async fn e9_a_hanging_server_meets_the_timeout() {
    for head in ["", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let client = Transport::client().unwrap().timeout(Duration::from_millis(300));
        let mut source = TokenEndpoint::post(url).secret("key", "key").source(client, [("key", SECRET)]).unwrap();
        let hang = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            request(&mut stream).await;
            stream.write_all(head.as_bytes()).await.unwrap();
            // Until the client gives up: the timeout closes the connection.
            stream.read(&mut [0]).await.unwrap_or(0)
        });
        let start = Instant::now();
        let error = fetch(&mut source).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{head:?}");
        assert!(start.elapsed() < Duration::from_secs(10));
        assert_eq!(hang.await.unwrap(), 0);
        assert_silent(&error);
    }
}

/// DESIGN 5: an HTML or empty 4xx is no logout until it has come three times in a row.
#[tokio::test]
async fn an_unreadable_refusal_is_believed_the_third_time() {
    let html = reply("403 Forbidden", "content-type: text/html\r\n", b"<html>CANARY");
    let empty = reply("400 Bad Request", "", b"");
    // Its body breaks off: that is no reason to overlook the status.
    let broken = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 9\r\n\r\n{".to_vec();
    let (base, _requests) = server(vec![html, empty, broken]).await;
    let mut source = endpoint(&base);
    for kind in [ErrorKind::Transient, ErrorKind::Transient, ErrorKind::Refused] {
        let error = fetch(&mut source).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_silent(&error);
    }
}

/// G17: a server that echoes the secret as its error code is not believed.
#[tokio::test]
async fn g17_an_echoed_secret_is_no_code() {
    let echo = reply("401 Unauthorized", "", format!(r#"{{"code":"{SECRET}"}}"#).as_bytes());
    let (base, _requests) = server(vec![echo]).await;
    let error = fetch(&mut Yonne::new(KEY, SECRET).unwrap().base_url(base).unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, None));
    assert_silent(&error);
}

/// G3, X6: the reply breaks off behind the new refresh token, which the next call sends all the same.
#[tokio::test]
async fn g3_a_rotated_refresh_token_survives_a_reply_that_breaks_off() {
    let whole = |n: u32| {
        let body = format!(r#"{{"access_token":"a{n}","refresh_token":"r{n}"}}"#);
        reply("200 OK", "", body.as_bytes())
    };
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"refresh_token\":\"r2\",\"access_tok".to_vec();
    let (base, requests) = server(vec![whole(1), cut, whole(3)]).await;
    let step = TokenEndpoint::post(format!("{base}/refresh")).refresh_token_field("token");
    let mut source = TokenEndpoint::post(format!("{base}/login"))
        .secret("key", "key")
        .encoding(Encoding::Form)
        .refresh(step)
        .source(Transport::client().unwrap(), [("key", SECRET)])
        .unwrap();
    assert_eq!(fetch(&mut source).await.unwrap().expose_secret(), "a1");
    let error = fetch(&mut source).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert!(error.to_string().contains("broke off"), "{error}");
    assert_eq!(fetch(&mut source).await.unwrap().expose_secret(), "a3");
    let bodies: Vec<_> = requests.await.unwrap().iter().map(|text| text.split_once("\r\n\r\n").unwrap().1.to_owned()).collect();
    assert_eq!(bodies, [format!("key={SECRET}"), "token=r1".to_owned(), "token=r2".to_owned()]);
}

/// S5: nobody listens.
#[tokio::test]
async fn a_refused_connection_is_transient_and_keeps_its_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = fetch(&mut endpoint(&base)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    let io = successors(error.source(), |&error| error.source()).find_map(|error| error.downcast_ref::<io::Error>());
    assert_eq!(io.expect("an I/O error").kind(), io::ErrorKind::ConnectionRefused);
    assert_silent(&error);
}

/// TLS works without a process-wide crypto provider, and a peer that speaks none is an error and no panic.
#[tokio::test]
async fn tls_needs_no_process_wide_provider() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let hello = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = vec![0; 4096];
        let len = stream.read(&mut hello).await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        hello.truncate(len);
        hello
    });
    let error = fetch(&mut endpoint(&base)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert_silent(&error);

    let hello = hello.await.unwrap();
    assert_eq!(hello[0], 22, "a TLS handshake record");
    let offers = |protocol: &[u8]| hello.windows(protocol.len()).any(|window| window == protocol);
    assert!(offers(b"\x02h2\x08http/1.1"), "ALPN offers both");
}

/// L2, L3: made without a runtime, and used from two, one after the other's end.
#[test]
fn a_source_outlives_the_runtime_that_it_was_first_used_on() {
    let mut source = Yonne::new(KEY, SECRET).unwrap();
    for round in ["first", "second"] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        source = runtime.block_on(async {
            let ok = reply("200 OK", "connection: keep-alive\r\n", format!(r#"{{"token":"{round}"}}"#).as_bytes());
            let (base, _requests) = server(vec![ok]).await;
            let mut source = source.base_url(base).unwrap();
            assert_eq!(fetch(&mut source).await.unwrap().expose_secret(), round);
            source
        });
    }
}
