//! aws-smithy-runtime 1.16.2: what its orchestrator does for `@httpBearerAuth` between two requests of the same client:
//! look up the auth scheme, ask the lazy identity cache for the identity, have the scheme's signer put it into the
//! request. Over smithy's own request type; the floor builds the same request. The identity comes from a stub resolver.
//! Left out: the rest of the orchestrator (which resolves the scheme and the endpoint for each request as well), which
//! makes this peer look cheaper than it is.

use std::{
    hint::black_box,
    time::{Duration, SystemTime},
};

use aws_smithy_async::{rt::sleep::TokioSleep, time::SystemTimeSource};
use aws_smithy_runtime::client::{
    auth::http::BearerAuthScheme, identity::IdentityCache, orchestrator::endpoints::StaticUriEndpointResolver,
    retries::strategy::NeverRetryStrategy,
};
use aws_smithy_runtime_api::client::{
    auth::{
        AuthScheme, AuthSchemeEndpointConfig, http::HTTP_BEARER_AUTH_SCHEME_ID, static_resolver::StaticAuthSchemeOptionResolver,
    },
    identity::{Identity, IdentityFuture, ResolveCachedIdentity, ResolveIdentity, SharedIdentityResolver, http::Token},
    orchestrator::HttpRequest,
    runtime_components::{RuntimeComponents, RuntimeComponentsBuilder},
};
use aws_smithy_types::{body::SdkBody, config_bag::ConfigBag};
use compare::{Case, runtime};
use http::HeaderValue;

use crate::{
    case::{self, Arrived, BoxError, Calls, URI, token},
    endpoint::Issuer,
};

pub(crate) const FLOOR: &str = "floor: aws-smithy";

pub(crate) fn floor() -> Result<Box<dyn Case>, BoxError> {
    Calls::case(FLOOR, FLOOR, async |id: &HeaderValue| {
        black_box(request(id)?);
        Ok::<_, BoxError>(())
    })
}

pub(crate) fn bearer() -> Result<Box<dyn Case>, BoxError> {
    let components = RuntimeComponentsBuilder::new("peers")
        .with_auth_scheme(BearerAuthScheme::new())
        .with_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![HTTP_BEARER_AUTH_SCHEME_ID])))
        .with_endpoint_resolver(Some(StaticUriEndpointResolver::uri(URI)))
        .with_identity_cache(Some(IdentityCache::lazy().build()))
        .with_identity_resolver(HTTP_BEARER_AUTH_SCHEME_ID, SharedIdentityResolver::new(Stub::default()))
        .with_retry_strategy(Some(NeverRetryStrategy::new()))
        .with_sleep_impl(Some(TokioSleep::new()))
        .with_time_source(Some(SystemTimeSource::new()))
        .build()?;
    let arrived = Arrived::default();
    let id = case::id()?;
    let request = runtime().block_on(signed(&components, &id))?;
    arrived.note(request.headers().get("authorization"));
    arrived.check()?;
    let name = "aws-smithy-runtime identity cache and bearer signer";
    Calls::case(name, FLOOR, async move |id: &HeaderValue| {
        black_box(signed(&components, id).await?);
        Ok::<_, BoxError>(())
    })
}

async fn signed(components: &RuntimeComponents, id: &HeaderValue) -> Result<HttpRequest, BoxError> {
    let mut request = request(id)?;
    let config = ConfigBag::base();
    let scheme = components.auth_scheme(HTTP_BEARER_AUTH_SCHEME_ID).ok_or("no auth scheme")?;
    let resolver = scheme.identity_resolver(components).ok_or("no identity resolver")?;
    let identity = components.identity_cache().resolve_cached_identity(resolver, components, &config).await?;
    scheme.signer().sign_http_request(&mut request, &identity, AuthSchemeEndpointConfig::empty(), components, &config)?;
    Ok(request)
}

fn request(id: &HeaderValue) -> Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::empty());
    request.set_uri(http::Uri::from_static(URI))?;
    let headers = request.headers_mut();
    headers.insert("accept", "application/json");
    headers.insert("user-agent", "compare/1.0");
    headers.insert("content-type", "application/json");
    headers.insert("x-request-id", id.to_str()?.to_owned());
    Ok(request)
}

#[derive(Debug, Default)]
struct Stub(Issuer);

impl ResolveIdentity for Stub {
    fn resolve_identity<'a>(&'a self, _: &'a RuntimeComponents, _: &'a ConfigBag) -> IdentityFuture<'a> {
        if !self.0.issue() {
            return IdentityFuture::ready(Err("there is no second token".into()));
        }
        let expires = SystemTime::now() + Duration::from_secs(3600);
        let token = Token::new(token(), Some(expires));
        IdentityFuture::ready(Ok(Identity::new(token, Some(expires))))
    }
}
