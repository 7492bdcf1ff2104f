//! Two clocks, and neither to be trusted alone: the monotonic one stands still while a machine sleeps, the other one is set by
//! people and servers.

use std::time::Duration;

use tower_token::{TokenHandle, clock::Clock, testing::ManualClock};

use crate::support::Mint;

const S: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// An engine with a token of an hour, at rest.
async fn engine() -> (ManualClock, Mint, TokenHandle) {
    let (clock, mint) = (ManualClock::new(), Mint::living(HOUR));
    let handle = TokenHandle::builder(mint.source()).clock(clock.clone()).build();
    handle.token().await.unwrap();
    clock.until_sleeping(1).await;
    (clock, mint, handle)
}

/// Lets `slices` of the engine's sleep pass.
async fn pass(clock: &ManualClock, slices: u32) {
    for _ in 0..slices {
        clock.advance(10 * S);
        clock.until_sleeping(1).await;
    }
}

/// E14: a laptop that wakes up finds out within one slice, and nobody is handed the expired token after that.
#[tokio::test]
async fn a_machine_that_was_suspended_renews_within_a_slice() {
    let (clock, mint, handle) = engine().await;
    clock.suspend(8 * HOUR);
    assert!(handle.current().is_none(), "whoever looks at the clock sees it at once");
    let mut health = handle.subscribe();
    clock.advance(10 * S);
    health.wait_for(|status| status.generation() == 2).await.unwrap();
    assert_eq!((handle.token().await.unwrap().expose_secret(), mint.fetches()), ("token-2", 2));
}

/// E13, E14: a wall clock that is set forward expires tokens early, and costs no more than one fetch.
#[tokio::test]
async fn a_wall_clock_that_is_set_forward_costs_one_fetch() {
    let (clock, mint, handle) = engine().await;
    let mut health = handle.subscribe();
    clock.set_wall(clock.wall() + 24 * HOUR);
    clock.advance(10 * S);
    health.wait_for(|status| status.generation() == 2).await.unwrap();
    clock.until_sleeping(1).await;
    pass(&clock, 250).await;
    assert_eq!(mint.fetches(), 2, "the new token counts from the new time");
}

/// E13: a wall clock that is set back does not make a token live longer.
#[tokio::test]
async fn a_wall_clock_that_is_set_back_lengthens_no_life() {
    let (clock, mint, handle) = engine().await;
    clock.set_wall(clock.wall() - 48 * HOUR);
    mint.down(true);
    pass(&clock, 360).await;
    assert!(handle.current().is_none());
    assert!(handle.token().await.is_err());
    mint.down(false);
    while handle.status().generation() < 2 {
        pass(&clock, 1).await;
    }
    assert_eq!(handle.token().await.unwrap().generation(), 2);
}

/// E14: a wall clock that is set forward and back again within a slice changes nothing.
#[tokio::test]
async fn a_wall_clock_that_is_set_and_mended_changes_nothing() {
    let (clock, mint, handle) = engine().await;
    let wall = clock.wall();
    clock.set_wall(wall + 24 * HOUR);
    clock.set_wall(wall);
    pass(&clock, 200).await;
    assert_eq!((mint.fetches(), handle.token().await.unwrap().generation()), (1, 1));
}
