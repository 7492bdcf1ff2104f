use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::sync::oneshot::error::TryRecvError;

use super::{
    exchange::{Exchange, Exchanged},
    flight::{Flight, launch, lost},
    login::{Held, Login, News},
};
use crate::{
    clock::{Clock, Moment},
    error::{ErrorKind, TokenError},
    observe,
    source::{FetchContext, TokenSource},
    store::{InFlight, Record, TokenStore},
    token::{AccessToken, RefreshToken},
};

#[cfg(test)]
mod tests;

/// Servers that forgive the second use of a refresh token do so for seconds; later, it is taken for a theft (F2).
const WINDOW: Duration = Duration::from_secs(10);
/// How often one refresh token is sent within the window while its answer is lost.
const TRIES: u32 = 3;
/// An access token that ends sooner is not worth adopting.
const SPARE: Duration = Duration::from_secs(1);

/// A source whose refresh token rotates: it is used once, by one at a time, and what came for it is stored before it is used.
///
/// One fetch is one transaction: lock the store, read it, adopt the access token if somebody was faster, write down that the
/// refresh token is in flight, exchange, store, hand out. What the server said is kept in memory while the store fails, and the
/// store's lock with it.
///
/// | the exchange says | what follows |
/// |---|---|
/// | a new refresh token | it is stored, whatever the rest of the answer says |
/// | none | the old one goes on (RFC 6749 section 6) |
/// | it failed | the refresh token is kept for the next fetch |
/// | no answer came | the same one again at once, 3 times within 10 s, since the first may have arrived |
/// | the login is dead | whoever was faster is adopted; else the credentials log in, if there are any; else `Refused` |
///
/// An answer that was lost for longer than 10 s, in an outage or a crash, is given up where credentials can log in. Where only a
/// person can, the refresh token is sent again all the same: nobody has its successor.
///
/// It is not `Clone`, since the engine is shared and not its source; two over one store do each other no harm.
///
/// # Cancel safety
///
/// The transaction runs in a task of its own. A fetch that is dropped leaves it running, and the next one joins it, so that there
/// are never two. It ends, and stores what came, also after the source has gone.
pub(crate) struct Rotation<X, T: TokenStore> {
    exchange: Arc<X>,
    login: Login<T>,
    /// A transaction whose result nobody has taken yet.
    flight: Option<Flight<Handed>>,
    /// What was handed out last: who asks again without saying what is to be replaced does not want it again.
    handed: Option<AccessToken>,
}

/// An access token, and when it was asked for.
#[derive(Clone)]
struct Handed {
    token: AccessToken,
    asked: Moment,
}

struct Transaction<X, T: TokenStore> {
    exchange: Arc<X>,
    login: Login<T>,
    clock: Arc<dyn Clock>,
    /// What is to be replaced.
    previous: Option<AccessToken>,
    /// What a transaction brought whose own fetch was given up: the login may have ended since, so the store is asked first.
    landed: Option<Handed>,
}

enum Plan {
    Present(RefreshToken, InFlight),
    LogIn { otherwise: TokenError },
    Wait(TokenError),
}

impl<X: Exchange, T: TokenStore> Rotation<X, T> {
    pub(crate) fn new(exchange: impl Into<Arc<X>>, login: Login<T>) -> Rotation<X, T> {
        Rotation { exchange: exchange.into(), login, flight: None, handed: None }
    }

    /// How it asks for tokens.
    pub(crate) fn exchange(&self) -> &X {
        &self.exchange
    }

    /// The login that it keeps going.
    #[cfg(any(test, feature = "provider"))]
    pub(crate) fn login(&self) -> &Login<T> {
        &self.login
    }

    async fn next(&mut self, cx: FetchContext) -> Result<AccessToken, TokenError> {
        let started = Moment::now(&**cx.clock());
        let previous = cx.previous().or(self.handed.as_ref()).cloned();
        let mut earlier = None;
        if let Some(flight) = &mut self.flight {
            let joined = match flight.try_recv() {
                // It landed after its own fetch was given up: a token may have aged since, and an error has lost its time.
                Ok(result) => {
                    earlier = result.ok();
                    None
                }
                Err(TryRecvError::Empty) => flight.await.ok(),
                Err(TryRecvError::Closed) => None,
            };
            self.flight = None;
            match joined {
                Some(Ok(handed)) if handed.differs(previous.as_ref()) => return Ok(handed.counted_from(started)),
                Some(Err(error)) => return Err(error),
                _ => {}
            }
        }
        let flight = self.depart(cx.clock(), previous, earlier)?;
        let landed = self.flight.insert(flight).await;
        self.flight = None;
        landed.unwrap_or_else(|_dropped| Err(lost())).map(|handed| handed.counted_from(started))
    }

    fn depart(
        &self,
        clock: &Arc<dyn Clock>,
        previous: Option<AccessToken>,
        landed: Option<Handed>,
    ) -> Result<Flight<Handed>, TokenError> {
        let (exchange, login) = (Arc::clone(&self.exchange), self.login.clone());
        let transaction = Transaction { exchange, login, clock: Arc::clone(clock), previous, landed };
        launch(clock, observe::nested(transaction.run()))
    }
}

