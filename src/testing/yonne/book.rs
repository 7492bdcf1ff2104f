use std::{
    collections::{HashMap, HashSet, VecDeque},
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{YonneCall, YonneCode};
use crate::{
    clock::{Clock, Moment, Sleep, TokioClock},
    testing::{error_shape::ErrorShape, jwt::Signer, random},
};

pub(super) const COURIER_ID: u64 = 123;
const COURIER_NAME: &str = "Acme Logistics";
const TOKEN_TYPE: &str = "courier_s2s";

/// How many calls are remembered one by one; benches make millions.
const CALLS_KEPT: usize = 4096;

/// What the server knows, and its rules: no I/O, so that each answer is one look under one lock.
pub(super) struct Book {
    pub(super) credentials: Credentials,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) lifetime: Duration,
    pub(super) disabled: bool,
    pub(super) courier_deleted: bool,
    pub(super) db_down: bool,
    pub(super) token_endpoint_down: bool,
    pub(super) answers_early: bool,
    pub(super) token_delay: Duration,
    pub(super) api_delay: Duration,
    pub(super) error_shape: ErrorShape,
    pub(super) challenge: Option<HeaderValue>,
    pub(super) unauthorized: u64,
    pub(super) refused_logins: u64,
    signer: Signer,
    /// Part of each `jti`, so that those of two emulators differ.
    instance: String,
    issued: Vec<Issued>,
    presented: HashSet<String>,
    answers: HashMap<YonneCode, u64>,
    calls: VecDeque<YonneCall>,
}

/// The key pair of the courier.
pub(super) struct Credentials {
    pub(super) api_key: String,
    pub(super) api_secret: String,
}

/// What is remembered of a token. Its `exp` counts whole seconds, which is too coarse to judge by.
struct Issued {
    since: Moment,
    lifetime: Duration,
    revoked: bool,
}

#[derive(Clone, Serialize, Deserialize)]
struct Claims {
    courier_id: u64,
    #[serde(rename = "type")]
    kind: String,
    iat: u64,
    exp: u64,
    jti: String,
}

#[derive(Deserialize)]
struct Login {
    api_key: String,
    api_secret: String,
}

/// A call that is not served: with a code of the page, or with a status alone where the page has no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Listed(YonneCode),
    Unlisted(StatusCode, &'static str),
}

use Refusal::{Listed, Unlisted};

impl Book {
    pub(super) fn new() -> io::Result<Book> {
        Ok(Book {
            credentials: Credentials::new()?,
            clock: Arc::new(TokioClock),
            lifetime: Duration::from_secs(86400),
            disabled: false,
            courier_deleted: false,
            db_down: false,
            token_endpoint_down: false,
            answers_early: false,
            token_delay: Duration::ZERO,
            api_delay: Duration::ZERO,
            error_shape: ErrorShape::default(),
            challenge: None,
            unauthorized: 0,
            refused_logins: 0,
            signer: Signer::new()?,
            instance: random::hex::<8>()?,
            issued: Vec::new(),
            presented: HashSet::new(),
            answers: HashMap::new(),
            calls: VecDeque::new(),
        })
    }

    /// "Exchange credentials for a JWT": the success response, or why there is none.
    pub(super) fn log_in(&mut self, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
        if self.token_endpoint_down {
            return Err(Unlisted(StatusCode::SERVICE_UNAVAILABLE, "Service unavailable"));
        }
        if self.db_down {
            return Err(Listed(YonneCode::DbError));
        }
        if !is_json(headers) {
            return Err(Unlisted(StatusCode::BAD_REQUEST, "The body is not application/json"));
        }
        let Ok(login) = serde_json::from_slice::<Login>(body) else {
            return Err(Unlisted(StatusCode::BAD_REQUEST, "The body is not an object with api_key and api_secret"));
        };
        if login.api_key != self.credentials.api_key || login.api_secret != self.credentials.api_secret {
            return Err(Unlisted(StatusCode::UNAUTHORIZED, "Unknown api_key or wrong api_secret"));
        }
        self.standing()?;
        let Ok(token) = self.mint() else {
            return Err(Unlisted(StatusCode::INTERNAL_SERVER_ERROR, "The token could not be signed"));
        };
        Ok(json!({
            "token": token,
            "courier_id": COURIER_ID,
            "courier_name": COURIER_NAME,
            "expires_in": expires_in(self.lifetime),
        }))
    }

