use std::{collections::BTreeMap, env, ffi::OsString, fs::File, io::Read};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri,
    header::{self, ACCEPT, CONTENT_TYPE},
};
use http_body_util::Full;
use zeroize::Zeroizing;

use super::{
    endpoint::{Encoding, Field, Method, TokenEndpoint},
    form::{self, Form},
    json::{self, is_pointer},
    reading::Reading,
};
use crate::{
    error::{ErrorKind, TokenError},
    token::RefreshToken,
    transport::{SecretBuffer, check_url},
};

/// The most that a file may hold, in bytes, to pass for one that holds a secret.
const LONGEST_FILE: usize = 64 << 10;

/// Headers in which a secret would stand in the open.
const SECRET: [HeaderName; 3] = [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE];

/// Headers that are the connection's.
const FRAMING: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// A step of a description, checked, with all that it needs: what is sent, and how the reply is read.
#[derive(Clone)]
pub(super) struct Step {
    method: http::Method,
    uri: Uri,
    headers: HeaderMap,
    encoding: Encoding,
    fields: Vec<(String, Content)>,
    reading: Reading,
}

#[derive(Clone)]
enum Content {
    Constant(String),
    Secret(Zeroizing<String>),
    RefreshToken,
}

/// The secrets that were supplied by name.
pub(super) type Supplied<N> = [(N, Zeroizing<String>)];

impl Step {
    pub(super) fn login<N: AsRef<str>>(endpoint: &TokenEndpoint, supplied: &Supplied<N>) -> Result<Step, TokenError> {
        let builder = Builder { place: "", step: endpoint, endpoint };
        if endpoint.request.values().any(|field| *field == Field::RefreshToken) {
            return Err(builder.wrong("request", "sends a refresh token, which a login has not: that is for the `refresh` step"));
        }
        builder.build(Reading::login(endpoint), supplied)
    }

    /// The refresh, if the description has one.
    pub(super) fn refresh<N: AsRef<str>>(endpoint: &TokenEndpoint, supplied: &Supplied<N>) -> Result<Option<Step>, TokenError> {
        let Some(step) = endpoint.refresh.as_deref() else { return Ok(None) };
        let builder = Builder { place: "refresh.", step, endpoint };
        if step.refresh.is_some() {
            return Err(builder.wrong("refresh", "is one refresh step too many"));
        }
        if !step.request.values().any(|field| *field == Field::RefreshToken) {
            return Err(builder.wrong("request", "does not send the refresh token: one field must be \"refresh_token\""));
        }
        builder.build(Reading::refresh(step, endpoint), supplied).map(Some)
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    #[cfg(feature = "provider")]
    pub(super) fn send_to(&mut self, uri: Uri) {
        self.uri = uri;
    }

    pub(super) fn reading(&self) -> &Reading {
        &self.reading
    }

    /// The secrets that it sends each time.
    pub(super) fn secrets(&self) -> impl Iterator<Item = Zeroizing<String>> {
        self.fields.iter().filter_map(|(_, content)| match content {
            Content::Secret(secret) => Some(secret.clone()),
            Content::Constant(_) | Content::RefreshToken => None,
        })
    }

    pub(super) fn request(&self, token: Option<&RefreshToken>) -> Result<Request<Full<Bytes>>, TokenError> {
        let mut request = Request::new(Full::new(self.body(token)?));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }

    /// The memory is wiped when the request goes; the copies in the HTTP stack's buffers are beyond reach.
    fn body(&self, token: Option<&RefreshToken>) -> Result<Bytes, TokenError> {
        let token = token.map_or("", RefreshToken::expose_secret);
        let fields = self.fields.iter().map(|(field, content)| match content {
            Content::Constant(text) => (field.as_str(), text.as_str()),
            Content::Secret(secret) => (field.as_str(), secret.as_str()),
            Content::RefreshToken => (field.as_str(), token),
        });
        let fields: BTreeMap<&str, &str> = fields.collect();
        match self.encoding {
            Encoding::Json => {
                let room = fields.iter().map(|(field, value)| field.len() + value.len() + 8).sum();
                let mut body = SecretBuffer::with_capacity(room);
                serde_json::to_writer(&mut body, &fields)
                    .map_err(|_| TokenError::new(ErrorKind::Misconfigured, "the token request cannot be written as JSON"))?;
                Ok(body.into_bytes())
            }
            Encoding::Form => {
                let form = fields.into_iter().fold(Form::new(), |form, (field, value)| form.with(field, value));
                Ok(form.finish().0)
            }
        }
    }
}

/// Checks what the types do not, and fills in what a step leaves out.
struct Builder<'a> {
    /// What comes before the name of a field in an error.
    place: &'static str,
    step: &'a TokenEndpoint,
    endpoint: &'a TokenEndpoint,
}

