use std::{
    fmt,
    sync::{Arc, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

use super::{Record, StoreError, TokenStore};
use crate::{
    sync::{Mutex, MutexGuard},
    token::RefreshToken,
};

/// A store in memory: **a restart loses the login**.
///
/// That is enough where a key and a secret log in again, or where a person is at hand. Clones are the same store, so that two
/// engines over clones share one login.
///
/// # Examples
///
/// A refresh token that was obtained elsewhere:
///
/// ```
/// use tower_token::{RefreshToken, store::MemoryStore};
///
/// let store = MemoryStore::holding(RefreshToken::new("r-1"));
/// assert!(!format!("{store:?}").contains("r-1"));
/// ```
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Inner>);

#[derive(Default)]
struct Inner {
    record: Mutex<Option<Record>>,
    lock: Arc<tokio::sync::Mutex<()>>,
}

/// The lock of a [`MemoryStore`], held.
#[derive(Debug)]
pub struct MemoryGuard(OwnedMutexGuard<()>);

impl MemoryStore {
    /// An empty store: nobody has logged in yet.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// A store with a login that goes on with this refresh token.
    pub fn holding(token: RefreshToken) -> MemoryStore {
        let store = MemoryStore::new();
        *store.record() = Some(Record::new(token));
        store
    }

    /// Puts a record there past the lock, as a restored backup does.
    #[cfg(test)]
    pub(crate) fn force(&self, record: Record) {
        *self.record() = Some(record);
    }

    /// A panic elsewhere cannot leave half a record behind.
    fn record(&self) -> MutexGuard<'_, Option<Record>> {
        self.0.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenStore for MemoryStore {
    type Guard = MemoryGuard;

    async fn read(&self) -> Result<Option<Record>, StoreError> {
        Ok(self.record().clone())
    }

    /// First come, first served.
    async fn lock(&self) -> Result<MemoryGuard, StoreError> {
        Ok(MemoryGuard(Arc::clone(&self.0.lock).lock_owned().await))
    }

    async fn compare_and_set(&self, guard: &mut MemoryGuard, expected: u64, record: &Record) -> Result<(), StoreError> {
        if !Arc::ptr_eq(OwnedMutexGuard::mutex(&guard.0), &self.0.lock) {
            return Err(StoreError::lost());
        }
        let mut stored = self.record();
        if stored.as_ref().map_or(0, Record::revision) != expected {
            return Err(StoreError::conflict());
        }
        *stored = Some(record.clone());
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio_test::{assert_pending, assert_ready, task::spawn};

    use super::*;
    use crate::store::StoreErrorKind;

    fn kind(result: Result<(), StoreError>) -> Result<(), StoreErrorKind> {
        result.map_err(|error| error.kind())
    }

    /// One at a time, across clones; and reading needs no lock.
    #[test]
    fn clones_share_the_lock_and_the_record() {
        let (store, other) = (MemoryStore::holding(RefreshToken::new("r-1")), MemoryStore::new());
        let clone = store.clone();
        let guard = assert_ready!(spawn(store.lock()).poll()).unwrap();
        let mut waiting = spawn(clone.lock());
        assert_pending!(waiting.poll());
        assert_ready!(spawn(other.lock()).poll()).unwrap();
        assert_eq!(assert_ready!(spawn(clone.read()).poll()).unwrap().unwrap().revision(), 1);
        drop(guard);
        assert!(waiting.is_woken());
        assert_ready!(waiting.poll()).unwrap();
    }

    /// A record takes the place of the expected revision and of no other, and under this store's own lock.
    #[tokio::test]
    async fn a_revision_is_compared() {
        let (store, other) = (MemoryStore::new(), MemoryStore::new());
        let mut guard = store.lock().await.unwrap();
        let first = Record::new(RefreshToken::new("r-1"));
        assert_eq!(kind(store.compare_and_set(&mut guard, 1, &first).await), Err(StoreErrorKind::Conflict));
        assert!(store.read().await.unwrap().is_none());
        assert_eq!(kind(store.compare_and_set(&mut guard, 0, &first).await), Ok(()));
        assert_eq!(kind(store.compare_and_set(&mut guard, 0, &first).await), Err(StoreErrorKind::Conflict));
        assert_eq!(kind(store.compare_and_set(&mut guard, 1, &first.next()).await), Ok(()));
        assert_eq!(store.read().await.unwrap().unwrap().revision(), 2);
        assert_eq!(kind(other.compare_and_set(&mut guard, 0, &first).await), Err(StoreErrorKind::Lost));
    }
}
