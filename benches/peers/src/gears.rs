//! cf-gears-toolkit-auth 0.8.3: `BearerAuthLayer`, and `BearerAuthAutoRefreshLayer` which keeps a copy of the request
//! and sends it again after a 401, both over a `TokenProvider` of the client credentials grant that got its token from
//! the endpoint on loopback. The inner service has to have the error type of cf-gears-toolkit-http. Left out: the HTTP
//! client of that crate, into which its documentation puts the layers.

use compare::{Case, runtime};
use toolkit_auth::{BearerAuthAutoRefreshLayer, BearerAuthLayer, OAuthClientConfig, SecretString, TokenProvider};
use toolkit_http::{HttpClientConfig, HttpError};

use crate::{
    case::{self, BoxError},
    endpoint,
};

pub(crate) fn bearer(floor: &'static str) -> Result<Box<dyn Case>, BoxError> {
    let layer = BearerAuthLayer::new(provider()?);
    case::layered::<_, HttpError>("cf-gears-toolkit-auth BearerAuthLayer", floor, &layer)
}

pub(crate) fn auto_refresh(floor: &'static str) -> Result<Box<dyn Case>, BoxError> {
    let layer = BearerAuthAutoRefreshLayer::new(provider()?);
    case::layered::<_, HttpError>("cf-gears-toolkit-auth BearerAuthAutoRefreshLayer", floor, &layer)
}

fn provider() -> Result<TokenProvider, BoxError> {
    let _entered = runtime().enter();
    let config = OAuthClientConfig {
        token_endpoint: Some(endpoint::start()?.parse()?),
        client_id: "peers".into(),
        client_secret: SecretString::new("secret"),
        // The only configuration that speaks plain HTTP whatever the features are.
        http_config: Some(HttpClientConfig::for_testing()),
        ..OAuthClientConfig::default()
    };
    Ok(TokenProvider::new(config)?)
}
