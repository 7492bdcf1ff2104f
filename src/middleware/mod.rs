//! How does a token ride on a request, and what happens on a 401?

mod challenge;
mod origin;

pub use challenge::Challenge;
pub use origin::Origins;