impl Builder<'_> {
    fn build<N: AsRef<str>>(&self, reading: Reading, supplied: &Supplied<N>) -> Result<Step, TokenError> {
        let uri = check_url(&self.step.url).map_err(|why| self.wrong("url", why))?;
        self.check()?;
        let encoding = self.step.encoding.or(self.endpoint.encoding).unwrap_or_default();
        let method = match self.step.method {
            Method::Post => http::Method::POST,
        };
        Ok(Step { method, uri, headers: self.headers(encoding)?, encoding, fields: self.fields(supplied)?, reading })
    }

    fn wrong(&self, field: &str, why: &str) -> TokenError {
        misconfigured(format!("`{}{field}` {why}", self.place))
    }

    fn check(&self) -> Result<(), TokenError> {
        let step = self.step;
        let pointers = (step.token_at.iter().map(|pointer| ("token_at", pointer)))
            .chain(step.expiry.iter().map(|expiry| ("expiry", &expiry.at)))
            .chain(step.refresh_token_at.iter().map(|pointer| ("refresh_token_at", pointer)))
            .chain(step.refresh_expiry.iter().map(|expiry| ("refresh_expiry", &expiry.at)))
            .chain(step.code_at.iter().map(|pointer| ("code_at", pointer)));
        for (field, pointer) in pointers {
            if !is_pointer(pointer) {
                return Err(self.wrong(field, "is not a JSON pointer, as /data/token"));
            }
        }
        match step.on_status.keys().find(|status| StatusCode::from_u16(**status).is_err()) {
            Some(status) => Err(self.wrong("on_status", &format!("lists {status}, which is not an HTTP status"))),
            None => Ok(()),
        }
    }

    /// Those of the step before those around it. Neither a name that is none nor a value is shown.
    fn headers(&self, encoding: Encoding) -> Result<HeaderMap, TokenError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, json::MEDIA_TYPE);
        headers.insert(
            CONTENT_TYPE,
            match encoding {
                Encoding::Json => json::MEDIA_TYPE,
                Encoding::Form => form::MEDIA_TYPE,
            },
        );
        let around = if std::ptr::eq(self.step, self.endpoint) { None } else { Some(&self.endpoint.headers) };
        for given in around.into_iter().chain([&self.step.headers]) {
            let mut seen = Vec::new();
            for (name, value) in given {
                let name =
                    HeaderName::from_bytes(name.as_bytes()).map_err(|_| self.wrong("headers", "has a name that is none"))?;
                if SECRET.contains(&name) {
                    let why = format!("has `{name}`, which is made for a secret, and a description holds none");
                    return Err(self.wrong("headers", &why));
                }
                if FRAMING.contains(&name) {
                    return Err(self.wrong("headers", &format!("has `{name}`, which belongs to the connection")));
                }
                if seen.contains(&name) {
                    return Err(self.wrong("headers", &format!("has `{name}` twice")));
                }
                let text = HeaderValue::from_str(value).ok().filter(|_| value.bytes().all(|byte| matches!(byte, b' '..=b'~')));
                let text =
                    text.ok_or_else(|| self.wrong("headers", &format!("has a value for `{name}` that is not visible ASCII")))?;
                headers.insert(name.clone(), text);
                seen.push(name);
            }
        }
        Ok(headers)
    }

    /// An error names the field and not the secret or its place: that is given by hand, and the likeliest slip is to give the
    /// secret there.
    fn fields<N: AsRef<str>>(&self, supplied: &Supplied<N>) -> Result<Vec<(String, Content)>, TokenError> {
        let fields = self.step.request.iter().map(|(field, holds)| {
            let secret = match holds {
                Field::RefreshToken => return Ok((field.clone(), Content::RefreshToken)),
                Field::Constant(text) => return Ok((field.clone(), Content::Constant(text.clone()))),
                Field::Secret(wanted) => supplied
                    .iter()
                    .find(|(name, _)| name.as_ref() == wanted)
                    .map(|(_, secret)| secret.clone())
                    .ok_or_else(|| "was not supplied".to_owned()),
                Field::Env(variable) => from_env(env::var_os(variable)),
                Field::File(path) => from_file(path),
            };
            let secret = secret.and_then(|secret| match secret.trim_ascii().is_empty() {
                true => Err("is empty".to_owned()),
                false => Ok(secret),
            });
            match secret {
                Ok(secret) => Ok((field.clone(), Content::Secret(secret))),
                Err(why) => Err(misconfigured(format!("the secret for the field `{field}` of `{}request` {why}", self.place))),
            }
        });
        fields.collect()
    }
}

fn from_env(value: Option<OsString>) -> Result<Zeroizing<String>, String> {
    match value.map(OsString::into_string) {
        Some(Ok(text)) => Ok(trimmed(&Zeroizing::new(text))),
        Some(Err(_)) => Err("is in an environment variable that is not Unicode".to_owned()),
        None => Err("is in an environment variable that is not set".to_owned()),
    }
}

