use std::{fmt, sync::Arc};

use http::Uri;
use zeroize::Zeroizing;

#[cfg(feature = "id-token")]
use super::merchant::Merchant;
use super::{
    super::{
        base_url::BaseUrl,
        credential::{credential, misconfigured},
    },
    VENDOR,
    environment::Environment,
};
use crate::{
    error::TokenError,
    grant::oauth::{AuthorizationCode, Client, Pending, Revocation, UserLogin},
    middleware::{BearerAuthLayer, Origins},
    store::{MemoryStore, TokenStore},
    transport::Transport,
};
#[cfg(feature = "id-token")]
use crate::{
    grant::oauth::{Login, UnverifiedIdToken},
    id_token::{Expected, Jwks, Verifier},
};

/// What is always asked for: a refresh token, and who logged in, where that can be checked.
#[cfg(feature = "id-token")]
const SCOPES: &[&str] = &["offline_access", "openid"];
#[cfg(not(feature = "id-token"))]
const SCOPES: &[&str] = &["offline_access"];

/// An app that is registered with Yoco, and lets merchants log in.
///
/// [`begin`](Self::begin) makes the URL for the merchant's browser, and [`user`](Self::user) keeps the login that comes of it, in a
/// store; [`layer`](Self::layer) puts its access tokens on requests. The app itself holds no login: a clone is the same app, and
/// serves all merchants.
///
/// # Examples
///
/// ```
/// use tower_token::provider::yoco::{Environment, Yoco};
/// # let service = tower::service_fn(|_: http::Request<http_body_util::Full<bytes::Bytes>>| async {
/// #     Ok::<_, std::io::Error>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
/// # });
///
/// let environment = Environment::sandbox().authorization_endpoint("https://iam.example/authorize").api_base("https://api.example");
/// let yoco = Yoco::over(service, environment, "my-client-id", "my-client-secret", "https://my-app.example/callback")?
///     .scopes(["business/orders:read"])?;
/// let (url, pending) = yoco.begin()?;
/// # drop((url, pending));
/// # Ok::<(), tower_token::TokenError>(())
/// ```
#[derive(Clone)]
pub struct Yoco {
    grant: AuthorizationCode,
    revocation: Option<Arc<Revocation>>,
    api: Option<Origins>,
    #[cfg(feature = "id-token")]
    verifier: Verifier,
}

impl Yoco {
    /// Over the client of this crate. No I/O happens yet.
    ///
    /// `redirect_uri` is where the merchant's browser comes back to, as it is registered with Yoco. White space around id and secret
    /// is cut off.
    ///
    /// # Errors
    ///
    /// `Misconfigured`, naming the field, if one of these or of the environment's is not what it must be, if the environment has
    /// no authorization endpoint, or if [`Transport::client`] fails.
    #[cfg(feature = "client")]
    pub fn new(
        environment: Environment,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
        redirect_uri: impl Into<String>,
    ) -> Result<Yoco, TokenError> {
        Yoco::over(Transport::client()?, environment, client_id, client_secret, redirect_uri)
    }

    /// Over a [`Transport`], or over any service that makes one.
    ///
    /// # Errors
    ///
    /// As `new`.
    pub fn over(
        transport: impl Into<Transport>,
        environment: Environment,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
        redirect_uri: impl Into<String>,
    ) -> Result<Yoco, TokenError> {
        let (transport, client_id, client_secret) = (transport.into(), client_id.into(), Zeroizing::new(client_secret.into()));
        let client_id = credential(VENDOR, "client_id", &client_id)?;
        let client = Client::post(client_id, credential(VENDOR, "client_secret", &client_secret)?)?;
        if environment.authorization.is_none() {
            return Err(misconfigured(VENDOR, "`authorization_endpoint` is not given, and the page names none"));
        }
        let server = environment.server()?;
        let revocation = match environment.revocation {
            Some(_) => Some(Arc::new(Revocation::new(&server, client.clone(), transport.clone())?)),
            None => None,
        };
        let api =
            environment.api.as_deref().map(|base| BaseUrl::parse("Yoco's API", base).map(BaseUrl::into_origins)).transpose()?;
        #[cfg(feature = "id-token")]
        let verifier = verifier(&environment, transport.clone(), client_id)?;
        let grant = AuthorizationCode::new(&server, client, redirect_uri, transport)?.scopes(SCOPES.iter().copied())?;
        #[cfg(feature = "id-token")]
        let grant = {
            let verifier = verifier.clone();
            grant.on_id_token(move |token| check(verifier.clone(), token))
        };
        Ok(Yoco {
            grant,
            revocation,
            api,
            #[cfg(feature = "id-token")]
            verifier,
        })
    }

