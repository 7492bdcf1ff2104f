use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body::Body;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use tower_service::Service;

use super::{Reply, SecretBuffer, answer::Answer, authority, carrier::Carrier, foreign};
use crate::{
    clock::{Clock, Sleep},
    error::{BoxError, ErrorKind, TokenError},
    observe,
};

/// The most that is read of a reply: 1 MiB.
const BODY_LIMIT: usize = 1 << 20;

/// What a frame counts for at least: a body that is always ready with an empty one would outlast every timeout, since the
/// timer is not looked at while there is something to read.
const SMALLEST_FRAME: usize = 64;

/// How long one token call may take by default, headers and body together.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Room for most replies, so that they are read without growing.
const USUAL_BODY: usize = 4096;

const NO_REPLY: &str = "the token call failed before a reply came";

const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("tower-token/", env!("CARGO_PKG_VERSION")));

/// Carries token calls: an HTTP service whose type is forgotten, and a timeout.
///
/// # Defaults
///
/// A timeout of 15 s for a whole call: below the engine's fetch timeout of 30 s, so that the engine sees the true error.
pub struct Transport {
    /// Locked to be cloned: a service need not be `Sync`, and what is built on a transport may have to be.
    carrier: Mutex<Box<dyn Carrier>>,
    timeout: Duration,
}

