//! The parts of this crate that answer a guest, for the fuzz targets: they are
//! private, so what plays Xen for them is here. Each function takes any bytes
//! and panics where something does not hold.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what the fuzzer finds is a panic"
)]

mod ioreq;
mod kept;
mod script;

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::LazyLock;

use rustix::fs::{MemfdFlags, memfd_create};
use vgpu_device::{Device, DeviceConfig, STATE_SIZE};
use vgpu_pci::capability::PortType;
use vgpu_runtime::Log;

pub use ioreq::run as ioreq;
pub use kept::run as kept;

/// Where the devices of the fuzzed domain are.
const SLOTS: [u8; 2] = [0x18, 0x19];

/// The log of all devices here. Nobody reads it.
static LOG: LazyLock<Log> = LazyLock::new(|| Log::start("", std::io::sink()).unwrap());

/// A file in memory, and a path that opens it.
fn memory_file() -> (File, PathBuf) {
    let file = File::from(memfd_create("fuzz", MemfdFlags::CLOEXEC).unwrap());
    let path = format!("/proc/self/fd/{}", file.as_raw_fd()).into();
    (file, path)
}

fn new_device() -> Device {
    Device::new(
        &DeviceConfig::default(),
        PortType::RootComplexIntegratedEndpoint,
    )
}

/// Where a device has said that its BAR0 is.
type Told = Option<Range<u64>>;

/// A device that goes on from this state, if it can.
fn restored(state: &[u8; STATE_SIZE]) -> Option<(Device, Told)> {
    let (mut device, mut told) = (new_device(), None);
    device.restore(state).ok()?.bar0.update(&mut told);
    Some((device, told))
}

fn overlap(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}
