use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use zeroize::Zeroizing;

use super::{
    super::form::{Form, encode},
    grammar::{misconfigured, visible, without_controls},
};
use crate::{error::TokenError, transport::SecretBuffer};

/// Who asks: the client that is registered with the server, and how it proves that it is the one (RFC 6749 section 2.3).
///
/// # Errors
///
/// Each constructor answers `Misconfigured`, naming the field, if the id is empty or not visible ASCII, or if the secret is
/// empty or has a control character, which a line break at the end of a file is.
#[derive(Clone)]
pub struct Client {
    id: String,
    method: Method,
}

#[derive(Clone)]
enum Method {
    Basic { header: HeaderValue, secret: Zeroizing<String> },
    Post { secret: Zeroizing<String> },
    Mtls,
    None,
}

#[expect(clippy::missing_errors_doc, reason = "the errors are the type's, as its docs say")]
impl Client {
    /// `client_secret_basic`: id and secret in the `Authorization` header, each form-encoded first (section 2.3.1), so that
    /// neither a colon nor a letter beyond ASCII is in the way. Every server must take it; [`post`](Self::post) is for those
    /// that do not.
    pub fn basic(id: impl Into<String>, secret: impl Into<String>) -> Result<Client, TokenError> {
        Client::in_header(id.into(), Zeroizing::new(secret.into()), encode)
    }

    /// As [`basic`](Self::basic), for a server that does not undo the form-encoding: id and secret as they are. The id has no
    /// colon then.
    pub fn basic_unencoded(id: impl Into<String>, secret: impl Into<String>) -> Result<Client, TokenError> {
        let id = id.into();
        if id.contains(':') {
            return Err(misconfigured("client_id", "has a colon, which ends the id in an unencoded header"));
        }
        Client::in_header(id, Zeroizing::new(secret.into()), |buffer, text| buffer.extend(text.as_bytes()))
    }

    /// `client_secret_post`: id and secret in the form.
    pub fn post(id: impl Into<String>, secret: impl Into<String>) -> Result<Client, TokenError> {
        let (id, secret) = (id.into(), Zeroizing::new(secret.into()));
        check(&id, Some(&secret))?;
        Ok(Client { id, method: Method::Post { secret } })
    }

    /// `tls_client_auth` (RFC 8705 section 2): the id in the form; the transport has the certificate.
    pub fn mtls(id: impl Into<String>) -> Result<Client, TokenError> {
        let id = id.into();
        check(&id, None)?;
        Ok(Client { id, method: Method::Mtls })
    }

    /// `none`: a public client, an app on a user's device say, which has an id and nothing to prove it with.
    pub fn public(id: impl Into<String>) -> Result<Client, TokenError> {
        let id = id.into();
        check(&id, None)?;
        Ok(Client { id, method: Method::None })
    }

