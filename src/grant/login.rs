use std::{fmt, future::Future, sync::Arc, time::Duration};

use tokio::sync::{Mutex, MutexGuard};

use super::{
    exchange::Exchanged,
    flight::{caught, landed, launch},
};
use crate::{
    clock::{Clock, Moment},
    error::TokenError,
    observe,
    store::{Fingerprint, Record, StoreError, StoreErrorKind, TokenStore},
};

/// As long as a store may take for one answer, or for its lock.
///
/// Less than the engine's fetch timeout, so that its callers see the true error.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a record is offered to a store that has another one each time. Under a lock that holds, twice is enough.
const ROUNDS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A login in a store: how it begins and ends, and what is known of it that no store holds yet.
///
/// A clone is the same login. A [`Rotation`](super::rotation::Rotation) keeps it going.
pub(crate) struct Login<T: TokenStore>(Arc<Inner<T>>);

struct Inner<T: TokenStore> {
    store: T,
    /// Locked by whoever is at work on the login in this process. The store's lock is for those elsewhere.
    news: Mutex<News<T::Guard>>,
}

/// What a server or a person has said and the store does not hold yet (F7). Mostly there is none.
pub(super) type News<G> = Option<Unsaved<G>>;

pub(super) struct Unsaved<G> {
    record: Record,
    /// The revision in whose place it belongs.
    expected: u64,
    /// The refresh token that it takes the place of.
    after: Option<Fingerprint>,
    /// Somebody has logged in or out: that goes before whatever is stored.
    by_person: bool,
    /// The lock, if it was had, is held until the record is stored: whoever read the store meanwhile would present a refresh
    /// token that is spent.
    guard: Option<G>,
    /// From the first failure on.
    failing: Option<observe::Unsaved>,
}

/// The store's lock, held, and what is stored.
pub(super) struct Held<G> {
    guard: G,
    pub(super) record: Record,
}

impl<T: TokenStore> Login<T> {
    pub(crate) fn new(store: T) -> Login<T> {
        Login(Arc::new(Inner { store, news: Mutex::new(None) }))
    }

    /// Begins a login of `subject` with what a code brought that was asked for at `asked`, in the place of the login before it. An engine that
    /// was refused meanwhile is told by [`TokenHandle::reset`](crate::TokenHandle::reset).
    ///
    /// # Errors
    ///
    /// The exchange's, if it brought no access token; a refresh token that came all the same is stored. The store's, which then
    /// gets the record later: the login has begun in this process.
    ///
    /// # Cancel safety
    ///
    /// It runs in a task of its own and goes on.
    pub(crate) async fn begin(
        &self,
        exchanged: Exchanged,
        subject: Option<String>,
        asked: Moment,
        clock: &Arc<dyn Clock>,
    ) -> Result<(), TokenError> {
        let (login, time) = (self.clone(), Arc::clone(clock));
        let flight = launch(clock, async move {
            let Exchanged { refresh, token, .. } = exchanged;
            let refresh = refresh.filter(|token| !token.expose_secret().is_empty());
            if refresh.is_some() || token.is_ok() {
                let access = token.as_ref().ok().map(|token| token.kept(asked.wall));
                let mut news = login.news().await;
                login.replace(&mut news, Record { refresh, access, subject, ..Record::default() }, &time).await?;
            }
            token.map(drop)
        })?;
        landed(flight).await
    }

