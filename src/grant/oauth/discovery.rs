use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header::ACCEPT};
use http_body_util::Full;

use super::super::{
    json::{self, Document, Value},
    retry_after::retry_after,
};
use super::server::{Server, check_issuer};
use crate::{
    clock::Clock,
    error::{ErrorKind, TokenError},
    transport::{Reply, Transport, check_url},
};

impl Server {
    /// Asks a server about itself: RFC 8414, and where there is nothing, OpenID Connect Discovery.
    ///
    /// Of the issuer `https://as.test/tenant` that is `https://as.test/.well-known/oauth-authorization-server/tenant`, and then
    /// `https://as.test/tenant/.well-known/openid-configuration`. What is found there counts only if it names exactly this
    /// issuer (RFC 8414 section 3.3), and if every endpoint in it is https, or plain http to loopback. Nothing is kept: ask
    /// again once a day, or when an endpoint has gone.
    ///
    /// # Errors
    ///
    /// `Misconfigured` if the issuer is no https URL without query and fragment, if there is no metadata, or if it is wrong;
    /// as [`Transport::send`] if the call fails, and `Transient` if the server fails for now.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping it.
    pub async fn discover(
        issuer: impl AsRef<str>,
        transport: impl Into<Transport>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Server, TokenError> {
        let (issuer, transport) = (issuer.as_ref().to_owned(), transport.into());
        let [first, second] = well_known(&issuer)?;
        let reply = transport.send(request(first), clock).await?;
        match answer(&reply, &issuer, clock)? {
            Ok(server) => Ok(server),
            Err(_nothing) => {
                let reply = transport.send(request(second), clock).await?;
                answer(&reply, &issuer, clock)?
            }
        }
    }
}

/// The two places of an issuer's metadata: RFC 8414 section 3 puts its part between host and path, OpenID Connect after the path.
fn well_known(issuer: &str) -> Result<[Uri; 2], TokenError> {
    let uri = check_issuer(issuer)?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong("the issuer must be an absolute URL"));
    };
    let path = uri.path().strip_suffix('/').unwrap_or(uri.path());
    let place = |path: String| {
        check_url(&format!("{scheme}://{authority}{path}")).map_err(|_| wrong("the issuer has no well-known place"))
    };
    Ok([
        place(format!("/.well-known/oauth-authorization-server{path}"))?,
        place(format!("{path}/.well-known/openid-configuration"))?,
    ])
}

fn request(place: Uri) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = place;
    request.headers_mut().insert(ACCEPT, json::MEDIA_TYPE);
    request
}

/// What one place says; the inner error is for a place where there is nothing, so that another may be asked.
fn answer(reply: &Reply, issuer: &str, clock: &Arc<dyn Clock>) -> Result<Result<Server, TokenError>, TokenError> {
    match Document::parse(reply.body()) {
        Some(document) if reply.status().is_success() => read(&document, issuer).map(Ok),
        _ => {
            let error = nothing(reply, clock);
            if is_for_now(reply.status()) { Err(error) } else { Ok(Err(error)) }
        }
    }
}

fn is_for_now(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
}

fn nothing(reply: &Reply, clock: &Arc<dyn Clock>) -> TokenError {
    let status = reply.status();
    let code = status.as_u16();
    if status.is_success() {
        let text = format!("the server's metadata is not JSON ({code})");
        return TokenError::new(ErrorKind::Transient, text);
    }
    if !is_for_now(status) {
        return wrong(format!("the server has no metadata at the well-known places of its issuer ({code})"));
    }
    let error = TokenError::new(ErrorKind::Transient, format!("the server's metadata cannot be had for now ({code})"));
    match retry_after(reply.headers(), clock.wall()) {
        Some(delay) => error.retry_after(delay),
        None => error,
    }
}

fn wrong(text: impl Into<std::borrow::Cow<'static, str>>) -> TokenError {
    TokenError::new(ErrorKind::Misconfigured, text)
}

