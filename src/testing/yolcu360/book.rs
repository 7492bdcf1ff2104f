use std::{collections::HashMap, io, time::Duration};

use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Yolcu360Code;
use crate::{
    clock::Moment,
    testing::{
        ApiOutcome, RefreshReuse,
        api_call::ApiCalls,
        ledger::Ledger,
        message::{self, Unread},
        random,
        refresh_tokens::{Family, RefreshTokens, Spending},
        setting::Setting,
    },
};

const DAY: Duration = Duration::from_secs(86400);

/// What the server knows, and its rules: no I/O, so that each answer is one look under one lock.
pub(super) struct Book {
    pub(super) setting: Setting,
    pub(super) credentials: Credentials,
    pub(super) access_lifetime: Duration,
    pub(super) refresh_lifetime: Duration,
    pub(super) reuse: RefreshReuse,
    pub(super) disabled: bool,
    pub(super) down: bool,
    pub(super) codes_as_text: bool,
    pub(super) statuses: HashMap<Yolcu360Code, StatusCode>,
    pub(super) access_tokens: Ledger,
    pub(super) refresh_tokens: RefreshTokens,
    pub(super) calls: ApiCalls,
    answers: HashMap<Yolcu360Code, u64>,
}

/// The key pair of the agency.
pub(super) struct Credentials {
    pub(super) key: String,
    pub(super) secret: String,
}

#[derive(Deserialize)]
struct Login {
    key: String,
    secret: String,
}

#[derive(Deserialize)]
struct Refresh {
    token: String,
}

/// A call that is not served: with a code of the page, or with a status alone where the page has no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Listed(Yolcu360Code),
    Unlisted(StatusCode, &'static str),
}

use Refusal::{Listed, Unlisted};

impl Book {
    pub(super) fn new(setting: Setting) -> io::Result<Book> {
        Ok(Book {
            setting,
            credentials: Credentials::new()?,
            access_lifetime: 7 * DAY,
            refresh_lifetime: 30 * DAY,
            reuse: RefreshReuse::default(),
            disabled: false,
            down: false,
            codes_as_text: false,
            statuses: HashMap::new(),
            access_tokens: Ledger::new("access", Map::from_iter([("sub".to_owned(), json!("user_123456"))]))?,
            refresh_tokens: RefreshTokens::default(),
            calls: ApiCalls::new(),
            answers: HashMap::new(),
        })
    }

    /// "Login with API Key": the success response, or why there is none.
    pub(super) fn log_in(&mut self, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
        self.up()?;
        let login = parse::<Login>(headers, body)?;
        if login.key != self.credentials.key || login.secret != self.credentials.secret {
            return Err(Listed(Yolcu360Code::InvalidKey));
        }
        self.enabled()?;
        let family = self.refresh_tokens.new_family();
        self.issue(family)
    }

    /// "Refresh Access Token": the success response, or why there is none.
    pub(super) fn refresh(&mut self, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
        self.up()?;
        let token = parse::<Refresh>(headers, body)?.token;
        self.enabled()?;
        let family = match (self.refresh_tokens.spend(&token, self.setting.now()), self.reuse) {
            (Spending::Good(family), _) | (Spending::Reused(family), RefreshReuse::Tolerated) => family,
            (Spending::Reused(family), RefreshReuse::KillsFamily) => {
                for access in self.refresh_tokens.kill(family) {
                    self.access_tokens.revoke_index(access);
                }
                return Err(Listed(Yolcu360Code::InvalidRefreshToken));
            }
            (Spending::Reused(_) | Spending::Dead, _) => return Err(Listed(Yolcu360Code::InvalidRefreshToken)),
        };
        self.issue(family)
    }

    /// Counts the refresh token in a call, whatever becomes of that.
    pub(super) fn present(&mut self, body: &[u8]) {
        if let Ok(refresh) = serde_json::from_slice::<Refresh>(body) {
            self.refresh_tokens.present(&refresh.token);
        }
    }

    /// "Using Access Tokens": whether a call is served.
    pub(super) fn admit(&mut self, headers: &HeaderMap) -> Result<(), (Refusal, ApiOutcome)> {
        let judged = self.access_tokens.judge(headers, self.setting.now());
        self.up().map_err(|refusal| (refusal, ApiOutcome::Failed))?;
        judged.map_err(|outcome| (Unlisted(StatusCode::UNAUTHORIZED, "Invalid or expired access token"), outcome))?;
        self.enabled().map_err(|refusal| (refusal, ApiOutcome::Forbidden))
    }

