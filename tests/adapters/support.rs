use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use http::HeaderName;
use reqwest::Body;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::sync::watch;
use tower::{Layer, ServiceExt, util::BoxCloneService};
use tower_token::{
    AccessToken, BearerAuthLayer, BoxError, FetchContext, Origins, TokenError, TokenHandle, TokenSource,
    adapter::{
        reqwest::ReqwestService,
        reqwest_middleware::{AuthMiddleware, client},
    },
    middleware::HeaderStyle,
    source_fn,
    testing::{ManualClock, ScriptedReply, ScriptedServer},
};

pub(crate) const KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A token endpoint in a closure: it numbers its tokens `token-1`, `token-2` …, counts, and fails or hangs when told.
#[derive(Clone, Default)]
pub(crate) struct Mint {
    fetches: Arc<AtomicUsize>,
    down: Arc<AtomicBool>,
    held: Arc<watch::Sender<bool>>,
}

impl Mint {
    fn source(&self) -> impl TokenSource + use<> {
        let mint = self.clone();
        source_fn(move |_cx: FetchContext| {
            let (mint, number) = (mint.clone(), mint.fetches.fetch_add(1, Ordering::SeqCst) + 1);
            async move {
                mint.held.subscribe().wait_for(|held| !held).await.unwrap();
                if mint.down.load(Ordering::SeqCst) {
                    return Err(TokenError::transient("down"));
                }
                AccessToken::new(format!("token-{number}"))
            }
        })
    }

    pub(crate) fn handle(&self) -> TokenHandle {
        TokenHandle::new(self.source())
    }

    /// A handle for which no time passes, so that no drain of a 401 is cut short on a slow machine.
    pub(crate) fn patient_handle(&self) -> TokenHandle {
        TokenHandle::builder(self.source()).clock(ManualClock::new()).build()
    }

    pub(crate) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    pub(crate) fn down(&self) {
        self.down.store(true, Ordering::SeqCst);
    }

    pub(crate) fn hold(&self, hold: bool) {
        self.held.send_replace(hold);
    }
}

/// A server that takes one token, under either header, answers others with 401, and redirects where it is told.
pub(crate) struct Api {
    pub(crate) server: ScriptedServer,
    rules: Arc<Mutex<Rules>>,
}

#[derive(Default)]
struct Rules {
    accepted: String,
    redirects: HashMap<String, (u16, String)>,
}

impl Api {
    pub(crate) async fn accepting(token: &str) -> Api {
        let rules = Arc::new(Mutex::new(Rules { accepted: token.to_owned(), ..Rules::default() }));
        let shared = Arc::clone(&rules);
        let server = ScriptedServer::start_with(move |request| {
            let rules = shared.lock().unwrap();
            if let Some((status, to)) = rules.redirects.get(&request.path) {
                return ScriptedReply::new(*status, "").header("location", to);
            }
            let accepted = shown(request) == rules.accepted;
            ScriptedReply::new(if accepted { 200 } else { 401 }, format!("answer to {}", request.path))
        });
        Api { server: server.await.unwrap(), rules }
    }

    pub(crate) fn accept(&self, token: &str) {
        self.rules.lock().unwrap().accepted = token.to_owned();
    }

    pub(crate) fn redirect(&self, path: &str, status: u16, to: String) {
        self.rules.lock().unwrap().redirects.insert(path.to_owned(), (status, to));
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.server.base_url() + path
    }

    pub(crate) fn origins(&self) -> Origins {
        self.server.base_url().parse().unwrap()
    }

    pub(crate) fn layer(&self, tokens: &TokenHandle) -> BearerAuthLayer {
        BearerAuthLayer::new(self.origins(), tokens.clone())
    }

    /// The token of each request so far, `-` for none.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.server.requests().iter().map(shown).collect()
    }
}

fn shown(request: &tower_token::testing::ScriptedRequest) -> String {
    let of = |name: &str| request.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
    let values = [of("authorization"), of(KEY.as_str())].concat();
    if values.is_empty() { "-".to_owned() } else { values.join(" + ").replace("Bearer ", "") }
}

pub(crate) fn under_key(layer: BearerAuthLayer) -> BearerAuthLayer {
    layer.header(HeaderStyle::bare(KEY))
}

/// Middleware over a client of the user's, as it is by default.
pub(crate) fn over_default(layer: BearerAuthLayer) -> ClientWithMiddleware {
    ClientBuilder::new(reqwest::Client::new()).with(AuthMiddleware::new_redirect_free(layer)).build()
}

/// One client, by either adapter.
#[derive(Clone)]
pub(crate) enum Client {
    Middleware(ClientWithMiddleware),
    Service(BoxCloneService<http::Request<Body>, http::Response<Body>, BoxError>),
}

impl Client {
    /// Both adapters, each over a client of its own.
    pub(crate) fn own(layer: &BearerAuthLayer, origins: &Origins) -> [Client; 2] {
        let service = ReqwestService::new(origins).unwrap();
        [Client::Middleware(client(layer.clone()).unwrap()), Client::service(layer, service)]
    }

    /// Both adapters, each over a client of the user's that follows redirects anywhere, which it must not.
    pub(crate) fn users(layer: &BearerAuthLayer) -> [Client; 2] {
        let service = ReqwestService::over_redirect_free(reqwest::Client::new());
        [Client::Middleware(over_default(layer.clone())), Client::service(layer, service)]
    }

    pub(crate) fn service(layer: &BearerAuthLayer, service: ReqwestService) -> Client {
        let service = layer.layer(service);
        Client::Service(BoxCloneService::new(ServiceExt::<http::Request<Body>>::map_err(service, Into::into)))
    }

    pub(crate) async fn send(&self, request: http::Request<Body>) -> Result<Answer, BoxError> {
        let response = match self {
            Client::Middleware(client) => {
                let (mut parts, body) = request.into_parts();
                let mut extensions = std::mem::take(&mut parts.extensions);
                let request = http::Request::from_parts(parts, body).try_into().unwrap();
                client.execute_with_extensions(request, &mut extensions).await?.into()
            }
            Client::Service(service) => service.clone().oneshot(request).await?,
        };
        Answer::read(response).await
    }

    pub(crate) async fn get(&self, url: String) -> Answer {
        self.send(get(url)).await.unwrap()
    }
}

pub(crate) fn get(url: String) -> http::Request<Body> {
    http::Request::get(url).body(Body::default()).unwrap()
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) extensions: http::Extensions,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn read(response: http::Response<Body>) -> Result<Answer, BoxError> {
        use http_body_util::BodyExt;

        let (parts, body) = response.into_parts();
        let body = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
        Ok(Answer { status: parts.status.as_u16(), extensions: parts.extensions, body })
    }

    pub(crate) fn has<T: Send + Sync + Clone + 'static>(&self) -> bool {
        self.extensions.get::<T>().is_some()
    }
}
