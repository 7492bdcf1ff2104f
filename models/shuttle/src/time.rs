//! Time and tasks of the model, through the engine's own seam.

use std::{
    collections::BTreeMap,
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant, SystemTime},
};

use shuttle::future::{JoinHandle, spawn, yield_now};

use crate::{
    clock::{Clock, Sleep, Task},
    error::{ErrorKind, TokenError},
};

/// Time stands still unless [`pass`](ModelClock::pass) runs. Tasks run on shuttle and can be [killed](ModelClock::kill), as
/// they are when their runtime goes. Clones are the same clock.
#[derive(Clone, Debug, Default)]
pub struct ModelClock(Arc<Mutex<Hands>>);

/// Behind a lock that shuttle does not know: nothing switches tasks under it.
#[derive(Debug, Default)]
struct Hands {
    now: Duration,
    sleepers: BTreeMap<u64, (Duration, Waker)>,
    next: u64,
    /// Who waits for the hands to change.
    timekeeper: Option<Waker>,
    over: bool,
    tasks: Vec<(Arc<Life>, JoinHandle<()>)>,
    lives: BTreeMap<u64, Signs>,
    /// When all tasks were asleep for the last time.
    quiet: Duration,
    /// So many spawns are refused, as outside a runtime.
    refuse: u32,
}

/// So much may pass while a task has something to do, and no more: time is not much faster than the processor, and a token's
/// margin is longer.
const LEEWAY: Duration = Duration::from_secs(5);

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl ModelClock {
    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the hands and tells who waits for that.
    fn change<T>(&self, change: impl FnOnce(&mut Hands) -> T) -> T {
        let mut hands = self.hands();
        let changed = change(&mut hands);
        let timekeeper = hands.timekeeper.take();
        drop(hands);
        timekeeper.into_iter().for_each(Waker::wake);
        changed
    }

    /// How much time has passed.
    pub fn elapsed(&self) -> Duration {
        self.hands().now
    }

    /// Lets time pass, from one deadline to the next, until [`stop`](Self::stop).
    pub async fn pass(self) {
        loop {
            let due = poll_fn(|cx| {
                let mut hands = self.hands();
                if hands.over {
                    return Poll::Ready(None);
                }
                let limit = if hands.quiet_now() { Duration::MAX } else { hands.quiet + LEEWAY };
                let first = hands.sleepers.values().map(|(until, _)| *until).min();
                let Some(first) = first.filter(|first| *first <= limit) else {
                    hands.timekeeper = Some(cx.waker().clone());
                    return Poll::Pending;
                };
                hands.now = hands.now.max(first);
                if hands.quiet_now() {
                    hands.quiet = hands.now;
                }
                let (due, later) = mem::take(&mut hands.sleepers).into_iter().partition(|(_, (until, _))| *until <= first);
                hands.sleepers = later;
                Poll::Ready(Some::<BTreeMap<_, _>>(due))
            })
            .await;
            let Some(due) = due else { return };
            due.into_values().for_each(|(_, waker)| waker.wake());
            yield_now().await;
        }
    }

    pub fn stop(&self) {
        self.change(|hands| hands.over = true);
    }

    /// Drops all tasks that run now, wherever they wait, and returns when they are gone.
    pub async fn kill(&self) {
        let tasks = mem::take(&mut self.hands().tasks);
        for (life, task) in tasks {
            self.hands().lives.entry(life.id).and_modify(|signs| signs.killed = true);
            life.wake_by_ref();
            task.await.expect("nobody aborts it");
        }
    }

    /// Refuses the next task.
    pub fn refuse(&self) {
        self.hands().refuse += 1;
    }

    /// Waits for the end of all tasks: one that never ends is a deadlock, which shuttle reports.
    pub async fn tasks_end(&self) {
        loop {
            let Some((_, task)) = self.hands().tasks.pop() else { return };
            task.await.expect("nobody aborts it");
        }
    }
}

impl Clock for ModelClock {
    fn now(&self) -> Instant {
        *START + self.elapsed()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Result<Sleep, TokenError> {
        let until = self.elapsed().saturating_add(duration);
        Ok(Box::pin(ModelSleep { clock: self.clone(), until, id: None }))
    }

    fn spawn(&self, task: Task) -> Result<(), TokenError> {
        let mut hands = self.hands();
        if let Some(left) = hands.refuse.checked_sub(1) {
            hands.refuse = left;
            drop(hands);
            return Err(TokenError::new(ErrorKind::Misconfigured, "the model refuses a task"));
        }
        drop(hands);
        let id = self.hands().id();
        let life = Arc::new(Life { id, clock: self.clone(), waker: Mutex::default() });
        self.hands().lives.insert(id, Signs { woken: true, ..Signs::default() });
        let task = spawn(Mortal { task: Some(task), life: Arc::clone(&life) });
        self.hands().tasks.push((life, task));
        Ok(())
    }
}

struct ModelSleep {
    clock: ModelClock,
    until: Duration,
    id: Option<u64>,
}

impl Future for ModelSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let ModelSleep { clock, until, id } = &mut *self;
        clock.change(|hands| {
            let id = *id.get_or_insert_with(|| hands.id());
            hands.sleepers.remove(&id);
            if hands.now >= *until {
                return Poll::Ready(());
            }
            hands.sleepers.insert(id, (*until, cx.waker().clone()));
            Poll::Pending
        })
    }
}

impl Drop for ModelSleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.clock.change(|hands| hands.sleepers.remove(&id));
        }
    }
}

impl Hands {
    fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Whether all tasks are asleep.
    fn quiet_now(&self) -> bool {
        !self.lives.values().any(|signs| signs.polled || signs.woken)
    }
}

#[derive(Debug, Default)]
struct Signs {
    polled: bool,
    woken: bool,
    killed: bool,
}

/// Of a task, and its waker.
#[derive(Debug)]
struct Life {
    id: u64,
    clock: ModelClock,
    waker: Mutex<Option<Waker>>,
}

impl Life {
    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Life {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.clock.hands().lives.entry(self.id).and_modify(|signs| signs.woken = true);
        let waker = self.waker().clone();
        waker.into_iter().for_each(Waker::wake);
    }
}

/// A task that can be killed, which drops it between two polls.
struct Mortal {
    task: Option<Task>,
    life: Arc<Life>,
}

impl Future for Mortal {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Mortal { task, life } = &mut *self;
        *life.waker() = Some(cx.waker().clone());
        let killed = life.clock.hands().lives.get_mut(&life.id).is_none_or(|signs| {
            (signs.polled, signs.woken) = (true, false);
            signs.killed
        });
        let waker = Waker::from(Arc::clone(life));
        let poll = match task {
            Some(task) if !killed => task.as_mut().poll(&mut Context::from_waker(&waker)),
            _ => Poll::Ready(()),
        };
        if poll.is_ready() {
            drop(task.take());
        }
        life.clock.change(|hands| match poll {
            Poll::Ready(()) => drop(hands.lives.remove(&life.id)),
            Poll::Pending => drop(hands.lives.entry(life.id).and_modify(|signs| signs.polled = false)),
        });
        poll
    }
}
