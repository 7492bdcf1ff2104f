use std::{collections::HashMap, io, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::random;
use crate::clock::Moment;

/// What an emulator does with a refresh token that was spent before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefreshReuse {
    /// It is refused, and nothing else happens.
    #[default]
    Refused,
    /// It is as good as before: a refresh spends nothing.
    Tolerated,
    /// It is refused, and every token that came of the same login is revoked, access tokens included (RFC 9700 section
    /// 4.14.2).
    KillsFamily,
}

/// The refresh tokens that an emulator has issued, and what has become of them.
#[derive(Default)]
pub(super) struct RefreshTokens {
    /// What each of them begins with.
    prefix: &'static str,
    issued: Vec<Issued>,
    index: HashMap<String, usize>,
    families: usize,
    unknown: u64,
}

/// Tokens that came of one login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Family(usize);

struct Issued {
    family: Family,
    since: Moment,
    lifetime: Duration,
    spent: bool,
    revoked: bool,
    presented: u64,
    /// The access token that was issued beside it.
    access: Option<usize>,
}

/// What became of an attempt to spend a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Spending {
    Good(Family),
    /// Unknown, expired or revoked.
    Dead,
    /// Spent before.
    Reused(Family),
}

impl RefreshTokens {
    pub(super) fn with_prefix(prefix: &'static str) -> RefreshTokens {
        RefreshTokens { prefix, ..RefreshTokens::default() }
    }

    pub(super) fn new_family(&mut self) -> Family {
        self.families += 1;
        Family(self.families)
    }

    /// Makes a token and remembers it.
    pub(super) fn issue(&mut self, family: Family, access: Option<usize>, now: Moment, lifetime: Duration) -> io::Result<String> {
        let token = format!("{}{}", self.prefix, BASE64_URL_SAFE_NO_PAD.encode(random::bytes::<24>()?));
        self.index.insert(token.clone(), self.issued.len());
        self.issued.push(Issued { family, since: now, lifetime, spent: false, revoked: false, presented: 0, access });
        Ok(token)
    }

    /// Counts that a call came with it, whatever becomes of that.
    pub(super) fn present(&mut self, token: &str) {
        match self.index.get(token).and_then(|index| self.issued.get_mut(*index)) {
            Some(issued) => issued.presented += 1,
            None => self.unknown += 1,
        }
    }

    /// Spends a token that is good. One that was spent before is judged as if it were not, but said to be reused.
    pub(super) fn spend(&mut self, token: &str, now: Moment) -> Spending {
        let spending = self.judge(token, now);
        if let (Spending::Good(_), Some(index)) = (&spending, self.index.get(token)) {
            self.issued[*index].spent = true;
        }
        spending
    }

    /// What [`spend`](Self::spend) would say; nothing is spent.
    pub(super) fn judge(&self, token: &str, now: Moment) -> Spending {
        match self.index.get(token).and_then(|index| self.issued.get(*index)) {
            Some(issued) if issued.revoked || issued.since.age(now) >= issued.lifetime => Spending::Dead,
            Some(issued) if issued.spent => Spending::Reused(issued.family),
            Some(issued) => Spending::Good(issued.family),
            None => Spending::Dead,
        }
    }

    /// The family of a token of ours, dead or alive.
    pub(super) fn family_of(&self, token: &str) -> Option<Family> {
        self.index.get(token).and_then(|index| self.issued.get(*index)).map(|issued| issued.family)
    }

    /// Revokes a family; the access tokens of it are handed out, to be revoked too.
    pub(super) fn kill(&mut self, family: Family) -> Vec<usize> {
        let members = self.issued.iter_mut().filter(|issued| issued.family == family);
        members
            .filter_map(|issued| {
                issued.revoked = true;
                issued.access
            })
            .collect()
    }

    /// Revokes one token; says whether it is one of ours.
    pub(super) fn revoke(&mut self, token: &str) -> bool {
        let issued = self.index.get(token).and_then(|index| self.issued.get_mut(*index));
        issued.map(|issued| issued.revoked = true).is_some()
    }

    pub(super) fn revoke_all(&mut self) {
        self.issued.iter_mut().for_each(|issued| issued.revoked = true);
    }

    pub(super) fn expire_all(&mut self) {
        self.issued.iter_mut().for_each(|issued| issued.lifetime = Duration::ZERO);
    }

    /// How often each was presented, in the order in which they were issued.
    pub(super) fn presentations(&self) -> Vec<u64> {
        self.issued.iter().map(|issued| issued.presented).collect()
    }

    /// Presentations of what is not one of ours.
    pub(super) fn unknown(&self) -> u64 {
        self.unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A token is good once and until it expires; a reused one is known as such, and so is its family.
    #[test]
    fn spending() {
        let (clock, mut tokens) = (ManualClock::new(), RefreshTokens::default());
        let now = || Moment::now(&clock);
        let (ours, theirs) = (tokens.new_family(), tokens.new_family());
        let first = tokens.issue(ours, Some(7), now(), HOUR).unwrap();
        let second = tokens.issue(ours, None, now(), HOUR).unwrap();
        let other = tokens.issue(theirs, Some(9), now(), 2 * HOUR).unwrap();
        assert_eq!(tokens.judge(&first, now()), Spending::Good(ours));
        assert_eq!(tokens.spend(&first, now()), Spending::Good(ours), "a look spends nothing");
        assert_eq!(tokens.spend(&first, now()), Spending::Reused(ours));
        assert_eq!(tokens.spend("abc", now()), Spending::Dead);
        assert_eq!(tokens.kill(ours), [7]);
        assert_eq!((tokens.spend(&second, now()), tokens.family_of(&second)), (Spending::Dead, Some(ours)));

        clock.advance(2 * HOUR - Duration::from_nanos(1));
        assert_eq!(tokens.spend(&other, now()), Spending::Good(theirs));
        clock.advance(Duration::from_nanos(1));
        assert_eq!(tokens.spend(&other, now()), Spending::Dead, "an expired one is expired, spent or not");
    }

    /// Each presentation counts, of dead tokens and of foreign ones too.
    #[test]
    fn presentations() {
        let (clock, mut tokens) = (ManualClock::new(), RefreshTokens::default());
        let family = tokens.new_family();
        let mut issue = || tokens.issue(family, None, Moment::now(&clock), HOUR).unwrap();
        let (first, second) = (issue(), issue());
        tokens.revoke(&second);
        [&first, &second, &second, "abc"].into_iter().for_each(|token| tokens.present(token));
        assert_eq!((tokens.presentations(), tokens.unknown()), (vec![1, 2], 1));
    }
}
