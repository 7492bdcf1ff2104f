use http::{Extensions, HeaderMap, StatusCode};
use reqwest::{Body, Request, Response};
use reqwest_middleware::{Error, Next};

use crate::{
    adapter::reqwest::mark,
    error::AuthError,
    middleware::{Carrier, Outgoing, Reply},
};

/// The rest of the chain, down to the client.
pub(super) struct Rest<'a> {
    pub(super) next: Next<'a>,
    pub(super) extensions: &'a mut Extensions,
}

impl Carrier<Request> for Rest<'_> {
    type Reply = Response;
    type Error = Error;

    async fn carry(&mut self, request: Request) -> Result<Response, AuthError<Error>> {
        let sent_to = request.url().clone();
        let mut response = self.next.clone().run(request, self.extensions).await.map_err(AuthError::Service)?;
        mark(&mut response, &sent_to);
        Ok(response)
    }
}

impl Outgoing for Request {
    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }
}

impl Reply for Response {
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn extensions(&self) -> &Extensions {
        self.extensions()
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        self.extensions_mut()
    }

    fn into_body(self) -> impl http_body::Body + Send {
        Body::from(self)
    }
}
