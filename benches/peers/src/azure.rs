//! azure_core 1.1.0: `BearerTokenAuthorizationPolicy` over a stub credential, followed by a policy
//! that answers in the place of the network, over azure's own request type: the floor is that last policy alone. Left
//! out: the other policies of a pipeline. azure_identity 1.0.0: `TokenCredential::get_token` of a
//! `ClientSecretCredential` whose transport is a stub, in the boxed layer that a user writes around it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    Error, Result,
    credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
    http::{
        AsyncRawResponse, ClientOptions, Context, HttpClient, Method, Request, StatusCode, Transport, Url,
        headers::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, Headers, USER_AGENT},
        policies::{Policy, PolicyResult, auth::BearerTokenAuthorizationPolicy},
    },
    time::OffsetDateTime,
};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use compare::{Case, runtime};
use http::{HeaderMap, HeaderValue};

use crate::{
    case::{self, Arrived, BoxError, Calls, URI, token},
    endpoint::Issuer,
    fetch::{self, Fetch, FetchLayer},
};

pub(crate) const FLOOR: &str = "floor: azure_core";

const SCOPES: &[&str] = &["https://management.azure.com/.default"];

pub(crate) fn floor() -> std::result::Result<Box<dyn Case>, BoxError> {
    Calls::case(FLOOR, FLOOR, sends(vec![Arc::new(Stop)])?)
}

pub(crate) fn policy() -> std::result::Result<Box<dyn Case>, BoxError> {
    let auth: Arc<dyn Policy> =
        Arc::new(BearerTokenAuthorizationPolicy::new(Arc::new(Credential::default()), SCOPES.iter().copied()));
    let arrived = Arrived::default();
    let id = case::id()?;
    let witness = Arc::new(Witness(arrived.clone()));
    runtime().block_on(sends(vec![auth.clone(), witness])?(&id))?;
    arrived.check()?;
    let name = "azure_core BearerTokenAuthorizationPolicy";
    Calls::case(name, FLOOR, sends(vec![auth, Arc::new(Stop)])?)
}

pub(crate) fn identity(floor: &'static str) -> std::result::Result<Box<dyn Case>, BoxError> {
    let options = ClientSecretCredentialOptions {
        client_options: ClientOptions { transport: Some(Transport::new(Arc::new(Entra::default()))), ..ClientOptions::default() },
    };
    let secret = Secret::new("secret");
    let credential = ClientSecretCredential::new("tenant", "peers".to_owned(), secret, Some(options))?;
    let layer = FetchLayer(Identity(credential));
    case::layered::<_, BoxError>("azure_identity get_token()", floor, &layer)
}

fn sends(
    policies: Vec<Arc<dyn Policy>>,
) -> std::result::Result<impl AsyncFn(&HeaderValue) -> Result<AsyncRawResponse> + Clone + Send + 'static, BoxError> {
    let url: Url = URI.parse()?;
    let policies: Arc<[_]> = policies.into();
    Ok(async move |id: &HeaderValue| {
        let mut request = Request::new(url.clone(), Method::Get);
        request.insert_header(ACCEPT, "application/json");
        request.insert_header(USER_AGENT, "compare/1.0");
        request.insert_header(CONTENT_TYPE, "application/json");
        let id = id.to_str().unwrap_or_default().to_owned();
        request.insert_header(HeaderName::from_static("x-request-id"), id);
        policies[0].send(&Context::new(), &mut request, &policies[1..]).await
    })
}

/// The credential of the policy.
#[derive(Debug, Default)]
struct Credential(Issuer);

#[async_trait]
impl TokenCredential for Credential {
    async fn get_token(&self, _: &[&str], _: Option<TokenRequestOptions<'_>>) -> Result<AccessToken> {
        if !self.0.issue() {
            return Err(Error::with_message(ErrorKind::Credential, "there is no second token"));
        }
        let expires = OffsetDateTime::now_utc() + Duration::from_secs(3600);
        Ok(AccessToken::new(Secret::new(token()), expires))
    }
}

#[derive(Debug)]
struct Stop;

#[async_trait]
#[expect(elided_lifetimes_in_paths, reason = "as in the trait, whose macro tells the two spellings apart")]
impl Policy for Stop {
    async fn send(&self, _: &Context, request: &mut Request, _: &[Arc<dyn Policy>]) -> PolicyResult {
        std::hint::black_box(request);
        Ok(AsyncRawResponse::from_bytes(StatusCode::Ok, Headers::new(), ""))
    }
}

#[derive(Debug)]
struct Witness(Arrived);

#[async_trait]
#[expect(elided_lifetimes_in_paths, reason = "as in the trait, whose macro tells the two spellings apart")]
impl Policy for Witness {
    async fn send(&self, _: &Context, request: &mut Request, _: &[Arc<dyn Policy>]) -> PolicyResult {
        self.0.note(request.headers().get_optional_str(&AUTHORIZATION));
        Ok(AsyncRawResponse::from_bytes(StatusCode::Ok, Headers::new(), ""))
    }
}

/// The token endpoint of azure_identity.
#[derive(Debug, Default)]
struct Entra(Issuer);

#[async_trait]
impl HttpClient for Entra {
    async fn execute_request(&self, _: &Request) -> Result<AsyncRawResponse> {
        let (status, body) = self.0.reply();
        Ok(AsyncRawResponse::from_bytes(status.as_u16().into(), Headers::new(), body))
    }
}

#[derive(Clone)]
struct Identity(Arc<ClientSecretCredential>);

impl Fetch for Identity {
    async fn authorize(&self, headers: &mut HeaderMap) -> std::result::Result<(), BoxError> {
        let token = self.0.get_token(SCOPES, None).await?;
        fetch::insert(headers, token.token.secret())
    }
}
