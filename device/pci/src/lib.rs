//! PCI type-0 configuration space: registers with an explicit write mask per
//! bit, base address registers, a capability list, and what lies behind a BAR.
//!
//! The crate knows no device and no hypervisor. It does no I/O, takes no
//! locks, and allocates only while a [`ConfigSpace`] is built.
//!
//! Sources: PCI Local Bus 3.0 chapter 6 ("PCI 3.0" below), PCI Express Base
//! 4.0 section 7.5 ("PCIe 4.0").
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

pub mod capability;

mod areas;
mod bar;
mod changes;
mod config_space;
mod dword;
mod header;
mod id;
mod register;

pub use areas::{Area, AreaKind, Areas, Refused, Rule, Written};
pub use bar::{BarSize, InvalidBarSize, MemoryBar};
pub use changes::Changes;
pub use config_space::{ConfigSpace, RestoreError, SIZE};
pub use dword::DwordWrite;
pub use header::{Command, Header, offset};
pub use id::{InvalidPciId, InvalidSlot, PciId, Slot};
pub use register::ConfigRegister;
