//! When things are due, as pure functions of lifetimes and counts.

use std::time::{Duration, SystemTime};

use crate::{clock::Moment, token::AccessToken};

/// A lifetime beyond this counts as this: nobody's clock is worth trusting for longer, and it keeps sums from overflowing.
const LONGEST_LIFE: Duration = Duration::from_secs(366 * 24 * 3600);
/// A lifetime below this counts as none: renewing such a token in time would be a busy loop.
const SHORTEST_LIFE: Duration = Duration::from_millis(50);
/// A token that says of itself that it ends sooner than this was written by another clock.
const SHORTEST_HINT: Duration = Duration::from_secs(10);
const LONGEST_LEAD: Duration = Duration::from_secs(3600);
const LONGEST_MARGIN: Duration = Duration::from_secs(10);
const LONGEST_FLOOR: Duration = Duration::from_secs(1);
const LONGEST_YOUTH: Duration = Duration::from_secs(10);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// How often credentials that were refused are tried all the same: somebody may have mended them.
const TERMINAL_PROBE: Duration = Duration::from_secs(300);

/// The windows in the life of a token, as offsets from the moment just before it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Windows {
    /// The token is expired from here on. `None`: the source did not say, and no default is set.
    pub(super) life: Option<Duration>,
    /// The background refresh is due from here on.
    pub(super) refresh: Option<Duration>,
}

impl Windows {
    /// The refresh is due at a point drawn uniformly from `[L - lead, L - lead/2]`, lead = min(L/5, 1 h): a fleet that got its
    /// tokens together does not renew them together, and jitter only ever moves the point earlier. A server's own wish for an
    /// earlier refresh takes the place of the window's end. `arrived` is the token's age when it came.
    pub(super) fn new(life: Option<Duration>, hint: Option<Duration>, arrived: Duration, rng: &mut fastrand::Rng) -> Windows {
        let life = life.map(|life| if life < SHORTEST_LIFE { Duration::ZERO } else { life.min(LONGEST_LIFE) });
        let Some(span) = life.or(hint) else { return Windows { life, refresh: None } };
        let lead = lead(span);
        let latest = life.map_or(span, |life| life - lead / 2).min(hint.unwrap_or(Duration::MAX));
        let drawn = draw(latest.saturating_sub(lead / 2), latest, rng);
        // The floor, counted from the success: a server that wishes for a refresh "now" makes no busy loop.
        let floor = arrived.saturating_add(life.map_or(LONGEST_FLOOR, |life| (life / 2).min(LONGEST_FLOOR)));
        Windows { life, refresh: Some(drawn.max(floor).min(life.unwrap_or(Duration::MAX))) }
    }

    /// The hint that a token gives by naming its own end: a refresh as early as if that were its lifetime.
    pub(super) fn hint_of(end: SystemTime, asked: Moment) -> Option<Duration> {
        let life = end.duration_since(asked.wall).ok().filter(|life| *life >= SHORTEST_HINT)?;
        Some(life - lead(life) / 2)
    }

    pub(super) fn expired(&self, age: Duration) -> bool {
        self.life.is_some_and(|life| age >= life)
    }

    /// Where the last stretch begins in which callers wait a moment for an attempt in flight: min(10 s, L/20) before the end.
    pub(super) fn margin(&self) -> Option<Duration> {
        self.life.map(|life| life - (life / 20).min(LONGEST_MARGIN))
    }

    /// A token rejected before this age tells more about the endpoint than about the token.
    pub(super) fn youth(&self) -> Duration {
        self.life.map_or(LONGEST_YOUTH, |life| (life / 4).min(LONGEST_YOUTH))
    }
}

