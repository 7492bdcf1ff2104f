use std::{
    collections::HashSet,
    io,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{api_call::ApiOutcome, jwt::Signer, message::bearer, random};
use crate::clock::Moment;

/// The access tokens that an emulator has issued: signed JWTs, and what has become of them.
pub(super) struct Ledger {
    signer: Signer,
    /// The `type` of a token that is good for calls.
    kind: &'static str,
    /// The claims that all of them have besides.
    own: Map<String, Value>,
    /// Part of each `jti`, so that those of two emulators differ.
    instance: String,
    issued: Vec<Issued>,
    presented: HashSet<String>,
}

/// What is remembered of a token. Its `exp` counts whole seconds, which is too coarse to judge by.
struct Issued {
    since: Moment,
    lifetime: Duration,
    revoked: bool,
}

#[derive(Clone, Serialize, Deserialize)]
struct Claims {
    #[serde(rename = "type")]
    kind: String,
    iat: u64,
    exp: u64,
    jti: String,
    #[serde(flatten)]
    own: Map<String, Value>,
}

impl Ledger {
    pub(super) fn new(kind: &'static str, own: Map<String, Value>) -> io::Result<Ledger> {
        let (signer, instance) = (Signer::new()?, random::hex::<8>()?);
        Ok(Ledger { signer, kind, own, instance, issued: Vec::new(), presented: HashSet::new() })
    }

    /// Signs a token and remembers it. Its index is the number of those before it.
    pub(super) fn mint(&mut self, now: Moment, lifetime: Duration) -> io::Result<String> {
        let token = self.sign(self.kind, self.issued.len(), now, lifetime)?;
        self.issued.push(Issued { since: now, lifetime, revoked: false });
        Ok(token)
    }

    /// Signs a token of another type, which is good for nothing.
    pub(super) fn sign_other(&self, kind: &str, now: Moment, lifetime: Duration) -> io::Result<String> {
        self.sign(kind, 0, now, lifetime)
    }

    fn sign(&self, kind: &str, index: usize, now: Moment, lifetime: Duration) -> io::Result<String> {
        let iat = now.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        self.signer.sign(&Claims {
            kind: kind.to_owned(),
            iat,
            exp: iat.saturating_add(lifetime.as_secs()).saturating_add(u64::from(lifetime.subsec_nanos() > 0)),
            jti: format!("{}-{index}", self.instance),
            own: self.own.clone(),
        })
    }

    /// Whether a call carries a good token, and which: its index.
    pub(super) fn judge(&mut self, headers: &HeaderMap, now: Moment) -> Result<usize, ApiOutcome> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = values.next().ok_or(ApiOutcome::TokenMissing)?;
        let token = bearer(value).ok_or(ApiOutcome::TokenInvalid)?;
        if !self.presented.contains(token) {
            self.presented.insert(token.to_owned());
        }
        // Which of two headers counts differs from server to server: an emulator makes such a client fail here already.
        if values.next().is_some() {
            return Err(ApiOutcome::TokenInvalid);
        }
        let index = self.index_of(token).ok_or(ApiOutcome::TokenInvalid)?;
        match self.issued.get(index) {
            None => Err(ApiOutcome::TokenInvalid),
            Some(issued) if issued.revoked => Err(ApiOutcome::TokenRevoked),
            Some(issued) if issued.since.age(now) >= issued.lifetime => Err(ApiOutcome::TokenExpired),
            Some(_) => Ok(index),
        }
    }

    /// Which of our tokens a call carries, counted from 1, for the record.
    pub(super) fn number_in(&self, headers: &HeaderMap) -> Option<u64> {
        let index = self.index_of(bearer(headers.get(header::AUTHORIZATION)?)?)?;
        Some(index as u64 + 1)
    }

    /// Which of our tokens this is, dead or alive, if signature and type are right.
    fn index_of(&self, token: &str) -> Option<usize> {
        let claims = self.signer.verify::<Claims>(token)?;
        let index = claims.jti.strip_prefix(&self.instance)?.strip_prefix('-')?;
        (claims.kind == self.kind).then(|| index.parse().ok()).flatten()
    }

    /// Revokes one token; says whether it is one of ours.
    pub(super) fn revoke(&mut self, token: &str) -> bool {
        self.index_of(token).is_some_and(|index| self.revoke_index(index))
    }

    pub(super) fn revoke_index(&mut self, index: usize) -> bool {
        self.issued.get_mut(index).map(|issued| issued.revoked = true).is_some()
    }

    pub(super) fn revoke_all(&mut self) {
        self.issued.iter_mut().for_each(|issued| issued.revoked = true);
    }

    pub(super) fn expire_all(&mut self) {
        self.issued.iter_mut().for_each(|issued| issued.lifetime = Duration::ZERO);
    }

    pub(super) fn issued(&self) -> u64 {
        self.issued.len() as u64
    }

    /// Different tokens that calls have carried, good or bad.
    pub(super) fn presented(&self) -> u64 {
        self.presented.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::clock::ManualClock;

    /// A clock that cannot tell the time before 1970 is no reason to panic, nor is a lifetime without end.
    #[test]
    fn odd_times_are_signed() {
        let clock = ManualClock::new();
        clock.set_wall(SystemTime::UNIX_EPOCH - Duration::from_secs(5));
        let mut ledger = Ledger::new("access", Map::new()).unwrap();
        let token = ledger.mint(Moment::now(&clock), Duration::MAX).unwrap();
        let claims = ledger.signer.verify::<Claims>(&token).unwrap();
        assert_eq!((claims.iat, claims.exp), (0, u64::MAX));
        let header = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, header)]);
        assert_eq!(ledger.judge(&headers, Moment::now(&clock)), Ok(0));
    }
}
