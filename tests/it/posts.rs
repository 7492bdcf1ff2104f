//! R3, R6, R7: what a server receives while it revokes tokens again and again.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    hash::{DefaultHasher, Hasher},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{
    Request, Response, StatusCode,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use tower::{Layer, Service, ServiceExt};
use tower_token::{
    AccessToken, BearerAuthLayer, FetchContext, Origins, TokenHandle, TokenSource, middleware::NotReplayed, source_fn,
    testing::ManualClock,
};

use crate::{
    server::{Server, client},
    support::{API, Mint, origins},
};

const POSTS: usize = 10_000;
const CALLERS: usize = 24;
const LARGEST: usize = 64 * 1024;
/// So many requests are served between two revocations.
const PERIOD: usize = 100;

/// Longer than the youth of a token, so that a rejection is not held against the server, and shorter than a request's wait.
const AGE: Duration = Duration::from_secs(15);

/// A server that accepts the latest token only, makes it another one now and then, and keeps a book of what it received.
#[derive(Clone)]
struct Revoking {
    book: Arc<Mutex<Book>>,
    clock: ManualClock,
    period: usize,
}

#[derive(Default)]
struct Book {
    /// The number of the token that is accepted.
    current: usize,
    fetches: usize,
    /// By the request's number: how often it came.
    sent: HashMap<usize, usize>,
    /// Those that were refused and will come again.
    expected_again: HashSet<usize>,
    served: usize,
    revocations: usize,
    unlike: Vec<String>,
}

impl Revoking {
    fn every(period: usize) -> Revoking {
        Revoking { book: Arc::default(), clock: ManualClock::new(), period }
    }

    fn source(&self) -> impl TokenSource + use<> {
        let book = self.book.clone();
        source_fn(move |_: FetchContext| {
            let mut book = book.lock().unwrap();
            book.fetches += 1;
            let token = AccessToken::new(format!("token-{}", book.current));
            async move { token }
        })
    }

    fn handle(&self) -> TokenHandle {
        TokenHandle::builder(self.source()).clock(self.clock.clone()).build()
    }

    async fn answer(self, request: Request<Incoming>) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
        let (head, body) = request.into_parts();
        let number: usize = head.headers["x-number"].to_str().unwrap().parse().unwrap();
        let said = head.headers["x-digest"].to_str().unwrap().to_owned();
        let got = match body.collect().await {
            Ok(body) => digest(&body.to_bytes()),
            Err(error) => error.to_string(),
        };
        let mut book = self.book.lock().unwrap();
        if got != said {
            book.unlike.push(format!("{number}: {said} was sent, {got} has come"));
        }
        *book.sent.entry(number).or_default() += 1;
        let admitted = head.headers[AUTHORIZATION] == format!("Bearer token-{}", book.current);
        if !admitted {
            if head.headers.contains_key("x-again") {
                book.expected_again.insert(number);
            }
            // In pieces, so that the head is there before the end.
            let pieces: Vec<_> = refusal().as_bytes().chunks(2048).map(Bytes::copy_from_slice).collect();
            let pieces = stream::iter(pieces).then(async |piece| {
                tokio::task::yield_now().await;
                Ok(Frame::data(piece))
            });
            return Response::builder().status(401).body(StreamBody::new(pieces).boxed_unsync()).unwrap();
        }
        book.expected_again.remove(&number);
        book.served += 1;
        // Not while a replay is under way: a second 401 would be its caller's, and rightly so.
        if book.served >= self.period * (book.revocations + 1) && book.expected_again.is_empty() {
            self.revoke(&mut book);
        }
        Response::new(Full::from(got).boxed_unsync())
    }

    /// The clock first: whoever has asked for the old token has asked for it `AGE` ago.
    fn revoke(&self, book: &mut Book) {
        self.clock.advance(AGE);
        book.current += 1;
        book.revocations += 1;
    }
}

/// Less than what is drained.
fn refusal() -> String {
    "the token was revoked; ".repeat(600)
}

/// Length and hash.
fn digest(body: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(body);
    format!("{}-{:016x}", body.len(), hasher.finish())
}

/// A piece of one long random text: small ones mostly, none and the largest among them.
fn random_body(rng: &mut fastrand::Rng, text: &Bytes) -> Bytes {
    let length = match rng.u8(..) {
        0 => LARGEST,
        1..8 => 0,
        _ => rng.usize(..=LARGEST) >> rng.u32(..8),
    };
    let start = rng.usize(..=text.len() - length);
    text.slice(start..start + length)
}

type Stream = StreamBody<stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

/// The same bytes in pieces, which nobody can send again.
fn streamed(body: &Bytes) -> Stream {
    let pieces: Vec<_> = body.chunks(5000).map(|piece| Ok(Frame::data(body.slice_ref(piece)))).collect();
    StreamBody::new(stream::iter(pieces))
}

fn post<B>(server: &Server, number: usize, body: &Bytes, carried: B) -> Request<B> {
    Request::post(format!("{}/posts/{number}", server.base_url()))
        .header("x-number", number)
        .header("x-digest", digest(body))
        .body(carried)
        .unwrap()
}

async fn answer<S, B, R>(client: &S, request: Request<B>) -> (StatusCode, bool, String)
where
    S: Service<Request<B>, Response = Response<R>, Error: std::fmt::Debug> + Clone,
    R: http_body::Body<Error: std::fmt::Debug>,
{
    let response = client.clone().oneshot(request).await.unwrap();
    let (status, not_replayed) = (response.status(), response.extensions().get::<NotReplayed>().is_some());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, not_replayed, String::from_utf8(body.to_vec()).unwrap())
}

