use std::{collections::HashMap, io, time::Duration};

use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{YonneCall, YonneCode};
use crate::testing::{
    ApiOutcome, ErrorShape,
    ledger::Ledger,
    log::Log,
    message::{self, Unread},
    random,
    setting::Setting,
};

pub(super) const COURIER_ID: u64 = 123;
const COURIER_NAME: &str = "Acme Logistics";
const TOKEN_TYPE: &str = "courier_s2s";

/// What the server knows, and its rules: no I/O, so that each answer is one look under one lock.
pub(super) struct Book {
    pub(super) setting: Setting,
    pub(super) credentials: Credentials,
    pub(super) lifetime: Duration,
    pub(super) disabled: bool,
    pub(super) courier_deleted: bool,
    pub(super) db_down: bool,
    pub(super) token_endpoint_down: bool,
    pub(super) answers_early: bool,
    pub(super) token_delay: Duration,
    pub(super) api_delay: Duration,
    pub(super) unauthorized: u64,
    pub(super) refused_logins: u64,
    pub(super) ledger: Ledger,
    answers: HashMap<YonneCode, u64>,
    calls: Log<YonneCall>,
}

/// The key pair of the courier.
pub(super) struct Credentials {
    pub(super) api_key: String,
    pub(super) api_secret: String,
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
            setting: Setting::new(ErrorShape::default()),
            credentials: Credentials::new()?,
            lifetime: Duration::from_secs(86400),
            disabled: false,
            courier_deleted: false,
            db_down: false,
            token_endpoint_down: false,
            answers_early: false,
            token_delay: Duration::ZERO,
            api_delay: Duration::ZERO,
            unauthorized: 0,
            refused_logins: 0,
            ledger: Ledger::new(TOKEN_TYPE, Map::from_iter([("courier_id".to_owned(), json!(COURIER_ID))]))?,
            answers: HashMap::new(),
            calls: Log::new(),
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
        if !message::is_json(headers) {
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
            "expires_in": message::seconds(self.lifetime),
        }))
    }

    /// "Attach the JWT to every request": whether a call that carries it is served.
    pub(super) fn admit(&mut self, headers: &HeaderMap) -> Result<(), Refusal> {
        let judged = self.ledger.judge(headers, self.setting.now());
        if self.db_down {
            return Err(Listed(YonneCode::DbError));
        }
        match judged {
            Ok(_) => self.standing(),
            Err(ApiOutcome::TokenMissing) => Err(Listed(YonneCode::TokenMissing)),
            Err(ApiOutcome::TokenExpired) => Err(Listed(YonneCode::TokenExpired)),
            Err(_) => Err(Listed(YonneCode::TokenInvalid)),
        }
    }

    /// Whether the courier may use the integration at all.
    fn standing(&self) -> Result<(), Refusal> {
        match (self.courier_deleted, self.disabled) {
            (true, _) => Err(Listed(YonneCode::CourierNotFound)),
            (_, true) => Err(Listed(YonneCode::S2sDisabled)),
            _ => Ok(()),
        }
    }

    /// A token, issued now.
    pub(super) fn mint(&mut self) -> io::Result<String> {
        self.ledger.mint(self.setting.now(), self.lifetime)
    }

    /// A token of another type than the token endpoint's.
    pub(super) fn mint_session(&self) -> io::Result<String> {
        self.ledger.sign_other("session", self.setting.now(), self.lifetime)
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
        self.calls.push(call);
    }

    pub(super) fn calls(&self) -> Vec<YonneCall> {
        self.calls.calls()
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

impl From<Unread> for Refusal {
    fn from(unread: Unread) -> Refusal {
        Unlisted(unread.status(), unread.message())
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, Version};

    use super::*;
    use crate::testing::log::KEPT;

    /// The last calls are kept, and all are counted.
    #[test]
    fn all_calls_are_counted() {
        let mut book = Book::new().unwrap();
        for index in 0..KEPT + 10 {
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
        assert_eq!((book.calls().len(), book.unauthorized), (KEPT, KEPT as u64 + 10));
    }
}
