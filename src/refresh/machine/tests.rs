//! The rules, said as what happens when; then the same rules as properties over any sequence of events.

use std::time::{Instant, SystemTime};

use proptest::prelude::*;

use super::*;

const S: Duration = Duration::from_secs(1);

/// A machine with a time that is set by hand.
struct Bench {
    machine: Machine,
    now: Moment,
    issued: u32,
}

impl Bench {
    fn new() -> Bench {
        Bench::with(RefreshConfig::new())
    }

    fn with(config: RefreshConfig) -> Bench {
        let now = Moment { mono: Instant::now(), wall: SystemTime::now() };
        Bench { machine: Machine::new(config.seed(7)), now, issued: 0 }
    }

    fn pass(&mut self, time: Duration) -> &mut Self {
        self.now = Moment { mono: self.now.mono + time, wall: self.now.wall + time };
        self
    }

    /// What the driver would do now; the sleep is not slept.
    fn step(&mut self) -> Step {
        self.machine.step(self.now)
    }

    /// Expects a fetch to start now.
    fn starts(&mut self) -> (FetchReason, u32, Option<u64>) {
        match self.step() {
            Step::Fetch { reason, attempt, previous } => (reason, attempt, previous.map(|token| token.generation())),
            _ => panic!("no fetch started"),
        }
    }

    fn idles(&mut self) -> bool {
        matches!(self.step(), Step::Sleep(_) | Step::Park)
    }

    fn succeeds(&mut self, life: Option<Duration>) -> AccessToken {
        self.issued += 1;
        let token = AccessToken::new(format!("secret-{}", self.issued)).unwrap();
        let token = life.map_or(token.clone(), |life| token.expires_in(life));
        self.finishes(Ok(token)).unwrap()
    }

    /// What the waiters of a failing attempt get.
    fn fails(&mut self) -> Result<AccessToken, TokenError> {
        self.finishes(Err(TokenError::transient("no")))
    }

    fn finishes(&mut self, result: Result<AccessToken, TokenError>) -> Result<AccessToken, TokenError> {
        self.machine.finish(self.now, result).expect("an attempt was in flight, and is published")
    }

    fn ask(&mut self, ask: Ask) -> Reply {
        self.machine.ask(self.now, ask)
    }

    fn gets(&mut self) -> Option<u64> {
        match self.ask(Ask::Token { replayable: true }) {
            Reply::Token(token) => Some(token.generation()),
            _ => None,
        }
    }

    fn rejected(&mut self, generation: u64) -> Reply {
        self.ask(Ask::NewerThan(generation))
    }

    fn open(&self) -> u64 {
        self.machine.open_generation(self.now)
    }

    /// A machine whose first token lives for `life`.
    fn fresh(life: Option<Duration>) -> Bench {
        let mut bench = Bench::new();
        assert_eq!(bench.starts(), (FetchReason::First, 1, None));
        bench.succeeds(life);
        bench
    }
}

#[test]
fn the_first_token_is_published_and_opens_the_fast_path() {
    let mut bench = Bench::fresh(Some(3600 * S));
    assert_eq!((bench.gets(), bench.open()), (Some(1), 1));
    assert!(bench.idles());
}

#[test]
fn a_refresh_is_due_within_its_window() {
    let mut bench = Bench::fresh(Some(3600 * S));
    assert!(bench.pass(2879 * S).idles());
    assert_eq!(bench.pass(361 * S).starts(), (FetchReason::Expiring, 1, Some(1)));
    assert_eq!(bench.open(), 1, "the old token serves without asking meanwhile");
    bench.succeeds(Some(3600 * S));
    assert_eq!((bench.gets(), bench.open()), (Some(2), 2));
}

/// E3: a failed refresh is invisible while the token is valid, and an error only then.
#[test]
fn a_failed_refresh_never_hides_a_valid_token() {
    let mut bench = Bench::fresh(Some(100 * S));
    bench.pass(90 * S).starts();
    assert_eq!(bench.fails().unwrap().generation(), 1, "who waited gets what is valid");
    assert_eq!((bench.gets(), bench.open()), (Some(1), 1));
    bench.pass(10 * S).starts();
    assert!(matches!(bench.ask(Ask::Token { replayable: true }), Reply::Wait), "expired: the attempt is waited for");
    assert_eq!(bench.fails().unwrap_err().kind(), ErrorKind::Transient);
    assert!(matches!(bench.ask(Ask::Token { replayable: true }), Reply::Failed(_)));
}

