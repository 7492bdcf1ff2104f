use std::time::Instant;

use super::{uncounted, warm};
use crate::{
    Case,
    stats::{Estimate, median},
};

const ROUNDS: usize = 501;
const REQUESTS: u64 = 1000;

/// Nanoseconds of one request, for each case and round. Rounds interleave the cases, every other one backwards, so that
/// whatever slows the machine meets them all alike.
fn rounds(cases: Vec<Box<dyn Case>>) -> Vec<Vec<f64>> {
    let mut cases: Vec<_> = cases.into_iter().map(warm).collect();
    let mut samples = vec![Vec::with_capacity(ROUNDS); cases.len()];
    for round in 0..ROUNDS {
        for step in 0..cases.len() {
            let index = if round % 2 == 0 { step } else { cases.len() - 1 - step };
            let start = Instant::now();
            uncounted(&mut *cases[index], REQUESTS);
            samples[index].push(start.elapsed().as_nanos() as f64 / REQUESTS as f64);
        }
    }
    samples
}

/// What each case adds to its floor, whose index is beside it: the median of the differences within one round.
pub(crate) fn nanoseconds(cases: Vec<Box<dyn Case>>, floors: &[usize]) -> Vec<Estimate> {
    let samples = rounds(cases);
    let added = |index: usize| {
        // A floor is shown as it is.
        let floor = if floors[index] == index { &vec![0.0; ROUNDS] } else { &samples[floors[index]] };
        median(samples[index].iter().zip(floor).map(|(case, floor)| case - floor).collect())
    };
    (0..samples.len()).map(added).collect()
}

/// What one case adds to another, in nanoseconds of a request.
pub fn added_ns(case: Box<dyn Case>, floor: Box<dyn Case>) -> Estimate {
    nanoseconds(vec![case, floor], &[1, 1])[0]
}
