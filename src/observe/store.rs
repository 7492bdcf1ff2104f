use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{
    event::{Event, Level},
    meter, metric, trace,
};

/// How many logins of this process have news that no store holds.
static FAILING: AtomicU64 = AtomicU64::new(0);

/// A store has failed. `why` is the kind of its error; `usual`: as it does when two processes meet.
pub(crate) fn store_failed(why: &'static str, usual: bool) {
    meter::count(metric::STORE_FAILURES, &[(metric::ERROR_TYPE, &why.into())]);
    let event = Event { message: "token store failed", error_type: Some(why), ..Event::default() };
    trace::emit(if usual { Level::Debug } else { Level::Warn }, &event);
}

/// A login whose latest state could not be stored (F7), until it is stored: then this is dropped.
pub(crate) struct Unsaved(());

impl Unsaved {
    pub(crate) fn new() -> Unsaved {
        FAILING.fetch_add(1, Ordering::SeqCst);
        tell();
        Unsaved(())
    }
}

impl Drop for Unsaved {
    fn drop(&mut self) {
        FAILING.fetch_sub(1, Ordering::SeqCst);
        tell();
        trace::emit(Level::Info, &Event { message: "token store caught up", ..Event::default() });
    }
}

impl fmt::Debug for Unsaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unsaved")
    }
}

fn tell() {
    tell_last(|| FAILING.load(Ordering::SeqCst), |failing| meter::set(metric::STORE_FAILING, &[], failing as f64));
}

/// Tells a number until what was told is still so: of two that tell at once, the one that comes last may know less.
fn tell_last(number: impl Fn() -> u64, tell: impl Fn(u64)) {
    let mut told = number();
    loop {
        tell(told);
        match number() {
            now if now == told => return,
            now => told = now,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// F7: the gauge does not stay at a number that was overtaken while it was told.
    #[test]
    fn what_was_overtaken_is_told_anew() {
        let (number, told) = (Cell::new(2), RefCell::new(Vec::new()));
        tell_last(
            || number.get(),
            |now| {
                told.borrow_mut().push(now);
                number.set(1);
            },
        );
        assert_eq!(told.into_inner(), [2, 1]);
    }
}
