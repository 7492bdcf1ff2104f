use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls a subscriber or a recorder. A panic of theirs ends here: it would end the engine's task, or fail a request that is well.
#[cfg_attr(
    not(any(feature = "metrics", feature = "tracing")),
    expect(dead_code, reason = "nobody is called without the features")
)]
pub(super) fn shielded<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}
