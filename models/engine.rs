// The engine's own sources, as modules of whichever package includes this; `crate::sync` is that package's.
// By `include!`, since rustfmt would follow a path from the package into the crate and stumble there.

#[path = "../src/clock.rs"]
pub mod clock;
#[path = "../src/error.rs"]
pub mod error;
#[path = "../src/observe/mod.rs"]
pub mod observe;
#[path = "../src/refresh/mod.rs"]
pub mod refresh;
#[path = "../src/source/mod.rs"]
pub mod source;
#[path = "../src/token/mod.rs"]
pub mod token;
