use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize, de};

use super::{EndpointSource, ExpiryFormat};
use crate::{
    error::TokenError,
    transport::{Transport, scrub},
};

/// A key+secret exchange, described as data: where it is sent, what is sent, and how the reply is read.
///
/// The description holds no secret. It names them, and they are supplied when a [`source`](Self::source) is made from it, so
/// it can live in a file: every setter here is a field there, of the same name (`request` holds what
/// [`constant`](Self::constant) and [`secret`](Self::secret) add). An unknown field in a file is an error.
///
/// # Defaults
///
/// `POST`, a JSON object as the request, the token at `/access_token`, its lifetime at `/expires_in` in seconds unless other
/// expiries are given, and no error codes: see [the table](crate::grant#how-a-reply-is-judged) of what a bare status means.
///
/// # Examples
///
/// ```
/// use tower_token::grant::{ErrorClass, ExpiryFormat, TokenEndpoint};
///
/// let endpoint = TokenEndpoint::post("https://api.vendor.test/v1/login")
///     .secret("key", "key")
///     .secret("secret", "secret")
///     .token_at("/data/jwt")
///     .expiry_at("/data/expires_in", ExpiryFormat::Seconds)
///     .code_at("/error/code")
///     .on_code("KEY_DISABLED", ErrorClass::Refused);
/// # drop(endpoint);
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenEndpoint {
    #[serde(default)]
    pub(super) method: Method,
    pub(super) url: String,
    #[serde(default = "default_token_at")]
    pub(super) token_at: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) expiry: Vec<Expiry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) code_at: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) request: BTreeMap<String, Field>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) on_code: BTreeMap<String, ErrorClass>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "by_status")]
    pub(super) on_status: BTreeMap<u16, ErrorClass>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Method {
    #[default]
    #[serde(rename = "POST")]
    Post,
}

/// What a field of the request holds.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Field {
    Constant(String),
    /// The name under which the secret is supplied.
    Secret(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expiry {
    pub(super) at: String,
    pub(super) format: ExpiryFormat,
}

/// What a vendor's error code or status means for the engine: see [`ErrorKind`](crate::ErrorKind).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorClass {
    /// The credentials are refused: a person must act.
    Refused,
    /// The description or the program is wrong: a person must act.
    Misconfigured,
    /// It may go well next time.
    Transient,
}

impl TokenEndpoint {
    /// A `POST` to this URL: https, or plain http to loopback; it is checked when a [`source`](Self::source) is made.
    pub fn post(url: impl Into<String>) -> TokenEndpoint {
        TokenEndpoint {
            method: Method::Post,
            url: url.into(),
            token_at: default_token_at(),
            expiry: Vec::new(),
            code_at: Vec::new(),
            request: BTreeMap::new(),
            on_code: BTreeMap::new(),
            on_status: BTreeMap::new(),
        }
    }

    /// A field of the request that always holds the same text. It is part of the description: not the place for a secret.
    #[must_use]
    pub fn constant(mut self, field: impl Into<String>, value: impl Into<String>) -> TokenEndpoint {
        self.request.insert(field.into(), Field::Constant(value.into()));
        self
    }

    /// A field of the request that holds the secret supplied under this name.
    #[must_use]
    pub fn secret(mut self, field: impl Into<String>, name: impl Into<String>) -> TokenEndpoint {
        self.request.insert(field.into(), Field::Secret(name.into()));
        self
    }

    /// Where the token stands in the reply: a JSON pointer (RFC 6901).
    #[must_use]
    pub fn token_at(mut self, pointer: impl Into<String>) -> TokenEndpoint {
        self.token_at = pointer.into();
        self
    }

    /// Where an expiry stands and how it is written. Expiries are tried in the order given; the first that can be read counts.
    #[must_use]
    pub fn expiry_at(mut self, pointer: impl Into<String>, format: ExpiryFormat) -> TokenEndpoint {
        self.expiry.push(Expiry { at: pointer.into(), format });
        self
    }

    /// A place where an error code may stand, as a string or a number. Places are tried in the order given.
    #[must_use]
    pub fn code_at(mut self, pointer: impl Into<String>) -> TokenEndpoint {
        self.code_at.push(pointer.into());
        self
    }

    /// What an error code of the vendor means; a number is written as it stands in the reply. It beats the status.
    #[must_use]
    pub fn on_code(mut self, code: impl Into<String>, class: ErrorClass) -> TokenEndpoint {
        self.on_code.insert(code.into(), class);
        self
    }

    /// What a status means, whatever its body, unless the reply holds a listed code.
    #[must_use]
    pub fn on_status(mut self, status: u16, class: ErrorClass) -> TokenEndpoint {
        self.on_status.insert(status, class);
        self
    }