    /// Ends the login: `revoke` takes back what the record holds, and a tombstone takes its place, under one lock (F19). No
    /// refresh in flight undoes that, and no credentials log in by themselves afterwards: only [`begin`](Self::begin) does.
    ///
    /// # Errors
    ///
    /// `revoke`'s, or the store's before it: the login goes on, and this may be called again. The store's after it: the tombstone
    /// is kept and stored later.
    ///
    /// # Cancel safety
    ///
    /// It runs in a task of its own and goes on.
    pub(crate) async fn end<F, Fut>(&self, revoke: F, clock: &Arc<dyn Clock>) -> Result<(), TokenError>
    where
        F: FnOnce(Record) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), TokenError>> + Send,
    {
        let (login, time) = (self.clone(), Arc::clone(clock));
        let flight = launch(clock, async move {
            let mut news = login.news().await;
            let held = login.settle(&mut news, &time).await?;
            if held.record.refresh.is_some() || held.record.access.is_some() {
                revoke(held.record.clone()).await?;
            }
            let tombstone = Record { ended: true, ..Record::default() };
            *news = Some(Unsaved { by_person: true, ..Unsaved::new(held, tombstone) });
            login.save(&mut news, &time).await?;
            Ok(())
        })?;
        landed(flight).await
    }

    /// Waits until nobody else in this process is at work on the login.
    pub(super) async fn news(&self) -> MutexGuard<'_, News<T::Guard>> {
        self.0.news.lock().await
    }

    /// What is stored, without the lock.
    pub(crate) async fn read(&self, clock: &Arc<dyn Clock>) -> Result<Option<Record>, StoreError> {
        bounded(self.0.store.read(), clock).await
    }

    /// Stores the news, if there are any, and holds the lock.
    ///
    /// News stay where they are until they are stored, so that neither a panic in the store nor the end of a runtime loses them.
    pub(super) async fn settle(&self, news: &mut News<T::Guard>, clock: &Arc<dyn Clock>) -> Result<Held<T::Guard>, StoreError> {
        for _ in 0..ROUNDS {
            let Some(unsaved) = news else { break };
            let guard = match &mut unsaved.guard {
                Some(guard) => guard,
                none => none.insert(bounded(self.0.store.lock(), clock).await?),
            };
            let written = bounded(self.0.store.compare_and_set(guard, unsaved.expected, &unsaved.record), clock).await;
            let stored = match written.map_err(|error| (error.kind(), error)) {
                Ok(()) => unsaved.record.clone(),
                Err((StoreErrorKind::Lost, _)) => {
                    unsaved.guard = None;
                    continue;
                }
                Err((StoreErrorKind::Conflict, _)) => {
                    let there = self.read(clock).await?.unwrap_or_default();
                    // Perhaps a write that was said to have failed has happened after all; then this is it, or goes after it.
                    if unsaved.goes_before(&there) {
                        unsaved.follow(there.revision);
                        continue;
                    }
                    there
                }
                // Perhaps it has happened all the same. That shows only now: once the lock is lost, its successors look like
                // records of the login that it took the place of.
                Err((_, error)) => match self.read(clock).await {
                    Ok(Some(there)) if there.to_json() == unsaved.record.to_json() => there,
                    _ => return Err(error),
                },
            };
            if let Some(guard) = news.take().and_then(|unsaved| unsaved.guard) {
                return Ok(Held { guard, record: stored });
            }
        }
        if news.is_some() {
            return Err(StoreError::conflict());
        }
        let guard = bounded(self.0.store.lock(), clock).await?;
        let record = self.read(clock).await?.unwrap_or_default();
        Ok(Held { guard, record })
    }

    /// Writes a record that may as well not be written: whoever calls this sends nothing, or has nothing to lose, if it fails.
    pub(super) async fn write(
        &self,
        held: &mut Held<T::Guard>,
        record: Record,
        clock: &Arc<dyn Clock>,
    ) -> Result<(), StoreError> {
        let next = Record { revision: held.record.revision, ..record }.next();
        bounded(self.0.store.compare_and_set(&mut held.guard, held.record.revision, &next), clock).await?;
        held.record = next;
        Ok(())
    }

    /// Writes a record that must not be lost, from here on wherever this stops: on failure it is kept, and tried again until it
    /// is stored. Says what is stored then.
    pub(super) async fn keep(
        &self,
        news: &mut News<T::Guard>,
        held: Held<T::Guard>,
        record: Record,
        clock: &Arc<dyn Clock>,
    ) -> Result<Record, StoreError> {
        *news = Some(Unsaved::new(held, record));
        self.save(news, clock).await
    }

    /// As [`keep`](Self::keep), in the place of whatever is stored, and of any news.
    async fn replace(&self, news: &mut News<T::Guard>, record: Record, clock: &Arc<dyn Clock>) -> Result<(), StoreError> {
        let (guard, expected) = news.take().map_or((None, 0), |unsaved| (unsaved.guard, unsaved.expected));
        let unsaved = news.insert(Unsaved { record, expected, after: None, by_person: true, guard, failing: None });
        unsaved.follow(expected);
        self.save(news, clock).await.map(drop)
    }

    async fn save(&self, news: &mut News<T::Guard>, clock: &Arc<dyn Clock>) -> Result<Record, StoreError> {
        match self.settle(news, clock).await {
            Ok(held) => Ok(held.record),
            Err(error) => {
                if let Some(unsaved) = news {
                    unsaved.failing.get_or_insert_with(observe::Unsaved::new);
                }
                self.keep_saving(clock);
                Err(error)
            }
        }
    }

    /// Tries again in the background: the next fetch may be days away, and until then a crash would lose the login. It goes on
    /// without the source, too.
    fn keep_saving(&self, clock: &Arc<dyn Clock>) {
        let (login, time) = (self.clone(), Arc::clone(clock));
        let flight = launch(clock, async move {
            let mut pause = FIRST_PAUSE;
            loop {
                time.sleep(pause)?.await;
                let mut news = login.news().await;
                if news.is_none() || login.settle(&mut news, &time).await.is_ok() {
                    return Ok(());
                }
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
        });
        // Where nothing can be spawned, the next fetch tries.
        drop(flight);
    }
}

