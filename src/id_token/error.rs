use std::{error::Error, fmt};

use crate::error::{ErrorKind, TokenError};

/// Why an id_token is not believed: which check failed, and how.
///
/// Neither `Display` nor `Debug` holds a part of the token. It becomes a [`TokenError`] by `From`: `Refused`, since a person has
/// to log in again; `Transient` for [`Check::Key`], since the issuer may have changed its keys a moment ago; and for
/// [`Check::Keys`] the error of the fetch.
#[derive(Clone)]
pub struct IdTokenError {
    check: Check,
    what: &'static str,
    fetch: Option<TokenError>,
}

/// What is checked of an id_token, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Check {
    /// At most 64 KiB of text.
    Length,
    /// Three parts, not the five of an encrypted token (RFC 7516 section 3.1).
    Encryption,
    /// Three parts in base64url as it should be: no padding, no spare bits (RFC 7515 section 7.1).
    Form,
    /// A header that is a JSON object whose members are unique and have their types.
    Header,
    /// `alg`: one of those that are allowed.
    Algorithm,
    /// `typ`: absent or `JWT`. An access token (`at+jwt`, RFC 9068) is no id_token, nor is any other kind of JWT.
    Type,
    /// `crit`, `b64`: no extension that must be understood (RFC 7515 section 4.1.11).
    Critical,
    /// The issuer's keys could be fetched.
    Keys,
    /// One of the keys has the header's `kid` and fits its `alg`.
    Key,
    /// The signature.
    Signature,
    /// Claims that are a JSON object with unique members.
    Claims,
    /// `iss`: the issuer, to the letter.
    Issuer,
    /// `aud`: the client is in it.
    Audience,
    /// `azp`: the client, required beside other audiences.
    AuthorizedParty,
    /// `sub`: a text that is not empty.
    Subject,
    /// `exp`: in the future.
    Expiry,
    /// `iat`: not in the future.
    IssuedAt,
    /// `nbf`: not in the future.
    NotBefore,
    /// `nonce`: the one that was sent.
    Nonce,
    /// `auth_time`: not longer ago than the `max_age` that was asked for.
    AuthTime,
    /// `at_hash`: the hash of the access token that came along.
    AccessTokenHash,
    /// After a refresh: the login that it continues (OpenID Connect Core 1.0 section 12.2).
    SameLogin,
    /// What the program wants to read from the claims: [`IdToken::claims`](super::IdToken::claims).
    OwnClaims,
}

impl IdTokenError {
    /// `what` reads on after "the id_token ".
    pub(super) fn new(check: Check, what: &'static str) -> IdTokenError {
        IdTokenError { check, what, fetch: None }
    }

    pub(super) fn keys(error: TokenError) -> IdTokenError {
        IdTokenError { check: Check::Keys, what: "cannot be checked: the issuer's keys are not to be had", fetch: Some(error) }
    }

    /// Which check failed.
    pub fn check(&self) -> Check {
        self.check
    }
}

impl fmt::Display for IdTokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the id_token {}", self.what)
    }
}

impl fmt::Debug for IdTokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdTokenError").field("check", &self.check).field("what", &self.what).finish_non_exhaustive()
    }
}

impl Error for IdTokenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.fetch.as_ref().map(|error| error as _)
    }
}

impl From<IdTokenError> for TokenError {
    fn from(error: IdTokenError) -> TokenError {
        let kind = match error {
            IdTokenError { fetch: Some(fetch), .. } => return fetch,
            IdTokenError { check: Check::Key, .. } => ErrorKind::Transient,
            _ => ErrorKind::Refused,
        };
        TokenError::wrap(kind, error.to_string(), Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// V6: what an engine makes of it.
    #[test]
    fn as_a_token_error() {
        for (error, kind) in [
            (IdTokenError::new(Check::Signature, "has another signature"), ErrorKind::Refused),
            (IdTokenError::new(Check::Key, "has an unknown key"), ErrorKind::Transient),
            (IdTokenError::keys(TokenError::new(ErrorKind::Timeout, "no answer")), ErrorKind::Timeout),
        ] {
            let fetch = error.fetch.is_some();
            let (check, text) = (error.check(), error.to_string());
            let whole = TokenError::from(error);
            assert_eq!(whole.kind(), kind);
            if !fetch {
                assert_eq!(whole.to_string(), text);
                let own = whole.source().and_then(|source| source.downcast_ref::<IdTokenError>());
                assert_eq!(own.map(IdTokenError::check), Some(check));
            }
        }
    }
}