    fn up(&self) -> Result<(), Refusal> {
        if self.down { Err(Listed(Yolcu360Code::Internal)) } else { Ok(()) }
    }

    fn enabled(&self) -> Result<(), Refusal> {
        if self.disabled { Err(Listed(Yolcu360Code::KeyDisabled)) } else { Ok(()) }
    }

    fn issue(&mut self, family: Family) -> Result<Value, Refusal> {
        let now = self.setting.now();
        let (access, refresh) = self.mint(family, now).map_err(|_| Listed(Yolcu360Code::Internal))?;
        Ok(json!({
            "accessToken": access,
            "refreshToken": refresh,
            "accessTokenExpireAt": rfc3339(now, self.access_lifetime),
            "refreshTokenExpireAt": rfc3339(now, self.refresh_lifetime),
            "user": {
                "id": "user_123456",
                "email": "agency@example.com",
                "firstName": "John",
                "lastName": "Doe",
            },
        }))
    }

    fn mint(&mut self, family: Family, now: Moment) -> io::Result<(String, String)> {
        let access = self.access_tokens.mint(now, self.access_lifetime)?;
        let index = self.access_tokens.issued().checked_sub(1).and_then(|index| usize::try_from(index).ok());
        Ok((access, self.refresh_tokens.issue(family, index, now, self.refresh_lifetime)?))
    }

    pub(super) fn mint_access_token(&mut self) -> io::Result<String> {
        self.access_tokens.mint(self.setting.now(), self.access_lifetime)
    }

    pub(super) fn mint_refresh_token(&mut self) -> io::Result<String> {
        let family = self.refresh_tokens.new_family();
        self.refresh_tokens.issue(family, None, self.setting.now(), self.refresh_lifetime)
    }

    pub(super) fn status(&self, code: Yolcu360Code) -> StatusCode {
        self.statuses.get(&code).copied().unwrap_or(code.status())
    }

    pub(super) fn answers(&self, code: Yolcu360Code) -> u64 {
        self.answers.get(&code).copied().unwrap_or_default()
    }

    pub(super) fn count(&mut self, code: Yolcu360Code) {
        *self.answers.entry(code).or_default() += 1;
    }
}

impl Credentials {
    pub(super) fn new() -> io::Result<Credentials> {
        Ok(Credentials { key: random::hex::<12>()?, secret: random::hex::<20>()? })
    }
}

impl From<Unread> for Refusal {
    fn from(unread: Unread) -> Refusal {
        Unlisted(unread.status(), unread.message())
    }
}

fn parse<'de, T: Deserialize<'de>>(headers: &HeaderMap, body: &'de [u8]) -> Result<T, Refusal> {
    let parsed = message::is_json(headers).then(|| serde_json::from_slice(body).ok()).flatten();
    parsed.ok_or(Listed(Yolcu360Code::InvalidRequest))
}

/// When a lifetime ends, in UTC: in whole seconds, as the page has it, unless the lifetime has a fraction. What is later than
/// the year 9999 becomes its end.
fn rfc3339(now: Moment, lifetime: Duration) -> String {
    let end = now.wall.checked_add(lifetime).and_then(|end| Timestamp::try_from(end).ok()).unwrap_or(Timestamp::MAX);
    if lifetime.subsec_nanos() > 0 {
        return end.to_string();
    }
    Timestamp::from_second(end.as_second()).unwrap_or(end).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::clock::{Clock, ManualClock};

    /// The page's form, a fraction where there must be one, and times that no calendar has.
    #[test]
    fn expiries_are_rfc_3339() {
        let millis = Duration::from_millis;
        let login = SystemTime::UNIX_EPOCH + Duration::from_secs(1_735_207_200);
        for (wall, lifetime, text) in [
            (login, millis(1_800_000), "2024-12-26T10:30:00Z"),
            (login + millis(999), DAY, "2024-12-27T10:00:00Z"),
            (login, millis(1500), "2024-12-26T10:00:01.5Z"),
            (SystemTime::UNIX_EPOCH - DAY, Duration::ZERO, "1969-12-31T00:00:00Z"),
            (login, Duration::from_secs(u64::MAX), "9999-12-30T22:00:00Z"),
            (login, Duration::MAX, "9999-12-30T22:00:00.999999999Z"),
        ] {
            let now = Moment { mono: ManualClock::new().now(), wall };
            assert_eq!(rfc3339(now, lifetime), text, "{lifetime:?}");
        }
    }
}
