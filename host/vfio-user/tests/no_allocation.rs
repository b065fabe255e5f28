//! An access to a device with features that rings nothing, and asks for nothing, does not reach the allocator.

use std::sync::Arc;

use vfio_user_server::{Device as _, RegionIndex};
use vgpu_abi::bar0::{self, DOORBELLS};
use vgpu_abi::features::driver;
use vgpu_device::{Device, DeviceConfig, FeaturesConfig};
use vgpu_pci::capability::PortType;
use vgpu_runtime::{Emulator, Log};
use vgpu_vfio_user::{Endpoint, Shared};

fn endpoint() -> Endpoint {
    let features = FeaturesConfig::default();
    let config = DeviceConfig {
        features: Some(features),
        ..DeviceConfig::default()
    };
    let device = Device::new(&config, PortType::RootComplexIntegratedEndpoint);
    let log = Log::start("", std::io::sink()).unwrap();
    let emulator = Arc::new(Emulator::new(device, false, log));
    let shared = Shared::new(Arc::clone(&emulator), &features, [1; 16]).unwrap();
    Endpoint::new(emulator, Some(Arc::new(shared)))
}

#[test]
fn accesses_that_ring_nothing_allocate_nothing() {
    let something = allocation_counter::measure(|| drop(vec![1]));
    assert_eq!(something.count_total, 1, "the counter counts nothing");
    let mut endpoint = endpoint();
    // Memory decode and bus mastering.
    endpoint.write(RegionIndex::Config, 4, &[6, 0]).unwrap();
    let mut write = |offset: u64, data: &[u8]| {
        endpoint.write(RegionIndex::Bar0, offset, data).unwrap();
    };
    let measured = allocation_counter::measure(|| {
        for step in [driver::PRESENT, driver::SETTLED, driver::RUN] {
            write(bar0::DRIVER, &step.to_le_bytes());
        }
        for offset in (4..bar0::END).step_by(4) {
            if offset != bar0::DRIVER && !DOORBELLS.contains(&offset) {
                write(offset, &[0xff; 4]);
            }
        }
        // Bells of channels that there cannot be, and of one that is not open.
        for channel in [0, 64, 255] {
            write(DOORBELLS.start + 4 * channel, &[1; 4]);
        }
    });
    assert_eq!(measured.count_total, 0);
    let mut data = [0; 4];
    endpoint
        .read(RegionIndex::Bar0, bar0::DRIVER, &mut data)
        .unwrap();
    assert_eq!(u32::from_le_bytes(data), driver::RUN, "it answers");
    let measured = allocation_counter::measure(|| {
        for offset in (0..bar0::END).step_by(4) {
            endpoint.read(RegionIndex::Bar0, offset, &mut data).unwrap();
        }
    });
    assert_eq!(measured.count_total, 0);
}
