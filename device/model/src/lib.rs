//! The device model: one PCI function with BAR0, as a guest sees it.
//!
//! [`Device`] answers config and BAR0 accesses; what the machine around it has
//! to do about them, it returns as [`Effects`]. It does no I/O, never blocks,
//! has no clock, and allocates only while it is built, so every attachment may
//! call it from the place where a guest waits for the answer. No input of a
//! guest stops it: what the device does not accept is ignored, and
//! [`Refused`] says so.
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

mod bar0;
mod capabilities;
mod config;
mod device;
mod effects;
mod events;
mod features;
mod mailbox;
mod registers;
mod request;
mod state;
mod storage;

pub use config::{Bar0Size, DeviceConfig, InvalidBar0Size};
pub use device::{Device, MailboxInUse};
pub use effects::{BarMapping, Effects};
pub use features::{FeaturesConfig, HostState, InvalidLimit, Limit};
pub use registers::{FeatureRegister, Register};
pub use request::{Request, Task};
pub use state::{FEATURES_STATE_SIZE, RestoreError, STATE_SIZE, saved_config};
pub use vgpu_pci::Refused;
