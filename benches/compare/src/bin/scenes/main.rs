//! Figures that take a scene: `cargo run --release --bin scenes [client|rotation|burst|growth]`, or all of them.
//!
//! Counts are judged: the program fails if one is not as promised. Times are printed, and are the machine's.

mod burst;
mod client;
mod growth;
mod rotation;
mod server;

use compare::report::machine;
use tower::BoxError;

fn main() -> Result<(), BoxError> {
    println!("{}\n", machine());
    match std::env::args().nth(1).as_deref() {
        Some("client") => client::run(),
        Some("rotation") => rotation::run(),
        Some("burst") => burst::run(),
        Some("growth") => growth::run(),
        None => [client::run, rotation::run, burst::run, growth::run].into_iter().try_for_each(|run| run()),
        Some(_) => Err("scenes [client|rotation|burst|growth]".into()),
    }
}