/// E12: while backing off, callers neither wait nor start a fetch, and learn when the next one is.
#[test]
fn callers_fail_at_once_while_backing_off() {
    let mut bench = Bench::new();
    bench.starts();
    bench.fails().unwrap_err();
    let Reply::Failed(error) = bench.ask(Ask::Token { replayable: true }) else { panic!("it does not fail at once") };
    let delay = error.retry_at().unwrap().duration_since(bench.now.wall).unwrap();
    assert!(delay >= S / 2 && delay <= S, "{delay:?}");
    assert!(bench.idles());
    bench.pass(delay);
    assert_eq!(bench.starts(), (FetchReason::First, 2, None));
}

/// E10: credentials that were refused are probed every five minutes, and on `reset`.
#[test]
fn refused_credentials_are_probed_slowly() {
    let mut bench = Bench::new();
    bench.starts();
    bench.finishes(Err(TokenError::refused("no"))).unwrap_err();
    assert!(bench.pass(299 * S).idles());
    bench.pass(S).starts();
    bench.finishes(Err(TokenError::misconfigured("no"))).unwrap_err();
    assert!(bench.idles());
    bench.machine.reset();
    assert_eq!(bench.starts(), (FetchReason::First, 1, None));
}

/// E15: only the current generation can be rejected.
#[test]
fn a_late_rejection_is_answered_with_the_current_token() {
    let mut bench = Bench::fresh(None);
    assert!(matches!(bench.rejected(1), Reply::Wait));
    assert_eq!(bench.starts(), (FetchReason::Rejected, 1, Some(1)));
    bench.succeeds(None);
    let Reply::Token(token) = bench.rejected(1) else { panic!("the current token is there") };
    assert_eq!(token.generation(), 2);
    assert!(bench.idles(), "a superseded generation costs no fetch");
    bench.machine.reject(bench.now, 99);
    assert!(bench.idles(), "a generation that never was costs no fetch");
}

#[test]
fn a_rejected_token_serves_others_until_its_successor_is_there() {
    let mut bench = Bench::fresh(Some(3600 * S));
    bench.pass(20 * S).rejected(1);
    assert_eq!(bench.open(), 0, "the fast path is off, so that who cannot be replayed waits a moment");
    assert_eq!(bench.gets(), Some(1));
    assert!(matches!(bench.ask(Ask::Token { replayable: false }), Reply::Soon(_)));
    bench.starts();
    bench.fails().unwrap_err();
    assert_eq!((bench.gets(), bench.open()), (Some(1), 1), "no successor is on its way: back to the fast path");
    assert!(matches!(bench.rejected(1), Reply::Failed(_)), "in the back-off a 401 is handed back at once");
}

/// R2: an endpoint that refuses every token costs a few fetches a minute.
#[test]
fn tokens_rejected_young_are_backed_off() {
    let mut bench = Bench::fresh(Some(86400 * S));
    let mut fetches = 0;
    for _ in 0..600_000 {
        bench.pass(S / 1000);
        let generation = bench.machine.published().unwrap().generation();
        bench.rejected(generation);
        if let Step::Fetch { .. } = bench.step() {
            fetches += 1;
            bench.succeeds(Some(86400 * S));
        }
    }
    assert!((7..=26).contains(&fetches), "{fetches} in ten minutes at a thousand 401s a second");
}

#[test]
fn a_generation_that_outlives_its_youth_ends_that_back_off() {
    let mut bench = Bench::fresh(Some(86400 * S));
    bench.rejected(1);
    bench.starts();
    bench.succeeds(Some(86400 * S));
    assert!(matches!(bench.rejected(2), Reply::Failed(_)), "two young ones in a row");
    bench.pass(S).starts();
    bench.succeeds(Some(86400 * S));
    bench.pass(11 * S);
    assert!(matches!(bench.rejected(3), Reply::Wait), "this one has served");
    bench.starts();
}

