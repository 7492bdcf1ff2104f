use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::watch;

use super::{Clock, Sleep, Task, TokioClock};
use crate::error::TokenError;

/// A clock that stands still until a test moves it.
///
/// Clones are the same clock. Sleeps end when [`advance`](Self::advance) reaches them; tasks run on tokio. Unlike tokio's
/// paused time it may be used beside real sockets, which make that one run ahead, and it has a wall clock of its own.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tower_token::{clock::Clock, testing::ManualClock};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let clock = ManualClock::new();
/// let task = tokio::spawn(clock.sleep(Duration::from_secs(3600))?);
///
/// // The task is asleep by now, however slow this machine is; and an hour passes at once.
/// clock.until_sleeping(1).await;
/// clock.advance(Duration::from_secs(3600));
/// task.await.map_err(tower_token::TokenError::transient)?;
/// # Ok::<(), tower_token::TokenError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ManualClock(watch::Sender<Hands>);

/// Both readings, and who is asleep. One lock guards all of it, so that no sleep falls between a look at the time and the
/// registration of its waker.
struct Hands {
    now: Instant,
    wall: SystemTime,
    sleepers: HashMap<u64, Sleeper>,
    next: u64,
}

struct Sleeper {
    /// `None`: later than an `Instant` can say.
    until: Option<Instant>,
    waker: Waker,
}

struct ManualSleep {
    clock: ManualClock,
    until: Option<Instant>,
    /// The key of its entry, from the first poll on.
    id: Option<u64>,
}

impl ManualClock {
    /// A clock that shows the present time, and stops there.
    pub fn new() -> ManualClock {
        let hands = Hands { now: Instant::now(), wall: SystemTime::now(), sleepers: HashMap::new(), next: 0 };
        ManualClock(watch::Sender::new(hands))
    }

    /// Lets time pass: both clocks move, and whoever has slept long enough is woken, in the order
    /// of the deadlines.
    ///
    /// # Panics
    ///
    /// If one of the clocks cannot represent the new time.
    pub fn advance(&self, duration: Duration) {
        let mut due = Vec::new();
        self.0.send_modify(|hands| {
            let (now, wall) = (hands.now + duration, hands.wall + duration);
            (hands.now, hands.wall) = (now, wall);
            // Those who are due no longer count as asleep, even before they have noticed: after an `advance`,
            // `until_sleeping` waits for the next sleep and not for the one that has just ended.
            due.extend(hands.sleepers.extract_if(|_, sleeper| sleeper.until.is_some_and(|until| until <= now)));
        });
        due.sort_by_key(|(id, sleeper)| (sleeper.until, *id));
        // Outside the lock, since waking and dropping a waker runs code of others.
        due.into_iter().for_each(|(_, sleeper)| sleeper.waker.wake());
    }

    /// Suspends the machine for a while: the wall clock goes on, the monotonic one and all sleeps stand still.
    ///
    /// # Panics
    ///
    /// If the wall clock cannot represent the new time.
    pub fn suspend(&self, duration: Duration) {
        self.0.send_modify(|hands| hands.wall += duration);
    }

    /// Sets the wall clock, forward or back, as a person or a time server does. The monotonic one takes no notice.
    pub fn set_wall(&self, wall: SystemTime) {
        self.0.send_modify(|hands| hands.wall = wall);
    }

    /// How many sleeps have been polled, are not due and not dropped.
    pub fn sleepers(&self) -> usize {
        self.0.borrow().sleepers.len()
    }

    /// Waits until at least so many sleeps are [waited on](Self::sleepers) at once, without sleeping itself.
    ///
    /// # Cancel safety
    ///
    /// It only looks. When it is dropped, nothing is lost.
    pub async fn until_sleeping(&self, count: usize) {
        let _there = self.0.subscribe().wait_for(|hands| hands.sleepers.len() >= count).await.is_ok();
    }

    /// How long until the first sleeper is due; `None` if nobody is asleep.
    pub fn next_due(&self) -> Option<Duration> {
        let hands = self.0.borrow();
        let first = hands.sleepers.values().filter_map(|sleeper| sleeper.until).min()?;
        Some(first.saturating_duration_since(hands.now))
    }
}

impl Default for ManualClock {
    fn default() -> ManualClock {
        ManualClock::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.0.borrow().now
    }

    fn wall(&self) -> SystemTime {
        self.0.borrow().wall
    }

    fn sleep(&self, duration: Duration) -> Result<Sleep, TokenError> {
        let until = self.now().checked_add(duration);
        Ok(Box::pin(ManualSleep { clock: self.clone(), until, id: None }))
    }

