//! yup-oauth2 12.1.2: `Authenticator::token` of a service account with the storage in memory, in the boxed layer that a
//! user writes around it. The token was really fetched from the endpoint on loopback, over a hyper client without TLS
//! (`ServiceAccountAuthenticator::with_client`). Left out: nothing; the crate has no layer of its own.

use compare::{Case, runtime};
use http::HeaderMap;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use yup_oauth2::{CustomHyperClientBuilder, ServiceAccountAuthenticator, authenticator::Authenticator};

use crate::{
    account,
    case::{self, BoxError},
    endpoint,
    fetch::{self, Fetch, FetchLayer},
};

const SCOPES: &[&str] = &["https://www.googleapis.com/auth/cloud-platform"];

pub(crate) fn token(floor: &'static str) -> Result<Box<dyn Case>, BoxError> {
    let account = account::service_account(&endpoint::start()?)?;
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let authenticator = runtime().block_on(
        ServiceAccountAuthenticator::with_client(serde_json::from_value(account)?, CustomHyperClientBuilder::from(client))
            .build(),
    )?;
    let layer = FetchLayer(Yup(authenticator));
    case::layered::<_, BoxError>("yup-oauth2 token()", floor, &layer)
}

#[derive(Clone)]
struct Yup(Authenticator<HttpConnector>);

impl Fetch for Yup {
    async fn authorize(&self, headers: &mut HeaderMap) -> Result<(), BoxError> {
        let token = self.0.token(SCOPES).await?;
        fetch::insert(headers, token.token().ok_or("no access token")?)
    }
}