    /// The scopes to ask for, such as `business/orders:read`, beside those that always are: `offline_access` for a refresh token
    /// and, with the feature `id-token`, `openid` for an id_token.
    ///
    /// # Errors
    ///
    /// `Misconfigured` if one is not made as RFC 6749 section 3.3 has it, and for `openid` without the feature `id-token`.
    pub fn scopes<I>(mut self, scopes: I) -> Result<Yoco, TokenError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let mut all: Vec<String> = SCOPES.iter().map(|&scope| scope.to_owned()).collect();
        for scope in scopes.into_iter().map(Into::into) {
            if scope == "openid" && cfg!(not(feature = "id-token")) {
                return Err(misconfigured(
                    "scopes",
                    "has `openid`, and without the feature `id-token` nobody can check what comes",
                ));
            }
            if !all.contains(&scope) {
                all.push(scope);
            }
        }
        self.grant = self.grant.scopes(all)?;
        Ok(self)
    }

    /// Begins a login: the URL for the merchant's browser, and what to keep until it comes back. [`Pending::finish`] then exchanges
    /// the code, and checks the id_token.
    ///
    /// # Errors
    ///
    /// As [`AuthorizationCode::begin`].
    pub fn begin(&self) -> Result<(Uri, Pending), TokenError> {
        self.grant.begin()
    }

    /// Takes up a login that another process of the app has begun: what [`Pending::export`] gave.
    ///
    /// # Errors
    ///
    /// As [`AuthorizationCode::resume`].
    pub fn resume(&self, exported: &str) -> Result<Pending, TokenError> {
        self.grant.resume(exported)
    }

    /// Who logged in. The id_token is checked here once more, whoever made the [`Login`], but for its nonce.
    ///
    /// # Errors
    ///
    /// `Refused` if there is no id_token, if it fails a [check](crate::id_token::Check), or if a claim is not what the page says it
    /// is. The error of the fetch if Yoco's keys are not to be had.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping it.
    #[cfg(feature = "id-token")]
    pub async fn merchant(&self, login: &Login) -> Result<Merchant, TokenError> {
        let Some(raw) = login.id_token() else {
            return Err(TokenError::new(crate::error::ErrorKind::Refused, "Yoco: the login has no id_token"));
        };
        let expected = Expected::new().access_token(login.access_token().expose_secret());
        Merchant::of(&self.verifier.verify(raw, expected).await?)
    }

    /// One merchant's login, in memory: **a restart loses it**. It [begins](UserLogin::begin) with what [`Pending::finish`] gave.
    pub fn user(&self) -> UserLogin {
        self.user_in(MemoryStore::new())
    }

    /// One merchant's login, in a store, and going on with what is there. The subject is kept with it: a refresh that brings another
    /// merchant's id_token ends it.
    ///
    /// Its end is told to Yoco if there is a [revocation endpoint](Environment::revocation_endpoint).
    pub fn user_in<T: TokenStore>(&self, store: T) -> UserLogin<T> {
        let user = UserLogin::with_store(self.grant.refresh_grant(), store);
        match &self.revocation {
            Some(revocation) => user.revocation(Arc::clone(revocation)),
            None => user,
        }
    }

    /// Where the tokens may go: the origin of the [API](Environment::api_base).
    ///
    /// # Errors
    ///
    /// `Misconfigured` if the environment has no base of the API.
    pub fn origins(&self) -> Result<Origins, TokenError> {
        self.api.clone().ok_or_else(|| misconfigured(VENDOR, "`api_base` is not given, and the page names none"))
    }

    /// The layer that puts a merchant's access tokens on requests to the API, over an engine of its own.
    ///
    /// To share that engine, to watch it or to configure it, make a [`TokenHandle`](crate::TokenHandle) of the login's
    /// [source](UserLogin::source) and a layer of the [`origins`](Self::origins) and the handle.
    ///
    /// # Errors
    ///
    /// As [`origins`](Self::origins).
    pub fn layer<T: TokenStore>(&self, user: &UserLogin<T>) -> Result<BearerAuthLayer, TokenError> {
        Ok(BearerAuthLayer::new(self.origins()?, user.source()))
    }
}

#[cfg(feature = "id-token")]
fn verifier(environment: &Environment, transport: Transport, client_id: &str) -> Result<Verifier, TokenError> {
    let Some(jwks) = environment.jwks_uri() else {
        return Err(misconfigured(VENDOR, "`jwks_uri` is not known"));
    };
    let Some(issuer) = &environment.issuer else {
        return Err(misconfigured(VENDOR, "`issuer` is not known"));
    };
    Verifier::new(Jwks::over(transport, jwks)?, issuer.clone(), client_id)
}

