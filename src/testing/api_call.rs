/// What an emulator made of a call to its protected part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ApiOutcome {
    /// The token was good, and the call was served.
    Served,
    /// No `Authorization` header.
    TokenMissing,
    /// Not a single `Bearer` value, or not a token of this emulator's.
    TokenInvalid,
    /// One of this emulator's tokens, revoked.
    TokenRevoked,
    /// One of this emulator's tokens, expired.
    TokenExpired,
    /// The token was good, and the call was refused for another reason.
    Forbidden,
}