#[test]
fn the_same_secret_keeps_its_generation() {
    let mut bench = Bench::fresh(Some(100 * S));
    let same = || AccessToken::new("secret-1").unwrap();
    bench.pass(90 * S).starts();
    assert_eq!(bench.finishes(Ok(same().expires_in(100 * S))).unwrap().generation(), 1);
    assert_eq!(bench.pass(50 * S).gets(), Some(1), "its expiry has moved");
    bench.rejected(1);
    bench.starts();
    assert_eq!(bench.finishes(Ok(same())).unwrap_err().kind(), ErrorKind::Transient);
    assert_eq!(bench.gets(), Some(1));
}

/// A server that hands out the same token until it is nearly spent is asked ever later, not in a loop.
#[test]
fn each_fetch_is_timed_on_what_is_left() {
    let mut bench = Bench::fresh(Some(3600 * S));
    let (end, mut fetches) = (bench.now.mono + 3600 * S, 0);
    while bench.now.mono < end {
        match bench.step() {
            Step::Fetch { .. } => {
                fetches += 1;
                let left = end - bench.now.mono;
                bench.finishes(Ok(AccessToken::new("secret-1").unwrap().expires_in(left))).unwrap();
            }
            Step::Sleep(wait) => drop(bench.pass(wait)),
            _ => panic!("a token with a life is never parked"),
        }
    }
    assert!((3..20).contains(&fetches), "{fetches}");
}

/// E8: expired tokens make no busy loop, and whoever waited gets one.
#[test]
fn a_token_without_life_is_handed_to_its_waiters_only() {
    let mut bench = Bench::new();
    let (start, mut fetches) = (bench.now.mono, 0);
    while bench.now.mono < start + 60 * S {
        match bench.step() {
            Step::Fetch { .. } => {
                fetches += 1;
                assert!(bench.succeeds(Some(Duration::ZERO)).generation() > 0);
                assert!(matches!(bench.ask(Ask::Token { replayable: true }), Reply::Failed(_)), "nobody after them");
            }
            Step::Sleep(wait) => drop(bench.pass(wait)),
            _ => panic!("it goes on trying"),
        }
    }
    assert!((6..=9).contains(&fetches), "{fetches} in a minute");
}

#[test]
fn an_absolute_expiry_in_the_past_is_a_transient_error() {
    let mut bench = Bench::new();
    bench.starts();
    let stale = AccessToken::new("t").unwrap().expires_at(bench.now.wall - S);
    assert_eq!(bench.finishes(Ok(stale)).unwrap_err().kind(), ErrorKind::Transient);
}

#[test]
fn in_the_last_margin_callers_wait_for_an_attempt_in_flight() {
    let mut bench = Bench::fresh(Some(100 * S));
    bench.pass(90 * S).starts();
    assert_eq!(bench.gets(), Some(1), "not yet");
    bench.pass(5 * S);
    assert_eq!(bench.open(), 0);
    assert!(matches!(bench.ask(Ask::Token { replayable: true }), Reply::Soon(_)));
    bench.fails().unwrap();
    assert_eq!(bench.gets(), Some(1), "there is nothing to wait for");
}

/// E13, E14: expired if either clock says so; a clock that is set back changes nothing.
#[test]
fn either_clock_expires_a_token() {
    let mut bench = Bench::fresh(Some(3600 * S));
    bench.now.wall += 3600 * S;
    assert!(bench.gets().is_none(), "the machine was suspended");
    let mut bench = Bench::fresh(Some(3600 * S));
    bench.now.wall -= 86400 * S;
    assert_eq!(bench.gets(), Some(1));
    bench.now.mono += 3600 * S;
    assert!(bench.gets().is_none());
}

#[test]
fn sleeps_are_sliced() {
    let mut bench = Bench::fresh(Some(86400 * S));
    assert!(matches!(bench.step(), Step::Sleep(slice) if slice == 10 * S));
}

#[test]
fn an_attempt_is_overdue_at_the_fetch_timeout() {
    let mut bench = Bench::new();
    bench.starts();
    bench.pass(29 * S);
    assert!(!bench.machine.overdue(bench.now));
    bench.pass(S);
    assert!(bench.machine.overdue(bench.now));
}

