//! The channels of a device with features: what its driver asks for by the mailbox, done by a daemon.
//!
//! [`Channels`] takes the model's requests, reads which memory the guest means ([`GuestMemory`]), has the daemon's workers map
//! it ([`Daemon`]), and says what became of it ([`Outcome`]). It knows no socket and no virtual machine monitor, and waits for
//! nobody. The guest believes nothing here to be more than it is: all that it says is checked, once, in a copy.
#![forbid(unsafe_code)]
// No value from a guest or a daemon may panic.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

mod channels;
mod daemon;
mod directory;
mod limits;
mod memory;
mod ranges;
mod table;
mod ways;

pub use channels::Channels;
pub use daemon::{Daemon, Outcome, Way};
pub use limits::Limits;
pub use memory::{Found, GuestMemory, Missing, Shared};