    /// "Attach the JWT to every request": whether a call that carries it is served.
    pub(super) fn admit(&mut self, headers: &HeaderMap) -> Result<(), Refusal> {
        let token = self.presented(headers);
        if self.db_down {
            return Err(Listed(YonneCode::DbError));
        }
        let index = token.map_err(Listed)?;
        let issued = self.issued.get(index).ok_or(Listed(YonneCode::TokenInvalid))?;
        if issued.revoked {
            return Err(Listed(YonneCode::TokenInvalid));
        }
        if issued.since.age(self.now()) >= issued.lifetime {
            return Err(Listed(YonneCode::TokenExpired));
        }
        self.standing()
    }

    /// Which of our tokens a call carries, dead or alive.
    fn presented(&mut self, headers: &HeaderMap) -> Result<usize, YonneCode> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = values.next().ok_or(YonneCode::TokenMissing)?;
        let token = bearer(value).ok_or(YonneCode::TokenInvalid)?;
        if !self.presented.contains(token) {
            self.presented.insert(token.to_owned());
        }
        // Which of two headers counts differs from server to server: this one makes such a client fail here already.
        if values.next().is_some() {
            return Err(YonneCode::TokenInvalid);
        }
        self.index_of(token).ok_or(YonneCode::TokenInvalid)
    }

    /// Whether the courier may use the integration at all.
    fn standing(&self) -> Result<(), Refusal> {
        match (self.courier_deleted, self.disabled) {
            (true, _) => Err(Listed(YonneCode::CourierNotFound)),
            (_, true) => Err(Listed(YonneCode::S2sDisabled)),
            _ => Ok(()),
        }
    }

    /// Signs a token and remembers it.
    pub(super) fn mint(&mut self) -> io::Result<String> {
        let token = self.sign(TOKEN_TYPE, self.issued.len())?;
        self.issued.push(Issued { since: self.now(), lifetime: self.lifetime, revoked: false });
        Ok(token)
    }

    /// Signs a token of another type than the token endpoint's.
    pub(super) fn mint_session(&self) -> io::Result<String> {
        self.sign("session", 0)
    }

    fn sign(&self, kind: &str, index: usize) -> io::Result<String> {
        let iat = self.now().wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        self.signer.sign(&Claims {
            courier_id: COURIER_ID,
            kind: kind.to_owned(),
            iat,
            exp: iat.saturating_add(self.lifetime.as_secs()).saturating_add(u64::from(self.lifetime.subsec_nanos() > 0)),
            jti: format!("{}-{index}", self.instance),
        })
    }

    /// Which of our tokens a call carries, counted from 1, for the record.
    pub(super) fn number_in(&self, headers: &HeaderMap) -> Option<u64> {
        let index = self.index_of(bearer(headers.get(header::AUTHORIZATION)?)?)?;
        Some(index as u64 + 1)
    }

    /// Which of our tokens this is, if signature and type are right.
    fn index_of(&self, token: &str) -> Option<usize> {
        let claims = self.signer.verify::<Claims>(token)?;
        let index = claims.jti.strip_prefix(&self.instance)?.strip_prefix('-')?;
        (claims.kind == TOKEN_TYPE).then(|| index.parse().ok()).flatten()
    }

    /// Revokes one token; says whether it is one of ours.
    pub(super) fn revoke(&mut self, token: &str) -> bool {
        let issued = self.index_of(token).and_then(|index| self.issued.get_mut(index));
        issued.map(|issued| issued.revoked = true).is_some()
    }

    pub(super) fn revoke_all(&mut self) {
        self.issued.iter_mut().for_each(|issued| issued.revoked = true);
    }

    pub(super) fn expire_all(&mut self) {
        self.issued.iter_mut().for_each(|issued| issued.lifetime = Duration::ZERO);
    }

    pub(super) fn tokens_issued(&self) -> u64 {
        self.issued.len() as u64
    }

    pub(super) fn tokens_presented(&self) -> u64 {
        self.presented.len() as u64
    }

    pub(super) fn answers(&self, code: YonneCode) -> u64 {
        self.answers.get(&code).copied().unwrap_or_default()
    }

    pub(super) fn count(&mut self, code: YonneCode) {
        *self.answers.entry(code).or_default() += 1;
    }

    pub(super) fn record(&mut self, call: YonneCall) {
        if call.status == StatusCode::UNAUTHORIZED {
            self.unauthorized += 1;
        }
        if self.calls.len() == CALLS_KEPT {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    pub(super) fn calls(&self) -> Vec<YonneCall> {
        self.calls.iter().cloned().collect()
    }

    /// The sleep that a delay asks for; a clock that cannot sleep delays nothing.
    pub(super) fn delay(&self, delay: Duration) -> Option<Sleep> {
        if delay.is_zero() { None } else { self.clock.sleep(delay).ok() }
    }

    fn now(&self) -> Moment {
        Moment::now(&*self.clock)
    }
}

impl Credentials {
    /// New ones, with the prefixes of the page.
    pub(super) fn new() -> io::Result<Credentials> {
        Ok(Credentials {
            api_key: format!("ck_live_{}", random::hex::<12>()?),
            api_secret: format!("sk_live_{}", random::hex::<20>()?),
        })
    }
}

impl Refusal {
    pub(super) fn code(self) -> Option<YonneCode> {
        match self {
            Listed(code) => Some(code),
            Unlisted(..) => None,
        }
    }

    pub(super) fn status(self) -> StatusCode {
        match self {
            Listed(code) => code.status(),
            Unlisted(status, _) => status,
        }
    }

    pub(super) fn message(self) -> &'static str {
        match self {
            Listed(code) => code.meaning(),
            Unlisted(_, message) => message,
        }
    }
}