/// L8: single flight holds across a replacement, and what the old source answers is not published.
#[test]
fn a_replaced_sources_attempt_is_finished_and_not_published() {
    let mut bench = Bench::fresh(Some(100 * S));
    bench.pass(90 * S).starts();
    bench.machine.replace_source(false);
    assert!(bench.idles(), "one fetch at a time");
    assert!(bench.machine.finish(bench.now, AccessToken::new("old")).is_none());
    assert_eq!(bench.gets(), Some(1), "the current one goes on serving");
    assert_eq!(bench.starts(), (FetchReason::First, 1, None));
    bench.succeeds(None);
    assert_eq!(bench.gets(), Some(2));
}

#[test]
fn reset_after_a_replacement_still_asks_the_new_source() {
    let mut bench = Bench::fresh(None);
    bench.rejected(1);
    bench.starts();
    bench.machine.replace_source(false);
    bench.machine.reset();
    assert!(bench.machine.finish(bench.now, AccessToken::new("old")).is_none());
    assert_eq!(bench.starts().0, FetchReason::First);
}

#[test]
fn another_identity_drops_the_current_token_at_once() {
    let mut bench = Bench::fresh(None);
    bench.machine.replace_source(true);
    assert_eq!(bench.open(), 0);
    assert!(matches!(bench.ask(Ask::Token { replayable: true }), Reply::Wait));
}

