//! The engine, with whatever may happen to it at any moment.
//!
//! Under each test stand the breaks of the engine's sources that were tried by hand and made it fail, in 2,000 schedules.

use std::time::Duration;

use shuttle::{
    future::{spawn, yield_now},
    rand::{Rng, thread_rng},
};
use tower_token_shuttle::{
    caller::Caller,
    clock::Clock,
    error::ErrorKind,
    script::Act,
    world::{World, explore, join, over_time},
};

/// Callers wait for the first token, one of them gives up: one fetch serves all, and whoever was woken finds the token in the
/// cell.
///
/// - `Shared::finish` wakes who waits before it publishes, or publishes after it has unlocked
/// - `Machine::accept` does not count the generation up
/// - `drive` does not listen while it parks
#[test]
fn one_fetch_serves_all_who_wait() {
    explore(|| async {
        let world = World::new(None);
        let caller = world.caller(&[Act::Give(0), Act::Give(2), Act::PanicInDrop]);
        let waits = [(); 3].map(|()| {
            let caller = caller.clone();
            spawn(async move {
                assert_eq!(caller.token().await.unwrap().generation(), 1);
                assert!(caller.is_open(), "woken before the token was published");
            })
        });
        let gives_up = spawn({
            let caller = caller.clone();
            async move { caller.cancelled(2).await }
        });
        join(waits).await;
        join([gives_up]).await;
        assert_eq!(world.fetches(), 1);
        drop(caller);
        world.ends().await;
    });
}

/// A failure or a panic reaches all who wait, and nobody waits on.
///
/// - `fetch` does not catch the panic of a poll
#[test]
fn one_failure_reaches_all_who_wait() {
    explore(|| async {
        let world = World::new(None);
        let caller = world.caller(&[Act::Fail, Act::Refuse, Act::PanicAtOnce, Act::PanicLater]);
        let waits = [(); 3].map(|()| {
            let caller = caller.clone();
            spawn(async move {
                let error = caller.token().await.unwrap_err();
                assert!(error.retry_at().is_some() || error.kind() == ErrorKind::Panicked);
                error.kind()
            })
        });
        let gives_up = spawn({
            let caller = caller.clone();
            async move { caller.cancelled(2).await }
        });
        let kinds = join(waits).await;
        join([gives_up]).await;
        assert!(kinds.iter().all(|kind| *kind == kinds[0]));
        assert_eq!(world.fetches(), 1, "the others came in the back-off");
        drop(caller);
        world.ends().await;
    });
}

/// E15: callers hold the same token and are told 401, some at once and some late. Each gets a newer one, and there is one
/// refresh. A rejection that nobody waits for leads to one as well.
///
/// - `Machine::reject` does not compare the generation, or rejects one twice
#[test]
fn one_refresh_follows_a_rejection() {
    explore(|| async {
        let world = World::new(None);
        let caller = world.caller(&[Act::Give(0), Act::Give(2)]);
        caller.token().await.unwrap();
        let waits = [(); 2].map(|()| {
            let caller = caller.clone();
            spawn(async move {
                assert_eq!(caller.newer_than(1).await.unwrap().generation(), 2);
            })
        });
        let tells = spawn({
            let caller = caller.clone();
            async move { caller.handle.reject(1) }
        });
        let reads = spawn({
            let caller = caller.clone();
            async move {
                caller.token().await.unwrap();
                caller.token().await.unwrap();
            }
        });
        join(waits).await;
        join([tells, reads]).await;
        let status = caller.handle.status();
        assert_eq!((world.fetches(), status.generation(), status.rejections(), status.is_rejected()), (2, 2, 1, false));
        drop(caller);
        world.ends().await;
    });
}