impl<X: Exchange, T: TokenStore> TokenSource for Rotation<X, T> {
    async fn fetch(&mut self, cx: FetchContext) -> Result<AccessToken, TokenError> {
        let token = self.next(cx).await?;
        self.handed = Some(token.clone());
        Ok(token)
    }
}

impl<X: Exchange, T: TokenStore> Transaction<X, T> {
    async fn run(self) -> Result<Handed, TokenError> {
        let mut news = self.login.news().await;
        let held = match self.login.settle(&mut news, &self.clock).await {
            Ok(held) => held,
            // F4: without the lock nothing is sent. What is known may still do.
            Err(error) => {
                let known = match &*news {
                    Some(unsaved) => Some(unsaved.record().clone()),
                    None => self.login.read(&self.clock).await.ok().flatten(),
                };
                return known.and_then(|record| self.adopt(&record)).ok_or_else(|| error.into());
            }
        };
        let found = self.adopt(&held.record);
        match found {
            Some(handed) if !self.is_urgent(&held.record) => Ok(handed),
            // A failed refresh hides no token that is still good.
            found => self.renew(held, &mut news).await.or_else(|error| found.ok_or(error)),
        }
    }

    /// The access token of somebody who was faster, or of the process before this one.
    fn adopt(&self, record: &Record) -> Option<Handed> {
        let now = self.now();
        let access = record.access.as_ref()?;
        let lasts = access.expiry().is_none_or(|end| end.duration_since(now.wall).is_ok_and(|left| left > SPARE));
        // The same one as it came, with a lifetime that needs no wall clock.
        let landed = self.landed.clone().filter(|landed| !landed.differs(Some(access)));
        let handed = landed.unwrap_or_else(|| Handed { token: access.clone(), asked: now });
        (lasts && handed.is_good(now) && handed.differs(self.previous.as_ref())).then_some(handed)
    }

    /// Whether a crash has left an answer behind that can still be had: the server's patience runs out before the access token.
    fn is_urgent(&self, record: &Record) -> bool {
        let now = self.clock.wall();
        record.unsettled().is_some_and(|note| note.tries < TRIES && note.age(now) < WINDOW)
    }

    async fn renew(&self, mut held: Held<T::Guard>, news: &mut News<T::Guard>) -> Result<Handed, TokenError> {
        let mut faster_was_dead = false;
        loop {
            if held.record.ended {
                return Err(refused("the login was ended"));
            }
            let (token, note) = match self.plan(&held.record) {
                Plan::Present(token, note) => (token, note),
                Plan::LogIn { otherwise } => {
                    let record = held.record.clone();
                    return self.log_in(held, record, news, otherwise).await;
                }
                Plan::Wait(error) => return Err(error),
            };
            let (exchanged, asked) = self.present(&mut held, &token, note).await?;
            let exchanged = self.vetted(&mut held, exchanged).await;
            let error = match exchanged {
                Exchanged { refresh: None, token: Err(error), login_again: true, .. } => error,
                exchanged => return self.take(held, exchanged, asked, news).await,
            };

            // F10: it may have been somebody else who used it up, past a lock that did not hold.
            let dead = Record { refresh: None, in_flight: None, ..held.record.clone() };
            match self.login.read(&self.clock).await {
                Ok(Some(there)) if there.fingerprint() != held.record.fingerprint() && !faster_was_dead => {
                    if let Some(handed) = self.adopt(&there) {
                        return Ok(handed);
                    }
                    held.record = there;
                    faster_was_dead = true;
                }
                Ok(_) => return self.log_in(held, dead, news, error).await,
                Err(store) => {
                    let _stored = self.login.keep(news, held, dead, &self.clock).await.is_ok();
                    return Err(store.into());
                }
            }
        }
    }

    fn plan(&self, record: &Record) -> Plan {
        let now = self.clock.wall();
        let log_in = |why| Plan::LogIn { otherwise: refused(why) };
        let Some(token) = &record.refresh else {
            return log_in(if record.revision == 0 { "nobody has logged in yet" } else { "the login is over: log in again" });
        };
        if token.expiry().is_some_and(|end| end <= now) {
            return log_in("the refresh token has expired: log in again");
        }
        let first = || InFlight::new(token, now);
        let note = match record.unsettled() {
            None => first(),
            Some(note) if note.age(now) >= WINDOW => match self.exchange.login(&self.clock) {
                Some(_) => return log_in("the answer to the refresh token was lost"),
                None => first(),
            },
            Some(note) if note.tries < TRIES => note.again(),
            Some(note) => {
                let text = "the answer to the refresh token was lost, and it was sent often enough for now";
                let error = TokenError::new(ErrorKind::Transient, text).retry_after(WINDOW.saturating_sub(note.age(now)));
                return Plan::Wait(error);
            }
        };
        Plan::Present(token.clone(), note)
    }