fn read(document: &Document<'_>, issuer: &str) -> Result<Server, TokenError> {
    let text = |pointer: &str| document.at(pointer).and_then(Value::text);
    if text("/issuer").is_none_or(|named| named.as_str() != issuer) {
        return Err(wrong("the server's metadata names another issuer than the one that was asked for"));
    }
    let Some(token) = text("/token_endpoint") else {
        return Err(wrong("the server's metadata has no `token_endpoint`"));
    };
    let mut server = Server::new(token.as_str())?
        .with_issuer(issuer)?
        .with_iss_in_callbacks(document.at("/authorization_response_iss_parameter_supported").is_some_and(Value::is_true));
    if let Some(url) = text("/authorization_endpoint") {
        server = server.with_authorization_endpoint(url.as_str())?;
    }
    if let Some(url) = text("/revocation_endpoint") {
        server = server.with_revocation_endpoint(url.as_str())?;
    }
    if let Some(url) = text("/jwks_uri") {
        server = server.with_jwks_uri(url.as_str())?;
    }
    let methods = document.at("/token_endpoint_auth_methods_supported").and_then(Value::texts);
    Ok(server.with_authentication_methods(methods.unwrap_or_else(|| vec!["client_secret_basic".to_owned()])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 8414 section 3.1, OpenID Connect Discovery section 4.1.
    #[test]
    fn the_two_places() {
        for (issuer, places) in [
            (
                "https://as.test",
                ["https://as.test/.well-known/oauth-authorization-server", "https://as.test/.well-known/openid-configuration"],
            ),
            (
                "https://as.test/",
                ["https://as.test/.well-known/oauth-authorization-server", "https://as.test/.well-known/openid-configuration"],
            ),
            (
                "https://as.test:8443/a/b",
                [
                    "https://as.test:8443/.well-known/oauth-authorization-server/a/b",
                    "https://as.test:8443/a/b/.well-known/openid-configuration",
                ],
            ),
            (
                "http://127.0.0.1:1/a/",
                [
                    "http://127.0.0.1:1/.well-known/oauth-authorization-server/a",
                    "http://127.0.0.1:1/a/.well-known/openid-configuration",
                ],
            ),
        ] {
            assert_eq!(well_known(issuer).unwrap().map(|place| place.to_string()), places, "{issuer}");
        }
        for bad in ["http://as.test", "https://as.test?x=1", "https://as.test#x", "as.test", "https://u@as.test", ""] {
            assert_eq!(well_known(bad).unwrap_err().kind(), ErrorKind::Misconfigured, "{bad}");
        }
    }

    fn found(body: &str) -> Result<Server, String> {
        read(&Document::parse(body.as_bytes()).unwrap(), "https://as.test/t").map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::Misconfigured);
            error.to_string()
        })
    }

    /// G15: all of it, as little as there may be, and what is not believed.
    #[test]
    fn metadata() {
        let server = found(
            r#"{"issuer":"https://as.test/t","authorization_endpoint":"https://as.test/a","token_endpoint":"https://tokens.test/t",
            "revocation_endpoint":"https://as.test/r","jwks_uri":"https://as.test/k","authorization_response_iss_parameter_supported":true,
            "token_endpoint_auth_methods_supported":["none","client_secret_post"],"else":1e999}"#,
        )
        .unwrap();
        let by_hand = Server::new("https://tokens.test/t")
            .and_then(|server| server.with_issuer("https://as.test/t"))
            .and_then(|server| server.with_authorization_endpoint("https://as.test/a"))
            .and_then(|server| server.with_revocation_endpoint("https://as.test/r"))
            .and_then(|server| server.with_jwks_uri("https://as.test/k"))
            .unwrap()
            .with_iss_in_callbacks(true)
            .with_authentication_methods(vec!["none".to_owned(), "client_secret_post".to_owned()]);
        assert_eq!(server, by_hand);

        let least = found(r#"{"issuer":"https://as.test/t","token_endpoint":"https://as.test/t"}"#).unwrap();
        assert_eq!((least.authentication_methods(), least.iss_in_callbacks()), (&["client_secret_basic".to_owned()][..], false));

        for (body, named) in [
            (r#"{"token_endpoint":"https://as.test/t"}"#, "another issuer"),
            (r#"{"issuer":"https://as.test/t/","token_endpoint":"https://as.test/t"}"#, "another issuer"),
            (r#"{"issuer":"https://AS.test/t","token_endpoint":"https://as.test/t"}"#, "another issuer"),
            (r#"{"issuer":["https://as.test/t"],"token_endpoint":"https://as.test/t"}"#, "another issuer"),
            (r#"{"issuer":"https://as.test/t"}"#, "no `token_endpoint`"),
            (r#"{"issuer":"https://as.test/t","token_endpoint":7}"#, "no `token_endpoint`"),
            (r#"{"issuer":"https://as.test/t","token_endpoint":"http://as.test/t"}"#, "`token_endpoint` must be https"),
            (
                r#"{"issuer":"https://as.test/t","token_endpoint":"https://as.test/t","revocation_endpoint":"http://as.test"}"#,
                "`revocation_endpoint` must be https",
            ),
            (r#"{"issuer":"https://as.test/t","token_endpoint":"https://as.test/t","jwks_uri":"file:///etc"}"#, "`jwks_uri`"),
            (
                r#"{"issuer":"https://as.test/t","token_endpoint":"https://as.test/t","authorization_endpoint":"javascript:1"}"#,
                "`authorization_endpoint`",
            ),
        ] {
            let error = found(body).unwrap_err();
            assert!(error.contains(named), "{body}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_issuer(text in "https://[a-z./:?#%@]{0,20}|.*") {
            let _ = well_known(&text);
        }
    }
}
