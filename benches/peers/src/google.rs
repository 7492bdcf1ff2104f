//! google-cloud-auth 1.18.0: `Credentials::headers`, as its documentation shows for a caller's own requests, in the
//! boxed layer that a user writes around it. The credentials are those of a user account, the kind whose endpoint can
//! be moved to loopback: a token was really fetched there by the crate's own refresh task. Left out: the entity tag
//! with which a caller may ask whether the headers changed, as no caller would keep the headers beside the crate's cache.

use compare::{Case, runtime};
use google_cloud_auth::credentials::{CacheableResource, Credentials, user_account::Builder};
use http::{Extensions, HeaderMap};
use serde_json::json;

use crate::{
    case::{self, BoxError},
    endpoint,
    fetch::{Fetch, FetchLayer},
};

pub(crate) fn headers(floor: &'static str) -> Result<Box<dyn Case>, BoxError> {
    let _entered = runtime().enter();
    let account = json!({
        "type": "authorized_user",
        "client_id": "peers",
        "client_secret": "secret",
        "refresh_token": "refresh",
    });
    let credentials = Builder::new(account).with_token_uri(endpoint::start()?).build()?;
    let layer = FetchLayer(Google(credentials));
    case::layered::<_, BoxError>("google-cloud-auth headers()", floor, &layer)
}

#[derive(Clone)]
struct Google(Credentials);

impl Fetch for Google {
    async fn authorize(&self, headers: &mut HeaderMap) -> Result<(), BoxError> {
        match self.0.headers(Extensions::new()).await? {
            CacheableResource::New { data, .. } => headers.extend(data),
            CacheableResource::NotModified => {
                return Err("no entity tag was sent that could match".into());
            }
        }
        Ok(())
    }
}
