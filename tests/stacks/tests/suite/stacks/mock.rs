use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Either, Full, combinators::BoxBody};
use tower::{Layer, util::BoxCloneSyncService};
use tower_token::{
    BearerAuthLayer, Origins,
    middleware::{AuthService, ReplayWith},
};

use crate::{
    api::{Api, Site},
    stack::{Call, Payload, Redirects, Sent, Stack, through},
};

/// The API itself, as a service: what a tower user has in tests.
#[derive(Clone)]
pub(crate) struct Mock(AuthService<Inner, Policy>);

type Upload = Either<Full<Bytes>, BoxBody<Bytes, Infallible>>;
type Policy = ReplayWith<fn(&Upload) -> Option<Upload>>;
type Inner = BoxCloneSyncService<Request<Upload>, Response<Full<Bytes>>, Infallible>;

impl Stack for Mock {
    const REDIRECTS: Redirects = Redirects::HandedBack;

    async fn site(name: &str, api: Api) -> Site {
        Site::in_memory(&format!("https://{name}.example"), api)
    }

    async fn client(layer: BearerAuthLayer, _: &Origins, home: &Site, foreign: &Site) -> Mock {
        let sites = [home, foreign].map(|site| (site.origin.clone(), site.api.clone()));
        let server = tower::service_fn(move |request: Request<Upload>| {
            let origin = format!("https://{}", request.uri().authority().unwrap());
            let (_, api) = sites.iter().find(|(site, _)| *site == origin).cloned().unwrap();
            async move { Ok(api.answer(request).await) }
        });
        Mock(layer.replay(ReplayWith(again as _)).layer(BoxCloneSyncService::new(server)))
    }

    async fn send(&self, call: Call) -> Sent {
        let body = |payload| match payload {
            Payload::Empty => Either::Left(Full::default()),
            Payload::Whole(body) => Either::Left(Full::new(body)),
            Payload::Stream(chunks) => Either::Right(BoxBody::new(chunks.body())),
        };
        through(&self.0, call.request(body)).await
    }
}

fn again(body: &Upload) -> Option<Upload> {
    match body {
        Either::Left(whole) => Some(Either::Left(whole.clone())),
        Either::Right(_) => None,
    }
}
