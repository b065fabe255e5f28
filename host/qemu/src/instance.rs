//! What C holds of a device.

use vgpu_device::Device;

/// One device, and how many accesses to BAR0 it refused since it was made.
#[derive(Debug)]
pub struct VgpuDevice {
    pub(crate) device: Device,
    pub(crate) refused_reads: u64,
    pub(crate) refused_writes: u64,
}
