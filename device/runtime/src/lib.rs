//! The device as a process of its own serves it: the model with counters, a
//! trace of accesses, a log that never holds anybody up, and the control
//! socket's requests. What the guest reaches it by is the attachment's.
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
mod control;
mod emulator;
mod log;
mod rate;
mod signals;

pub use access::value;
pub use control::Control;
pub use emulator::{Emulator, Keep};
pub use log::Log;
pub use rate::{Limit, Rate};
pub use signals::ending_signals;
