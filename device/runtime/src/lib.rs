//! The device as a process of its own serves it: the model with counters, a
//! trace of accesses, and a log that never holds anybody up. What the guest
//! reaches it by is the attachment's.
#![forbid(unsafe_code)]
// No value from a guest may panic.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

mod access;
mod counters;
mod emulator;
mod log;
mod rate;
mod signals;

pub use access::value;
pub use counters::Counters;
pub use emulator::{Emulator, Keep};
pub use log::Log;
pub use rate::{Limit, Rate};
pub use signals::ending_signals;
