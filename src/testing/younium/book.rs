use std::{
    collections::HashMap,
    io,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, StatusCode};
use httpdate::fmt_http_date;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::YouniumForbidden;
use crate::{
    clock::Moment,
    testing::{
        ApiOutcome,
        api_call::ApiCalls,
        ledger::Ledger,
        message::{self, Unread},
        random,
        setting::Setting,
    },
};

const LEGAL_ENTITY: &str = "legal-entity";

/// The last second that RFC 1123 can write: 31 Dec 9999 23:59:59.
const LAST_DATE: Duration = Duration::from_secs(253_402_300_799);

/// What the server knows, and its rules: no I/O, so that each answer is one look under one lock.
pub(super) struct Book {
    pub(super) setting: Setting,
    pub(super) credentials: Credentials,
    pub(super) lifetime: Duration,
    pub(super) disabled: bool,
    pub(super) refusal_status: StatusCode,
    pub(super) wrong_weekday: bool,
    pub(super) legal_entities: Vec<LegalEntity>,
    pub(super) permissions_denied: bool,
    pub(super) restricted: bool,
    pub(super) tokens: Ledger,
    pub(super) calls: ApiCalls,
    pub(super) refused_logins: u64,
    forbidden: HashMap<YouniumForbidden, u64>,
}

/// A personal token's id and secret.
pub(super) struct Credentials {
    pub(super) client_id: String,
    pub(super) secret: String,
}

pub(super) struct LegalEntity {
    pub(super) id: String,
    pub(super) name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Login {
    client_id: String,
    secret: String,
}

/// A call that is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: &'static str,
    pub(super) outcome: ApiOutcome,
}

impl Book {
    pub(super) fn new(setting: Setting) -> io::Result<Book> {
        Ok(Book {
            setting,
            credentials: Credentials::new()?,
            lifetime: Duration::from_secs(86400),
            disabled: false,
            refusal_status: StatusCode::UNAUTHORIZED,
            wrong_weekday: false,
            legal_entities: Vec::new(),
            permissions_denied: false,
            restricted: false,
            tokens: Ledger::new("access", Map::new())?,
            calls: ApiCalls::new(),
            refused_logins: 0,
            forbidden: HashMap::new(),
        })
    }

    /// "Generate a JWT Token": the successful response, or why there is none.
    pub(super) fn log_in(&mut self, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
        if !message::is_json(headers) {
            return Err(Refusal::of_login(StatusCode::BAD_REQUEST, "The body is not application/json"));
        }
        let Ok(login) = serde_json::from_slice::<Login>(body) else {
            return Err(Refusal::of_login(StatusCode::BAD_REQUEST, "The body is not an object with clientId and secret"));
        };
        let known = login.client_id == self.credentials.client_id && login.secret == self.credentials.secret;
        if !known || self.disabled {
            self.refused_logins += 1;
            return Err(Refusal::of_login(self.refusal_status, "Invalid credentials"));
        }
        let now = self.setting.now();
        self.issue(now).map_err(|_| Refusal::of_login(StatusCode::INTERNAL_SERVER_ERROR, "The token could not be signed"))
    }

    fn issue(&mut self, now: Moment) -> io::Result<Value> {
        Ok(json!({
            "expires": rfc1123(now, self.lifetime, self.wrong_weekday),
            "expiresIn": message::seconds(self.lifetime),
            "accessToken": self.tokens.mint(now, self.lifetime)?,
            "refreshToken": random::uuid()?,
        }))
    }

    /// "Making Authenticated API Calls": whether a call is served.
    pub(super) fn admit(&mut self, headers: &HeaderMap) -> Result<(), Refusal> {
        self.tokens.judge(headers, self.setting.now()).map_err(|outcome| {
            let message = match outcome {
                ApiOutcome::TokenMissing => "Token is missing",
                ApiOutcome::TokenExpired => "Token has expired",
                _ => "Token is invalid",
            };
            Refusal { status: StatusCode::UNAUTHORIZED, message, outcome }
        })?;
        self.access(headers).map_err(|reason| {
            *self.forbidden.entry(reason).or_default() += 1;
            Refusal { status: StatusCode::FORBIDDEN, message: reason.message(), outcome: ApiOutcome::Forbidden }
        })
    }