    fn spawn(&self, task: Task) -> Result<(), TokenError> {
        TokioClock.spawn(task)
    }
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = &mut *self;
        let mut waker = cx.waker().clone();
        let mut due = false;
        // Only a new entry is worth the notice of `until_sleeping`.
        sleep.clock.0.send_if_modified(|hands| {
            due = sleep.until.is_some_and(|until| until <= hands.now);
            if due {
                return false;
            }
            let id = *sleep.id.get_or_insert_with(|| {
                hands.next += 1;
                hands.next
            });
            match hands.sleepers.entry(id) {
                Entry::Occupied(mut entry) => {
                    // The old waker comes out, to be dropped outside the lock.
                    mem::swap(&mut entry.get_mut().waker, &mut waker);
                    false
                }
                Entry::Vacant(entry) => {
                    entry.insert(Sleeper { until: sleep.until, waker: waker.clone() });
                    true
                }
            }
        });
        if due { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for ManualSleep {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        let mut gone = None;
        self.clock.0.send_if_modified(|hands| {
            gone = hands.sleepers.remove(&id);
            gone.is_some()
        });
        // The waker goes outside the lock: it may be the last reference to a task that holds another sleep.
        drop(gone);
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hands = self.0.borrow();
        f.debug_struct("ManualClock")
            .field("now", &hands.now)
            .field("wall", &hands.wall)
            .field("sleepers", &hands.sleepers.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use tokio_test::{assert_pending, assert_ready, task::spawn};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A sleep ends when the monotonic clock reaches its deadline, counted from where it was made, and not before.
    #[test]
    fn sleeps_end_on_time() {
        let clock = ManualClock::new();
        let mut sleep = spawn(clock.sleep(10 * SECOND).unwrap());
        clock.advance(SECOND);
        assert_pending!(sleep.poll());
        assert_eq!(clock.next_due(), Some(9 * SECOND));

        clock.advance(8 * SECOND);
        assert!(!sleep.is_woken());
        assert_pending!(sleep.poll());

        clock.advance(SECOND);
        assert!(sleep.is_woken());
        assert_ready!(sleep.poll());
    }

    /// No poll is needed for what is over already: zero sleeps, and those that time has overtaken.
    #[test]
    fn a_sleep_that_is_over_needs_no_waker() {
        let clock = ManualClock::new();
        assert_ready!(spawn(clock.sleep(Duration::ZERO).unwrap()).poll());

        let mut overtaken = spawn(clock.sleep(SECOND).unwrap());
        clock.advance(SECOND);
        assert_ready!(overtaken.poll());
        assert_eq!(clock.sleepers(), 0);
    }

    /// A sleep counts from its first poll until it is due or dropped.
    #[test]
    fn sleepers_are_counted() {
        let clock = ManualClock::new();
        let mut waiting = spawn(async { clock.until_sleeping(2).await });
        assert_pending!(waiting.poll());

        let mut short = spawn(clock.sleep(SECOND).unwrap());
        let mut long = spawn(clock.sleep(Duration::MAX).unwrap());
        assert_eq!(clock.sleepers(), 0);
        assert_pending!(short.poll());
        assert_pending!(short.poll());
        assert_eq!(clock.sleepers(), 1);
        assert_pending!(waiting.poll());
        assert_pending!(long.poll());
        assert!(waiting.is_woken());
        assert_ready!(waiting.poll());

        clock.advance(SECOND);
        assert_eq!(clock.sleepers(), 1, "due, though not polled since");
        drop(long);
        assert_eq!((clock.sleepers(), clock.next_due()), (0, None));
        assert_ready!(short.poll());
    }

    /// The waker of the last poll is the one that is woken.
    #[test]
    fn a_sleep_may_move_between_tasks() {
        let clock = ManualClock::new();
        let mut sleep = clock.sleep(SECOND).unwrap();
        let mut first = spawn(());
        let mut second = spawn(());
        first.enter(|cx, _| assert_pending!(sleep.as_mut().poll(cx)));
        second.enter(|cx, _| assert_pending!(sleep.as_mut().poll(cx)));
        clock.advance(SECOND);
        assert_eq!((first.is_woken(), second.is_woken()), (false, true));
    }

    /// The wall clock moves with `advance`, and alone when the machine is suspended or somebody sets it.
    #[test]
    fn two_hands() {
        let clock = ManualClock::new();
        let (now, wall) = (clock.now(), clock.wall());
        let mut sleep = spawn(clock.sleep(SECOND).unwrap());
        assert_pending!(sleep.poll());

        clock.suspend(60 * SECOND);
        assert_eq!((clock.now(), clock.wall()), (now, wall + 60 * SECOND));
        clock.set_wall(wall - SECOND);
        assert_eq!((clock.now(), clock.wall()), (now, wall - SECOND));
        assert!(!sleep.is_woken());

        clock.clone().advance(SECOND);
        assert_eq!((clock.now(), clock.wall()), (now + SECOND, wall));
        assert!(sleep.is_woken());
    }

    /// Time moved on one thread and slept through on others loses no wake-up.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_wake_up_is_lost() {
        let clock = ManualClock::new();
        let sleeping: Vec<_> = (0..200)
            .map(|seconds| {
                let clock = clock.clone();
                tokio::spawn(async move {
                    for _ in 0..10 {
                        clock.sleep(SECOND * (seconds % 7)).unwrap().await;
                    }
                })
            })
            .collect();
        while !sleeping.iter().all(|task| task.is_finished()) {
            clock.advance(SECOND);
            tokio::task::yield_now().await;
        }
    }

    /// Sleeps that one step overtakes end in the order of their deadlines, and among equals of their first polls.
    #[tokio::test]
    async fn wake_ups_are_in_order() {
        let clock = ManualClock::new();
        let (woken, mut order) = tokio::sync::mpsc::unbounded_channel();
        for seconds in [9, 3, 8, 1, 7, 3, 2, 6, 5, 4] {
            let (sleep, woken) = (clock.sleep(seconds * SECOND).unwrap(), woken.clone());
            let position = clock.sleepers();
            tokio::spawn(async move {
                sleep.await;
                woken.send((seconds, position)).unwrap();
            });
            clock.until_sleeping(position + 1).await;
        }
        drop(woken);
        clock.advance(10 * SECOND);
        let mut ended = Vec::new();
        while let Some(one) = order.recv().await {
            ended.push(one);
        }
        assert_eq!(ended.len(), 10);
        assert!(ended.is_sorted(), "{ended:?}");
    }

    #[tokio::test]
    async fn tasks_run_on_tokio() {
        let clock = ManualClock::new();
        let (done, there) = tokio::sync::oneshot::channel();
        clock.spawn(Box::pin(async move { done.send(()).unwrap() })).unwrap();
        there.await.unwrap();
    }
}
