//! The swap and the rejection, in every order.
//!
//! Under each test stand the breaks of the engine's sources that were tried by hand and made it fail.

use tower_token_loom::{rejection, swap};

/// - `Cell::token` reads the switch first, then the token
/// - `Cell::token` does not compare the generations, only looks whether the switch is on
#[test]
fn a_closed_token_is_never_taken() {
    swap::a_closed_token_is_never_taken();
}

/// - `Cell::set_open` stores with Relaxed
/// - `Cell::generation` loads with Relaxed
/// - `Cell::publish` sets the switch before it swaps the token
#[test]
fn a_generation_that_is_open_has_its_token() {
    swap::a_generation_that_is_open_has_its_token();
}

/// - `Machine::reject` does not compare the generation
/// - `Machine::open_generation` leaves the switch on for a rejected token
/// - `Shared::event` does not wake the driver, wakes it before the event, or does not set the switch
/// - `Shared::finish` publishes after it has unlocked
#[test]
fn a_rejection_races_with_a_publication() {
    rejection::a_rejection_races_with_a_publication();
}
