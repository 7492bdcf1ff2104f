//! What a request costs under tower-token, against other ways to authenticate one: all in one process, and each as a ratio to
//! the cheapest layer in use, [`REFERENCE`].
//!
//! `README.md` says what is measured, and how. Another package adds cases of its own: it implements [`Case`], or hands a service
//! to [`harness::case`], and calls [`main`] with [`ours`] and its own.

mod args;
mod gate;
mod hand_rolled;
pub mod harness;
mod measure;
mod ours;
pub mod report;
pub mod stats;

use std::{fmt::Display, process::ExitCode, sync::LazyLock};

pub use measure::added_ns;
pub use ours::{BARE, engine, ours};
use tokio::runtime::{Builder, Runtime};

/// The case that all others are divided by: `tower_http::auth::AddAuthorizationLayer::bearer`.
pub const REFERENCE: &str = "tower-http AddAuthorization";

/// One way to authenticate requests.
pub trait Case: Send {
    /// What it is called in tables; unique.
    fn name(&self) -> &'static str;

    /// The name of the case with the same harness and without authentication, whose cost is taken off.
    fn floor(&self) -> &'static str;

    /// Sends so many requests.
    fn run(&mut self, requests: u64);

    /// Of the future of one call, in bytes, if it has a type of its own.
    fn future_size(&self) -> Option<usize>;

    /// The same case for another thread: a clone of the same service.
    fn fork(&self) -> Box<dyn Case>;
}

/// Makes a case when it is wanted: under callgrind, only one of them is.
pub type Make = Box<dyn Fn() -> Box<dyn Case>>;

/// Runs the program: `compare [ir|ns|allocs|throughput|all|gate] [--filter NAME] [--out FILE]`.
pub fn main(cases: Vec<Make>) -> ExitCode {
    match args::run(&cases) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Engines live on it, and tasks under load: two workers.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| must(Builder::new_multi_thread().worker_threads(2).enable_all().build()));
    &RUNTIME
}

/// A case that cannot be set up ends the program: there is nothing to measure then.
///
/// # Panics
///
/// With the error, if there is one.
pub fn must<T, E: Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("a case cannot be set up: {error}"))
}