impl<G> Unsaved<G> {
    /// The successor of what is stored.
    fn new(held: Held<G>, record: Record) -> Unsaved<G> {
        let Held { guard, record: stored } = held;
        let mut unsaved =
            Unsaved { record, expected: 0, after: stored.fingerprint(), by_person: false, guard: Some(guard), failing: None };
        unsaved.follow(stored.revision);
        unsaved
    }

    fn follow(&mut self, revision: u64) {
        self.expected = revision;
        self.record.revision = revision;
        self.record = self.record.next();
    }

    /// Which of two is the newer one, where somebody else has written although the lock was held here.
    ///
    /// A stored record that still has the refresh token which was sent, or none, knows less. One with another refresh token was
    /// written by somebody who was faster. A tombstone stands.
    fn goes_before(&self, there: &Record) -> bool {
        self.by_person || (!there.ended && there.fingerprint().is_none_or(|one| Some(one) == self.after))
    }

    pub(super) fn record(&self) -> &Record {
        &self.record
    }
}

impl<T: TokenStore> Clone for Login<T> {
    fn clone(&self) -> Login<T> {
        Login(Arc::clone(&self.0))
    }
}

impl<T: TokenStore> fmt::Debug for Login<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

/// An answer of the store, in time. A panic in there is a failure like others: what came last must be offered again.
async fn bounded<R>(answer: impl Future<Output = Result<R, StoreError>> + Send, clock: &Arc<dyn Clock>) -> Result<R, StoreError> {
    let answer = async { caught(answer).await.unwrap_or_else(|_panicked| Err(StoreError::failed("the token store panicked"))) };
    // A clock that cannot sleep bounds nothing, and runs no engine.
    let answer = match clock.sleep(PATIENCE) {
        Err(_) => answer.await,
        Ok(pause) => tokio::select! {
            // An answer that is there in the last moment counts.
            biased;
            answer = answer => answer,
            () = pause => Err(StoreError::busy()),
        },
    };
    if let Err(error) = &answer {
        let kind = error.kind();
        observe::store_failed(kind.word(), matches!(kind, StoreErrorKind::Lost | StoreErrorKind::Conflict));
    }
    answer
}
