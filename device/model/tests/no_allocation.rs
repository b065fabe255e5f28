//! The access path never reaches the allocator.

use vgpu_device::{Device, DeviceConfig};
use vgpu_pci::capability::PortType;

#[test]
fn accesses_allocate_nothing() {
    let mut device = Device::new(&DeviceConfig::default(), PortType::Endpoint);
    let info = allocation_counter::measure(|| {
        let mut data = [0; 4];
        for offset in 0..0x500u16 {
            device.config_read(offset, &mut data);
            let _ = device.config_write(offset, &[0xff; 4]);
            for size in [1, 2, 4, 8] {
                let _ = device.bar0_read(offset.into(), size);
                let _ = device.bar0_write(offset.into(), size, u64::MAX);
            }
        }
        let _ = device.set_status(1);
        let state = device.save();
        assert!(device.restore(&state).is_ok());
    });
    assert_eq!(info.count_total, 0);
}
