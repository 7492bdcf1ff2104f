use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize, de};

use super::{EndpointSource, ExpiryFormat, endpoint_exchange::EndpointExchange};
use crate::{
    error::{ErrorKind, TokenError},
    transport::{Transport, scrub},
};

/// A key+secret exchange, described as data: where it is sent, what is sent, and how the reply is read.
///
/// The description holds no secret. It names them, and they are supplied when a [`source`](Self::source) is made from it, or
/// read then from the environment or a file. So it can live in a file: every setter here is a field there, of the same name,
/// but that `request` holds what [`constant`](Self::constant), [`secret`](Self::secret), [`secret_from_env`](Self::secret_from_env),
/// [`secret_from_file`](Self::secret_from_file) and [`refresh_token_field`](Self::refresh_token_field) add, `headers` what
/// [`header`](Self::header) adds, and `expiry` and `refresh_expiry` what [`expiry_at`](Self::expiry_at) and
/// [`refresh_expiry_at`](Self::refresh_expiry_at) add. An unknown field in a file is an error.
///
/// # Defaults
///
/// `POST`, a JSON object as the request, the token at `/access_token`, its lifetime at `/expires_in` in seconds unless other
/// expiries are given, a refresh token at `/refresh_token`, no refresh step, and no error codes: see [the
/// table](crate::grant#how-a-reply-is-judged) of what a bare status means.
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
///
/// With a refresh step: [`refresh`](Self::refresh).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenEndpoint {
    #[serde(default)]
    pub(super) method: Method,
    pub(super) url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) encoding: Option<Encoding>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) token_at: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) expiry: Vec<Expiry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token_at: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) refresh_expiry: Vec<Expiry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) code_at: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) request: BTreeMap<String, Field>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) on_code: BTreeMap<String, ErrorClass>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "by_status")]
    pub(super) on_status: BTreeMap<u16, ErrorClass>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refresh: Option<Box<TokenEndpoint>>,
}

/// No secrets, for a [`source`](TokenEndpoint::source) whose description says where each is to be read.
pub const NO_SECRETS: [(&str, &str); 0] = [];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Method {
    #[default]
    #[serde(rename = "POST")]
    Post,
}

/// How the fields of a request are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Encoding {
    /// A JSON object of strings.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// What a field of the request holds.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Field {
    Constant(String),
    /// The name under which the secret is supplied.
    Secret(String),
    /// The environment variable that holds the secret.
    Env(String),
    /// The file that holds the secret.
    File(String),
    /// The refresh token, in a refresh step.
    RefreshToken,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expiry {
    pub(super) at: String,
    pub(super) format: ExpiryFormat,
}

/// What a vendor's error code or status means for the engine: see [`ErrorKind`](crate::ErrorKind).
///
/// `LoginAgain` and `Refused` both say that what was sent is refused. They differ where there is a choice, in the tables of a
/// [refresh](TokenEndpoint::refresh) step itself. Elsewhere they are one: at the login there is nothing to fall back on, so
/// both are `Refused`; and where a refresh step is judged by the tables around it, both mean that its refresh token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorClass {
    /// The refresh token is dead: the credentials are sent again.
    LoginAgain,
    /// The credentials are refused: a person must act.
    Refused,
    /// The description or the program is wrong: a person must act.
    Misconfigured,
    /// It may go well next time.
    Transient,
}

impl ErrorClass {
    pub(super) fn kind(self) -> ErrorKind {
        match self {
            ErrorClass::LoginAgain | ErrorClass::Refused => ErrorKind::Refused,
            ErrorClass::Misconfigured => ErrorKind::Misconfigured,
            ErrorClass::Transient => ErrorKind::Transient,
        }
    }
}