    /// Sends this exchange to another URL.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> TokenEndpoint {
        self.url = url.into();
        self
    }

    /// Checks the description and makes a source of it, with a transport and with the secrets that it names.
    ///
    /// The transport is a [`Transport`] or any service that makes one.
    ///
    /// # Errors
    ///
    /// `Misconfigured`, naming the field: a URL that secrets must not be sent to, a JSON pointer that is none, a status that
    /// is none, a secret that is missing, empty, or not asked for.
    pub fn source<N, V>(
        &self,
        transport: impl Into<Transport>,
        secrets: impl IntoIterator<Item = (N, V)>,
    ) -> Result<EndpointSource, TokenError>
    where
        N: AsRef<str>,
        V: Into<String>,
    {
        EndpointSource::new(self.clone(), transport.into(), secrets)
    }

    /// The expiries to try: the usual one where none is given.
    pub(super) fn expiries(&self) -> impl Iterator<Item = (&str, ExpiryFormat)> {
        let usual = self.expiry.is_empty().then_some(("/expires_in", ExpiryFormat::Seconds));
        self.expiry.iter().map(|expiry| (expiry.at.as_str(), expiry.format)).chain(usual)
    }
}

fn default_token_at() -> String {
    "/access_token".to_owned()
}

/// In TOML and JSON a key is a string.
fn by_status<'de, D: de::Deserializer<'de>>(input: D) -> Result<BTreeMap<u16, ErrorClass>, D::Error> {
    let table: BTreeMap<String, ErrorClass> = Deserialize::deserialize(input)?;
    table
        .into_iter()
        .map(|(status, class)| match status.parse() {
            Ok(status) => Ok((status, class)),
            Err(_) => Err(de::Error::invalid_value(de::Unexpected::Str(&status), &"an HTTP status")),
        })
        .collect()
}

/// Neither the query of the URL nor a constant is shown: that is where a secret would stand that should not be here.
impl fmt::Debug for TokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenEndpoint")
            .field("method", &self.method)
            .field("url", &scrub(&self.url))
            .field("request", &self.request.keys())
            .field("token_at", &self.token_at)
            .field("expiry", &self.expiry)
            .field("code_at", &self.code_at)
            .field("on_code", &self.on_code)
            .field("on_status", &self.on_status)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described() -> TokenEndpoint {
        TokenEndpoint::post("https://api.test/token?tenant=CANARY")
            .constant("grant", "CANARY")
            .secret("key", "key")
            .token_at("/data/jwt")
            .expiry_at("/data/ttl", ExpiryFormat::Seconds)
            .code_at("/error/code")
            .on_code("DISABLED", ErrorClass::Refused)
            .on_status(404, ErrorClass::Transient)
    }

    #[test]
    fn a_description_survives_json_and_toml() {
        let json = serde_json::to_string(&described()).unwrap();
        assert_eq!(serde_json::from_str::<TokenEndpoint>(&json).unwrap(), described());
        let toml = toml::to_string(&described()).unwrap();
        assert_eq!(toml::from_str::<TokenEndpoint>(&toml).unwrap(), described());
    }

    #[test]
    fn a_url_and_a_request_are_enough() {
        let short = r#"{"url":"https://api.test/token","request":{"key":{"secret":"key"}}}"#;
        let endpoint: TokenEndpoint = serde_json::from_str(short).unwrap();
        assert_eq!(endpoint, TokenEndpoint::post("https://api.test/token").secret("key", "key"));
        assert_eq!(endpoint.expiries().collect::<Vec<_>>(), [("/expires_in", ExpiryFormat::Seconds)]);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for (text, named) in [
            (r#"{"url":"u","tokenn_at":"/t"}"#, "unknown field `tokenn_at`"),
            (r#"{"token_at":"/t"}"#, "missing field `url`"),
            (r#"{"url":"u","method":"GET"}"#, "unknown variant `GET`"),
            (r#"{"url":"u","request":{"key":{"secrett":"key"}}}"#, "unknown variant `secrett`"),
            (r#"{"url":"u","expiry":[{"at":"/e","format":"fortnights"}]}"#, "unknown variant `fortnights`"),
            (r#"{"url":"u","expiry":[{"at":"/e","format":"seconds","x":1}]}"#, "unknown field `x`"),
            (r#"{"url":"u","on_status":{"teapot":"refused"}}"#, "expected an HTTP status"),
            (r#"{"url":"u","on_code":{"X":"fatal"}}"#, "unknown variant `fatal`"),
        ] {
            let error = serde_json::from_str::<TokenEndpoint>(text).unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    /// S3, S5.
    #[test]
    fn debug_shows_no_query_and_no_constant() {
        let shown = format!("{:?}", described());
        assert!(!shown.contains("CANARY") && shown.contains("https://api.test/token") && shown.contains("grant"), "{shown}");
    }
}
