//! The four ways to measure a case.

mod allocs;
mod ir;
mod ns;
mod throughput;

pub(crate) use allocs::allocations;
pub(crate) use ir::{instructions, under_callgrind};
pub use ns::added_ns;
pub(crate) use ns::nanoseconds;
pub(crate) use throughput::{LOADS, throughput};

use crate::Case;

/// How many requests a clone sends before it is measured: it builds its header within the first two.
const WARM_UP: u64 = 100;

pub(crate) fn warm(mut case: Box<dyn Case>) -> Box<dyn Case> {
    case.run(WARM_UP);
    case
}

/// Sends requests without counting what they allocate: the counter would cost those that do.
fn uncounted(case: &mut dyn Case, requests: u64) {
    allocation_counter::opt_out(|| case.run(requests));
}