    /// Sends a refresh token, and again while nobody knows whether it has arrived. Each time that is written down first, which
    /// also proves that the lock still holds.
    async fn present(
        &self,
        held: &mut Held<T::Guard>,
        token: &RefreshToken,
        mut note: InFlight,
    ) -> Result<(Exchanged, Moment), TokenError> {
        let first = self.now();
        loop {
            let record = Record { in_flight: Some(note.clone()), ..held.record.clone() };
            self.login.write(held, record, &self.clock).await?;
            let asked = self.now();
            let exchanged = self.exchange.refresh(token, &self.clock).await;
            let now = self.now();
            let late = first.age(now) >= WINDOW || note.age(now.wall) >= WINDOW;
            if late || note.tries >= TRIES || exchanged.refresh.is_some() || !exchanged.unanswered {
                return Ok((exchanged, asked));
            }
            note = note.again();
        }
    }

    /// Has an id_token looked at that came along. That may ask another server, so what the server has rotated is stored first:
    /// whoever goes on after a crash has it.
    async fn vetted(&self, held: &mut Held<T::Guard>, exchanged: Exchanged) -> Exchanged {
        if exchanged.id_token.is_none() {
            return exchanged;
        }
        if let Some(refresh) = exchanged.refresh.clone().filter(|token| !token.expose_secret().is_empty()) {
            let record = Record { refresh: Some(refresh), in_flight: None, ..held.record.clone() };
            // If it fails, it is stored with the rest, which is kept until that has come about.
            let _stored = self.login.write(held, record, &self.clock).await.is_ok();
        }
        self.exchange.vet(exchanged, held.record.subject.as_deref(), &self.clock).await
    }

    /// Takes what came for a refresh token.
    async fn take(
        &self,
        mut held: Held<T::Guard>,
        exchanged: Exchanged,
        asked: Moment,
        news: &mut News<T::Guard>,
    ) -> Result<Handed, TokenError> {
        let Exchanged { refresh, token, unanswered, .. } = exchanged;
        let refresh = refresh.filter(|token| !token.expose_secret().is_empty());
        let mut record = held.record.clone();
        let tries = record.in_flight.take().map_or(0, |note| note.tries);
        if refresh.is_some() || token.is_ok() {
            record.refresh = refresh.or(record.refresh);
            return self.hand_out(held, record, token, asked, news).await;
        }
        // That this one has failed says nothing about one before it whose answer was lost. And should the write fail, then
        // whoever finds the note sends a refresh token that is good.
        if tries == 1 && !unanswered {
            let _cleared = self.login.write(&mut held, record, &self.clock).await.is_ok();
        }
        token.map(|token| Handed { token, asked })
    }

    /// Logs in with credentials, where there are any. `record` is what is known of the login before.
    async fn log_in(
        &self,
        held: Held<T::Guard>,
        record: Record,
        news: &mut News<T::Guard>,
        otherwise: TokenError,
    ) -> Result<Handed, TokenError> {
        let asked = self.now();
        let exchanged = match self.exchange.login(&self.clock) {
            Some(login) => login.await,
            None => Exchanged { refresh: None, token: Err(otherwise), login_again: false, unanswered: false, id_token: None },
        };
        let refresh = exchanged.refresh.filter(|token| !token.expose_secret().is_empty());
        if refresh.is_some() || exchanged.token.is_ok() {
            let record = Record { refresh, in_flight: None, ..record };
            return self.hand_out(held, record, exchanged.token, asked, news).await;
        }
        if record.fingerprint() != held.record.fingerprint() {
            // It is dead, and is not sent a second time by anybody.
            let _stored = self.login.keep(news, held, record, &self.clock).await.is_ok();
        }
        exchanged.token.map(|token| Handed { token, asked })
    }

    /// Stores what came, and only then hands it out (F1); at once, if the store fails (F7).
    async fn hand_out(
        &self,
        held: Held<T::Guard>,
        mut record: Record,
        token: Result<AccessToken, TokenError>,
        asked: Moment,
        news: &mut News<T::Guard>,
    ) -> Result<Handed, TokenError> {
        if let Ok(token) = &token {
            record.access = Some(token.kept(asked.wall));
        }
        match self.login.keep(news, held, record, &self.clock).await {
            Ok(stored) if stored.ended => Err(refused("the login was ended")),
            _ => token.map(|token| Handed { token, asked }),
        }
    }

    fn now(&self) -> Moment {
        Moment::now(&*self.clock)
    }
}

impl Handed {
    fn differs(&self, other: Option<&AccessToken>) -> bool {
        other.is_none_or(|other| other.expose_secret() != self.token.expose_secret())
    }

    /// The engine counts a lifetime from the start of its fetch, which may have joined a transaction that began earlier.
    fn counted_from(self, started: Moment) -> AccessToken {
        self.token.aged(self.asked.age(started))
    }

    fn is_good(&self, now: Moment) -> bool {
        let token = self.token.clone().aged(self.asked.age(now));
        let ends = |end: SystemTime| end > now.wall;
        token.lifetime().is_none_or(|left| !left.is_zero()) && token.expiry().is_none_or(ends)
    }
}

impl<X, T: TokenStore> fmt::Debug for Rotation<X, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rotation").finish_non_exhaustive()
    }
}

fn refused(why: &'static str) -> TokenError {
    TokenError::new(ErrorKind::Refused, why)
}
