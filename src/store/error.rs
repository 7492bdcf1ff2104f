use std::{error::Error, fmt};

use crate::error::{BoxError, ErrorKind, TokenError};

/// Why a store did not do what it was asked for.
///
/// Neither `Display` nor `Debug` shows the error inside, which may quote what is stored. It is kept, and reached through
/// [`source`](Error::source).
pub struct StoreError {
    kind: StoreErrorKind,
    source: Option<BoxError>,
}

/// What kind of failure a [`StoreError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The lock was not to be had in time, or the store did not answer in time. Nothing is sent without the lock.
    Busy,
    /// The guard no longer holds the lock: its lease has run out. Nothing was written.
    Lost,
    /// The stored record has another revision than the expected one. Nothing was written.
    Conflict,
    /// What is stored is not a record, or one of a newer version. It is left as it is, and a person must look.
    Unreadable,
    /// The store failed: full, gone, unreachable. Whether anything was written is not known.
    Failed,
}

impl StoreError {
    /// The lock was not to be had in time.
    pub fn busy() -> StoreError {
        StoreError { kind: StoreErrorKind::Busy, source: None }
    }

    /// The guard no longer holds the lock.
    pub fn lost() -> StoreError {
        StoreError { kind: StoreErrorKind::Lost, source: None }
    }

    /// The stored record has another revision than the expected one.
    pub fn conflict() -> StoreError {
        StoreError { kind: StoreErrorKind::Conflict, source: None }
    }

    /// What is stored cannot be understood.
    pub fn unreadable(source: impl Into<BoxError>) -> StoreError {
        StoreError { kind: StoreErrorKind::Unreadable, source: Some(source.into()) }
    }

    /// The store failed.
    pub fn failed(source: impl Into<BoxError>) -> StoreError {
        StoreError { kind: StoreErrorKind::Failed, source: Some(source.into()) }
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl StoreErrorKind {
    /// In metrics and events.
    pub(crate) fn word(self) -> &'static str {
        match self {
            StoreErrorKind::Busy => "busy",
            StoreErrorKind::Lost => "lost",
            StoreErrorKind::Conflict => "conflict",
            StoreErrorKind::Unreadable => "unreadable",
            StoreErrorKind::Failed => "failed",
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            StoreErrorKind::Busy => "the token store is busy",
            StoreErrorKind::Lost => "the lock of the token store was lost",
            StoreErrorKind::Conflict => "the token store holds another revision than the expected one",
            StoreErrorKind::Unreadable => "the token store holds something that is not a record of a known version",
            StoreErrorKind::Failed => "the token store has failed",
        })
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn Error + 'static))
    }
}

/// `Misconfigured` for `Unreadable`, where a person must look; `Transient` otherwise.
impl From<StoreError> for TokenError {
    fn from(error: StoreError) -> TokenError {
        let kind = match error.kind {
            StoreErrorKind::Unreadable => ErrorKind::Misconfigured,
            StoreErrorKind::Busy | StoreErrorKind::Lost | StoreErrorKind::Conflict | StoreErrorKind::Failed => {
                ErrorKind::Transient
            }
        };
        TokenError::wrap(kind, error.to_string(), error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S3: what a store says about its failure is not ours to show, and a failing store is no logout.
    #[test]
    fn the_error_inside_is_kept_and_not_shown() {
        for (error, kind) in [
            (StoreError::busy(), ErrorKind::Transient),
            (StoreError::lost(), ErrorKind::Transient),
            (StoreError::conflict(), ErrorKind::Transient),
            (StoreError::failed("CANARY"), ErrorKind::Transient),
            (StoreError::unreadable("CANARY"), ErrorKind::Misconfigured),
        ] {
            let inner = error.kind();
            let shown = format!("{error} {error:?}");
            let outer = TokenError::from(error);
            assert!(!format!("{shown} {outer} {outer:?}").contains("CANARY"), "{shown}");
            assert_eq!(outer.kind(), kind);
            let kept = outer.source().and_then(|source| source.downcast_ref::<StoreError>()).unwrap();
            assert_eq!(kept.kind(), inner);
        }
    }
}
