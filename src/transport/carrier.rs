use std::{
    future::{Future, poll_fn},
    pin::Pin,
};

use bytes::{Buf, Bytes};
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use tower_service::Service;

use crate::error::BoxError;

/// A response whose body type is forgotten.
pub(super) type BoxResponse = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// The future of one exchange, up to the response's headers.
pub(super) type BoxExchange = Pin<Box<dyn Future<Output = Result<BoxResponse, BoxError>> + Send>>;

/// The wait before it: nothing is sent before this is over.
pub(super) type BoxReady = Pin<Box<dyn Future<Output = Result<BoxExchange, BoxError>> + Send>>;

/// An HTTP service whose type is forgotten.
pub(super) trait Carrier: Send {
    /// Readies a clone, and then calls it. Dropping either future gives back whatever the clone held, a permit for example.
    fn carry(&self, request: Request<Full<Bytes>>) -> BoxReady;

    fn boxed_clone(&self) -> Box<dyn Carrier>;
}

impl<S, B> Carrier for S
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn carry(&self, request: Request<Full<Bytes>>) -> BoxReady {
        let mut service = self.clone();
        Box::pin(async move {
            poll_fn(|cx| service.poll_ready(cx)).await.map_err(Into::into)?;
            let exchange: BoxExchange = Box::pin(async move {
                let response = service.call(request).await.map_err(Into::into)?;
                Ok(response.map(|body| {
                    body.map_frame(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))
                        .map_err(Into::into)
                        .boxed_unsync()
                }))
            });
            Ok(exchange)
        })
    }

    fn boxed_clone(&self) -> Box<dyn Carrier> {
        Box::new(self.clone())
    }
}