    fn in_header(id: String, secret: Zeroizing<String>, write: fn(&mut SecretBuffer, &str)) -> Result<Client, TokenError> {
        check(&id, Some(&secret))?;
        let mut pair = SecretBuffer::with_capacity(3 * (id.len() + secret.len()) + 1);
        write(&mut pair, &id);
        pair.extend(b":");
        write(&mut pair, &secret);
        let encoded = Zeroizing::new(STANDARD.encode(pair.into_vec().as_slice()));
        let text = Zeroizing::new(["Basic ", &encoded].concat());
        let mut header = HeaderValue::from_str(&text).map_err(|_| misconfigured("client_secret", "does not fit in a header"))?;
        header.set_sensitive(true);
        Ok(Client { id, method: Method::Basic { header, secret } })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn is_public(&self) -> bool {
        matches!(self.method, Method::None)
    }

    /// Puts id and proof where they belong.
    pub(super) fn authenticate(&self, form: Form, headers: &mut HeaderMap) -> Form {
        match &self.method {
            Method::Basic { header, secret } => {
                headers.insert(AUTHORIZATION, header.clone());
                form.not_to_be_echoed(secret)
            }
            Method::Post { secret } => form.with("client_id", &self.id).with_secret("client_secret", secret),
            Method::Mtls | Method::None => form.with("client_id", &self.id),
        }
    }
}

fn check(id: &str, secret: Option<&str>) -> Result<(), TokenError> {
    visible(id).map_err(|why| misconfigured("client_id", why))?;
    secret.map_or(Ok(()), |secret| without_controls(secret).map_err(|why| misconfigured("client_secret", why)))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match &self.method {
            Method::Basic { .. } => "client_secret_basic",
            Method::Post { .. } => "client_secret_post",
            Method::Mtls => "tls_client_auth",
            Method::None => "none",
        };
        f.debug_struct("Client").field("method", &method).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sent(client: &Client) -> (Option<String>, String) {
        let mut headers = HeaderMap::new();
        let (body, _) = client.authenticate(Form::grant("g"), &mut headers).finish();
        assert!(headers.values().all(HeaderValue::is_sensitive));
        let pair = headers.get(AUTHORIZATION).map(|value| {
            let encoded = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
            String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
        });
        (pair, String::from_utf8(body.to_vec()).unwrap())
    }

    /// G9: ids and secrets with everything in them that means something to an encoding.
    #[test]
    fn odd_secrets() {
        for (id, secret, pair, form) in [
            ("id", "secret", "id:secret", "client_id=id&client_secret=secret"),
            ("a:b", "c:d", "a%3Ab:c%3Ad", "client_id=a%3Ab&client_secret=c%3Ad"),
            ("id", "100%", "id:100%25", "client_id=id&client_secret=100%25"),
            ("id", "%3A", "id:%253A", "client_id=id&client_secret=%253A"),
            ("my app", "a b+c", "my+app:a+b%2Bc", "client_id=my+app&client_secret=a+b%2Bc"),
            ("id", "p\u{e4}ss\u{1f511}", "id:p%C3%A4ss%F0%9F%94%91", "client_id=id&client_secret=p%C3%A4ss%F0%9F%94%91"),
            ("id", "&x=y#/?", "id:%26x%3Dy%23%2F%3F", "client_id=id&client_secret=%26x%3Dy%23%2F%3F"),
            ("id", "-._*~", "id:-._*%7E", "client_id=id&client_secret=-._*%7E"),
        ] {
            let basic = sent(&Client::basic(id, secret).unwrap());
            assert_eq!(basic, (Some(pair.to_owned()), "grant_type=g".to_owned()), "{secret}");
            let post = sent(&Client::post(id, secret).unwrap());
            assert_eq!(post, (None, format!("grant_type=g&{form}")), "{secret}");
        }
        let raw = sent(&Client::basic_unencoded("id", "c:d %3A\u{e4}").unwrap());
        assert_eq!(raw.0.as_deref(), Some("id:c:d %3A\u{e4}"));
        for client in [Client::mtls("id"), Client::public("id")] {
            assert_eq!(sent(&client.unwrap()), (None, "grant_type=g&client_id=id".to_owned()));
        }
    }

    /// S8.
    #[test]
    fn what_is_no_id_and_no_secret() {
        for (id, secret, named) in [
            ("", "s", "`client_id` is empty"),
            ("CANARY\r\nX=y", "s", "`client_id` has a character"),
            ("CAN\u{c4}RY", "s", "`client_id` has a character"),
            ("id", "", "`client_secret` is empty"),
            ("id", "CANARY\n", "`client_secret` has a control character or a line break"),
            ("id", "CAN\0ARY", "`client_secret` has a control character"),
        ] {
            for client in [Client::basic(id, secret), Client::post(id, secret), Client::basic_unencoded(id, secret)] {
                let error = client.unwrap_err().to_string();
                assert!(error.contains(named) && !error.contains("CAN"), "{error}");
            }
        }
        assert!(Client::public("a\nb").is_err() && Client::mtls("").is_err());
        assert!(Client::basic_unencoded("a:b", "s").is_err());
    }

    /// S3.
    #[test]
    fn debug_shows_no_secret() {
        for client in [Client::basic("id", "CANARY"), Client::post("id", "CANARY"), Client::public("id")] {
            let shown = format!("{:?}", client.unwrap());
            assert!(!shown.contains("CANARY") && shown.starts_with("Client { method: "), "{shown}");
        }
    }

    proptest! {
        /// RFC 6749 section 2.3.1, seen from the server: split at the colon, decode both.
        #[test]
        fn a_server_reads_what_was_given(id in "[ -~]{1,20}", secret in "\\PC{1,40}") {
            let (pair, _) = sent(&Client::basic(id.as_str(), secret.as_str()).unwrap());
            let pair = pair.unwrap();
            let (left, right) = pair.split_once(':').unwrap();
            let decode = |text: &str| form_urlencoded::parse(format!("k={text}").as_bytes()).next().unwrap().1.into_owned();
            prop_assert_eq!((decode(left), decode(right)), (id, secret));
        }
    }
}
