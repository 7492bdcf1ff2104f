use std::{fmt, time::Duration};

use super::{
    algorithm::Algorithm,
    error::{Check, IdTokenError},
    expected::Expected,
    header::Header,
    jwks::Jwks,
    jws::Jws,
    rules::Rules,
    token::IdToken,
};
use crate::error::{ErrorKind, TokenError};

/// Checks the id_tokens of one issuer for one client.
///
/// A clone is a handful of small copies and shares the keys.
///
/// # Defaults
///
/// RS256, ES256, EdDSA and PS256; a leeway of 60 s; no `max_age`.
///
/// # Examples
///
/// ```
/// use tower_token::id_token::{Expected, IdToken, IdTokenError, Jwks, Verifier};
/// # let service = tower::service_fn(|_: http::Request<http_body_util::Full<bytes::Bytes>>| async {
/// #     Ok::<_, std::io::Error>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
/// # });
///
/// let keys = Jwks::over(service, "https://issuer.test/.well-known/jwks.json")?;
/// let verifier = Verifier::new(keys, "https://issuer.test", "client-1")?;
///
/// async fn who(verifier: &Verifier, id_token: &str, nonce: &str, access_token: &str) -> Result<IdToken, IdTokenError> {
///     verifier.verify(id_token, Expected::new().nonce(nonce).access_token(access_token)).await
/// }
/// # Ok::<(), tower_token::TokenError>(())
/// ```
#[derive(Clone)]
pub struct Verifier {
    keys: Jwks,
    algorithms: Vec<Algorithm>,
    rules: Rules,
}

impl Verifier {
    /// For tokens that `issuer` signs with one of `keys` for `client_id`. The issuer is compared to the letter, a slash at its
    /// end included.
    ///
    /// # Errors
    ///
    /// `Misconfigured` if issuer or client id is empty.
    pub fn new(keys: Jwks, issuer: impl Into<String>, client_id: impl Into<String>) -> Result<Verifier, TokenError> {
        let (issuer, client_id) = (issuer.into(), client_id.into());
        for (name, value) in [("issuer", &issuer), ("client id", &client_id)] {
            if value.is_empty() {
                return Err(TokenError::new(ErrorKind::Misconfigured, format!("the {name} of the id_tokens is empty")));
            }
        }
        let algorithms = vec![Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa, Algorithm::Ps256];
        let rules = Rules { issuer, client_id, leeway: Duration::from_secs(60), max_age: None };
        Ok(Verifier { keys, algorithms, rules })
    }

    /// The algorithms that are allowed, instead of the default ones.
    #[must_use]
    pub fn algorithms(mut self, allowed: impl IntoIterator<Item = Algorithm>) -> Verifier {
        self.algorithms = allowed.into_iter().collect();
        self
    }

    /// How far the issuer's clock may be from ours, in either direction.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Verifier {
        self.rules.leeway = leeway;
        self
    }

    /// The `max_age` that was sent with the authorization request: `auth_time` must be there, and not longer ago than this and
    /// the leeway.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Verifier {
        self.rules.max_age = Some(max_age);
        self
    }

    /// Checks a token: its form, its header, its signature, and then its claims, as [`Check`] lists them.
    ///
    /// It waits for nothing but a fetch of the issuer's keys, where [`Jwks`] says that there is one.
    ///
    /// # Errors
    ///
    /// The first check that failed.
    ///
    /// # Cancel safety
    ///
    /// When this future is dropped, a fetch of keys that it began goes on, for whoever else waits and for the next.
    pub async fn verify(&self, token: &str, expected: Expected<'_>) -> Result<IdToken, IdTokenError> {
        let jws = Jws::parse(token)?;
        let Header { algorithm, kid } = Header::read(&jws.header, &self.algorithms)?;
        let key = self.keys.key(kid.as_deref(), algorithm).await?;
        if !key.verifies(algorithm, jws.signed, jws.signature) {
            return Err(IdTokenError::new(Check::Signature, "has a signature that is not the issuer's"));
        }
        self.rules.check(jws.claims, algorithm, expected, self.keys.now().wall)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("issuer", &self.rules.issuer)
            .field("keys", &self.keys)
            .field("algorithms", &self.algorithms)
            .field("leeway", &self.rules.leeway)
            .field("max_age", &self.rules.max_age)
            .finish_non_exhaustive()
    }
}