/// How long a token lives from `asked` on, or `None` if nobody knows; an absolute expiry that has passed is an error.
pub(super) fn lifetime(
    token: &AccessToken,
    asked: Moment,
    now: SystemTime,
    default: Option<Duration>,
) -> Result<Option<Duration>, AlreadyExpired> {
    let absolute = match token.expiry() {
        Some(at) if at <= now => return Err(AlreadyExpired),
        // A wall clock that was set back since may put `asked` behind the expiry; then count from now.
        Some(at) => Some(at.duration_since(asked.wall).or_else(|_| at.duration_since(now)).unwrap_or_default()),
        None => None,
    };
    let stated = match (token.lifetime(), absolute) {
        (Some(relative), Some(absolute)) => Some(relative.min(absolute)),
        (relative, absolute) => relative.or(absolute),
    };
    Ok(stated.or(default))
}

/// The token came with an absolute expiry that has passed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AlreadyExpired;

/// The delay after `failures` failures in a row, the first being 1: uniform in `[d/2, d]`, d = 1, 2, 4 … 60 s.
pub(super) fn back_off(failures: u32, rng: &mut fastrand::Rng) -> Duration {
    let full = Duration::from_secs(1 << failures.saturating_sub(1).min(6)).min(LONGEST_BACK_OFF);
    draw(full / 2, full, rng)
}

/// The delay after a failure: the back-off, or the slow probe where only a person can help, and never less than the server
/// asked for, within an hour.
pub(super) fn delay(failures: u32, terminal: bool, hint: Option<Duration>, rng: &mut fastrand::Rng) -> Duration {
    let own = if terminal { TERMINAL_PROBE } else { back_off(failures, rng) };
    own.max(hint.unwrap_or_default().min(LONGEST_RETRY_AFTER))
}

fn lead(life: Duration) -> Duration {
    (life / 5).min(LONGEST_LEAD)
}