/// The engine goes to sleep; a rejection, a reset or another source wakes it, without anybody who waits.
///
/// - `Shared::event` or `Shared::replace_source` does not wake the driver, or wakes it before the event
#[test]
fn the_engine_wakes_by_itself() {
    explore(|| async {
        let world = World::new(None);
        let caller = world.caller(&[Act::Give(0)]);
        caller.token().await.unwrap();
        match thread_rng().gen_range(0..3) {
            0 => caller.handle.reject(1),
            1 => caller.handle.reset(),
            _ => caller.handle.replace_source(world.source(2, &[Act::Give(0)])),
        }
        world.fetched(2).await;
        drop(caller);
        world.ends().await;
    });
}

/// Callers wait for a driver that never runs: a shutdown answers them.
///
/// - `Shared::close` keeps the waiters
#[test]
fn a_shutdown_answers_who_waits_for_nothing() {
    explore(|| async {
        let world = World::new(None);
        let (handle, driver) = world.builder(&[Act::Give(0)]).pair();
        let caller = Caller::new(handle, world.clock.clone());
        let asks = [(); 2].map(|()| {
            let caller = caller.clone();
            spawn(async move { caller.token().await.unwrap_err().kind() })
        });
        caller.handle.shutdown(Duration::MAX).await.unwrap();
        assert_eq!(join(asks).await, [ErrorKind::Closed; 2]);
        drop((caller, driver));
        world.ends().await;
    });
}

/// The source is replaced while callers wait and a fetch of the old one may be in flight: still one fetch at a time, and a
/// token of the old one is never seen again.
///
/// - `Machine::finish` accepts the result of a replaced source
/// - `Shared::replace_source` does not publish
/// - another source is asked at once, beside the fetch in flight
#[test]
fn a_replaced_source_is_gone() {
    explore(|| async {
        let world = World::new(None);
        let caller = world.caller(&[Act::Give(0), Act::Give(2), Act::Fail, Act::PanicLater]);
        let waits = [(); 2].map(|()| {
            let caller = caller.clone();
            spawn(async move {
                let first = caller.token().await;
                let second = caller.token().await;
                assert!(first.is_err() || second.is_ok(), "a replacement keeps the token, or waits for the next one");
            })
        });
        let replaces = spawn({
            let (caller, second, third) =
                (caller.clone(), world.source(2, &[Act::Give(0), Act::Give(1)]), world.source(3, &[Act::Give(1)]));
            async move {
                caller.handle.replace_source(second);
                yield_now().await;
                caller.handle.replace_source_and_reject(third);
                caller.dismissed_before(3);
                assert!(caller.token().await.unwrap().expose_secret().starts_with("3-"));
            }
        });
        let resets = spawn({
            let caller = caller.clone();
            async move { caller.handle.reset() }
        });
        join(waits).await;
        join([replaces, resets]).await;
        drop(caller);
        world.ends().await;
    });
}

/// A shutdown races with callers, a rejection and a reset: each caller is answered, a fetch in flight is finished, and none
/// starts afterwards.
///
/// - `Machine::due` or `Machine::step` takes no notice of the closing
#[test]
fn nothing_starts_after_a_shutdown() {
    explore(|| async {
        let world = World::new(None);
        let caller = world.caller(&[Act::Give(0), Act::Give(2), Act::Fail, Act::PanicAtOnce]);
        let asks = [(); 2].map(|()| {
            let caller = caller.clone();
            spawn(async move {
                if let Ok(token) = caller.token().await {
                    let _newer = caller.newer_than(token.generation()).await;
                }
            })
        });
        let resets = spawn({
            let caller = caller.clone();
            async move { caller.handle.reset() }
        });
        let ends = spawn({
            let (caller, watch) = (caller.clone(), world.watch.clone());
            async move {
                caller.handle.shutdown(Duration::MAX).await.unwrap();
                watch.close();
                let generation = caller.generation();
                match caller.token().await {
                    Ok(token) => assert_eq!(token.generation(), generation, "the last fetch was awaited"),
                    Err(error) => assert_eq!((error.kind(), generation), (ErrorKind::Closed, 0)),
                }
            }
        });
        join(asks).await;
        join([resets, ends]).await;
        // The handle is still there: the task has ended all the same.
        world.clock.tasks_end().await;
        drop(caller);
        world.ends().await;
    });
}

