//! The whole engine, lock, machine and cell, with its driver polled by hand: a rejection against the publication of a token.

use std::{
    future::{Future, pending},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Wake, Waker},
    time::{Duration, Instant, SystemTime},
};

use loom::thread;

use crate::{
    clock::{Clock, Sleep, Task},
    error::TokenError,
    refresh::{Driver, RefreshConfig, TokenHandle},
    source::source_fn,
    token::AccessToken,
};

/// All schedules with no more than so many switches away from a thread that could go on, unless `LOOM_MAX_PREEMPTIONS` says
/// otherwise: there are too many of them for all.
const PREEMPTIONS: usize = 3;

/// Each look finds it a minute later: no token is young, so a rejection is never held back. Nobody wakes from a sleep.
#[derive(Debug)]
struct FlyingClock {
    start: Instant,
    looks: AtomicU64,
}

impl Clock for FlyingClock {
    fn now(&self) -> Instant {
        self.start + Duration::from_secs(60) * u32::try_from(self.looks.fetch_add(1, SeqCst)).unwrap_or(u32::MAX)
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn sleep(&self, _duration: Duration) -> Result<Sleep, TokenError> {
        Ok(Box::pin(pending()))
    }

    fn spawn(&self, _task: Task) -> Result<(), TokenError> {
        Ok(())
    }
}

/// Whether the driver was woken since it was last polled.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// A driver that is polled when it was woken, and only then: a wake-up that gets lost leaves work undone.
struct Polled {
    driver: Driver,
    woken: Arc<Woken>,
}

impl Polled {
    fn run(&mut self) {
        let waker = Waker::from(Arc::clone(&self.woken));
        while self.woken.0.swap(false, SeqCst) {
            let ready = Pin::new(&mut self.driver).poll(&mut Context::from_waker(&waker)).is_ready();
            assert!(!ready, "there are handles");
        }
    }
}

/// While a refresh is under way, two callers whose token was rejected say so: one as a request does, from what it read without
/// the lock, the other from what the engine told it.
pub fn a_rejection_races_with_a_publication() {
    let mut model = loom::model::Builder::new();
    // `LOOM_MAX_PREEMPTIONS` has been read by now.
    model.preemption_bound = model.preemption_bound.or(Some(PREEMPTIONS));
    model.check(|| {
        let mut fetched = 0;
        let source = source_fn(move |_cx| {
            fetched += 1;
            async move { AccessToken::new(format!("token-{fetched}")) }
        });
        let clock = FlyingClock { start: Instant::now(), looks: AtomicU64::new(0) };
        let config = RefreshConfig::new().seed(1).fetch_timeout(Duration::MAX);
        let (handle, driver) = TokenHandle::builder(source).config(config).clock(clock).pair();
        let mut driver = Polled { driver, woken: Arc::new(Woken(AtomicBool::new(true))) };
        driver.run();
        assert_eq!(handle.cell().generation(), 1);
        handle.reset();

        let refresh = thread::spawn(move || {
            driver.run();
            driver
        });
        let rejecters = [
            |handle: &TokenHandle| handle.cell().token().map(|token| token.generation()),
            |handle: &TokenHandle| handle.current().map(|token| token.generation()),
        ]
        .map(|look| {
            let handle = handle.clone();
            thread::spawn(move || {
                let generation = look(&handle);
                if let Some(generation) = generation {
                    handle.reject(generation);
                    let open = handle.cell().generation();
                    assert!(open == 0 || open > generation, "{generation} was rejected, and {open} is open");
                }
                generation.unwrap_or_default()
            })
        });
        let rejected = rejecters.map(|rejecter| rejecter.join().unwrap()).into_iter().max().unwrap_or_default();
        let mut driver = refresh.join().unwrap();
        driver.run();

        // The second one in any case, since the engine was told to; then one for each generation that was rejected while current.
        let expected = 2.max(rejected + 1);
        let status = handle.status();
        assert_eq!((status.generation(), status.fetches(), status.is_rejected()), (expected, expected, false));
        assert_eq!(handle.cell().token().map(|token| token.generation()), Some(expected));
    });
}
