use std::{
    fmt,
    time::{Duration, SystemTime},
};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{StoreError, json};
use crate::token::{AccessToken, RefreshToken};

/// What a [`TokenStore`](super::TokenStore) holds: how a login is continued.
///
/// All times are the wall clock's: a record outlives the process. `Debug` shows no secret, and not whose login it is.
#[derive(Clone, Default)]
pub struct Record {
    /// 0 is the record that is not there.
    pub(crate) revision: u64,
    /// `None`: the server has called it dead, or never gave one.
    pub(crate) refresh: Option<RefreshToken>,
    /// With an absolute expiry, or none.
    pub(crate) access: Option<AccessToken>,
    /// Whose login it is, where an id_token has said so.
    pub(crate) subject: Option<String>,
    pub(crate) in_flight: Option<InFlight>,
    /// A tombstone: somebody has logged out, which no refresh in flight may undo.
    pub(crate) ended: bool,
}

/// A note, written before a refresh token is sent: its answer may get lost, by a crash or on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InFlight {
    /// When it was sent first.
    pub(crate) since: SystemTime,
    /// How often it was sent, once at least.
    pub(crate) tries: u32,
    /// Which one was sent.
    pub(crate) fingerprint: Fingerprint,
}

/// Tells refresh tokens apart without holding one: half a SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(pub(super) [u8; 16]);

impl Record {
    /// The first record of a login: one that goes on with this refresh token. Its revision is 1.
    pub fn new(token: RefreshToken) -> Record {
        Record { revision: 1, refresh: Some(token), ..Record::default() }
    }

    /// Grows by one with each write.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// What the login is continued with; `None` after its end, and where only a new login helps.
    pub fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh.as_ref()
    }

    /// The newest access token, whose expiry may have passed.
    pub fn access_token(&self) -> Option<&AccessToken> {
        self.access.as_ref()
    }

    /// The `sub` claim of the id_token that the login began with: a refresh that brings another one ends it (OpenID Connect Core
    /// 1.0 section 12.2).
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Since when the refresh token is under way without an answer, if it is: a crash in between leaves this behind.
    pub fn in_flight_since(&self) -> Option<SystemTime> {
        self.in_flight.as_ref().map(|in_flight| in_flight.since)
    }

    /// Whether somebody has logged out. Only a new login begins again.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// As JSON with a version in it, for stores that hold bytes.
    pub fn to_json(&self) -> Zeroizing<Vec<u8>> {
        json::write(self)
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    ///
    /// `Unreadable` if it is something else, or of a newer version than this crate knows. A store keeps such bytes as they are.
    pub fn from_json(bytes: &[u8]) -> Result<Record, StoreError> {
        json::read(bytes)
    }

    /// The same as its own successor.
    pub(crate) fn next(&self) -> Record {
        Record { revision: self.revision.saturating_add(1), ..self.clone() }
    }

    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        self.refresh.as_ref().map(InFlight::fingerprint)
    }

    /// The note about the refresh token that is in the record, if there is one.
    pub(crate) fn unsettled(&self) -> Option<&InFlight> {
        self.in_flight.as_ref().filter(|in_flight| self.fingerprint() == Some(in_flight.fingerprint))
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("revision", &self.revision)
            .field("refresh", &self.refresh)
            .field("access", &self.access)
            .field("in_flight", &self.in_flight)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl InFlight {
    pub(crate) fn new(token: &RefreshToken, now: SystemTime) -> InFlight {
        InFlight { since: now, tries: 1, fingerprint: InFlight::fingerprint(token) }
    }

    pub(crate) fn fingerprint(token: &RefreshToken) -> Fingerprint {
        Fingerprint::of(token.expose_secret())
    }

    pub(crate) fn again(&self) -> InFlight {
        InFlight { tries: self.tries.saturating_add(1), ..self.clone() }
    }

    /// How long ago it was sent first. A clock that was set back counts as far as it was set, not as "just now".
    pub(crate) fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.since).unwrap_or_else(|ahead| ahead.duration())
    }
}

impl Fingerprint {
    fn of(secret: &str) -> Fingerprint {
        let mut half = [0; 16];
        half.copy_from_slice(&Sha256::digest(secret)[..16]);
        Fingerprint(half)
    }
}

/// S12: what identifies a token stays out of logs.
impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S3, S12.
    #[test]
    fn debug_shows_no_secret() {
        let mut record = Record::new(RefreshToken::new("CANARY"));
        record.access = Some(AccessToken::new("CANARY").unwrap());
        record.in_flight = Some(InFlight::new(&RefreshToken::new("CANARY"), SystemTime::now()));
        record.subject = Some("CANARY".to_owned());
        let shown = format!("{record:?}");
        assert!(!shown.contains("CANARY") && !shown.contains("fingerprint: ["), "{shown}");
    }

    /// A note counts for the refresh token that it names, not for whatever is stored beside it.
    #[test]
    fn a_note_is_about_one_refresh_token() {
        let (old, new) = (RefreshToken::new("r-1"), RefreshToken::new("r-2"));
        let mut record = Record::new(old.clone());
        assert!(record.unsettled().is_none());
        record.in_flight = Some(InFlight::new(&old, SystemTime::UNIX_EPOCH));
        assert!(record.unsettled().is_some());
        record.refresh = Some(new);
        assert!(record.unsettled().is_none());
    }
}