#[test]
fn after_closing_the_token_serves_until_it_expires() {
    let mut bench = Bench::fresh(Some(100 * S));
    bench.machine.close();
    assert!(matches!(bench.step(), Step::End));
    assert_eq!(bench.gets(), Some(1));
    bench.pass(100 * S);
    let Reply::Failed(error) = bench.ask(Ask::Token { replayable: true }) else { panic!("closed") };
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[test]
fn closing_lets_an_attempt_finish() {
    let mut bench = Bench::new();
    bench.starts();
    bench.machine.close();
    assert!(bench.idles());
    bench.succeeds(None);
    assert!(matches!(bench.step(), Step::End));
}

#[test]
fn grace_serves_an_expired_token_through_a_passing_failure_only() {
    let mut bench = Bench::with(RefreshConfig::new().grace(60 * S));
    bench.starts();
    bench.succeeds(Some(100 * S));
    bench.pass(100 * S).starts();
    assert_eq!(bench.fails().unwrap().generation(), 1);
    assert_eq!(bench.gets(), Some(1));
    bench.pass(60 * S);
    assert!(bench.gets().is_none(), "bounded");
    bench.starts();
    bench.finishes(Err(TokenError::refused("no"))).unwrap_err();
    assert!(bench.gets().is_none());
}

/// R2: a good month ends the back-off, not only the rejection of a token that was old.
#[test]
fn strikes_are_forgotten_when_a_generation_outlives_its_youth() {
    let mut bench = Bench::fresh(Some(3600 * S));
    for generation in 1..7 {
        bench.rejected(generation);
        bench.pass(60 * S).starts();
        bench.succeeds(Some(3600 * S));
    }
    bench.pass(3300 * S).starts();
    bench.succeeds(Some(3600 * S));
    bench.rejected(8);
    bench.starts();
    bench.succeeds(Some(3600 * S));
    bench.rejected(9);
    bench.pass(S).starts();
}

/// L8: the new source is asked until it gives a token, however long the old one's would live.
#[test]
fn a_replacement_that_fails_is_asked_again() {
    let mut bench = Bench::fresh(None);
    bench.machine.replace_source(false);
    bench.starts();
    bench.fails().unwrap();
    assert_eq!(bench.pass(S).starts(), (FetchReason::First, 2, None));
    bench.machine.orphan();
    bench.starts();
    bench.succeeds(None);
    assert!(bench.pass(3600 * S).idles());
}

/// The status says when the next attempt comes, and it comes then.
#[test]
fn a_failed_reset_is_tried_again_when_the_status_says_so() {
    let mut bench = Bench::fresh(None);
    bench.machine.reset();
    bench.starts();
    bench.fails().unwrap();
    let next = bench.machine.status(bench.now).next_attempt.unwrap();
    bench.pass(next).starts();
}

/// E3, E8: a successor without life is for who waited; the living token serves on.
#[test]
fn a_dead_successor_does_not_evict_a_living_token() {
    let mut bench = Bench::fresh(Some(3600 * S));
    bench.pass(3300 * S).starts();
    assert_eq!(bench.succeeds(Some(Duration::ZERO)).generation(), 2);
    assert_eq!((bench.gets(), bench.open()), (Some(1), 1));
    assert!(bench.idles(), "and the next one is not asked for at once");
    let Reply::Token(token) = bench.rejected(2) else { panic!("who was refused with it gets the living one") };
    assert_eq!(token.generation(), 1);
    bench.pass(S).starts();
    assert_eq!(bench.succeeds(Some(3600 * S)).generation(), 3, "generations only grow");
}

/// E15: a generation that was superseded long ago rejects nothing.
#[test]
fn only_the_current_generation_can_be_rejected() {
    let mut bench = Bench::fresh(None);
    bench.rejected(1);
    bench.starts();
    bench.succeeds(None);
    for generation in [0, 1, 3, u64::MAX] {
        bench.machine.reject(bench.now, generation);
        assert!(!bench.machine.status(bench.now).rejected, "{generation}");
    }
}

/// E11: a short back-off does not cut a long `Retry-After` short.
#[test]
fn a_gate_that_is_shut_for_long_stays_shut() {
    let mut bench = Bench::fresh(Some(3600 * S));
    bench.rejected(1);
    bench.starts();
    bench.succeeds(Some(3600 * S));
    bench.machine.reset();
    bench.starts();
    bench.finishes(Err(TokenError::transient("busy").retry_after(600 * S))).unwrap();
    assert!(matches!(bench.rejected(2), Reply::Failed(_)), "a second young one: a strike of a second at most");
    assert!(bench.pass(599 * S).idles());
    bench.pass(S).starts();
}

#[test]
fn reset_forgets_failures_strikes_and_the_error() {
    let mut bench = Bench::fresh(Some(3600 * S));
    for generation in 1..5 {
        bench.rejected(generation);
        bench.pass(60 * S).starts();
        bench.succeeds(Some(3600 * S));
    }
    bench.machine.reset();
    bench.starts();
    bench.fails().unwrap();
    bench.machine.reset();
    assert_eq!(bench.machine.status(bench.now).last_error, None);
    assert_eq!(bench.starts().1, 1, "the count of attempts begins anew");
    bench.succeeds(Some(3600 * S));
    let generation = bench.machine.published().unwrap().generation();
    bench.rejected(generation);
    bench.starts();
    bench.succeeds(Some(3600 * S));
    bench.rejected(generation + 1);
    bench.pass(S).starts();
}

/// The same secret again is still the token that took a rejected one's place.
#[test]
fn the_same_secret_keeps_what_it_replaced() {
    let mut bench = Bench::fresh(Some(100 * S));
    bench.rejected(1);
    bench.starts();
    bench.succeeds(Some(100 * S));
    bench.machine.reset();
    bench.starts();
    bench.finishes(Ok(AccessToken::new("secret-2").unwrap().expires_in(100 * S))).unwrap();
    assert!(matches!(bench.rejected(2), Reply::Failed(_)), "a second young one in a row");
}

/// Grace is for when there is nothing to wait for.
#[test]
fn grace_does_not_hide_an_attempt_in_flight() {
    let mut bench = Bench::with(RefreshConfig::new().grace(60 * S));
    bench.starts();
    bench.succeeds(Some(100 * S));
    bench.pass(100 * S).starts();
    bench.fails().unwrap();
    bench.pass(S).starts();
    assert!(matches!(bench.ask(Ask::Token { replayable: true }), Reply::Wait));
}

/// G1, E13: a JWT's own end is a hint when to renew it, if nobody has said how long it lives, and nothing else.
#[cfg(feature = "grant")]
#[test]
fn the_end_of_a_jwt_is_a_hint() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    let refresh = |config: RefreshConfig, left: i64, life: Option<Duration>| {
        let mut bench = Bench::with(config);
        bench.starts();
        let now = bench.now.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{}}}"#, now + left as f64));
        let token = AccessToken::new(format!("e30.{claims}.c2ln")).unwrap();
        let token = life.map_or(token.clone(), |life| token.expires_in(life));
        bench.finishes(Ok(token)).unwrap();
        let current = bench.machine.current.as_ref().unwrap();
        (current.windows.life, current.windows.refresh.map(|refresh| refresh.as_secs()))
    };
    let on = || RefreshConfig::new().jwt_exp_hint(true);
    let (life, at) = refresh(on(), 3600, None);
    assert!(life.is_none() && at.is_some_and(|at| (2880..=3240).contains(&at)), "{at:?}");
    assert_eq!(refresh(RefreshConfig::new(), 3600, None), (None, None), "off by default");
    for left in [-3600, 0, 9] {
        assert_eq!(refresh(on(), left, None), (None, None), "another clock: {left}");
    }
    let (life, at) = refresh(on(), 20, Some(3600 * S));
    assert!(life == Some(3600 * S) && at.is_some_and(|at| at > 2000), "who says how long it lives is believed");
    assert_eq!(refresh(on().default_lifetime(7200 * S), 20, None).0, Some(7200 * S), "the default too");
}

