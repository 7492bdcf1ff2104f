use std::time::Duration;

use crate::clock::Moment;

/// The fast path stays open for an eighth of the quiet time at a stretch.
const SHARE: u32 = 8;

/// Whether anybody wants tokens: what the idle option goes by.
///
/// Requests on the fast path tell nobody. So it is shut again and again, and who finds it shut asks, and is heard. An engine
/// therefore stops after its quiet time and up to an eighth more, and the price is a lock, once in each eighth, for who asks.
pub(super) struct Traffic {
    idle_after: Option<Duration>,
    /// When a caller last asked for something.
    heard: Option<Moment>,
}

impl Traffic {
    pub(super) fn new(idle_after: Option<Duration>) -> Traffic {
        Traffic { idle_after, heard: None }
    }

    pub(super) fn hear(&mut self, now: Moment) {
        self.heard = Some(now);
    }

    /// A driver that runs before anybody has asked counts the quiet time from its start.
    pub(super) fn begin(&mut self, now: Moment) {
        self.heard.get_or_insert(now);
    }

    /// Nobody has wanted anything for so long that nothing is renewed any more.
    pub(super) fn is_idle(&self, now: Moment) -> bool {
        self.quiet(now).is_some_and(|(quiet, idle_after)| quiet > idle_after.saturating_add(idle_after / SHARE))
    }

    /// How long the fast path may still be open until somebody has to be heard: `None` without an end, zero from then on.
    pub(super) fn until_deaf(&self, now: Moment) -> Option<Duration> {
        self.quiet(now).map(|(quiet, idle_after)| (idle_after / SHARE).saturating_sub(quiet))
    }

    fn quiet(&self, now: Moment) -> Option<(Duration, Duration)> {
        Some((self.heard?.age(now), self.idle_after?))
    }
}
