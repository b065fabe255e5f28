//! What the targets begin with.

use std::os::fd::OwnedFd;
use std::sync::{Arc, LazyLock};

use rustix::event::{EventfdFlags, eventfd};

/// The log of all devices here. Nobody reads it.
pub(super) static LOG: LazyLock<vgpu_runtime::Log> =
    LazyLock::new(|| vgpu_runtime::Log::start("", std::io::sink()).expect("a thread for the log"));

/// A descriptor: what it is matters little.
pub(super) fn event() -> Arc<OwnedFd> {
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    Arc::new(eventfd(0, flags).expect("an eventfd"))
}

/// One of them.
pub(super) static EVENT: LazyLock<Arc<OwnedFd>> = LazyLock::new(event);

/// A device at a port of some type and with a BAR0 of some size, as `choice`
/// says, and what it was chosen to be.
pub(super) fn device(
    choice: u8,
) -> (
    vgpu_device::Device,
    Option<vgpu_pci::capability::PortType>,
    u32,
) {
    use vgpu_device::{Bar0Size, Device, DeviceConfig};
    use vgpu_pci::capability::PortType;

    let port_type = match (choice & 0x80, choice & 1) {
        (0, 0) => Some(PortType::RootComplexIntegratedEndpoint),
        (0, _) => Some(PortType::Endpoint),
        _ => None,
    };
    let bar0_size = 0x1000 << ((choice >> 1) % 13);
    let config = DeviceConfig {
        bar0_size: Bar0Size::try_from(u64::from(bar0_size)).expect("a valid size"),
        ..DeviceConfig::default()
    };
    (Device::new(&config, port_type), port_type, bar0_size)
}