fn idle_bench(idle_after: Duration, life: Duration) -> Bench {
    let mut bench = Bench::with(RefreshConfig::new().idle_after(idle_after));
    bench.starts();
    bench.succeeds(Some(life));
    bench
}

/// The idle option: without a request nothing is renewed, and the next request starts what is due.
#[test]
fn an_idle_engine_renews_nothing_until_somebody_asks() {
    let mut bench = idle_bench(80 * S, 3600 * S);
    for _ in 0..2000 {
        assert!(bench.pass(2 * S).idles());
    }
    assert!(matches!(bench.ask(Ask::Token { replayable: true }), Reply::Wait), "it has expired meanwhile");
    bench.starts();
    bench.succeeds(Some(3600 * S));
    bench.pass(3300 * S).idles();
    assert_eq!(bench.gets(), Some(2), "valid: served at once");
    bench.starts();
}

/// The idle option counts from the last request, seen or not: at least the time given, and an eighth more at most.
#[test]
fn an_engine_is_idle_after_its_quiet_time() {
    for (quiet, renews) in [(79 * S, true), (91 * S, false)] {
        let mut bench = idle_bench(80 * S, 3600 * S);
        let due = bench.machine.current.as_ref().unwrap().windows.refresh.unwrap();
        let (start, mut asked) = (bench.now, 0);
        while start.age(bench.now) + S < due {
            // Requests take the fast path while it is open, and nobody hears them.
            if start.age(bench.now) <= due - quiet && bench.open() == 0 {
                asked += 1;
                assert_eq!(bench.gets(), Some(1));
                assert_eq!(bench.open(), 1, "heard, and open again");
            }
            assert!(bench.idles());
            bench.pass(S);
        }
        assert!((300..=330).contains(&asked), "one lock in an eighth of the quiet time: {asked}");
        assert_eq!(matches!(bench.pass(S).step(), Step::Fetch { .. }), renews, "{quiet:?}");
    }
}

/// The idle option: the driver comes back to shut the fast path, long before anything else is due, and rests after that.
#[test]
fn the_fast_path_is_shut_after_an_eighth_of_the_quiet_time() {
    let mut bench = idle_bench(8 * S, 3600 * S);
    assert!(matches!(bench.step(), Step::Sleep(pause) if pause == S));
    assert_eq!(bench.pass(S).open(), 0);
    assert!(matches!(bench.step(), Step::Sleep(pause) if pause == SLICE));
}

/// The idle option holds back what nobody has asked for, not what somebody has.
#[test]
fn an_idle_engine_does_as_it_is_told() {
    let mut bench = idle_bench(S, 3600 * S);
    bench.pass(100 * S).machine.reset();
    bench.starts();
    bench.fails().unwrap();
    bench.pass(S).starts();
    bench.succeeds(Some(3600 * S));
    bench.pass(100 * S);
    let now = bench.now;
    bench.machine.reject(now, 2);
    bench.starts();
}

