//! gcp_auth 0.12.7: `TokenProvider::token` of a `CustomServiceAccount`, in the boxed layer that a user writes around it.
//! The token was really fetched from the endpoint on loopback, with an assertion signed by the account's key. Left out:
//! nothing; the crate has no layer of its own.

use std::sync::Arc;

use compare::Case;
use gcp_auth::{CustomServiceAccount, TokenProvider};
use http::HeaderMap;

use crate::{
    account,
    case::{self, BoxError},
    endpoint,
    fetch::{self, Fetch, FetchLayer},
};

const SCOPES: &[&str] = &["https://www.googleapis.com/auth/cloud-platform"];

pub(crate) fn token(floor: &'static str) -> Result<Box<dyn Case>, BoxError> {
    let account = account::service_account(&endpoint::start()?)?;
    let provider: Arc<dyn TokenProvider> = Arc::new(CustomServiceAccount::from_json(&account.to_string())?);
    let layer = FetchLayer(Gcp(provider));
    case::layered::<_, BoxError>("gcp_auth token()", floor, &layer)
}

/// As `gcp_auth::provider` hands it out.
#[derive(Clone)]
struct Gcp(Arc<dyn TokenProvider>);

impl Fetch for Gcp {
    async fn authorize(&self, headers: &mut HeaderMap) -> Result<(), BoxError> {
        let token = self.0.token(SCOPES).await?;
        fetch::insert(headers, token.as_str())
    }
}
