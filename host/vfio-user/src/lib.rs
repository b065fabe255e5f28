//! The device for stock QEMU (10.1 and later) and Cloud Hypervisor: a process
//! that serves it to one VM, by the vfio-user protocol.
#![forbid(unsafe_code)]
// No value from a guest may panic.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod client;
mod clients;
mod ending;
mod endpoint;
mod error;
mod guard;
mod held;
mod maps;
mod sandbox;
mod search;
mod serve;
mod shared;

pub use endpoint::Endpoint;
pub use error::Error;
pub use guard::{Guarding, guard};
pub use sandbox::{FEATURES_POLICY, POLICY};
pub use search::LinkOptions;
pub use serve::{Options, serve};
pub use shared::Shared;
