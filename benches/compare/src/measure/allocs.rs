use super::warm;
use crate::Case;

const REQUESTS: u64 = 1000;

/// Of one request.
#[derive(Clone, Copy)]
pub(crate) struct Allocations {
    pub(crate) count: f64,
    pub(crate) bytes: f64,
}

pub(crate) fn allocations(case: Box<dyn Case>) -> Allocations {
    let mut case = warm(case);
    let counted = allocation_counter::measure(|| case.run(REQUESTS));
    Allocations { count: counted.count_total as f64 / REQUESTS as f64, bytes: counted.bytes_total as f64 / REQUESTS as f64 }
}
