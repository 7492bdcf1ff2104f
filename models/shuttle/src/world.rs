//! One run of a scenario: an engine over a scripted source, its callers, and what must hold at the end.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use shuttle::{
    Config, MaxSteps, Runner,
    future::{JoinHandle, block_on, spawn},
    scheduler::{PctScheduler, RandomScheduler},
};

use crate::{
    caller::Caller,
    refresh::{RefreshConfig, TokenHandle, TokenHandleBuilder},
    script::{Act, Script, Watch},
    time::ModelClock,
};

/// How many schedules a test runs by default: half of them random, half with few switches, at the worst moments.
const SCHEDULES: usize = 2_000;
/// How many switches at most the second half has: a bug that needs more is left to the first.
const SWITCHES: usize = 4;
/// Where the default run starts, so that it is the same one each time. `SHUTTLE_RANDOM_SEED` is another start.
const SEED: u64 = 0x74_6f_6b_65_6e;

/// Of all tests in this process, for the progress of a long run.
static DONE: AtomicUsize = AtomicUsize::new(0);

/// Runs a scenario under `SCHEDULES` schedules. A failure prints its own, which `shuttle::replay` takes.
pub fn explore<F>(scenario: fn() -> F)
where
    F: Future<Output = ()> + 'static,
{
    let schedules = std::env::var("SCHEDULES").map_or(SCHEDULES, |text| text.parse().expect("SCHEDULES is a number"));
    let run = move || {
        block_on(scenario());
        let done = DONE.fetch_add(1, SeqCst) + 1;
        if done.is_multiple_of(100_000) {
            println!("{done} schedules");
        }
    };
    let mut config = Config::new();
    config.stack_size = 0x4_0000;
    config.max_steps = MaxSteps::FailAfter(100_000);
    config.silence_warnings = true;
    Runner::new(RandomScheduler::new_from_seed(SEED, schedules.div_ceil(2)), config.clone()).run(run);
    Runner::new(PctScheduler::new_from_seed(SEED, SWITCHES, schedules / 2), config).run(run);
}

/// The engine's surroundings.
pub struct World {
    pub clock: ModelClock,
    pub watch: Arc<Watch>,
    pub life: Option<Duration>,
    config: RefreshConfig,
}

impl World {
    /// `life`: of all tokens.
    pub fn new(life: Option<Duration>) -> World {
        World { clock: ModelClock::default(), watch: Arc::default(), life, config: RefreshConfig::new().seed(SEED) }
    }

    pub fn idle_after(mut self, quiet: Duration) -> World {
        self.config = self.config.idle_after(quiet);
        self
    }

    pub fn source(&self, number: u64, acts: &'static [Act]) -> Script {
        Script::new(number, acts, self.life, Arc::clone(&self.watch))
    }

    pub fn builder(&self, acts: &'static [Act]) -> TokenHandleBuilder {
        TokenHandle::builder(self.source(1, acts)).config(self.config.clone()).clock(self.clock.clone())
    }

    pub fn caller(&self, acts: &'static [Act]) -> Caller {
        Caller::new(self.builder(acts).build(), self.clock.clone())
    }

    pub fn fetches(&self) -> u64 {
        *self.watch.fetches.borrow()
    }

    /// Waits for so many fetches to have begun, and touches nothing meanwhile.
    pub async fn fetched(&self, count: u64) {
        self.watch.fetches.subscribe().wait_for(|fetches| *fetches >= count).await.expect("the sender is in `self`");
    }

    /// With the last handle gone, the engine's task ends, and nothing keeps the source alive.
    pub async fn ends(&self) {
        self.clock.tasks_end().await;
        assert_eq!(self.watch.fault(), None);
        assert_eq!(self.watch.alive.load(SeqCst), 0, "sources that were not dropped");
    }
}

/// Waits for all.
pub async fn join<T>(tasks: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.expect("nobody aborts it"));
    }
    results
}

/// Runs `scene` while time passes.
pub async fn over_time(clock: &ModelClock, scene: impl Future<Output = ()>) {
    let time = spawn(clock.clone().pass());
    scene.await;
    clock.stop();
    time.await.expect("nobody aborts it");
}
