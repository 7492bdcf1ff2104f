use std::{fmt, sync::Arc};

use super::{super::form::Form, call::Calls, client::Client, grammar::misconfigured, server::Server};
use crate::{
    clock::{Clock, TokioClock},
    error::TokenError,
    token::{AccessToken, RefreshToken},
    transport::Transport,
};

/// Ends tokens at the server (RFC 7009).
///
/// A success says that the token is no good any more, whether it was good before or not. Of a login, revoke the refresh token:
/// the access tokens that came of it go with it at most servers.
pub struct Revocation {
    calls: Calls,
    clock: Arc<dyn Clock>,
}

impl Revocation {
    /// Over a [`Transport`], or over any service that makes one. No I/O happens yet.
    ///
    /// # Errors
    ///
    /// `Misconfigured` if the server has no revocation endpoint.
    pub fn new(server: &Server, client: Client, transport: impl Into<Transport>) -> Result<Revocation, TokenError> {
        match server.revocation_endpoint() {
            Some(uri) => Ok(Revocation { calls: Calls::new(uri.clone(), client, transport.into()), clock: Arc::new(TokioClock) }),
            None => Err(misconfigured("revocation_endpoint", "is not known")),
        }
    }

    /// Where time and sleep come from: [`TokioClock`] by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Revocation {
        self.clock = Arc::new(clock);
        self
    }

    /// Ends a refresh token, and so a login.
    ///
    /// # Errors
    ///
    /// As [the table](super#what-a-code-means) has it. After a `Transient` one, the token must be taken to be alive (RFC 7009
    /// section 2.2.1).
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the token may be alive or not; it can be revoked again.
    pub async fn revoke_refresh_token(&self, token: &RefreshToken) -> Result<(), TokenError> {
        self.revoke(token.expose_secret(), "refresh_token").await
    }

    /// Ends an access token. `Misconfigured` with the code `unsupported_token_type` where the server cannot.
    ///
    /// Of a login, some servers end all of it then (RFC 7009 section 2.1 allows it): a user has to log in again.
    ///
    /// # Errors
    ///
    /// As [`revoke_refresh_token`](Self::revoke_refresh_token).
    ///
    /// # Cancel safety
    ///
    /// As [`revoke_refresh_token`](Self::revoke_refresh_token).
    pub async fn revoke_access_token(&self, token: &AccessToken) -> Result<(), TokenError> {
        self.revoke(token.expose_secret(), "access_token").await
    }

    async fn revoke(&self, token: &str, hint: &str) -> Result<(), TokenError> {
        let form = Form::new().with_secret("token", token).with("token_type_hint", hint);
        self.calls.acknowledged(form, &self.clock).await
    }
}

impl fmt::Debug for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocation").field("calls", &self.calls).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::header::RETRY_AFTER;

    use super::{
        super::played::{Played, Sent, played, reply},
        *,
    };
    use crate::error::ErrorKind;

    fn over(replies: impl IntoIterator<Item = Played>) -> (Revocation, Sent) {
        let (transport, sent) = played(replies);
        let server = Server::new("https://as.test/token").unwrap().with_revocation_endpoint("https://as.test/revoke").unwrap();
        (Revocation::new(&server, Client::post("id", "pw").unwrap(), transport).unwrap(), sent)
    }

    /// RFC 7009 section 2.2: a 200 is a success whatever its body, also for a token that was none.
    #[tokio::test]
    async fn a_success_says_nothing() {
        let (revocation, sent) = over(["", "<html>", r#"{"error":"invalid_token"}"#].map(|body| reply(200, body)));
        revocation.revoke_refresh_token(&RefreshToken::new("r&t")).await.unwrap();
        revocation.revoke_access_token(&AccessToken::new("at").unwrap()).await.unwrap();
        revocation.revoke_refresh_token(&RefreshToken::new("rt")).await.unwrap();
        let sent = sent.lock().unwrap();
        assert_eq!(sent[0].0, "https://as.test/revoke");
        assert_eq!(sent[0].2, "token=r%26t&token_type_hint=refresh_token&client_id=id&client_secret=pw");
        assert_eq!(sent[1].2, "token=at&token_type_hint=access_token&client_id=id&client_secret=pw");
    }

    #[tokio::test]
    async fn a_failure_is_typed() {
        use ErrorKind::{Misconfigured, Refused, Transient};
        for (status, body, kind, code) in [
            (400, r#"{"error":"unsupported_token_type"}"#, Misconfigured, Some("unsupported_token_type")),
            (401, r#"{"error":"invalid_client"}"#, Refused, Some("invalid_client")),
            (503, "", Transient, None),
            (307, "", Misconfigured, None),
            (404, "{}", Misconfigured, None),
            (400, "<html>", Transient, None),
        ] {
            let (revocation, _) = over([(status, vec![(RETRY_AFTER, "60")], body.into())]);
            let error = revocation.revoke_refresh_token(&RefreshToken::new("rt")).await.unwrap_err();
            assert_eq!((error.kind(), error.code()), (kind, code), "{status} {body}");
            assert_eq!(error.retry_hint(), (kind == Transient).then_some(Duration::from_secs(60)), "{status} {body}");
        }
    }

    #[test]
    fn without_an_endpoint_there_is_none() {
        let server = Server::new("https://as.test/token").unwrap();
        let error = Revocation::new(&server, Client::public("id").unwrap(), played([]).0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
    }
}