fn draw(from: Duration, to: Duration, rng: &mut fastrand::Rng) -> Duration {
    from + to.saturating_sub(from).mul_f64(rng.f64())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn rng() -> fastrand::Rng {
        fastrand::Rng::with_seed(7)
    }

    /// E2, E4: the window scales with the lifetime, and jitter stays inside it.
    #[test]
    fn refresh_is_drawn_from_the_lead() {
        for (life, earliest, latest) in [
            (S, S * 4 / 5, S * 9 / 10),
            (30 * S, 24 * S, 27 * S),
            (3600 * S, 2880 * S, 3240 * S),
            (86400 * S, 82800 * S, 84600 * S),
        ] {
            let (mut low, mut high) = (Duration::MAX, Duration::ZERO);
            let mut rng = rng();
            for _ in 0..1000 {
                let at = Windows::new(Some(life), None, Duration::ZERO, &mut rng).refresh.unwrap();
                assert!((earliest..=latest).contains(&at), "{life:?}: {at:?}");
                (low, high) = (low.min(at), high.max(at));
            }
            // The draw fills its window: a constant would pass the check above.
            assert!(high - low > (latest - earliest) * 9 / 10, "{life:?}: {low:?}..{high:?}");
        }
    }

    #[test]
    fn a_servers_wish_moves_the_refresh_earlier_only() {
        for (life, hint, latest) in [(3600, 1800, 1800), (3600, 7200, 3240), (3600, 3600, 3240)] {
            let at = Windows::new(Some(life * S), Some(hint * S), Duration::ZERO, &mut rng()).refresh.unwrap();
            assert!(at <= latest * S && at >= latest * S - life * S / 5, "{life} {hint}: {at:?}");
        }
        assert!(Windows::new(None, Some(600 * S), Duration::ZERO, &mut rng()).refresh.unwrap() <= 600 * S);
    }

    /// E8: counted from when the token came, however long the exchange took; but a token that has expired is always due.
    #[test]
    fn the_floor_counts_from_the_success() {
        let at = Windows::new(Some(60 * S), Some(Duration::ZERO), 10 * S, &mut rng()).refresh.unwrap();
        assert_eq!(at, 11 * S);
        assert_eq!(Windows::new(Some(10 * S), None, 10 * S, &mut rng()).refresh, Some(10 * S));
    }

    /// E8: even a server that wishes for a refresh at once gets no busy loop.
    #[test]
    fn the_floor_holds() {
        assert!(Windows::new(Some(3600 * S), Some(Duration::ZERO), Duration::ZERO, &mut rng()).refresh.unwrap() >= S);
        assert!(Windows::new(None, Some(Duration::ZERO), Duration::ZERO, &mut rng()).refresh.unwrap() >= S);
        assert!(Windows::new(Some(S / 10), None, Duration::ZERO, &mut rng()).refresh.unwrap() >= S / 20);
    }

    #[test]
    fn margin_and_youth_scale_with_the_lifetime() {
        for (life, margin, youth) in
            [(S, S / 20, S / 4), (30 * S, S * 3 / 2, S * 15 / 2), (3600 * S, 10 * S, 10 * S), (86400 * S, 10 * S, 10 * S)]
        {
            let windows = Windows::new(Some(life), None, Duration::ZERO, &mut rng());
            assert_eq!((windows.margin(), windows.youth()), (Some(life - margin), youth), "{life:?}");
        }
        assert_eq!(Windows::new(None, None, Duration::ZERO, &mut rng()).youth(), 10 * S);
    }

    /// E10, E11: d = 1, 2, 4 … 60 s, each uniform in [d/2, d]; a server's wish is obeyed within an hour.
    #[test]
    fn back_off_table() {
        for (failures, full) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (8, 60), (u32::MAX, 60)] {
            for _ in 0..100 {
                let delay = back_off(failures, &mut rng());
                assert!(delay >= full * S / 2 && delay <= full * S, "{failures}: {delay:?}");
            }
        }
        assert_eq!(delay(1, true, None, &mut rng()), 300 * S);
        assert_eq!(delay(1, false, Some(40 * S), &mut rng()), 40 * S);
        assert_eq!(delay(1, false, Some(Duration::MAX), &mut rng()), 3600 * S);
        assert!(delay(7, false, Some(S), &mut rng()) >= 30 * S);
    }

    #[test]
    fn an_absolute_expiry_counts_from_the_request() {
        let wall = SystemTime::now();
        let asked = Moment { mono: Instant::now(), wall };
        let token = AccessToken::new("t").unwrap();
        let now = wall + 5 * S;
        assert_eq!(lifetime(&token, asked, now, None), Ok(None));
        assert_eq!(lifetime(&token, asked, now, Some(60 * S)), Ok(Some(60 * S)));
        assert_eq!(lifetime(&token.clone().expires_at(wall + 90 * S), asked, now, None), Ok(Some(90 * S)));
        assert_eq!(lifetime(&token.clone().expires_at(wall + 90 * S).expires_in(30 * S), asked, now, None), Ok(Some(30 * S)));
        assert_eq!(lifetime(&token.clone().expires_at(wall + 4 * S), asked, now, None), Err(AlreadyExpired));
        let forever = Windows::new(Some(Duration::MAX), None, Duration::ZERO, &mut rng());
        assert_eq!(forever.life, Some(LONGEST_LIFE));
    }

    proptest! {
        /// E8, H8, X8: every lifetime and every wish is defined, and a token with a life is usable before its refresh is due.
        #[test]
        fn every_lifetime_is_defined(
            life in prop::option::of(any::<u64>()), millis: bool,
            hint in prop::option::of(any::<u64>()), arrived: u64, seed: u64,
        ) {
            let life = life.map(if millis { Duration::from_millis } else { Duration::from_nanos });
            let windows =
                Windows::new(life, hint.map(Duration::from_secs), Duration::from_secs(arrived), &mut fastrand::Rng::with_seed(seed));
            prop_assert_eq!(windows.refresh.is_some(), life.is_some() || hint.is_some());
            if let (Some(given), Some(life), Some(refresh)) = (life, windows.life, windows.refresh) {
                prop_assert!(refresh <= life);
                prop_assert!(life == given || given < SHORTEST_LIFE || given > LONGEST_LIFE);
                prop_assert!(life.is_zero() || refresh >= life.min(LONGEST_FLOOR) / 2, "the floor");
                prop_assert!(windows.margin().is_some_and(|margin| margin <= life));
            }
        }
    }
}
