//! How does a token ride on a request, and what happens on a 401?

mod origin;

pub use origin::Origins;