/// The token of an `Authorization: Bearer <token>`; the scheme in any case (RFC 9110 section 11.1).
fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}

/// Whole seconds, as the page has them, unless there are none.
fn expires_in(lifetime: Duration) -> Value {
    if lifetime.subsec_nanos() == 0 { json!(lifetime.as_secs()) } else { json!(lifetime.as_secs_f64()) }
}

#[cfg(test)]
mod tests {
    use http::{Method, Version};

    use super::*;

    /// A bench makes millions of calls: the last ones are kept, and all are counted.
    #[test]
    fn the_record_is_bounded() {
        let mut book = Book::new().unwrap();
        for index in 0..CALLS_KEPT + 10 {
            book.record(YonneCall {
                method: Method::GET,
                path: format!("/{index}"),
                version: Version::HTTP_2,
                authorization_values: 0,
                token: None,
                body_length: 0,
                status: StatusCode::UNAUTHORIZED,
                code: Some(YonneCode::TokenMissing),
            });
        }
        assert_eq!((book.calls().len(), book.unauthorized), (CALLS_KEPT, CALLS_KEPT as u64 + 10));
        assert_eq!(book.calls()[0].path, "/10");
    }

    /// A clock that cannot tell the time before 1970 is no reason to panic, nor is a lifetime without end.
    #[test]
    fn odd_times_are_signed() {
        let clock = crate::clock::ManualClock::new();
        clock.set_wall(SystemTime::UNIX_EPOCH - Duration::from_secs(5));
        let mut book = Book::new().unwrap();
        (book.clock, book.lifetime) = (Arc::new(clock), Duration::MAX);
        let token = book.mint().unwrap();
        let claims = book.signer.verify::<Claims>(&token).unwrap();
        assert_eq!((claims.iat, claims.exp), (0, u64::MAX));
        let header = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        assert_eq!(book.admit(&HeaderMap::from_iter([(header::AUTHORIZATION, header)])), Ok(()));
    }
}
