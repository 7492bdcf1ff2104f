use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use tokio::sync::watch;
use tower::util::BoxCloneService;
use tower_token::{AccessToken, FetchContext, Origins, TokenError, TokenSource, source_fn};

pub(crate) const API: &str = "https://api.example.com/orders";

pub(crate) fn origins() -> Origins {
    "https://api.example.com".parse().unwrap()
}

pub(crate) fn get(uri: &str) -> Request<String> {
    Request::get(uri).body(String::new()).unwrap()
}

/// A token endpoint in a closure: it numbers its tokens `token-1`, `token-2` …, counts, and fails or hangs when told.
#[derive(Clone, Default)]
pub(crate) struct Mint {
    fetches: Arc<AtomicUsize>,
    down: Arc<AtomicBool>,
    held: Arc<watch::Sender<bool>>,
    lifetime: Option<Duration>,
}

impl Mint {
    pub(crate) fn living(lifetime: Duration) -> Mint {
        Mint { lifetime: Some(lifetime), ..Mint::default() }
    }

    pub(crate) fn source(&self) -> impl TokenSource + use<> {
        let mint = self.clone();
        source_fn(move |_cx: FetchContext| {
            let (mint, number) = (mint.clone(), mint.fetches.fetch_add(1, Ordering::SeqCst) + 1);
            async move {
                mint.held.subscribe().wait_for(|held| !held).await.unwrap();
                if mint.down.load(Ordering::SeqCst) {
                    return Err(TokenError::transient("down"));
                }
                let token = AccessToken::new(format!("token-{number}"))?;
                Ok(mint.lifetime.map_or(token.clone(), |lifetime| token.expires_in(lifetime)))
            }
        })
    }

    pub(crate) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    pub(crate) fn down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    pub(crate) fn hold(&self, hold: bool) {
        self.held.send_replace(hold);
    }
}

/// A server in a closure: it accepts the tokens that it is told to, answers others with 401, and writes down what it saw.
#[derive(Clone, Default)]
pub(crate) struct Api {
    pub(crate) seen: Arc<Mutex<Vec<String>>>,
    accepted: Arc<Mutex<Option<String>>>,
}

impl Api {
    /// Accepts `token` only.
    pub(crate) fn accepting(token: &str) -> Api {
        let api = Api::default();
        api.accept(token);
        api
    }

    pub(crate) fn accept(&self, token: &str) {
        *self.accepted.lock().unwrap() = Some(format!("Bearer {token}"));
    }

    /// Every `Authorization` that came, `-` for none.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn answer<B>(&self, request: &Request<B>) -> Response<String> {
        let values: Vec<_> = request.headers().get_all(AUTHORIZATION).iter().map(|value| value.to_str().unwrap()).collect();
        let shown = if values.is_empty() { "-".to_owned() } else { values.join(" + ") };
        self.seen.lock().unwrap().push(shown.clone());
        let accepted = self.accepted.lock().unwrap();
        let status = match accepted.as_ref().is_none_or(|accepted| *accepted == shown) {
            true => StatusCode::OK,
            false => StatusCode::UNAUTHORIZED,
        };
        let mut response = Response::new(format!("answer to {shown}"));
        *response.status_mut() = status;
        response
    }

    pub(crate) fn service<B: Send + 'static>(&self) -> BoxCloneService<Request<B>, Response<String>, Infallible> {
        let api = self.clone();
        BoxCloneService::new(tower::service_fn(move |request: Request<B>| {
            let response = api.answer(&request);
            async move { Ok(response) }
        }))
    }
}
