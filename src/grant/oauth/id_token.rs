use std::{
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use zeroize::Zeroizing;

use super::super::json::{Document, Value};
use crate::{
    clock::Clock,
    error::{ErrorKind, TokenError},
    token::{AccessToken, jwt_claims},
};

/// How long a check may take: with the token call's own timeout it stays below the engine's.
const PATIENCE: Duration = Duration::from_secs(10);

/// An id_token as it came, for an `on_id_token` check: nothing of it is known to be true.
///
/// `Debug` shows none of it.
#[derive(Clone)]
pub struct UnverifiedIdToken {
    raw: Zeroizing<String>,
    nonce: Option<Zeroizing<String>>,
    access_token: AccessToken,
    subject: Option<String>,
}

impl UnverifiedIdToken {
    pub(super) fn new(
        raw: Zeroizing<String>,
        nonce: Option<Zeroizing<String>>,
        access_token: AccessToken,
        subject: Option<String>,
    ) -> UnverifiedIdToken {
        UnverifiedIdToken { raw, nonce, access_token, subject }
    }

    /// The JWT as it stands in the reply.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The nonce that its `nonce` claim must equal: of a login, and `None` of a refresh (OpenID Connect Core 12.2). To be
    /// compared in constant time.
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref().map(String::as_str)
    }

    /// The access token that came with it, for its `at_hash` claim.
    pub fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    /// Of a refresh: the `sub` of the login that is continued, as far as it is known. The grant compares it by itself once
    /// the check has passed.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }
}

impl fmt::Debug for UnverifiedIdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedIdToken").finish_non_exhaustive()
    }
}

type Checking = Pin<Box<dyn Future<Output = Result<(), TokenError>> + Send>>;

/// A user's check, which neither panics nor hangs: a login's lock is held meanwhile.
#[derive(Clone)]
pub(super) struct Check(Arc<dyn Fn(UnverifiedIdToken) -> Checking + Send + Sync>);

impl Check {
    pub(super) fn new<F, Fut>(check: F) -> Check
    where
        F: Fn(UnverifiedIdToken) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), TokenError>> + Send + 'static,
    {
        Check(Arc::new(move |token| Box::pin(check(token))))
    }

    pub(super) async fn run(&self, token: UnverifiedIdToken, clock: &Arc<dyn Clock>) -> Result<(), TokenError> {
        let mut checking = catch_unwind(AssertUnwindSafe(|| (self.0)(token))).map_err(|_panic| panicked())?;
        let sleep = clock.sleep(PATIENCE)?;
        let verdict =
            poll_fn(|cx| catch_unwind(AssertUnwindSafe(|| checking.as_mut().poll(cx))).unwrap_or(Poll::Ready(Err(panicked()))));
        tokio::select! {
            biased;
            verdict = verdict => verdict,
            () = sleep => Err(TokenError::new(ErrorKind::Timeout, "the check of the id_token took longer than 10 s")),
        }
    }
}

fn panicked() -> TokenError {
    TokenError::new(ErrorKind::Panicked, "the check of the id_token panicked")
}

/// The `sub` claim of a JWT, whoever signed it: to be asked of one that was checked, or that came straight from the server
/// (OpenID Connect Core 3.1.3.7, number 6).
pub(super) fn subject(raw: &str) -> Option<String> {
    let claims = jwt_claims(raw)?;
    let subject = Document::parse(&claims)?.at("/sub").and_then(Value::text)?;
    (!subject.is_empty()).then(|| subject.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;
    use crate::clock::TokioClock;

    fn token() -> UnverifiedIdToken {
        let nonce = Some(Zeroizing::new("CANARY".to_owned()));
        let access_token = AccessToken::new("CANARY").unwrap();
        UnverifiedIdToken::new(Zeroizing::new("CANARY".to_owned()), nonce, access_token, Some("CANARY".to_owned()))
    }

    async fn run<F, Fut>(check: F) -> Result<(), ErrorKind>
    where
        F: Fn(UnverifiedIdToken) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), TokenError>> + Send + 'static,
    {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock);
        Check::new(check).run(token(), &clock).await.map_err(|error| error.kind())
    }

    /// A refresh token waits behind the check: whatever it does, it ends.
    #[tokio::test(start_paused = true)]
    async fn a_check_that_panics_or_hangs_is_an_error() {
        assert_eq!(run(async |_| Ok(())).await, Ok(()));
        assert_eq!(run(async |_| Err(TokenError::refused("no"))).await, Err(ErrorKind::Refused));
        assert_eq!(run(async |_| panic!("CANARY")).await, Err(ErrorKind::Panicked));
        let early = |_| -> std::future::Ready<Result<(), TokenError>> { panic!("CANARY") };
        assert_eq!(run(early).await, Err(ErrorKind::Panicked));
        let start = tokio::time::Instant::now();
        assert_eq!(run(|_| std::future::pending()).await, Err(ErrorKind::Timeout));
        assert_eq!(start.elapsed(), PATIENCE);
    }

    #[test]
    fn whose_it_is() {
        let jwt = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(subject(&jwt(r#"{"sub":"u-1","exp":1e999}"#)).as_deref(), Some("u-1"));
        for claims in [r#"{"sub":7}"#, r#"{"sub":""}"#, "{}", "[]", ""] {
            assert_eq!(subject(&jwt(claims)), None, "{claims}");
        }
        for raw in ["", "a.b", "a.!.c", &format!("{}.x.y", jwt(r#"{"sub":"u-1"}"#))] {
            assert_eq!(subject(raw), None, "{raw}");
        }
    }

    /// S3.
    #[test]
    fn debug_shows_nothing() {
        assert!(!format!("{:?}", token()).contains("CANARY"));
    }
}