impl TokenEndpoint {
    /// A `POST` to this URL: https, or plain http to loopback; it is checked when a [`source`](Self::source) is made.
    pub fn post(url: impl Into<String>) -> TokenEndpoint {
        TokenEndpoint {
            method: Method::Post,
            url: url.into(),
            encoding: None,
            token_at: None,
            expiry: Vec::new(),
            refresh_token_at: None,
            refresh_expiry: Vec::new(),
            code_at: Vec::new(),
            headers: BTreeMap::new(),
            request: BTreeMap::new(),
            on_code: BTreeMap::new(),
            on_status: BTreeMap::new(),
            refresh: None,
        }
    }

    /// How the fields of the request are written.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> TokenEndpoint {
        self.encoding = Some(encoding);
        self
    }

    /// A header that the request always carries. It is part of the description: not the place for a secret, and a header
    /// that is made for one, as `Authorization` is, is refused when a [`source`](Self::source) is made; so is one that
    /// belongs to the connection. `Accept` and `Content-Type` may be set.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> TokenEndpoint {
        self.headers.insert(name.into(), value.into());
        self
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

    /// A field of the request that holds the secret in this environment variable. It is read when a [`source`](Self::source)
    /// is made, and white space around it is cut off.
    #[must_use]
    pub fn secret_from_env(mut self, field: impl Into<String>, variable: impl Into<String>) -> TokenEndpoint {
        self.request.insert(field.into(), Field::Env(variable.into()));
        self
    }

    /// A field of the request that holds the secret in this file: UTF-8, 64 KiB at most. It is read, blocking, when a
    /// [`source`](Self::source) is made, and white space around it is cut off: editors end a file with a line break.
    #[must_use]
    pub fn secret_from_file(mut self, field: impl Into<String>, path: impl Into<String>) -> TokenEndpoint {
        self.request.insert(field.into(), Field::File(path.into()));
        self
    }

    /// The field of a [refresh](Self::refresh) step that takes the refresh token; `"refresh_token"` in a file.
    #[must_use]
    pub fn refresh_token_field(mut self, field: impl Into<String>) -> TokenEndpoint {
        self.request.insert(field.into(), Field::RefreshToken);
        self
    }

    /// Where the token stands in the reply: a JSON pointer (RFC 6901).
    #[must_use]
    pub fn token_at(mut self, pointer: impl Into<String>) -> TokenEndpoint {
        self.token_at = Some(pointer.into());
        self
    }

    /// Where an expiry stands and how it is written. Expiries are tried in the order given; the first that can be read
    /// counts. So a relative one comes first where there are both: it needs no clock of the server's.
    ///
    /// A token whose absolute expiry has passed when it comes is a transient failure.
    #[must_use]
    pub fn expiry_at(mut self, pointer: impl Into<String>, format: ExpiryFormat) -> TokenEndpoint {
        self.expiry.push(Expiry { at: pointer.into(), format });
        self
    }

    /// Where the refresh token stands in the reply. It is looked for only if there is a [refresh](Self::refresh) step.
    #[must_use]
    pub fn refresh_token_at(mut self, pointer: impl Into<String>) -> TokenEndpoint {
        self.refresh_token_at = Some(pointer.into());
        self
    }

    /// Where the refresh token's own expiry stands, as [`expiry_at`](Self::expiry_at). One that cannot be read, is zero or
    /// has passed says nothing: some servers write 0 for "never", and the server has the last word in any case.
    #[must_use]
    pub fn refresh_expiry_at(mut self, pointer: impl Into<String>, format: ExpiryFormat) -> TokenEndpoint {
        self.refresh_expiry.push(Expiry { at: pointer.into(), format });
        self
    }

    /// A place where an error code may stand, as a string or a number. Places are tried in the order given. A step `*` in
    /// the pointer stands for each of the first 64 elements of an array: `/errors/*/code`, or `/errors/*` for bare strings.
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

    /// How a login is continued with its refresh token, in place of logging in again: a description like this one, of which
    /// [`refresh_token_field`](Self::refresh_token_field) is a part.
    ///
    /// What it leaves out of encoding, headers, pointers and expiries is as here; `request` is its own. Its error tables come
    /// before those here, in which `Refused` speaks of what was sent and so means [`LoginAgain`](ErrorClass::LoginAgain) for
    /// a refresh. A refusal that no table lists means `LoginAgain` too.
    ///
    /// The refresh token lives in memory, or in [a store of yours](EndpointSource::store).
    ///
    /// # Examples
    ///
    /// ```
    /// use tower_token::grant::{ErrorClass, ExpiryFormat, TokenEndpoint};
    ///
    /// let endpoint = TokenEndpoint::post("https://api.vendor.test/auth/login")
    ///     .secret("key", "key")
    ///     .secret("secret", "secret")
    ///     .token_at("/accessToken")
    ///     .expiry_at("/accessTokenExpireAt", ExpiryFormat::Rfc3339)
    ///     .refresh_token_at("/refreshToken")
    ///     .refresh_expiry_at("/refreshTokenExpireAt", ExpiryFormat::Rfc3339)
    ///     .refresh(TokenEndpoint::post("https://api.vendor.test/auth/refresh").refresh_token_field("token"));
    /// # drop(endpoint);
    /// ```
    #[must_use]
    pub fn refresh(mut self, step: TokenEndpoint) -> TokenEndpoint {
        self.refresh = Some(Box::new(step));
        self
    }

    /// Sends this exchange to another URL. A [refresh](Self::refresh) step has one of its own.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> TokenEndpoint {
        self.url = url.into();
        self
    }

    /// Checks the description and makes a source of it, with a transport and with the secrets that it names:
    /// [`NO_SECRETS`] if each of them is read from the environment or a file.
    ///
    /// The transport is a [`Transport`] or any service that makes one.
    ///
    /// # Errors
    ///
    /// `Misconfigured`, naming the field: a URL that secrets must not be sent to, a JSON pointer that is none, a status that
    /// is none, a header that is none or that secrets travel in, a secret that is missing, empty, unreadable, or not asked
    /// for, a refresh step that does not send the refresh token or has a refresh step of its own.
    pub fn source<N, V>(
        &self,
        transport: impl Into<Transport>,
        secrets: impl IntoIterator<Item = (N, V)>,
    ) -> Result<EndpointSource, TokenError>
    where
        N: AsRef<str>,
        V: Into<String>,
    {
        EndpointExchange::new(self, transport.into(), secrets).map(EndpointSource::new)
    }
}

