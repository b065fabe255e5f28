//! BAR0 and the host side of the device.

use std::ops::Range;

use vgpu_device::{
    Bar0Size, Device, DeviceConfig, Host, Refused, Register, RestoreError, STATE_SIZE,
};
use vgpu_pci::PciId;
use vgpu_pci::capability::PortType;

fn device() -> Device {
    Device::new(&DeviceConfig::default(), PortType::Endpoint)
}

/// What the device told its host.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Mapped(u8, Option<Range<u64>>),
    BusMaster(bool),
    Interrupt(u16),
    Reset,
}

#[derive(Debug, Default)]
struct Recorder(Vec<Event>);

impl Host for Recorder {
    fn bar_mapped(&mut self, index: u8, range: Option<Range<u64>>) {
        self.0.push(Event::Mapped(index, range));
    }
    fn bus_master(&mut self, enabled: bool) {
        self.0.push(Event::BusMaster(enabled));
    }
    fn interrupt_raised(&mut self, vector: u16) {
        self.0.push(Event::Interrupt(vector));
    }
    fn reset_done(&mut self) {
        self.0.push(Event::Reset);
    }
}

/// What one config write tells the host.
fn told(device: &mut Device, offset: u16, data: &[u8]) -> Vec<Event> {
    let mut recorder = Recorder::default();
    device.config_write(offset, data, &mut recorder);
    recorder.0
}

/// The rules for an access, from the specification of the device.
fn accepted(offset: u64, size: usize) -> bool {
    let aligned = [1, 2, 4, 8].contains(&size) && offset.is_multiple_of(size as u64);
    match offset {
        0x000..0x020 => aligned && size == 4,
        0x020..0x400 => aligned,
        _ => false,
    }
}

#[test]
fn every_access_of_every_size_follows_the_rules() {
    for offset in (0..0x1010).chain([u64::MAX - 7, u64::MAX]) {
        for size in 0..=9 {
            let mut device = device();
            device.bar0_write(offset, size, u64::MAX);
            let read = device.bar0_read(offset, size);
            let refused = u64::from(!accepted(offset, size));
            assert_eq!(
                device.refused(),
                Refused {
                    reads: refused,
                    writes: refused
                },
                "{size} bytes at {offset:#x}"
            );
            let stored = match offset {
                0x04 | 0x14..0x20 => 0,
                _ if refused == 1 => 0,
                _ => u64::MAX >> (64 - 8 * size),
            };
            assert_eq!(read, stored, "{size} bytes at {offset:#x}");
        }
    }
}

#[test]
fn a_refused_write_changes_nothing() {
    let mut device = device();
    for offset in (0x20..0x400).step_by(8) {
        device.bar0_write(offset, 8, offset.wrapping_mul(0x0101_0101_0101_0101));
    }
    let before = device.save();
    for (offset, size) in [
        (0x21, 2),
        (0x22, 4),
        (0x24, 8),
        (0x3fe, 4),
        (0x3ff, 2),
        (2, 4),
        (0, 8),
    ] {
        device.bar0_write(offset, size, u64::MAX);
    }
    assert_eq!(device.save(), before);
    assert_eq!(device.refused().writes, 7);
}

#[test]
fn the_data_region_is_little_endian_storage() {
    let mut device = device();
    device.bar0_write(0x20, 8, 0x8877_6655_4433_2211);
    assert_eq!(device.bar0_read(0x20, 4), 0x4433_2211);
    assert_eq!(device.bar0_read(0x24, 2), 0x6655);
    assert_eq!(device.bar0_read(0x27, 1), 0x88);
    device.bar0_write(0x3fc, 4, 0xffff_ffff_dead_beef);
    assert_eq!(device.bar0_read(0x3f8, 8), 0xdead_beef_0000_0000);
}

#[test]
fn status_is_the_hosts_and_the_other_registers_are_the_guests() {
    let mut device = device();
    for (value, register) in (0x1000..).zip(Register::ALL) {
        device.bar0_write(register.offset(), 4, value);
        let kept = if register == Register::Status {
            0
        } else {
            value
        };
        assert_eq!(u64::from(device.register(register)), kept, "{register:?}");
        assert_eq!(device.bar0_read(register.offset(), 4), kept, "{register:?}");
    }
    device.set_status(0xcafe_f00d);
    assert_eq!(device.bar0_read(0x04, 4), 0xcafe_f00d);
    assert_eq!(device.refused(), Refused::default());
}

#[test]
fn the_host_follows_the_bar() {
    let mut device = device();
    let at = |start: u64| Some(start..start + 0x1000);
    assert_eq!(
        told(&mut device, 0x10, &[0, 0x10, 0xbf, 0xfe]),
        [Event::Mapped(0, None)]
    );
    assert_eq!(
        told(&mut device, 0x04, &[0x02, 0]),
        [Event::Mapped(0, at(0xfebf_1000))]
    );
    assert_eq!(told(&mut device, 0x04, &[0x02, 0]), []);
    assert_eq!(
        told(&mut device, 0x10, &[0, 0x20, 0xbf, 0xfe]),
        [Event::Mapped(0, at(0xfebf_2000))]
    );
    assert_eq!(
        told(&mut device, 0x10, &[0xff; 4]),
        [Event::Mapped(0, None)]
    );
    assert_eq!(told(&mut device, 0x3c, &[5]), []);
}

