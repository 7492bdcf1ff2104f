//! The layer under a generated client. This is all that a program needs.

use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tonic::{Code, Status, body::Body};
use tower::{Service, ServiceBuilder};
use tower_token::{
    AuthError, BearerAuthLayer, Origins, TokenHandle,
    middleware::{BoundedBuffer, Generation},
};

/// How many bytes of a call are kept so that it can be sent again: unary calls mostly fit, streams of messages may not. It is memory
/// for each call in flight.
const KEPT: usize = 64 * 1024;

/// A channel whose calls carry a token, for `new` of a generated client:
///
/// ```text
/// let origins = url.parse::<Origins>()?.relative_as(url)?;
/// let channel = Endpoint::new(url)?.connect().await?;
/// let mut client = PricesClient::new(authenticated(channel, origins, tokens));
/// ```
///
/// The URIs of a generated client are only paths, and [`Origins::relative_as`] says where they lead. One that is made by
/// `with_origin` needs no `relative_as`.
pub(crate) fn authenticated<C>(
    channel: C,
    origins: Origins,
    tokens: TokenHandle,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = AuthError<C::Error>, Future: Send> + Clone + Send + 'static
where
    C: Service<Request<Body>, Response = Response<Body>, Future: Send> + Clone + Send + 'static,
    C::Error: Send,
{
    let layer = BearerAuthLayer::new(origins, tokens.clone())
        // A call that is refused before it answers has its status in the headers, over HTTP 200: it is sent again.
        .rejected_when(|status, headers| status == StatusCode::UNAUTHORIZED || is_unauthenticated(headers))
        .replay(BoundedBuffer::new(KEPT, Body::new))
        .expose_generation(true);
    ServiceBuilder::new().map_response(move |response| watch_trailers(response, &tokens)).layer(layer).service(channel)
}

/// A call that has begun to answer has its status in the trailers: too late to send it again, but the next one gets a new token.
fn watch_trailers(response: Response<Body>, tokens: &TokenHandle) -> Response<Body> {
    let Some(&Generation(generation)) = response.extensions().get() else { return response };
    let tokens = tokens.clone();
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            if frame.trailers_ref().is_some_and(is_unauthenticated) {
                // Only if it is still the current token: a stream may outlive the one that it was opened with.
                tokens.reject(generation);
            }
            frame
        }))
    })
}

fn is_unauthenticated(headers: &HeaderMap) -> bool {
    headers.get(Status::GRPC_STATUS).is_some_and(|status| Code::from_bytes(status.as_bytes()) == Code::Unauthenticated)
}
