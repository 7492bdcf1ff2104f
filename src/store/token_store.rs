use std::future::Future;

use super::{Record, StoreError};

/// A place where one login survives: a lock, and a record with a revision.
///
/// A refresh token that rotates is used like this: lock, read, write down what is about to be sent, send, write down what came,
/// unlock. So a store has to hold to four things:
///
/// - [`lock`](Self::lock) is exclusive among all who may use the login, other processes included, until the guard is dropped;
///   it ends by itself when its holder dies (a kernel lock, a lease), or a crash would be a logout. A lease is longer than two
///   token calls (30 s).
/// - [`read`](Self::read) returns what the last `compare_and_set` wrote, not what a replica has of it.
/// - [`compare_and_set`](Self::compare_and_set) has reached the disk when it returns `Ok`, and is all or nothing.
/// - What cannot be read is kept: never is it overwritten, and never taken for "nothing is stored".
///
/// The record holds secrets. [`Record::to_json`] gives it as bytes; who may read those may use the login.
///
/// # Cancel safety
///
/// Each future is dropped when it takes longer than 20 s. A write that is given up may still happen or not, but it must not
/// happen after a later one; a lock that is given up must not stay taken.
///
/// # Errors
///
/// As [`StoreErrorKind`](super::StoreErrorKind) says. An error before a token call means that nothing is sent; an error after it,
/// that the record is kept in memory and written again and again until it is stored.
#[diagnostic::on_unimplemented(note = "`MemoryStore` is the simplest store")]
pub trait TokenStore: Send + Sync + 'static {
    /// Holds the lock until it is dropped. With a lease it may lose it before that, which
    /// [`compare_and_set`](Self::compare_and_set) notices.
    type Guard: Send + 'static;

    /// What is stored, with or without the lock; `None` before the first login.
    fn read(&self) -> impl Future<Output = Result<Option<Record>, StoreError>> + Send;

    /// Waits for the lock, as long as the store sees fit and 20 s at most.
    fn lock(&self) -> impl Future<Output = Result<Self::Guard, StoreError>> + Send;

    /// Stores a record in the place of the one with the revision `expected`; 0 means that nothing is stored.
    ///
    /// It is called right before each token call, too: a lease that is too short for one more is renewed here, or `Lost`.
    fn compare_and_set(
        &self,
        guard: &mut Self::Guard,
        expected: u64,
        record: &Record,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}