#[test]
fn the_host_hears_of_bus_mastering() {
    let mut device = device();
    assert_eq!(told(&mut device, 0x04, &[0x04]), [Event::BusMaster(true)]);
    assert_eq!(told(&mut device, 0x04, &[0x04]), []);
    assert_eq!(told(&mut device, 0x04, &[0x00]), [Event::BusMaster(false)]);
}

#[test]
fn function_level_reset_is_a_power_on() {
    let mut device = device();
    let fresh = device.save();
    device.config_write(0x10, &0xfebf_1000u32.to_le_bytes(), &mut ());
    device.config_write(0x04, &[0x06, 0x01], &mut ());
    device.bar0_write(0x10, 4, 7);
    device.bar0_write(0x80, 8, 8);
    device.set_status(9);
    device.bar0_read(0x01, 1);
    assert_eq!(
        told(&mut device, 0x48, &[0x0f, 0x80]),
        [
            Event::Mapped(0, None),
            Event::BusMaster(false),
            Event::Reset
        ]
    );
    assert_eq!(device.save(), fresh);
    assert_eq!(device.refused().reads, 1, "the counters are the host's");
    assert_eq!(
        told(&mut device, 0x48, &[0x0f, 0x00]),
        [],
        "FLR is bit 15 alone"
    );
}

#[test]
fn ids_and_size_are_the_configured_ones() {
    let id = |id| PciId::try_from(id).unwrap();
    let config = DeviceConfig {
        vendor_id: id(0x5853),
        device_id: id(0xc201),
        subsystem_vendor_id: id(0x1234),
        subsystem_id: id(0x5678),
        revision: 0xab,
        bar0_size: Bar0Size::try_from(1 << 20).unwrap(),
        ..DeviceConfig::default()
    };
    let device = Device::new(&config, PortType::Endpoint);
    let mut bytes = [0; 48];
    device.config_read(0, &mut bytes);
    assert_eq!(bytes[..4], [0x53, 0x58, 0x01, 0xc2]);
    assert_eq!(bytes[8..12], [0xab, 0x00, 0x00, 0x12]);
    assert_eq!(bytes[44..], [0x34, 0x12, 0x78, 0x56]);
    assert_eq!(device.bar0_size(), 1 << 20);
}

#[test]
fn a_foreign_state_is_refused_with_its_reason() {
    let mut device = device();
    let before = device.save();
    let refusal = |device: &mut Device, state: &[u8]| {
        let error = device.restore(state, &mut ()).unwrap_err();
        assert_eq!(device.save(), before, "{error}");
        error
    };
    for len in [0, 7, 8, 11, STATE_SIZE - 1] {
        assert_eq!(
            refusal(&mut device, &before[..len]),
            RestoreError::Format(len)
        );
    }
    let mut state = before;
    state[0] = b'V';
    assert_eq!(
        refusal(&mut device, &state),
        RestoreError::Format(STATE_SIZE)
    );
    state = before;
    state[8] = 2;
    assert_eq!(refusal(&mut device, &state), RestoreError::Version(2));
    state = before;
    state[13] = 0x20;
    let (saved, own) = (0x2000, 0x1000);
    assert_eq!(
        refusal(&mut device, &state),
        RestoreError::Bar0Size { saved, own }
    );
    state = before;
    state[16] = 0x53; // the vendor id
    assert!(matches!(refusal(&mut device, &state), RestoreError::Config(e) if e.offset == 0));
    state = before;
    state[16 + 256 + 0x1f] = 1;
    assert_eq!(refusal(&mut device, &state), RestoreError::ReservedRegister);
}

#[test]
fn a_restored_bar_is_told_to_the_host() {
    let mut source = device();
    source.config_write(0x10, &0xfebf_1000u32.to_le_bytes(), &mut ());
    source.config_write(0x04, &[0x06], &mut ());
    let mut recorder = Recorder::default();
    device().restore(&source.save(), &mut recorder).unwrap();
    assert_eq!(
        recorder.0,
        [
            Event::Mapped(0, Some(0xfebf_1000..0xfebf_2000)),
            Event::BusMaster(true)
        ]
    );
}

/// The saved form is a promise: version 1 stays readable byte for byte.
#[test]
fn version_1_of_the_state_has_this_layout() {
    let mut device = device();
    device.set_status(0x4433_2211);
    let state = device.save();
    assert_eq!(state.len(), 1296);
    assert_eq!(&state[..8], b"vgpustub");
    assert_eq!(state[8..16], [1, 0, 0, 0, 0x00, 0x10, 0, 0]);
    assert_eq!(state[16..20], [0xf4, 0x1a, 0x11, 0x11]);
    assert_eq!(state[272..280], [0, 0, 0, 0, 0x11, 0x22, 0x33, 0x44]);
}