/// The last handle goes while a fetch is due, in flight or done, and others gave up waiting: the task ends by itself.
///
/// - the last handle does not close, or closes without waking the driver
#[test]
fn the_last_handle_takes_the_engine_with_it() {
    explore(|| async {
        let world = World::new(None);
        let caller = world.caller(&[Act::Give(0), Act::Give(3), Act::Fail, Act::PanicLater, Act::PanicInDrop]);
        let leave = [0, 1, 2].map(|polls| {
            let caller = caller.clone();
            spawn(async move { caller.cancelled(polls).await })
        });
        drop(caller);
        join(leave).await;
        world.ends().await;
    });
}

/// The runtime under the engine goes, twice, at any point of a fetch or between two: who waits starts the next task, and the
/// source is not lost.
///
/// - `Shared::vacate` keeps the source or the waiters
/// - `Machine::orphan` keeps the attempt
/// - the first who waits does not wake the driver
#[test]
fn a_killed_engine_starts_again() {
    explore(|| async {
        let world = World::new(None);
        let caller = world.caller(&[Act::Give(0), Act::Give(2), Act::PanicInDrop]);
        let asks = [(); 3].map(|()| {
            let caller = caller.clone();
            spawn(async move {
                let generation = caller.token().await.unwrap().generation();
                caller.newer_than(generation).await.ok();
                caller.token().await.unwrap();
            })
        });
        let kills = spawn({
            let clock = world.clock.clone();
            async move {
                for _ in 0..2 {
                    yield_now().await;
                    clock.kill().await;
                }
            }
        });
        join(asks).await;
        join([kills]).await;
        // Whatever was killed, the next use finds an engine.
        let fetches = world.fetches();
        caller.handle.reset();
        caller.cancelled(1).await;
        world.fetched(fetches + 1).await;
        caller.token().await.unwrap();
        drop(caller);
        world.ends().await;
    });
}

/// The task that is spawned first is refused, as outside a runtime: whoever started it is told, the others go on.
#[test]
fn a_refused_task_is_one_callers_error() {
    explore(|| async {
        let world = World::new(None);
        world.clock.refuse();
        let caller = world.caller(&[Act::Give(0), Act::Give(2)]);
        let asks = [(); 3].map(|()| {
            let caller = caller.clone();
            spawn(async move { caller.token().await.map_err(|error| error.kind()) })
        });
        let refused: Vec<_> = join(asks).await.into_iter().filter_map(Result::err).collect();
        assert_eq!(refused, [ErrorKind::Misconfigured]);
        assert_eq!(caller.token().await.unwrap().generation(), 1);
        drop(caller);
        world.ends().await;
    });
}

/// A driver that the user runs, and drops: callers get what there is, or are told that there will be nothing.
///
/// - `Shared::vacate` leaves the switch on, or leaves the engine of a pair open
#[test]
fn a_pairs_driver_is_the_only_one() {
    explore(|| async {
        let world = World::new(None);
        let (handle, driver) = world.builder(&[Act::Give(0), Act::Give(2)]).pair();
        world.clock.spawn(Box::pin(driver)).unwrap();
        let caller = Caller::new(handle, world.clock.clone());
        let asks = [(); 2].map(|()| {
            let caller = caller.clone();
            spawn(async move {
                match caller.token().await {
                    Ok(token) => drop(caller.newer_than(token.generation()).await),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
                }
            })
        });
        let kills = spawn({
            let clock = world.clock.clone();
            async move { clock.kill().await }
        });
        join([kills]).await;
        world.clock.tasks_end().await;
        world.watch.close();
        join(asks).await;
        assert!(!caller.is_open(), "nobody would shut it in time");
        drop(caller);
        world.ends().await;
    });
}

