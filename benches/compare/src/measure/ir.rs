use std::{env, hint::black_box, process::Command};

use tower::BoxError;

use super::{uncounted, warm};
use crate::Case;

const REQUESTS: u64 = 1000;

/// Instructions of one request: this program runs itself under callgrind, with one case.
pub(crate) fn instructions(index: usize) -> Result<f64, BoxError> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*compare*measure*ir*collected*"])
        .arg(env::current_exe()?)
        .args(["one", &index.to_string()])
        .output()
        .map_err(|error| format!("valgrind does not start: {error}"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    let collected =
        log.lines().find_map(|line| line.split_once("Collected : ")).and_then(|(_, count)| count.trim().parse::<u64>().ok());
    match collected {
        Some(count) if count > 0 && output.status.success() => Ok(count as f64 / REQUESTS as f64),
        _ => Err(format!("callgrind failed:\n{log}").into()),
    }
}

/// What runs under callgrind.
pub(crate) fn under_callgrind(case: Box<dyn Case>) {
    collected(&mut *warm(case));
}

/// The one function in which callgrind collects.
#[inline(never)]
fn collected(case: &mut dyn Case) {
    uncounted(case, REQUESTS);
    // Not a tail call, which would end the collection before it begins.
    black_box(case.name());
}
