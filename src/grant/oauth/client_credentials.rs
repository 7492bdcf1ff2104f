use std::fmt;

use super::{super::form::Form, call::Calls, client::Client, grammar::misconfigured, parameters::Parameters, server::Server};
use crate::{
    error::TokenError,
    source::{FetchContext, TokenSource},
    token::AccessToken,
    transport::Transport,
};

/// The client credentials grant (RFC 6749 section 4.4): a program's own access, without a user.
///
/// One request per fetch, each of which mints a token: there is nothing to rotate, and a refresh token in the reply is left
/// alone. It is not `Clone`: share the engine instead, by cloning its handle.
///
/// # Cancel safety
///
/// A fetch that is dropped, by the engine's fetch timeout, is given up, and the next one asks again.
///
/// # Examples
///
/// ```
/// use tower_token::{TokenHandle, grant::oauth::{Client, ClientCredentials, Server}};
/// # let service = tower::service_fn(|_: http::Request<http_body_util::Full<bytes::Bytes>>| async {
/// #     Ok::<_, std::io::Error>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
/// # });
///
/// let server = Server::new("https://as.vendor.test/token")?;
/// let source = ClientCredentials::new(&server, Client::basic("my-app", "s3cr3t")?, service)?
///     .scopes(["orders:read", "orders:write"])?
///     .param("audience", "https://api.vendor.test")?;
/// let handle = TokenHandle::new(source);
/// # drop(handle);
/// # Ok::<(), tower_token::TokenError>(())
/// ```
pub struct ClientCredentials {
    calls: Calls,
    asked: Parameters,
}

impl ClientCredentials {
    /// Over a [`Transport`], or over any service that makes one. No I/O happens yet.
    ///
    /// # Errors
    ///
    /// `Misconfigured` for a [public](Client::public) client, which has no credentials.
    pub fn new(server: &Server, client: Client, transport: impl Into<Transport>) -> Result<ClientCredentials, TokenError> {
        if client.is_public() {
            return Err(misconfigured("client", "is public, and this grant is for clients that can prove who they are"));
        }
        let calls = Calls::new(server.token_endpoint().clone(), client, transport.into());
        Ok(ClientCredentials { calls, asked: Parameters::default() })
    }

    /// The scopes to ask for, each by itself. None by default: the server decides.
    ///
    /// # Errors
    ///
    /// `Misconfigured` if one is not made as RFC 6749 section 3.3 has it.
    pub fn scopes<I>(mut self, scopes: I) -> Result<ClientCredentials, TokenError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.asked.set_scopes(scopes)?;
        Ok(self)
    }

    /// Adds a resource that the token is for (RFC 8707).
    ///
    /// # Errors
    ///
    /// `Misconfigured` unless it is an absolute URI without a fragment.
    pub fn resource(mut self, uri: impl Into<String>) -> Result<ClientCredentials, TokenError> {
        self.asked.add_resource(uri.into())?;
        Ok(self)
    }

    /// Adds a parameter of the vendor's, as `audience`.
    ///
    /// # Errors
    ///
    /// `Misconfigured` if the grant sets it itself, if it is there already, or if it has a control character.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Result<ClientCredentials, TokenError> {
        self.asked.add_extra(name.into(), value.into())?;
        Ok(self)
    }
}

impl TokenSource for ClientCredentials {
    async fn fetch(&mut self, cx: FetchContext) -> Result<AccessToken, TokenError> {
        let form = self.asked.fill(Form::grant("client_credentials"));
        self.calls.token(form, None, &self.asked.scopes, cx.clock()).await.token
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentials")
            .field("calls", &self.calls)
            .field("scopes", &self.asked.scopes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};

    use super::{
        super::played::{played, reply},
        *,
    };
    use crate::{error::ErrorKind, source::FetchReason};

    fn server() -> Server {
        Server::new("https://as.test/token").unwrap()
    }

    #[tokio::test]
    async fn each_fetch_mints_a_token() {
        let body =
            |n: u32| format!(r#"{{"access_token":"at-{n}","token_type":"bearer","expires_in":"60","refresh_token":"rt"}}"#);
        let (transport, sent) = played([reply(200, body(1)), reply(200, body(2))]);
        let client = Client::basic("my app", "p:w").unwrap();
        let grant = ClientCredentials::new(&server(), client, transport).unwrap();
        let grant = grant.scopes(["a", "b"]).unwrap().resource("https://api.test").unwrap();
        let mut grant = grant.param("audience", "x&y").unwrap();
        for n in [1, 2] {
            let token = grant.fetch(FetchContext::new(FetchReason::First)).await.unwrap();
            assert_eq!(token.expose_secret(), format!("at-{n}"));
            assert_eq!(
                (token.lifetime(), token.granted_scopes()),
                (Some(Duration::from_secs(60)), &["a".to_owned(), "b".into()][..])
            );
        }
        for (url, headers, body) in sent.lock().unwrap().iter() {
            assert_eq!(url, "https://as.test/token");
            assert_eq!(headers[CONTENT_TYPE], "application/x-www-form-urlencoded");
            assert_eq!(
                (&headers[ACCEPT], &headers[AUTHORIZATION]),
                (&"application/json".parse().unwrap(), &"Basic bXkrYXBwOnAlM0F3".parse().unwrap())
            );
            assert_eq!(body, "grant_type=client_credentials&scope=a+b&resource=https%3A%2F%2Fapi.test&audience=x%26y");
        }
    }

    /// RFC 6749 section 4.4.
    #[test]
    fn a_public_client_has_no_credentials() {
        let error = ClientCredentials::new(&server(), Client::public("id").unwrap(), played([]).0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        assert!(ClientCredentials::new(&server(), Client::mtls("id").unwrap(), played([]).0).is_ok());
    }

    /// S3.
    #[test]
    fn debug_shows_no_secret() {
        let server = Server::new("https://as.test/token?key=CANARY").unwrap();
        let grant = ClientCredentials::new(&server, Client::post("id", "CANARY").unwrap(), played([]).0).unwrap();
        let shown = format!("{:?}", grant.param("x", "CANARY").unwrap());
        assert!(!shown.contains("CANARY") && shown.contains("https://as.test/token"), "{shown}");
    }
}
