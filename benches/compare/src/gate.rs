//! What must not grow. Instructions and allocations are the same on each run, whatever else the machine does.

use std::process::ExitCode;

use crate::{
    ours::{ANY_NOT_KEPT, ANY_UNWATCHED, KEPT, KEPT_FULL, NOT_KEPT, UNWATCHED},
    report::Report,
};

struct Limit {
    case: &'static str,
    ir: Bound,
    allocs: Bound,
    /// Bytes of the future over the inner service's.
    future: Option<Bound>,
}

/// The gate fails above `ceiling`: what has been reached, and 4 % of instructions. `target` is where it is to come down to.
struct Bound {
    target: f64,
    ceiling: f64,
}

const fn to(target: f64, ceiling: f64) -> Bound {
    Bound { target, ceiling }
}

/// Instructions as ratios to what `AddAuthorization` adds.
const LIMITS: [Limit; 6] = [
    Limit { case: ANY_UNWATCHED, ir: to(1.06, 1.61), allocs: to(0.0, 0.0), future: None },
    Limit { case: ANY_NOT_KEPT, ir: to(1.25, 1.86), allocs: to(0.0, 0.0), future: None },
    Limit { case: UNWATCHED, ir: to(1.60, 1.72), allocs: to(0.0, 0.0), future: None },
    Limit { case: NOT_KEPT, ir: to(1.80, 1.97), allocs: to(0.0, 0.0), future: Some(to(48.0, 48.0)) },
    Limit { case: KEPT, ir: to(4.90, 4.90), allocs: to(1.0, 1.0), future: Some(to(88.0, 48.0)) },
    Limit { case: KEPT_FULL, ir: to(4.90, 5.10), allocs: to(1.0, 1.0), future: Some(to(88.0, 80.0)) },
];

pub(crate) fn limits(name: &str) -> bool {
    LIMITS.iter().any(|limit| limit.case == name)
}

pub(crate) fn judge(report: &Report) -> ExitCode {
    println!("{}\n\n{:60} {:20} {:>8} {:>8} {:>8}", report.machine, "case", "", "is", "ceiling", "target");
    let mut held = true;
    for limit in &LIMITS {
        let row = report.rows.iter().find(|row| row.name == limit.case);
        let figures = [
            ("instructions, ratio", row.and_then(|row| report.ir_ratio(row)), Some(&limit.ir)),
            ("allocations", row.and_then(|row| row.allocs), Some(&limit.allocs)),
            ("future, bytes added", row.and_then(|row| row.future_added).map(|size| size as f64), limit.future.as_ref()),
        ];
        for (what, is, bound) in figures {
            let Some(bound) = bound else { continue };
            // What has not been measured has not held.
            let is = is.unwrap_or(f64::INFINITY);
            let verdict = if is > bound.ceiling {
                held = false;
                "PAST ITS CEILING"
            } else if is > bound.target {
                "above its target"
            } else {
                ""
            };
            println!("{:60} {what:20} {is:8.2} {:8.2} {:8.2} {verdict}", limit.case, bound.ceiling, bound.target);
        }
    }
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