    /// "The request is authenticated, but access is blocked": in the page's order.
    fn access(&self, headers: &HeaderMap) -> Result<(), YouniumForbidden> {
        let mut values = headers.get_all(LEGAL_ENTITY).iter();
        match (values.next(), values.next()) {
            (None, _) if self.legal_entities.len() > 1 => return Err(YouniumForbidden::MissingLegalEntity),
            (Some(value), second) if !self.legal_entities.is_empty() => {
                // As bytes: a name may be in any script, and is no `str` to `http` then.
                let known =
                    self.legal_entities.iter().any(|entity| value == entity.id.as_bytes() || value == entity.name.as_bytes());
                if !known || second.is_some() {
                    return Err(YouniumForbidden::InvalidLegalEntity);
                }
            }
            _ => {}
        }
        match (self.permissions_denied, self.restricted) {
            (true, _) => Err(YouniumForbidden::Permissions),
            (_, true) => Err(YouniumForbidden::Restricted),
            _ => Ok(()),
        }
    }

    pub(super) fn mint(&mut self) -> io::Result<String> {
        self.tokens.mint(self.setting.now(), self.lifetime)
    }

    pub(super) fn forbidden(&self, reason: YouniumForbidden) -> u64 {
        self.forbidden.get(&reason).copied().unwrap_or_default()
    }
}

impl Credentials {
    pub(super) fn new() -> io::Result<Credentials> {
        Ok(Credentials { client_id: random::uuid()?, secret: random::hex::<20>()? })
    }
}

impl Refusal {
    /// One at the token endpoint, where no outcome is counted.
    pub(super) fn of_login(status: StatusCode, message: &'static str) -> Refusal {
        Refusal { status, message, outcome: ApiOutcome::Failed }
    }
}

impl From<Unread> for Refusal {
    fn from(unread: Unread) -> Refusal {
        Refusal { status: unread.status(), message: unread.message(), outcome: ApiOutcome::Failed }
    }
}

/// When a lifetime ends, rounded down to a second. The page's own example has a weekday that its date has not: Thursday for a
/// Sunday.
fn rfc1123(now: Moment, lifetime: Duration, wrong_weekday: bool) -> String {
    const WEEK: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let since_epoch = now.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let date = fmt_http_date(SystemTime::UNIX_EPOCH + since_epoch.saturating_add(lifetime).min(LAST_DATE));
    match (wrong_weekday, date.split_once(',')) {
        (true, Some((weekday, rest))) => {
            let right = WEEK.iter().position(|day| *day == weekday).unwrap_or_default();
            format!("{},{rest}", WEEK[(right + 4) % 7])
        }
        _ => date,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};

    /// The page's date, with its own weekday and the page's; and times that no calendar has.
    #[test]
    fn expiries_are_rfc_1123() {
        let day = Duration::from_secs(86400);
        let page = SystemTime::UNIX_EPOCH + Duration::from_millis(1_758_366_721_999);
        for (wall, lifetime, wrong, text) in [
            (page, day, false, "Sun, 21 Sep 2025 11:12:01 GMT"),
            (page, day, true, "Thu, 21 Sep 2025 11:12:01 GMT"),
            (page, 2 * day, true, "Fri, 22 Sep 2025 11:12:01 GMT"),
            (page, Duration::MAX, false, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (SystemTime::UNIX_EPOCH - day, Duration::ZERO, false, "Thu, 01 Jan 1970 00:00:00 GMT"),
        ] {
            let now = Moment { mono: ManualClock::new().now(), wall };
            assert_eq!(rfc1123(now, lifetime, wrong), text);
        }
    }
}