/// An engine that is idle as soon as it may be, and sooner than its task can look: who asks is answered, and who watches is told.
///
/// - `Shared::step` does not hear who waits
#[test]
fn an_idle_engine_answers_who_asks() {
    explore(|| async {
        let world = World::new(Some(Duration::from_secs(100))).idle_after(Duration::ZERO);
        let clock = world.clock.clone();
        over_time(&clock, async move {
            let caller = world.caller(&[Act::Give(0), Act::Give(1), Act::Give(0)]);
            let mut health = caller.subscribe();
            let watcher = spawn(async move { health.wait_for(|status| status.generation() >= 2).await.map(drop).is_ok() });
            let asks = [(); 2].map(|()| {
                let (caller, clock) = (caller.clone(), world.clock.clone());
                spawn(async move {
                    for _ in 0..3 {
                        caller.token().await.unwrap();
                        clock.sleep(Duration::from_secs(150)).unwrap().await;
                    }
                })
            });
            join(asks).await;
            assert_eq!(join([watcher]).await, [true]);
            drop(caller);
            world.ends().await;
        })
        .await;
    });
}

/// Time passes, and after a while the source gives nothing more: a token is given until it expires, and then no longer, although
/// the fast path looks at no clock.
///
/// - `Machine::open_generation` leaves the switch on in the margin
/// - `Shared::patience` knows no deadline
#[test]
fn an_expired_token_is_not_given() {
    explore(|| async {
        let world = World::new(Some(Duration::from_secs(400)));
        let clock = world.clock.clone();
        over_time(&clock, async move {
            let caller = world.caller(&[Act::Give(0), Act::Give(0), Act::Fail, Act::Refuse, Act::PanicLater, Act::Hang]);
            let asks = [(); 2].map(|()| {
                let (caller, clock) = (caller.clone(), world.clock.clone());
                spawn(async move {
                    for _ in 0..6 {
                        drop(caller.token().await);
                        clock.sleep(Duration::from_secs(100)).unwrap().await;
                    }
                })
            });
            join(asks).await;
            drop(caller);
            world.ends().await;
        })
        .await;
    });
}

/// Everything at once, while time passes: tokens that expire, sources that hang, fail and panic, rejections, resets, another
/// source, killed tasks and callers that give up. Then a shutdown.
#[test]
fn anything_may_happen_at_any_time() {
    const ACTS: &[Act] = &[
        Act::Give(0),
        Act::Give(1),
        Act::Give(2),
        Act::Slow,
        Act::Repeat,
        Act::Fail,
        Act::Refuse,
        Act::PanicAtOnce,
        Act::PanicLater,
        Act::PanicInDrop,
        Act::Hang,
    ];
    explore(|| async {
        let world = World::new(Some(Duration::from_secs(400)));
        let clock = world.clock.clone();
        over_time(&clock, async move {
            let caller = world.caller(ACTS);
            let actors = [(); 3].map(|()| {
                let (caller, clock, source) = (caller.clone(), world.clock.clone(), world.source(1, ACTS));
                spawn(async move {
                    let mut source = Some(source);
                    let mut generation = 0;
                    for _ in 0..3 {
                        match thread_rng().gen_range(0..9) {
                            0 | 1 => {
                                if let Ok(token) = caller.token().await {
                                    generation = token.generation();
                                }
                            }
                            2 => caller.handle.reject(generation),
                            3 => drop(caller.newer_than(generation).await),
                            4 => caller.cancelled(thread_rng().gen_range(0..3)).await,
                            5 => caller.handle.reset(),
                            6 => {
                                if let Some(source) = source.take() {
                                    match thread_rng().gen_range(0..2) {
                                        0 => caller.handle.replace_source(source),
                                        _ => caller.handle.replace_source_and_reject(source),
                                    }
                                }
                            }
                            7 => clock.kill().await,
                            _ => drop(caller.handle.ready(Duration::from_secs(60)).await),
                        }
                    }
                })
            });
            join(actors).await;
            if caller.handle.shutdown(Duration::from_secs(60)).await.is_ok() {
                world.watch.close();
            }
            drop(caller.token().await);
            drop(caller);
            world.ends().await;
        })
        .await;
    });
}
