//! What the layer's rules ask of a request, of an answer, and of whoever carries them: they hold for carriers that are no tower
//! service as well.

use std::future::Future;

use http::{Extensions, HeaderMap, Request, Response, StatusCode};
use http_body::Body;

use crate::error::AuthError;

/// Sends requests, up to two for each that it is given: a service that is made ready for each, or the rest of a chain.
pub(crate) trait Carrier<Q> {
    type Reply: Reply;
    type Error;

    fn carry(&mut self, request: Q) -> impl Future<Output = Result<Self::Reply, AuthError<Self::Error>>> + Send;
}

/// What is touched of a request, whoever carries it.
pub(crate) trait Outgoing {
    fn headers_mut(&mut self) -> &mut HeaderMap;
}

/// What is looked at of an answer, whoever carried it.
pub(crate) trait Reply {
    fn status(&self) -> StatusCode;
    fn headers(&self) -> &HeaderMap;
    fn extensions(&self) -> &Extensions;
    fn extensions_mut(&mut self) -> &mut Extensions;
    fn into_body(self) -> impl Body + Send;
}

impl<B> Outgoing for Request<B> {
    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }
}

impl<R: Body + Send> Reply for Response<R> {
    #[inline]
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

    fn into_body(self) -> impl Body + Send {
        self.into_body()
    }
}