/// Ten thousand posts, a ninth of them streams, while tokens are revoked under them.
async fn posts_while_tokens_are_revoked(h2: bool) {
    let revoking = Revoking::every(PERIOD);
    let server = Server::start({
        let revoking = revoking.clone();
        move |request| revoking.clone().answer(request)
    })
    .await;
    let server = Arc::new(server);
    let layer = BearerAuthLayer::new(server.base_url().parse::<Origins>().unwrap(), revoking.handle());
    let (full, streams) = (layer.layer(client::<Full<Bytes>>(h2)), layer.layer(client::<Stream>(h2)));
    let mut rng = fastrand::Rng::with_seed(0x70_6f_73_74);
    let text: Bytes = std::iter::repeat_with(|| rng.u8(..)).take(4 * LARGEST).collect();

    let callers = (0..CALLERS).map(|caller| {
        let (server, full, streams, text, mut rng) = (server.clone(), full.clone(), streams.clone(), text.clone(), rng.fork());
        tokio::spawn(async move {
            let mut handed_back = 0;
            for number in (caller..POSTS).step_by(CALLERS) {
                let body = random_body(&mut rng, &text);
                if number % 9 != 0 {
                    let mut request = post(&server, number, &body, Full::new(body.clone()));
                    request.headers_mut().insert("x-again", "yes".parse().unwrap());
                    assert_eq!(answer(&full, request).await, (StatusCode::OK, false, digest(&body)), "post {number}");
                    continue;
                }
                match answer(&streams, post(&server, number, &body, streamed(&body))).await {
                    (StatusCode::OK, false, echo) => assert_eq!(echo, digest(&body), "stream {number}"),
                    (StatusCode::UNAUTHORIZED, true, text) if text == refusal() => handed_back += 1,
                    other => panic!("stream {number}: {other:?}"),
                }
            }
            handed_back
        })
    });
    let handed_back: usize = futures::future::join_all(callers).await.into_iter().map(Result::unwrap).sum();

    let book = revoking.book.lock().unwrap();
    assert!(book.unlike.is_empty(), "{:?}", book.unlike);
    assert_eq!(book.sent.len(), POSTS);
    let twice: Vec<_> = book.sent.iter().filter(|(_, times)| **times != 1).collect();
    assert!(twice.iter().all(|(number, times)| **times == 2 && *number % 9 != 0), "{twice:?}");
    assert_eq!(book.served, POSTS - handed_back);
    // The test has seen what it is for.
    assert!(book.revocations > POSTS / PERIOD / 2, "{} revocations", book.revocations);
    assert!(twice.len() > book.revocations && handed_back > 0, "{} replays, {handed_back} handed back", twice.len());
    assert!(book.fetches <= book.revocations + 1, "{} fetches for {} revocations", book.fetches, book.revocations);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_post_arrives_whole_and_at_most_twice_over_http1() {
    posts_while_tokens_are_revoked(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_post_arrives_whole_and_at_most_twice_over_http2() {
    posts_while_tokens_are_revoked(true).await;
}

/// R6: a 401 that is not drained costs its connection, and a thousand of them a thousand.
#[tokio::test]
async fn a_thousand_replays_take_one_connection() {
    for h2 in [false, true] {
        let revoking = Revoking::every(1);
        let book = revoking.book.clone();
        let server = Server::start({
            let revoking = revoking.clone();
            move |request| revoking.clone().answer(request)
        })
        .await;
        let layer = BearerAuthLayer::new(server.base_url().parse::<Origins>().unwrap(), revoking.handle());
        let client = layer.layer(client::<Full<Bytes>>(h2));
        let body = Bytes::from_static(b"body");
        for number in 0..1200 {
            let (status, ..) = answer(&client, post(&server, number, &body, Full::new(body.clone()))).await;
            assert_eq!(status, StatusCode::OK);
        }
        let replays = book.lock().unwrap().sent.values().filter(|times| **times == 2).count();
        assert_eq!((replays, server.connections()), (1199, 1), "http2: {h2}");
    }
}

/// R7: a 401 was not applied, RFC 9110 section 15.5.2. Of any other answer nobody knows, and an error may come after the deed.
#[tokio::test]
async fn nothing_but_a_401_is_sent_twice() {
    for (first, second) in [(Ok(401), Ok(503)), (Ok(401), Err(())), (Ok(503), Ok(200)), (Err(()), Ok(200))]
        .into_iter()
        .chain([400, 403, 404, 407, 408, 409, 419, 425, 429, 498, 500, 502, 504].map(|status| (Ok(status), Ok(200))))
    {
        let (sent, handle) = (Arc::new(Mutex::new(0)), TokenHandle::new(Mint::default().source()));
        let counted = sent.clone();
        let server = tower::service_fn(move |_: Request<String>| {
            *counted.lock().unwrap() += 1;
            let answer = if *counted.lock().unwrap() == 1 { first } else { second };
            let response =
                |status| Response::builder().status(status).header(WWW_AUTHENTICATE, r#"Bearer error="invalid_token""#);
            let answer = answer.map(|status: u16| response(status).body(String::new()).unwrap());
            async move { answer.map_err(|()| std::io::Error::from(std::io::ErrorKind::ConnectionReset)) }
        });
        let layer = BearerAuthLayer::new(origins(), handle.clone());
        let answer = layer.layer(server).oneshot(Request::post(API).body("pay".to_owned()).unwrap()).await;
        let (last, times) = if first == Ok(401) { (second, 2) } else { (first, 1) };
        assert_eq!(answer.map(|response| response.status().as_u16()).map_err(drop), last, "{first:?}, {second:?}");
        assert_eq!((*sent.lock().unwrap(), handle.status().rejections()), (times, times - 1), "{first:?}, {second:?}");
    }
}
