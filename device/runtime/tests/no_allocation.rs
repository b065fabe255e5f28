//! No access of a guest reaches the allocator, traced or not.

use vgpu_device::{Device, DeviceConfig};
use vgpu_pci::capability::PortType;
use vgpu_runtime::{Emulator, Log};

fn allocations(trace: bool) -> u64 {
    let log = Log::start("", std::io::sink()).unwrap();
    let port = PortType::RootComplexIntegratedEndpoint;
    let device = Device::new(&DeviceConfig::default(), port);
    let emulator = Emulator::new(device, trace, log);
    let measured = allocation_counter::measure(|| {
        let mut data = [0; 8];
        for offset in (0..0x420).step_by(2) {
            // It answers in BAR0, also after a reset.
            let _ = emulator.config_write(0x04, &[2]);
            emulator.bar0_read(offset.into(), &mut data);
            let _ = emulator.bar0_write(offset.into(), &data);
            emulator.config_read(offset, &mut data[..4]);
            // Function level resets among them.
            let _ = emulator.config_write(offset, &[0xff; 4]);
        }
        let _ = emulator.reset();
    });
    measured.count_total
}

#[test]
fn accesses_allocate_nothing() {
    let something = allocation_counter::measure(|| drop(vec![1]));
    assert_eq!(something.count_total, 1, "the counter counts nothing");
    assert_eq!(allocations(false), 0);
    assert_eq!(allocations(true), 0);
}
