use std::any::Any;

use bytes::Bytes;
use http_body::Body;
use http_body_util::Full;

use crate::error::BoxError;

/// reqwest's own body for any other. What is bytes stays bytes: reqwest can then follow a redirect with it (307, 308).
pub(super) fn body<B>(body: B) -> reqwest::Body
where
    B: Body + Send + Sync + 'static,
    B::Data: Into<Bytes>,
    B::Error: Into<BoxError>,
{
    if body.is_end_stream() {
        return reqwest::Body::default();
    }
    let mut body = Some(body);
    take::<reqwest::Body, B>(&mut body)
        .or_else(|| take::<Full<Bytes>, B>(&mut body).map(|full| full.into_inner().unwrap_or_default().into()))
        .or_else(|| take::<String, B>(&mut body).map(Into::into))
        .or_else(|| body.take().map(reqwest::Body::wrap))
        .unwrap_or_default()
}

/// The body if its type `B` is `K`.
fn take<K: 'static, B: 'static>(body: &mut Option<B>) -> Option<K> {
    (body as &mut dyn Any).downcast_mut::<Option<K>>()?.take()
}
