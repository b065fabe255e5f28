//! The access path never reaches the allocator.

use vgpu_abi::bar0;
use vgpu_device::{Device, DeviceConfig, FeaturesConfig, HostState};
use vgpu_pci::capability::PortType;

fn allocations(features: Option<FeaturesConfig>) -> u64 {
    let config = DeviceConfig {
        features,
        ..DeviceConfig::default()
    };
    let mut device = Device::new(&config, PortType::Endpoint);
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
        match device.save_features() {
            Some(_) => driven(&mut device),
            None => assert!(device.restore(&state).is_ok()),
        }
    });
    info.count_total
}

/// What a driver does, and the host for it: commands of the mailbox, which the device answers and the host, doorbells, losses.
fn driven(device: &mut Device) {
    let _ = device.reset();
    let _ = device.config_write(4, &[6, 0]);
    let _ = device.set_host_state(HostState::Ready, 0);
    for command in 0..0x40 {
        for step in 1..=3 {
            let _ = device.bar0_write(bar0::ACK, 4, 1);
            let _ = device.bar0_write(bar0::DRIVER, 4, step);
        }
        let _ = device.bar0_write(bar0::DATA_OFFSET, 4, 0x20);
        let _ = device.bar0_write(bar0::DATA_LENGTH, 4, 24);
        let effects = device.bar0_write(bar0::COMMAND, 4, command);
        let request = effects.ok().and_then(|effects| effects.request);
        let number = request.map_or(0, |request| request.number);
        for offset in (0..0x1000).step_by(4) {
            let _ = device.bar0_read(offset, 4);
        }
        for channel in 0..256 {
            let _ = device.bar0_write(bar0::DOORBELL + 4 * channel, 4, 1);
        }
        let _ = device.complete(number, Ok(Some(1)));
        let _ = device.channel_lost();
        let _ = device.memory_lost();
    }
}

#[test]
fn accesses_allocate_nothing() {
    assert_eq!(allocations(None), 0);
    assert_eq!(allocations(Some(FeaturesConfig::default())), 0);
}