/// By hand, for the sake of one error: where a table belongs, the likeliest slip is to write the secret itself, and a derived
/// implementation would quote it.
impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: de::Deserializer<'de>>(input: D) -> Result<Field, D::Error> {
        input.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> de::Visitor<'de> for FieldVisitor {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table with one of `constant`, `secret`, `env` and `file`, or the text `refresh_token`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Field, E> {
        match text {
            "refresh_token" => Ok(Field::RefreshToken),
            _ => Err(E::invalid_value(de::Unexpected::Other("another text"), &self)),
        }
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut table: A) -> Result<Field, A::Error> {
        let Some((kind, text)) = table.next_entry::<String, String>()? else {
            return Err(de::Error::invalid_length(0, &self));
        };
        if table.next_key::<de::IgnoredAny>()?.is_some() {
            return Err(de::Error::invalid_length(2, &self));
        }
        match kind.as_str() {
            "constant" => Ok(Field::Constant(text)),
            "secret" => Ok(Field::Secret(text)),
            "env" => Ok(Field::Env(text)),
            "file" => Ok(Field::File(text)),
            // Not named: a secret may have come there.
            _ => Err(de::Error::invalid_value(de::Unexpected::Other("a table with another key"), &self)),
        }
    }
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

/// Neither the query of the URL nor a constant, a header's value, or the place of a secret is shown: that is where a secret would
/// stand that should not be here.
impl fmt::Debug for TokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenEndpoint")
            .field("method", &self.method)
            .field("url", &scrub(&self.url))
            .field("encoding", &self.encoding)
            .field("headers", &self.headers.keys())
            .field("request", &self.request.keys())
            .field("token_at", &self.token_at)
            .field("expiry", &self.expiry)
            .field("refresh_token_at", &self.refresh_token_at)
            .field("refresh_expiry", &self.refresh_expiry)
            .field("code_at", &self.code_at)
            .field("on_code", &self.on_code)
            .field("on_status", &self.on_status)
            .field("refresh", &self.refresh)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described() -> TokenEndpoint {
        TokenEndpoint::post("https://api.test/token?tenant=CANARY")
            .encoding(Encoding::Form)
            .header("x-tenant", "CANARY")
            .constant("grant", "CANARY")
            .secret("key", "key")
            .secret_from_env("pin", "CANARY")
            .secret_from_file("pass", "/run/CANARY")
            .token_at("/data/jwt")
            .expiry_at("/data/ttl", ExpiryFormat::Seconds)
            .expiry_at("/data/until", ExpiryFormat::EpochMillis)
            .refresh_token_at("/data/renewal")
            .refresh_expiry_at("/data/renewal_until", ExpiryFormat::Rfc3339)
            .code_at("/error/code")
            .on_code("DISABLED", ErrorClass::Refused)
            .on_status(404, ErrorClass::Transient)
            .refresh(
                TokenEndpoint::post("https://api.test/renew?tenant=CANARY")
                    .encoding(Encoding::Json)
                    .refresh_token_field("token")
                    .constant("grant", "CANARY")
                    .on_status(409, ErrorClass::LoginAgain),
            )
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
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for (text, named) in [
            (r#"{"url":"u","tokenn_at":"/t"}"#, "unknown field `tokenn_at`"),
            (r#"{"token_at":"/t"}"#, "missing field `url`"),
            (r#"{"url":"u","method":"GET"}"#, "unknown variant `GET`"),
            (r#"{"url":"u","request":{"key":{"secrett":"key"}}}"#, "another key, expected a table with one of"),
            (r#"{"url":"u","request":{"key":{"CANARY":"key"}}}"#, "another key, expected a table with one of"),
            (r#"{"url":"u","expiry":[{"at":"/e","format":"fortnights"}]}"#, "unknown variant `fortnights`"),
            (r#"{"url":"u","expiry":[{"at":"/e","format":"seconds","x":1}]}"#, "unknown field `x`"),
            (r#"{"url":"u","on_status":{"teapot":"refused"}}"#, "expected an HTTP status"),
            (r#"{"url":"u","on_code":{"X":"fatal"}}"#, "unknown variant `fatal`"),
            (r#"{"url":"u","encoding":"xml"}"#, "unknown variant `xml`"),
            (r#"{"url":"u","headers":{"a":1}}"#, "expected a string"),
            (r#"{"url":"u","refresh":{"request":{"t":"refresh_token"}}}"#, "missing field `url`"),
            (r#"{"url":"u","request":{"key":{}}}"#, "invalid length 0, expected a table with one of"),
            (r#"{"url":"u","request":{"key":{"secret":"a","env":"B"}}}"#, "invalid length 2, expected a table with one of"),
            (r#"{"url":"u","request":{"key":7}}"#, "expected a table with one of"),
            (r#"{"url":"u","request":{"key":"CANARY"}}"#, "another text, expected a table with one of"),
        ] {
            let error = serde_json::from_str::<TokenEndpoint>(text).unwrap_err().to_string();
            assert!(error.contains(named) && !error.contains("CANARY"), "{text}: {error}");
        }
    }

    /// S3, S5.
    #[test]
    fn debug_shows_no_query_and_no_constant() {
        let shown = format!("{:?}", described());
        assert!(!shown.contains("CANARY") && shown.contains("https://api.test/token") && shown.contains("grant"), "{shown}");
    }
}