fn from_file(path: &str) -> Result<Zeroizing<String>, String> {
    // Room for all of it: memory that has to grow leaves its old content behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_FILE + 1));
    File::open(path)
        .and_then(|file| file.take(LONGEST_FILE as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("is in a file that cannot be read: {}", error.kind()))?;
    if bytes.len() > LONGEST_FILE {
        return Err("is in a file of more than 64 KiB".to_owned());
    }
    str::from_utf8(&bytes).map(trimmed).map_err(|_| "is in a file that is not UTF-8".to_owned())
}

fn trimmed(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.trim_ascii().to_owned())
}

pub(super) fn misconfigured(what: String) -> TokenError {
    TokenError::new(ErrorKind::Misconfigured, format!("the description of the token endpoint: {what}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use http_body_util::BodyExt;

    use super::*;
    use crate::grant::{ErrorClass, ExpiryFormat, NO_SECRETS};

    fn endpoint() -> TokenEndpoint {
        TokenEndpoint::post("https://api.test/token").secret("key", "key").constant("grant", "api")
    }

    fn refresh() -> TokenEndpoint {
        TokenEndpoint::post("https://api.test/refresh").refresh_token_field("token")
    }

    fn supplied(secrets: &[(&'static str, &str)]) -> Vec<(&'static str, Zeroizing<String>)> {
        secrets.iter().map(|(name, secret)| (*name, Zeroizing::new((*secret).to_owned()))).collect()
    }

    fn steps(endpoint: &TokenEndpoint) -> Result<(Step, Option<Step>), TokenError> {
        let supplied = supplied(&[("key", "a\"\\\n\u{e9} &=+%")]);
        Ok((Step::login(endpoint, &supplied)?, Step::refresh(endpoint, &supplied)?))
    }

    fn body(request: Request<Full<Bytes>>) -> String {
        let body = futures::executor::block_on(request.into_body().collect()).unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn a_wrong_description_is_named_by_its_field() {
        let twice = endpoint().header("X-A", "CANARY").header("x-a", "CANARY");
        for (endpoint, named) in [
            (endpoint().url("http://api.test/token"), "`url` must be https"),
            (endpoint().url("https://u:CANARY@api.test/token"), "`url` has user info"),
            (endpoint().token_at("token"), "`token_at` is not a JSON pointer"),
            (endpoint().expiry_at("/a~2", ExpiryFormat::Seconds), "`expiry` is not"),
            (endpoint().code_at("code"), "`code_at` is not"),
            (endpoint().refresh_token_at("r"), "`refresh_token_at` is not"),
            (endpoint().refresh_expiry_at("r", ExpiryFormat::Rfc3339), "`refresh_expiry` is not"),
            (endpoint().on_status(42, ErrorClass::Refused), "`on_status` lists 42"),
            (endpoint().secret("pin", "CANARY"), "the field `pin` of `request` was not supplied"),
            (
                endpoint().secret_from_env("pin", "CANARY"),
                "the field `pin` of `request` is in an environment variable that is not set",
            ),
            (
                endpoint().secret_from_file("pin", "/CANARY"),
                "the field `pin` of `request` is in a file that cannot be read: entity not found",
            ),
            (endpoint().header("CANARY:", "x"), "`headers` has a name that is none"),
            (endpoint().header("x-a", "CANARY\r\nx: y"), "`headers` has a value for `x-a` that is not visible ASCII"),
            (endpoint().header("x-a", "CANARY\t\u{e9}"), "`headers` has a value for `x-a` that is not visible ASCII"),
            (endpoint().header("AUTHORIZATION", "Basic CANARY"), "`headers` has `authorization`, which is made for a secret"),
            (endpoint().header("Cookie", "CANARY"), "`headers` has `cookie`, which is made for a secret"),
            (endpoint().header("Host", "CANARY"), "`headers` has `host`, which belongs to the connection"),
            (endpoint().header("transfer-encoding", "CANARY"), "`headers` has `transfer-encoding`, which belongs"),
            (twice, "`headers` has `x-a` twice"),
            (endpoint().refresh_token_field("token"), "`request` sends a refresh token, which a login has not"),
            (endpoint().refresh(refresh().url("http://api.test/CANARY")), "`refresh.url` must be https"),
            (endpoint().refresh(refresh().token_at("t")), "`refresh.token_at` is not"),
            (endpoint().refresh(refresh().header("cookie", "CANARY")), "`refresh.headers` has `cookie`"),
            (endpoint().refresh(refresh().secret("pin", "CANARY")), "the field `pin` of `refresh.request` was not supplied"),
            (endpoint().refresh(refresh().refresh(refresh())), "`refresh.refresh` is one refresh step too many"),
            (endpoint().refresh(TokenEndpoint::post("https://api.test/r")), "`refresh.request` does not send the refresh token"),
        ] {
            let Err(error) = steps(&endpoint) else { panic!("{named}") };
            let text = format!("{error} {error:?}");
            assert_eq!(error.kind(), ErrorKind::Misconfigured, "{text}");
            assert!(text.contains(named) && !text.contains("CANARY"), "{text}");
        }
    }

    #[test]
    fn requests_are_written_with_their_escapes() {
        for (encoding, kind, sent) in [
            (Encoding::Json, "application/json", "{\"grant\":\"api\",\"key\":\"a\\\"\\\\\\n\u{e9} &=+%\"}"),
            (Encoding::Form, "application/x-www-form-urlencoded", "grant=api&key=a%22%5C%0A%C3%A9+%26%3D%2B%25"),
        ] {
            let (step, _) = steps(&endpoint().encoding(encoding).header("X-Tenant", "a b")).unwrap();
            let request = step.request(None).unwrap();
            assert_eq!((request.method(), request.uri().to_string().as_str()), (&http::Method::POST, "https://api.test/token"));
            let headers: Vec<_> =
                ["content-type", "accept", "x-tenant"].map(|name| request.headers()[name].to_str().unwrap()).into();
            assert_eq!(headers, [kind, "application/json", "a b"]);
            assert_eq!(body(request), sent);
        }
    }

    /// What the step leaves out is as around it, and a header of its own comes before that.
    #[test]
    fn a_refresh_takes_the_token_where_it_says() {
        let token = RefreshToken::new("r&t");
        let around = endpoint().encoding(Encoding::Form).header("x-a", "around").header("x-b", "around");
        let (_, step) = steps(&around.clone().refresh(refresh().header("X-A", "own").constant("grant", "more"))).unwrap();
        let request = step.unwrap().request(Some(&token)).unwrap();
        assert_eq!([&request.headers()["x-a"], &request.headers()["x-b"]], ["own", "around"]);
        assert_eq!(request.uri(), "https://api.test/refresh");
        assert_eq!(body(request), "grant=more&token=r%26t");

        let json = refresh().encoding(Encoding::Json).header("content-type", "application/vnd.test+json");
        let (_, step) = steps(&around.refresh(json)).unwrap();
        let request = step.unwrap().request(Some(&token)).unwrap();
        assert_eq!(request.headers()["content-type"], "application/vnd.test+json");
        assert_eq!(body(request), r#"{"token":"r&t"}"#);
    }

    /// G16: editors and shells end a file with a line break.
    #[test]
    fn a_secret_is_read_from_a_file() {
        let path = std::env::temp_dir().join(format!("tower-token-secret-{}", std::process::id()));
        let path_text = path.to_str().unwrap();
        let read = |content: &[u8]| {
            fs::write(&path, content).unwrap();
            from_file(path_text).map(|secret| secret.to_string())
        };
        assert_eq!(read(b" s-1\r\n\n"), Ok("s-1".to_owned()));
        assert_eq!(read(b"s 1"), Ok("s 1".to_owned()));
        assert_eq!(read(b"\xff"), Err("is in a file that is not UTF-8".to_owned()));
        assert_eq!(read(&vec![b's'; LONGEST_FILE]).unwrap().len(), LONGEST_FILE);
        assert_eq!(read(&vec![b's'; LONGEST_FILE + 1]), Err("is in a file of more than 64 KiB".to_owned()));
        fs::write(&path, b" \n").unwrap();
        let endpoint = TokenEndpoint::post("https://api.test/token").secret_from_file("key", path_text);
        let Err(error) = Step::login(&endpoint, &supplied(&[])) else { panic!("an empty file") };
        assert!(error.to_string().ends_with("the secret for the field `key` of `request` is empty"), "{error}");
        fs::write(&path, b"s-1\n").unwrap();
        let step = Step::login(&endpoint, &supplied(&NO_SECRETS)).unwrap();
        assert_eq!(body(step.request(None).unwrap()), r#"{"key":"s-1"}"#);
        assert_eq!(step.secrets().map(|secret| secret.to_string()).collect::<Vec<_>>(), ["s-1"]);
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_secret_is_read_from_the_environment() {
        assert_eq!(*from_env(Some(OsString::from("s-1\n"))).unwrap(), "s-1");
        assert!(from_env(None).is_err());
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStringExt;
            assert!(from_env(Some(OsString::from_vec(vec![0xff]))).unwrap_err().ends_with("is not Unicode"));
        }
        // Cargo sets this one.
        let endpoint = TokenEndpoint::post("https://api.test/token").secret_from_env("key", "CARGO_PKG_NAME");
        let step = Step::login(&endpoint, &supplied(&[])).unwrap();
        assert_eq!(body(step.request(None).unwrap()), r#"{"key":"tower-token"}"#);
    }
}