/// The id_token of a login, with its nonce, or of a refresh, without. Whose that is, the grant compares by itself.
#[cfg(feature = "id-token")]
async fn check(verifier: Verifier, token: UnverifiedIdToken) -> Result<(), TokenError> {
    let expected = Expected::new().access_token(token.access_token().expose_secret());
    let expected = match token.nonce() {
        Some(nonce) => expected.nonce(nonce),
        None => expected,
    };
    Merchant::of(&verifier.verify(token.raw(), expected).await?).map(drop)
}

impl fmt::Debug for Yoco {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yoco").field("grant", &self.grant).field("api", &self.api).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::Full;
    use tower::service_fn;

    use super::*;
    use crate::error::ErrorKind;

    fn transport() -> Transport {
        Transport::new(service_fn(|_: Request<Full<Bytes>>| async {
            Ok::<_, std::io::Error>(Response::new(Full::<Bytes>::default()))
        }))
    }

    fn environment() -> Environment {
        Environment::live().authorization_endpoint("https://as.test/a").api_base("https://api.test/v1")
    }

    fn yoco(environment: Environment) -> Result<Yoco, TokenError> {
        Yoco::over(transport(), environment, "id", "CANARY", "https://me.test")
    }

    fn asked(yoco: &Yoco) -> String {
        let (url, _pending) = yoco.begin().unwrap();
        let mut pairs = form_urlencoded::parse(url.query().unwrap().as_bytes()).into_owned();
        pairs.find(|(name, _)| name == "scope").unwrap().1
    }

    /// DESIGN 8: `openid` is asked for where its id_token can be checked, and only there.
    #[test]
    fn what_is_always_asked_for() {
        let with = cfg!(feature = "id-token");
        let always = if with { "offline_access openid" } else { "offline_access" };
        let yoco = yoco(environment()).unwrap();
        assert_eq!(asked(&yoco), always);
        assert_eq!(asked(&yoco.clone().scopes(["a", "offline_access", "a"]).unwrap()), format!("{always} a"));
        let openid = yoco.clone().scopes(["openid"]).map(|yoco| asked(&yoco)).map_err(|error| error.kind());
        assert_eq!(openid, if with { Ok(always.to_owned()) } else { Err(ErrorKind::Misconfigured) });
        assert_eq!(yoco.scopes(["a b"]).unwrap_err().kind(), ErrorKind::Misconfigured);
    }

    /// G6, S3: a slip is named by its field, and what was given is not shown.
    #[test]
    fn what_is_given_is_checked() {
        for (environment, named) in [
            (Environment::live(), "Yoco: `authorization_endpoint` is not given, and the page names none"),
            (environment().authorization_endpoint("http://as.test/CANARY"), "`authorization_endpoint` must be https"),
            (environment().revocation_endpoint("http://as.test/CANARY"), "`revocation_endpoint` must be https"),
            (environment().issuer("http://as.test/CANARY"), "must be https"),
            (environment().api_base("http://api.test/CANARY"), "Yoco's API: `base_url` must be https"),
            (environment().api_base("https://api.test?CANARY"), "Yoco's API: `base_url` must not have a query"),
        ] {
            let error = yoco(environment).unwrap_err();
            let text = error.to_string();
            assert!(error.kind() == ErrorKind::Misconfigured && text.contains(named) && !text.contains("CANARY"), "{text}");
        }
        for (id, secret, redirect_uri, text) in [
            ("", "CANARY", "https://me.test", "Yoco: `client_id` is empty"),
            ("id", " \n", "https://me.test", "Yoco: `client_secret` is empty"),
        ] {
            let error = Yoco::over(transport(), environment(), id, secret, redirect_uri).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Misconfigured, text));
        }
        let error = Yoco::over(transport(), environment(), "id", "CANARY", "http://CANARY.test").unwrap_err();
        assert!(error.to_string().contains("`redirect_uri`") && !error.to_string().contains("CANARY"));
        assert!(Yoco::over(transport(), environment(), " id\n", "CANARY\n", "https://me.test").is_ok(), "as it was copied");
    }

    /// S1: the API's origin, whatever its path; and none by guessing.
    #[test]
    fn where_tokens_may_go() {
        let origins = yoco(environment()).unwrap().origins().unwrap();
        assert_eq!(format!("{origins:?}"), format!("{:?}", "https://api.test".parse::<Origins>().unwrap()));
        let bare = yoco(Environment::live().authorization_endpoint("https://as.test/a")).unwrap();
        let error = bare.layer(&bare.user()).unwrap_err();
        assert_eq!(error.to_string(), "Yoco: `api_base` is not given, and the page names none");
    }

    /// S3.
    #[test]
    fn debug_shows_no_secret() {
        let yoco = yoco(environment().authorization_endpoint("https://as.test/a?x=CANARY")).unwrap();
        assert!(!format!("{yoco:?} {:?}", yoco.user()).contains("CANARY"));
    }
}