/// What may happen to an engine.
#[derive(Clone, Debug)]
enum Event {
    Pass(u64),
    WallStep(i64),
    Ask { replayable: bool },
    Rejected { behind: u64 },
    Succeed { life: Option<u64>, same: bool },
    Fail { terminal: bool, retry_after: Option<u64> },
    Orphan,
    Reset,
    Replace { reject: bool },
    Close,
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0_u64..200_000).prop_map(Event::Pass),
        1 => (-200_000_i64..200_000).prop_map(Event::WallStep),
        4 => any::<bool>().prop_map(|replayable| Event::Ask { replayable }),
        4 => (0_u64..3).prop_map(|behind| Event::Rejected { behind }),
        6 => (prop::option::of(0_u64..100_000), any::<bool>()).prop_map(|(life, same)| Event::Succeed { life, same }),
        3 => (any::<bool>(), prop::option::of(any::<u64>())).prop_map(|(terminal, retry_after)| Event::Fail { terminal, retry_after }),
        1 => Just(Event::Orphan),
        1 => Just(Event::Reset),
        1 => any::<bool>().prop_map(|reject| Event::Replace { reject }),
        1 => prop::bool::weighted(0.1).prop_map(|close| if close { Event::Close } else { Event::Reset }),
    ]
}

/// What an observer knows, kept apart from the machine's own state.
#[derive(Default)]
struct Observer {
    in_flight: bool,
    discard: bool,
    asked: Option<Moment>,
    /// Generation, when it was asked for, its life, its secret.
    valid: Option<(u64, Moment, Option<Duration>, String)>,
    highest: u64,
    rejected: bool,
}

impl Observer {
    fn valid_at(&self, now: Moment) -> Option<u64> {
        let (generation, since, life, _) = self.valid.as_ref()?;
        life.is_none_or(|life| since.age(now) < life).then_some(*generation)
    }
}

