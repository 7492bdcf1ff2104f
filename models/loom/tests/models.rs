use tower_token_loom::{rejection, swap};

#[test]
fn a_closed_token_is_never_taken() {
    swap::a_closed_token_is_never_taken();
}

#[test]
fn a_generation_that_is_open_has_its_token() {
    swap::a_generation_that_is_open_has_its_token();
}

#[test]
fn a_rejection_races_with_a_publication() {
    rejection::a_rejection_races_with_a_publication();
}
