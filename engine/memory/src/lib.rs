//! Device memory in a process: allocations at addresses of their own, whose
//! words are relaxed atomics, so that kernels that race stay defined, and
//! each access is checked against the allocation that it falls into.
//!
//! Addresses are numbers: nothing of the process lies there. Between two
//! allocations there is a gap, and the addresses of what was freed come back
//! last, so that an access past an end or after a free is found.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

mod allocation;
mod memory;

pub use allocation::Allocation;
pub use memory::{AccessError, AccessErrorKind, AllocError, Memory, View};