fn check(config: RefreshConfig, sequence: Vec<Event>) -> Result<(), TestCaseError> {
    let mut bench = Bench::with(config);
    let mut seen = Observer::default();
    for event in sequence {
        match event {
            Event::Pass(ms) => drop(bench.pass(Duration::from_millis(ms))),
            Event::WallStep(ms) if ms < 0 => bench.now.wall -= Duration::from_millis(ms.unsigned_abs()),
            Event::WallStep(ms) => bench.now.wall += Duration::from_millis(ms.unsigned_abs()),
            Event::Ask { replayable } => {
                let valid = seen.valid_at(bench.now);
                match bench.ask(Ask::Token { replayable }) {
                    // A valid token is never withheld, but for the moment's wait that `Soon` stands for; an expired one is
                    // never handed out.
                    Reply::Token(token) | Reply::Soon(token) => prop_assert_eq!(Some(token.generation()), valid),
                    Reply::Wait | Reply::Failed(_) => prop_assert_eq!(None, valid),
                }
            }
            Event::Rejected { behind } => {
                let generation = seen.highest.saturating_sub(behind);
                let current = seen.valid.as_ref().map(|valid| valid.0);
                match bench.rejected(generation) {
                    // Never the rejected one again.
                    Reply::Token(token) | Reply::Soon(token) => {
                        prop_assert!(token.generation() != generation || Some(generation) != current)
                    }
                    Reply::Wait | Reply::Failed(_) => {}
                }
                seen.rejected |= Some(generation) == current;
            }
            Event::Succeed { life, same } if seen.in_flight => {
                bench.issued += 1;
                let secret = match &seen.valid {
                    Some(valid) if same => valid.3.clone(),
                    _ => format!("secret-{}", bench.issued),
                };
                let life = life.map(Duration::from_millis);
                let token = AccessToken::new(secret.as_str()).unwrap();
                let token = life.map_or(token.clone(), |life| token.expires_in(life));
                let outcome = bench.machine.finish(bench.now, Ok(token));
                seen.in_flight = false;
                prop_assert_eq!(outcome.is_none(), seen.discard, "a replaced source publishes nothing");
                if let Some(Ok(token)) = outcome {
                    let same = seen.valid.as_ref().filter(|valid| valid.3 == secret);
                    let expected = same.map_or(seen.highest + 1, |same| same.0);
                    prop_assert_eq!(token.generation(), expected, "generations grow, and the same secret keeps its own");
                    seen.highest = seen.highest.max(token.generation());
                    let asked = seen.asked.unwrap();
                    let life = life.map(|life| if life < S / 20 { Duration::ZERO } else { life });
                    let dead = life.is_some_and(|life| asked.age(bench.now) >= life);
                    if !dead || seen.rejected || seen.valid_at(bench.now).is_none() {
                        seen.valid = Some((token.generation(), asked, life, secret));
                        seen.rejected = false;
                    }
                }
            }
            Event::Fail { terminal, retry_after } if seen.in_flight => {
                let error = if terminal { TokenError::refused("no") } else { TokenError::transient("no") };
                let error = retry_after.map_or(error.clone(), |secs| error.retry_after(Duration::from_secs(secs)));
                prop_assert_eq!(bench.machine.finish(bench.now, Err(error)).is_none(), seen.discard);
                seen.in_flight = false;
            }
            Event::Orphan => {
                bench.machine.orphan();
                seen.in_flight = false;
            }
            Event::Reset => bench.machine.reset(),
            Event::Replace { reject } => {
                bench.machine.replace_source(reject);
                seen.discard = true;
                if reject {
                    (seen.valid, seen.rejected) = (None, false);
                }
            }
            Event::Close => bench.machine.close(),
            Event::Succeed { .. } | Event::Fail { .. } => {}
        }
        // The driver looks after each event.
        if bench.machine.overdue(bench.now) {
            drop(bench.machine.finish(bench.now, Err(TokenError::new(ErrorKind::Timeout, "slow"))));
            seen.in_flight = false;
        }
        match bench.step() {
            Step::Fetch { previous, .. } => {
                prop_assert!(!seen.in_flight, "one fetch at a time");
                let current = seen.valid.as_ref().map(|valid| valid.0);
                prop_assert!(previous.is_none_or(|token| Some(token.generation()) == current));
                (seen.in_flight, seen.discard, seen.asked) = (true, false, Some(bench.now));
            }
            Step::Sleep(wait) => prop_assert!(!wait.is_zero() && wait <= SLICE, "it neither spins nor oversleeps"),
            Step::Park | Step::End => prop_assert!(!seen.in_flight, "a fetch in flight has a deadline"),
        }
        // The fast path shows the valid token or nothing.
        let open = bench.open();
        prop_assert!(open == 0 || Some(open) == seen.valid_at(bench.now));
        prop_assert_eq!(bench.machine.current(bench.now).map(AccessToken::generation), seen.valid_at(bench.now));
    }
    Ok(())
}

/// `cases`, or as many as `PROPTEST_CASES` says.
fn cases(cases: u32) -> ProptestConfig {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_some() { config } else { ProptestConfig { cases, ..config } }
}

proptest! {
    #![proptest_config(cases(4_000))]

    /// `.ci/run` tries 100,000.
    #[test]
    fn the_rules_hold_for_any_sequence(
        idle_after in prop::option::of(0_u64..300),
        sequence in prop::collection::vec(events(), 1..60),
    ) {
        let config = RefreshConfig::new();
        let config = idle_after.map_or(config.clone(), |idle| config.idle_after(Duration::from_secs(idle)));
        check(config, sequence)?;
    }
}

proptest! {
    #![proptest_config(cases(200))]

    /// E10, E12: in an outage the number of fetches is the schedule's, whatever the rate of requests and of 401s.
    #[test]
    fn an_outage_costs_what_the_schedule_says(gap_ms in 10_u64..5_000, rejecting: bool) {
        let mut bench = Bench::fresh(Some(86400 * S));
        bench.pass(20 * S).rejected(1);
        let (start, mut fetches) = (bench.now.mono, 0);
        while bench.now.mono < start + 600 * S {
            bench.pass(Duration::from_millis(gap_ms));
            if rejecting { bench.rejected(1); } else { bench.gets(); }
            if let Step::Fetch { .. } = bench.step() {
                fetches += 1;
                bench.fails().unwrap_err();
            }
        }
        // 1 + 2 + 4 + 8 + 16 + 32 s, then one a minute, each delay between half and all of that.
        prop_assert!((10..=27).contains(&fetches), "{fetches} fetches");
    }
}
