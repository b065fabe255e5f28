//! The device for HVM guests of Xen: an emulator in dom0, which Xen knows as one
//! more ioreq server of the domain, beside that of the untouched QEMU.
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

mod clean_up;
mod deaths;
mod device_model_ops;
mod error;
#[cfg(any(test, feature = "fuzz"))]
#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "the unit tests use more of it than the fuzz targets"
    )
)]
mod fake;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod hypervisor;
mod ioreq_server;
mod kept;
mod layout;
mod machine;
mod mapping;
mod nodes;
mod placement;
mod record;
mod relay;
mod request_loop;
mod run_folder;
mod sandbox;
mod serve;
mod serving_process;
mod supervisor;
#[cfg(test)]
mod tests;
mod xen;

pub use clean_up::clean_up;
pub use error::Error;
pub use kept::{KeptError, Seen, kept_path, seen};
pub use layout::{Options, control_path};
pub use placement::{PlacedDevice, PlacementError};
pub use sandbox::POLICY;
pub use serve::serve;
pub use supervisor::supervise;
