use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

thread_local! {
    static CALLING: Cell<bool> = const { Cell::new(false) };
}

/// Calls a subscriber or a recorder. A panic of theirs ends here: it would end the engine's task, or fail a request that is well.
/// What they do themselves is not told: one that asks for a token at each signal would be told of that for ever.
#[cfg_attr(
    not(any(feature = "metrics", feature = "tracing")),
    expect(dead_code, reason = "nobody is called without the features")
)]
pub(super) fn shielded<T>(call: impl FnOnce() -> T) -> Option<T> {
    if CALLING.try_with(|calling| calling.replace(true)).unwrap_or(true) {
        return None;
    }
    let called = catch_unwind(AssertUnwindSafe(call)).ok();
    CALLING.with(|calling| calling.set(false));
    called
}
