use std::fmt;

use tokio::sync::watch;

/// Where calls arrive, are counted, and park while somebody holds them.
#[derive(Debug)]
pub(super) struct Gate {
    arrived: watch::Sender<u64>,
    holds: watch::Sender<usize>,
}

/// Calls that a server keeps waiting, until this is dropped.
///
/// Several holds add up: calls go on when the last one is gone.
#[must_use = "the calls go on as soon as this is dropped"]
pub struct Hold(watch::Sender<usize>);

impl Gate {
    pub(super) fn new() -> Gate {
        Gate { arrived: watch::Sender::new(0), holds: watch::Sender::new(0) }
    }

    /// Counts one call, and keeps it while there is a hold.
    pub(super) async fn enter(&self) {
        // Subscribed before the count is seen: who holds, waits for the count and lets go finds this call released.
        let mut holds = self.holds.subscribe();
        self.arrived.send_modify(|arrived| *arrived += 1);
        // An error means that the sender is gone, and with it whoever could let go.
        let _open = holds.wait_for(|holds| *holds == 0).await.is_ok();
    }

    pub(super) fn hold(&self) -> Hold {
        self.holds.send_modify(|holds| *holds += 1);
        Hold(self.holds.clone())
    }

    pub(super) fn arrived(&self) -> u64 {
        *self.arrived.borrow()
    }

    /// Waits until so many calls have arrived since the start, parked ones included.
    pub(super) async fn reached(&self, count: u64) {
        let _reached = self.arrived.subscribe().wait_for(|arrived| *arrived >= count).await.is_ok();
    }
}

impl Hold {
    /// Lets the calls go on. Dropping it does the same; this says it aloud.
    pub fn release(self) {
        drop(self);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.send_modify(|holds| *holds -= 1);
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio_test::{assert_pending, assert_ready, task::spawn};

    use super::*;

    /// Calls are counted when they arrive, park while there is any hold, and go on when the last is gone.
    #[test]
    fn holds_add_up() {
        let gate = Gate::new();
        assert_ready!(spawn(gate.enter()).poll());

        let (first, second) = (gate.hold(), gate.hold());
        let mut parked = spawn(gate.enter());
        let mut reached = spawn(gate.reached(2));
        assert_pending!(reached.poll());
        assert_pending!(parked.poll());
        assert!(reached.is_woken());
        assert_ready!(reached.poll());
        assert_eq!(gate.arrived(), 2);

        first.release();
        assert_pending!(parked.poll());
        drop(second);
        assert!(parked.is_woken());
        assert_ready!(parked.poll());
    }
}
