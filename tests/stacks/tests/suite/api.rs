use std::{
    convert::Infallible,
    fmt::Debug,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{
    Method, Request, Response, StatusCode,
    header::{AUTHORIZATION, LOCATION, WWW_AUTHENTICATE},
};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tower_token::BoxError;

use crate::issuer::Issuer;

/// An API that takes the tokens of an issuer, and writes down each request. It is one and the same in memory and on loopback.
///
/// A request with a good token is answered with its own body; one for `/hop?to=URL` is sent on to that URL. Any other gets a 401.
#[derive(Clone)]
pub(crate) struct Api {
    issuer: Issuer,
    seen: Arc<Mutex<Vec<Seen>>>,
    arrived: Arc<watch::Sender<usize>>,
    held: Arc<watch::Sender<bool>>,
}

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    /// With its query.
    pub(crate) path: String,
    /// The values of all `Authorization` headers.
    pub(crate) authorization: Vec<String>,
    pub(crate) body: Bytes,
}

impl Api {
    pub(crate) fn of(issuer: &Issuer) -> Api {
        Api { issuer: issuer.clone(), seen: Arc::default(), arrived: Arc::default(), held: Arc::default() }
    }

    /// The requests that have arrived, oldest first.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// What they had for authorization: the values, comma-separated, or `-`.
    pub(crate) fn authorizations(&self) -> Vec<String> {
        let shown = |seen: &Seen| if seen.authorization.is_empty() { "-".to_owned() } else { seen.authorization.join(", ") };
        self.seen.lock().unwrap().iter().map(shown).collect()
    }

    pub(crate) async fn reached(&self, count: usize) {
        self.arrived.subscribe().wait_for(|arrived| *arrived >= count).await.unwrap();
    }

    /// Keeps requests waiting. They are judged when they are let go.
    pub(crate) fn hold(&self, hold: bool) {
        self.held.send_replace(hold);
    }

    pub(crate) async fn answer<B: Body<Error: Debug>>(&self, request: Request<B>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let authorization = head.headers.get_all(AUTHORIZATION).iter().map(|value| value.to_str().unwrap().to_owned()).collect();
        let path = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        let body = body.collect().await.unwrap().to_bytes();
        let seen = Seen { method: head.method, path, authorization, body };
        self.seen.lock().unwrap().push(seen.clone());
        self.arrived.send_modify(|arrived| *arrived += 1);
        self.held.subscribe().wait_for(|held| !held).await.unwrap();
        let answer = Response::builder().header("x-answered", &seen.path);
        let answer = match &*seen.authorization {
            [value] if self.issuer.accepts(value) => match seen.path.split_once("?to=") {
                Some(("/hop", url)) => answer.status(StatusCode::TEMPORARY_REDIRECT).header(LOCATION, url).body(Full::default()),
                _ => answer.body(Full::new(seen.body)),
            },
            _ => answer
                .status(StatusCode::UNAUTHORIZED)
                .header(WWW_AUTHENTICATE, r#"Bearer error="invalid_token""#)
                .body(Full::from("who is this?")),
        };
        answer.unwrap()
    }
}

/// Where an API is found.
pub(crate) struct Site {
    /// `http://127.0.0.1:PORT`, or one that exists in memory only.
    pub(crate) origin: String,
    pub(crate) api: Api,
    _server: Option<Server>,
}

impl Site {
    pub(crate) fn in_memory(origin: &str, api: Api) -> Site {
        Site { origin: origin.to_owned(), api, _server: None }
    }

    pub(crate) async fn on_loopback(api: Api) -> Site {
        let answering = api.clone();
        let server = Server::start(move |request| {
            let api = answering.clone();
            async move { api.answer(request).await }
        });
        let server = server.await;
        Site { origin: server.origin.clone(), api, _server: Some(server) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}

/// Listens on a loopback port until it is dropped, over HTTP/1.1, and HTTP/2 with prior knowledge.
pub(crate) struct Server {
    pub(crate) origin: String,
    accepting: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start<F, Fut, B>(answer: F) -> Server
    where
        F: Fn(Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let answer = answer.clone();
                let service = service_fn(move |request| {
                    let answer = answer(request);
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                // A client may go at any time.
                tokio::spawn(async move {
                    drop(auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Server { origin, accepting }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
