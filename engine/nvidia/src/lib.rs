//! The engine on an NVIDIA GPU: calls go to the genuine `libcuda.so.1` of the
//! host, which is found at run time. No file, header or binding of NVIDIA's is
//! in this crate: names and types are those of the crate cudarc.
//!
//! The driver is C, and believes what it is told. So each address is checked
//! against the session's own allocations, each handle against its own table,
//! each image against its own length, before the driver sees it. What a kernel
//! reaches is the GPU's affair, and the process's: it serves one program alone.
//!
//! [`Device::open`] does all that loads libraries and opens device nodes, so
//! that a sandbox may follow it; [`Device::engine`] makes the engine when the
//! program has said which addresses it keeps free.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

mod answer;
mod context;
mod device;
mod driver;
mod engine;
mod heap;
mod image;
mod make;
mod open;

pub use device::Device;
pub use engine::NvidiaEngine;
pub use open::{Config, OpenError};
