use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Version, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client as Legacy, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tower_token::BoxError;

/// A plain HTTP client: nothing of this crate is in it.
#[derive(Clone)]
pub(crate) struct Client(Legacy<HttpConnector, Full<Bytes>>);

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) fn http1() -> Client {
        Client(Legacy::builder(TokioExecutor::new()).build_http())
    }

    pub(crate) fn http2() -> Client {
        Client(Legacy::builder(TokioExecutor::new()).http2_only(true).build_http())
    }

    /// An error is a connection that ended before the answer did.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, BoxError> {
        let (parts, body) = self.0.request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: parts.status, version: parts.version, headers: parts.headers, body })
    }

    /// A call with this token, or with none.
    pub(crate) async fn get(&self, url: &str, token: Option<&str>) -> Answer {
        let mut request = Request::get(url);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        self.send(request.body(Full::default()).unwrap()).await.unwrap()
    }

    pub(crate) async fn post_json(&self, url: &str, body: impl Into<Bytes>) -> Answer {
        let request = Request::post(url).header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Full::new(body.into())).unwrap()).await.unwrap()
    }

    pub(crate) async fn post_form(&self, url: &str, pairs: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let request = Request::post(url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Full::from(body)).unwrap()).await.unwrap()
    }

    pub(crate) async fn bare(&self, method: Method, url: &str) -> Answer {
        self.send(Request::builder().method(method).uri(url).body(Full::default()).unwrap()).await.unwrap()
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}
