//! What benchmarks in guests report, and the arithmetic behind it.
#![forbid(unsafe_code)]

mod comparison;
mod median;

pub use comparison::{Access, Comparison};
pub use median::Median;
