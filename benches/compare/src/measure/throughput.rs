use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use tokio::task::{JoinSet, unconstrained, yield_now};

use super::{uncounted, warm};
use crate::{Case, runtime, stats::median};

const ROUNDS: usize = 21;
const WINDOW: Duration = Duration::from_millis(40);

/// Under which loads throughput is measured: threads of their own, then tasks on a runtime with two workers.
pub(crate) const LOADS: [&str; 4] = ["1 thread", "2 threads", "8 tasks", "64 tasks"];

/// For each case, under each load: requests in a second, and the median of the ratios to the reference in the same round.
pub(crate) fn throughput(cases: &[Box<dyn Case>], reference: usize, progress: impl Fn(usize)) -> Vec<[(f64, f64); LOADS.len()]> {
    let mut rates = vec![[const { Vec::new() }; LOADS.len()]; cases.len()];
    for round in 0..ROUNDS {
        progress(ROUNDS - round);
        for step in 0..cases.len() {
            let index = if round % 2 == 0 { step } else { cases.len() - 1 - step };
            let case = &*cases[index];
            let measured = [threads(case, 1), threads(case, 2), tasks(case, 8), tasks(case, 64)];
            rates[index].iter_mut().zip(measured).for_each(|(rates, rate)| rates.push(rate));
        }
    }
    let summary = |index: usize| {
        std::array::from_fn(|load| {
            let ratios = rates[index][load].iter().zip(&rates[reference][load]).map(|(case, reference)| case / reference);
            (median(rates[index][load].clone()).median, median(ratios.collect()).median)
        })
    };
    (0..cases.len()).map(summary).collect()
}

/// Each has its own clone of one service.
fn forks(case: &dyn Case, count: usize) -> impl Iterator<Item = Box<dyn Case>> {
    (0..count).map(|_| warm(case.fork()))
}

fn threads(case: &dyn Case, count: usize) -> f64 {
    let barrier = Barrier::new(count);
    let rate = |mut case: Box<dyn Case>| {
        barrier.wait();
        let (start, mut sent) = (Instant::now(), 0);
        while start.elapsed() < WINDOW {
            uncounted(&mut *case, 256);
            sent += 256;
        }
        sent as f64 / start.elapsed().as_secs_f64()
    };
    thread::scope(|scope| {
        let running: Vec<_> = forks(case, count).map(|case| scope.spawn(|| rate(case))).collect();
        // A thread that panicked has said so.
        running.into_iter().map(|thread| thread.join().unwrap_or(f64::NAN)).sum()
    })
}

fn tasks(case: &dyn Case, count: usize) -> f64 {
    let forks: Vec<_> = forks(case, count).collect();
    runtime().block_on(async {
        let start = Instant::now();
        let load = |mut case: Box<dyn Case>| async move {
            let mut sent = 0_u64;
            while start.elapsed() < WINDOW {
                uncounted(&mut *case, 32);
                sent += 32;
                yield_now().await;
            }
            sent
        };
        // Without tokio's budget: a lock that has spent it says that it has to be waited for, until the task yields.
        let mut running: JoinSet<_> = forks.into_iter().map(|case| unconstrained(load(case))).collect();
        let mut sent = 0;
        while let Some(done) = running.join_next().await {
            sent += done.unwrap_or(0);
        }
        sent as f64 / start.elapsed().as_secs_f64()
    })
}
