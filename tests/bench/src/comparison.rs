//! Two functions, measured in turn in one run.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::median::Median;

/// What was timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Reads: the CPU waits for each.
    Read,
    /// Writes, and one read after each block, as writes may be posted.
    Write,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
        })
    }
}

/// What `bar0-cost` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// What was timed.
    pub access: Access,
    /// How many accesses a block has.
    pub accesses: u32,
    /// Time of an access to the first function, in nanoseconds: the median of
    /// all blocks. It says little on a machine that does other work.
    pub first_ns: f64,
    /// The same of the second function.
    pub second_ns: f64,
    /// Median of `ratios`. Its interval holds for this run: where the scheduler
    /// puts a thread lasts, and another run may have it elsewhere.
    pub ratio: Median,
    /// For each round, the time of the first function's blocks divided by that
    /// of the second's.
    pub ratios: Vec<f64>,
}
