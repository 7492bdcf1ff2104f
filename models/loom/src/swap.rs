//! The cell alone: one thread publishes, two read without a lock.

// The cell once more, as a child of this module: its writer's side is for its parent only.
#[path = "../../../src/refresh/cell.rs"]
mod cell;

use std::sync::Arc;

use loom::thread;

use self::cell::Cell;
use crate::token::AccessToken;

fn token(secret: &str, generation: u64) -> Option<AccessToken> {
    AccessToken::new(secret).ok().map(|token| token.stamped(generation, None))
}

/// A token that is published with the switch off is never taken: neither through the switch of the one before it, nor if it has
/// the same generation as that one, as a token has whose source gave the same secret again.
pub fn a_closed_token_is_never_taken() {
    for generation in [1, 2] {
        loom::model(move || {
            let cell = Arc::new(Cell::default());
            cell.publish(token("open", 1), 1);
            let readers = [(); 2].map(|()| {
                let cell = Arc::clone(&cell);
                thread::spawn(move || assert!(cell.token().is_none_or(|token| token.expose_secret() == "open")))
            });
            if generation == 1 {
                // A successor with the generation of the token that it replaces comes after the switch.
                cell.set_open(0);
            }
            cell.publish(token("closed", generation), 0);
            readers.into_iter().for_each(|reader| reader.join().unwrap());
            assert!(cell.token().is_none());
        });
    }
}

/// Who sees a generation open finds its token or a newer one, and never an older one later on.
pub fn a_generation_that_is_open_has_its_token() {
    loom::model(|| {
        let cell = Arc::new(Cell::default());
        cell.publish(token("a", 1), 1);
        let readers = [(); 2].map(|()| {
            let cell = Arc::clone(&cell);
            thread::spawn(move || {
                let open = cell.generation();
                let found = cell.token().map_or(0, |token| token.generation());
                // Between the two stores there may be nothing to take, but not once the last generation is open.
                assert!(found >= open || (found == 0 && open < 2), "{open} is open, and the token is of {found}");
                if found > 0 {
                    assert!(cell.token().is_none_or(|token| token.generation() >= found));
                }
            })
        });
        cell.publish(token("b", 2), 2);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert_eq!(cell.token().map(|token| token.generation()), Some(2));
    });
}