impl Transport {
    /// Token calls over a service of your own: a client, or a stack with your timeouts and proxies.
    ///
    /// Three things are yours to see to. It must not follow redirects: a 307 would carry the secret to wherever the server
    /// points. It must not run through the layer that its tokens feed, or the token call waits for its own token. And it
    /// must not send a request again by itself: a refresh token that comes twice is a stolen one to a strict server.
    ///
    /// An error of the service is kept as the [`source`](std::error::Error::source) of a transient [`TokenError`]; where it
    /// shows a URL, its text is kept, without query and user info.
    pub fn new<S, B>(service: S) -> Transport
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Transport { carrier: Mutex::new(Box::new(service)), timeout: TIMEOUT }
    }

    /// The client of this crate: HTTP/1.1 and HTTP/2, TLS by rustls with aws-lc-rs and the platform's root certificates.
    ///
    /// In a program that uses rustls with ring as well, rustls can no longer choose a provider for the program's own
    /// connections by itself: call `CryptoProvider::install_default` first. This client names its own.
    ///
    /// It follows no redirect, keeps no idle connection, asks for no compression, and reads no proxy from the environment: for
    /// one of these, pass a client of your own to [`new`](Self::new). It needs tokio when it is called, not to be made;
    /// making it reads the root certificates where the platform keeps them in files, and touches no network.
    ///
    /// # Errors
    ///
    /// `Misconfigured` if the platform has no usable root certificates.
    #[cfg(feature = "client")]
    pub fn client() -> Result<Transport, TokenError> {
        super::client::client().map(Transport::new)
    }

    /// How long one call may take, from asking the service whether it is ready to the last byte of the body.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Transport {
        self.timeout = timeout;
        self
    }

    /// Sends a request and reads the reply whole, within the limits of this module: for sources of your own.
    ///
    /// A reply is a reply whatever its status. Of one that is not 2xx the body merely explains, so if that cannot be read
    /// whole, it is left empty and the reply is still handed up.
    ///
    /// # Errors
    ///
    /// `Timeout` when the timeout passes, `Transient` when the service fails, the body breaks off or exceeds 1 MiB, and
    /// `Misconfigured` where the clock cannot sleep (tokio's outside a runtime).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the exchange. Whether the server has carried it out is then unknown, so an exchange that
    /// must not be lost (a rotated refresh token) belongs in a task of its own.
    pub fn send(
        &self,
        request: Request<Full<Bytes>>,
        clock: &Arc<dyn Clock>,
    ) -> impl Future<Output = Result<Reply, TokenError>> + Send + 'static + use<> {
        let answer = self.call(request, clock);
        async move { answer.await.into_result() }
    }

    /// As [`send`](Self::send), and tells how far it came: for exchanges that a server acts on but once.
    pub(crate) fn call(
        &self,
        mut request: Request<Full<Bytes>>,
        clock: &Arc<dyn Clock>,
    ) -> impl Future<Output = Answer> + Send + 'static + use<> {
        // Some gateways answer 403 to a client without a name.
        request.headers_mut().entry(header::USER_AGENT).or_insert(USER_AGENT);
        let told = told(request.uri());
        let sleep = clock.sleep(self.timeout);
        let ready = self.with_carrier(|carrier| carrier.carry(request));
        let exchange = async move {
            let mut sleep = match sleep {
                Ok(sleep) => sleep,
                Err(error) => return Answer::Unsent(error),
            };
            let exchange = match within(&mut sleep, ready).await {
                Ok(Ok(exchange)) => exchange,
                Ok(Err(error)) => return Answer::Unsent(foreign::wrap(NO_REPLY, error)),
                Err(timeout) => return Answer::Unsent(timeout),
            };
            let response = match within(&mut sleep, exchange).await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) if foreign::is_connect(&*error) => return Answer::Unsent(foreign::wrap(NO_REPLY, error)),
                Ok(Err(error)) => return Answer::Lost(foreign::wrap(NO_REPLY, error)),
                Err(timeout) => return Answer::Lost(timeout),
            };
            let (parts, body) = response.into_parts();
            let mut bytes = SecretBuffer::with_capacity(USUAL_BODY);
            let read = within(&mut sleep, read_body(body, &mut bytes)).await.and_then(|read| read);
            let reply = Reply::new(parts.status, parts.headers, bytes.into_vec());
            match read {
                Ok(()) => Answer::Whole(reply),
                Err(error) => Answer::Partial(reply, error),
            }
        };
        async move {
            let answer = exchange.await;
            told.ended(answer.reply().map(|reply| reply.status().as_u16()), answer.error());
            answer
        }
    }

    fn with_carrier<T>(&self, with: impl FnOnce(&dyn Carrier) -> T) -> T {
        // A service that panicked while it was cloned is no worse for it.
        with(&**self.carrier.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// So that whatever takes a `Transport` also takes a service as it is.
impl<S, B> From<S> for Transport
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn from(service: S) -> Transport {
        Transport::new(service)
    }
}

impl Clone for Transport {
    fn clone(&self) -> Transport {
        Transport { carrier: Mutex::new(self.with_carrier(|carrier| carrier.boxed_clone())), timeout: self.timeout }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// Where a call goes, as far as it is told.
fn told(uri: &Uri) -> observe::Call {
    let default = uri.scheme().and_then(authority::default_port);
    observe::Call::to(uri.host().unwrap_or_default(), uri.port_u16().or(default))
}

/// An error is the timeout's: one sleep runs over all parts of a call.
async fn within<F: Future>(sleep: &mut Sleep, part: F) -> Result<F::Output, TokenError> {
    tokio::select! {
        biased;
        output = part => Ok(output),
        () = sleep => Err(TokenError::new(ErrorKind::Timeout, "the token call took longer than its timeout")),
    }
}

/// What has come before an error stays in `bytes`.
async fn read_body(mut body: UnsyncBoxBody<Bytes, BoxError>, bytes: &mut SecretBuffer) -> Result<(), TokenError> {
    let mut room = BODY_LIMIT;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| foreign::wrap("the reply to the token call broke off", error))?;
        let data = frame.data_ref().map_or(&[][..], |data| data);
        room = room.checked_sub(data.len().max(SMALLEST_FRAME)).ok_or_else(too_big)?;
        bytes.extend(data);
    }
    Ok(())
}

fn too_big() -> TokenError {
    TokenError::new(ErrorKind::Transient, "the reply to the token call is larger than 1 MiB, or comes in too many pieces")
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        error::Error,
        io,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use futures::stream::{self, StreamExt};
    use http::StatusCode;
    use http_body::Frame;
    use http_body_util::StreamBody;
    use tower::{ServiceBuilder, service_fn};

    use super::*;
    use crate::clock::TokioClock;

    fn clock() -> Arc<dyn Clock> {
        Arc::new(TokioClock)
    }

    fn request() -> Request<Full<Bytes>> {
        Request::new(Full::default())
    }

    /// A transport whose replies have this status and this body.
    fn replying<B, F>(status: StatusCode, body: F) -> Transport
    where
        F: Fn() -> B + Clone + Send + 'static,
        B: Body<Error: Into<BoxError>> + Send + 'static,
    {
        Transport::new(service_fn(move |_| {
            let mut response = Response::new(body());
            *response.status_mut() = status;
            async move { Ok::<_, Infallible>(response) }
        }))
    }

    /// E9, G5: one timeout covers the wait for readiness, the headers, and a body that trickles.
    #[tokio::test(start_paused = true)]
    async fn the_timeout_covers_the_whole_call() {
        let trickle = || {
            StreamBody::new(stream::repeat(()).then(|()| async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok::<_, Infallible>(Frame::data(Bytes::from_static(b" ")))
            }))
        };
        let busy = ServiceBuilder::new()
            .concurrency_limit(0)
            .service(service_fn(async |_| Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))));
        let silent = service_fn(|_| std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>());
        for (transport, name) in [
            (replying(StatusCode::OK, trickle), "trickle"),
            (replying(StatusCode::FOUND, trickle), "trickle 302"),
            (busy.into(), "busy"),
            (silent.into(), "silent"),
        ] {
            let start = tokio::time::Instant::now();
            let error = transport.send(request(), &clock()).await.expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Timeout, "{name}");
            assert_eq!(start.elapsed(), TIMEOUT, "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_timeout_can_be_set() {
        let silent = service_fn(|_| std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>());
        let start = tokio::time::Instant::now();
        let error = Transport::new(silent).timeout(Duration::from_secs(3)).send(request(), &clock()).await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed()), (ErrorKind::Timeout, Duration::from_secs(3)));
    }

    /// G5: 1 MiB is read, one byte more is not, and an endless body is not read to its end.
    #[tokio::test]
    async fn the_body_is_capped() {
        let whole = replying(StatusCode::OK, || Full::new(Bytes::from(vec![b' '; BODY_LIMIT])));
        assert_eq!(whole.send(request(), &clock()).await.unwrap().body().len(), BODY_LIMIT);

        let above = replying(StatusCode::OK, || Full::new(Bytes::from(vec![b' '; BODY_LIMIT + 1])));
        let endless = replying(StatusCode::OK, || {
            StreamBody::new(stream::repeat_with(|| Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b' '; 4096])))))
        });
        for transport in [above, endless] {
            let error = transport.send(request(), &clock()).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.to_string().as_str()),
                (ErrorKind::Transient, "the reply to the token call is larger than 1 MiB, or comes in too many pieces")
            );
        }
    }

    /// DESIGN 5: an error status explains itself, whatever becomes of its body.
    #[tokio::test]
    async fn a_body_that_breaks_off_fails_a_2xx_and_is_left_out_of_any_other() {
        let broken = || {
            let frames = [Ok(Frame::data(Bytes::from_static(b"{\"tok"))), Err(io::Error::from(io::ErrorKind::ConnectionReset))];
            StreamBody::new(stream::iter(frames))
        };
        let error = replying(StatusCode::OK, broken).send(request(), &clock()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transient);
        assert!(error.source().is_some_and(|source| source.is::<io::Error>()));

        let reply = replying(StatusCode::TOO_MANY_REQUESTS, broken).send(request(), &clock()).await.unwrap();
        assert_eq!((reply.status(), reply.body()), (StatusCode::TOO_MANY_REQUESTS, b"".as_slice()));
    }

    /// S3, S4: neither the reply nor the transport shows what it carries.
    #[tokio::test]
    async fn debug_shows_no_body() {
        let transport = replying(StatusCode::OK, || Full::new(Bytes::from_static(b"canary")));
        let reply = transport.send(request(), &clock()).await.unwrap();
        assert_eq!(reply.body(), b"canary");
        assert!(!format!("{reply:?} {transport:?}").contains("canary"));
    }

    /// H3: `call` comes after `poll_ready` on the same clone, each time.
    #[tokio::test]
    async fn the_service_is_readied_before_each_call() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let limited = ServiceBuilder::new().concurrency_limit(1).service(service_fn(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }
        }));
        let transport = Transport::new(limited);
        for _ in 0..3 {
            transport.clone().send(request(), &clock()).await.unwrap();
        }
        assert_eq!(calls.load(Ordering::Relaxed), 3);
    }

    /// F2: what is known to have been sent, and what came of a reply that broke off.
    #[tokio::test(start_paused = true)]
    async fn how_far_a_call_came_is_told() {
        let busy = ServiceBuilder::new()
            .concurrency_limit(0)
            .service(service_fn(async |_| Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))));
        let silent = service_fn(|_| std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>());
        let failing = service_fn(async |_| Err::<Response<Full<Bytes>>, _>(io::Error::from(io::ErrorKind::ConnectionReset)));
        let cut = |last: Option<io::ErrorKind>| {
            move || {
                let first = stream::iter([Ok(Frame::data(Bytes::from_static(b"{\"tok")))]);
                let rest = stream::iter(last.map(|kind| Err(io::Error::from(kind))));
                let rest = if last.is_some() { rest.left_stream() } else { stream::pending().right_stream() };
                StreamBody::new(first.chain(rest))
            }
        };
        for (transport, told, kind) in [
            (busy.into(), "unsent", ErrorKind::Timeout),
            (silent.into(), "lost", ErrorKind::Timeout),
            (failing.into(), "lost", ErrorKind::Transient),
            (replying(StatusCode::OK, cut(Some(io::ErrorKind::ConnectionReset))), "{\"tok", ErrorKind::Transient),
            (replying(StatusCode::OK, cut(None)), "{\"tok", ErrorKind::Timeout),
            (replying(StatusCode::FOUND, cut(None)), "{\"tok", ErrorKind::Timeout),
        ] {
            let transport: Transport = transport;
            let (text, error) = match transport.call(request(), &clock()).await {
                Answer::Whole(reply) => panic!("{told}: {reply:?}"),
                Answer::Partial(reply, error) => (String::from_utf8(reply.body().to_vec()).unwrap(), error),
                Answer::Lost(error) => ("lost".to_owned(), error),
                Answer::Unsent(error) => ("unsent".to_owned(), error),
            };
            assert_eq!((text.as_str(), error.kind()), (told, kind));
        }
    }

    /// Nobody listens, so nothing was sent; somebody hangs up, and nobody knows.
    #[cfg(feature = "client")]
    #[tokio::test]
    async fn a_connection_that_was_never_made_has_sent_nothing() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let post = || Request::post(format!("http://{address}/")).body(Full::default()).unwrap();
        let client = Transport::client().unwrap();
        let hang_up = async { drop(listener.accept().await.unwrap()) };
        let (answer, ()) = tokio::join!(client.call(post(), &clock()), hang_up);
        assert!(matches!(answer, Answer::Lost(_)), "{answer:?}");
        drop(listener);
        let answer = client.call(post(), &clock()).await;
        assert!(matches!(answer, Answer::Unsent(_)), "{answer:?}");
    }

    /// L2: without a runtime there is an error, not a panic.
    #[test]
    fn outside_a_runtime_the_call_is_misconfigured() {
        let transport = replying(StatusCode::OK, Full::<Bytes>::default);
        let error = futures::executor::block_on(transport.send(request(), &clock())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
    }
}
