//! What benchmarks in guests report, and the arithmetic behind it.
#![forbid(unsafe_code)]

mod comparison;
mod failure;
mod median;

pub use comparison::{Access, Comparison};
pub use failure::Failure;
pub use median::Median;
