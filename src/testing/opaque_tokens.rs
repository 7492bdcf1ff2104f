use std::collections::{HashMap, HashSet};

use http::{HeaderMap, HeaderValue, header};

use super::message::credentials;

/// The access tokens that an emulator has issued and that say nothing by themselves, each with what the emulator knows of it.
pub(super) struct OpaqueTokens<T> {
    /// What stands before a token in an `Authorization` header.
    scheme: &'static str,
    issued: HashMap<String, (u64, T)>,
    presented: HashSet<String>,
}

impl<T> OpaqueTokens<T> {
    pub(super) fn new(scheme: &'static str) -> OpaqueTokens<T> {
        OpaqueTokens { scheme, issued: HashMap::new(), presented: HashSet::new() }
    }

    pub(super) fn insert(&mut self, token: String, known: T) {
        let number = self.issued() + 1;
        self.issued.insert(token, (number, known));
    }

    pub(super) fn get(&self, token: &str) -> Option<&T> {
        self.issued.get(token).map(|(_, known)| known)
    }

    pub(super) fn get_mut(&mut self, token: &str) -> Option<&mut T> {
        self.issued.get_mut(token).map(|(_, known)| known)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.issued.values_mut().map(|(_, known)| known)
    }

    /// The token in a header, noted as presented; `None` if the scheme is another.
    pub(super) fn presented_in<'a>(&mut self, value: &'a HeaderValue) -> Option<&'a str> {
        let token = credentials(value, self.scheme)?;
        if !self.presented.contains(token) {
            self.presented.insert(token.to_owned());
        }
        Some(token)
    }

    /// Which of our tokens a call carries, counted from 1, for the record.
    pub(super) fn number_in(&self, headers: &HeaderMap) -> Option<u64> {
        let token = credentials(headers.get(header::AUTHORIZATION)?, self.scheme)?;
        self.issued.get(token).map(|(number, _)| *number)
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
    use super::*;

    /// Tokens are numbered as they were issued, and counted once when they are presented, ours or not.
    #[test]
    fn numbers_and_presentations() {
        let mut tokens = OpaqueTokens::new("OAuth");
        tokens.insert("a".to_owned(), 7);
        tokens.insert("b".to_owned(), 9);
        assert_eq!((tokens.get("b"), tokens.get("c"), tokens.issued()), (Some(&9), None, 2));
        for (value, presented, number) in [
            ("OAuth b", Some("b"), Some(2)),
            ("oauth b", Some("b"), Some(2)),
            ("OAuth c", Some("c"), None),
            ("Bearer a", None, None),
            ("a", None, None),
        ] {
            let value = HeaderValue::from_static(value);
            assert_eq!(tokens.presented_in(&value), presented, "{value:?}");
            assert_eq!(tokens.number_in(&HeaderMap::from_iter([(header::AUTHORIZATION, value)])), number);
        }
        assert_eq!(tokens.presented(), 2);
    }
}
