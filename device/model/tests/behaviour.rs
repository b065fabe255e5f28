//! BAR0 and the host side of the device.

use vgpu_device::{
    Bar0Size, BarMapping, Device, DeviceConfig, Effects, Refused, Register, RestoreError,
    STATE_SIZE,
};
use vgpu_pci::capability::PortType;
use vgpu_pci::{PciId, RestoreError as Mismatch};

fn device() -> Device {
    Device::new(&DeviceConfig::default(), PortType::Endpoint)
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
            let written = device.bar0_write(offset, size, u64::MAX);
            let read = device.bar0_read(offset, size);
            let (done, stored) = match offset {
                _ if !accepted(offset, size) => (Err(Refused), Err(Refused)),
                0x04 | 0x14..0x20 => (Ok(Effects::default()), Ok(0)),
                _ => (Ok(Effects::default()), Ok(u64::MAX >> (64 - 8 * size))),
            };
            assert_eq!(
                (written, read),
                (done, stored),
                "{size} bytes at {offset:#x}"
            );
        }
    }
}

#[test]
fn a_refused_write_changes_nothing() {
    let mut device = device();
    for offset in (0x20..0x400).step_by(8) {
        let written = device.bar0_write(offset, 8, offset.wrapping_mul(0x0101_0101_0101_0101));
        assert!(written.is_ok());
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
        assert_eq!(device.bar0_write(offset, size, u64::MAX), Err(Refused));
    }
    assert_eq!(device.save(), before);
}

#[test]
fn the_data_region_is_little_endian_storage() {
    let mut device = device();
    assert!(device.bar0_write(0x20, 8, 0x8877_6655_4433_2211).is_ok());
    assert_eq!(device.bar0_read(0x20, 4), Ok(0x4433_2211));
    assert_eq!(device.bar0_read(0x24, 2), Ok(0x6655));
    assert_eq!(device.bar0_read(0x27, 1), Ok(0x88));
    assert!(device.bar0_write(0x3fc, 4, 0xffff_ffff_dead_beef).is_ok());
    assert_eq!(device.bar0_read(0x3f8, 8), Ok(0xdead_beef_0000_0000));
}

#[test]
fn status_is_the_hosts_and_the_other_registers_are_the_guests() {
    let mut device = device();
    for (value, register) in (0x1000..).zip(Register::ALL) {
        assert!(device.bar0_write(register.offset(), 4, value).is_ok());
        let kept = if register == Register::Status {
            0
        } else {
            value
        };
        assert_eq!(u64::from(device.register(register)), kept, "{register:?}");
        assert_eq!(
            device.bar0_read(register.offset(), 4),
            Ok(kept),
            "{register:?}"
        );
    }
    assert_eq!(device.set_status(0xcafe_f00d), Ok(Effects::default()));
    assert_eq!(device.bar0_read(0x04, 4), Ok(0xcafe_f00d));
}

#[test]
fn the_bars_mapping_is_an_effect() {
    let mut device = device();
    let at = |start: u64| BarMapping::At(start..start + 0x1000);
    let writes: [(u16, &[u8], BarMapping); 6] = [
        (0x10, &[0, 0x10, 0xbf, 0xfe], BarMapping::Nowhere),
        (0x04, &[0x02, 0], at(0xfebf_1000)),
        (0x04, &[0x02, 0], BarMapping::Untouched),
        (0x10, &[0, 0x20, 0xbf, 0xfe], at(0xfebf_2000)),
        (0x10, &[0xff; 4], BarMapping::Nowhere),
        (0x3c, &[5], BarMapping::Untouched),
    ];
    for (offset, data, bar0) in writes {
        let effects = Effects {
            bar0,
            ..Effects::default()
        };
        assert_eq!(device.config_write(offset, data), effects, "{offset:#x}");
    }
}

#[test]
fn bus_mastering_is_an_effect() {
    let mut device = device();
    for (command, bus_master) in [(0x04, Some(true)), (0x04, None), (0x00, Some(false))] {
        let effects = device.config_write(0x04, &[command]);
        assert_eq!(effects.bus_master, bus_master);
    }
}

#[test]
fn function_level_reset_is_a_power_on() {
    let mut device = device();
    let fresh = device.save();
    let _ = device.config_write(0x10, &0xfebf_1000u32.to_le_bytes());
    let _ = device.config_write(0x04, &[0x06, 0x01]);
    let _ = device.bar0_write(0x10, 4, 7);
    let _ = device.bar0_write(0x80, 8, 8);
    let _ = device.set_status(9);
    let effects = Effects {
        bar0: BarMapping::Nowhere,
        bus_master: Some(false),
        reset: true,
        ..Effects::default()
    };
    assert_eq!(device.config_write(0x48, &[0x0f, 0x80]), effects);
    assert_eq!(device.save(), fresh);
    assert_eq!(
        device.config_write(0x48, &[0x0f, 0x00]),
        Effects::default(),
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
        let error = device.restore(state).unwrap_err();
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
    assert!(matches!(
        refusal(&mut device, &state),
        RestoreError::Config(Mismatch::Register { offset: 0, .. })
    ));
    state = before;
    state[16 + 256 + 0x1f] = 1;
    assert_eq!(refusal(&mut device, &state), RestoreError::ReservedRegister);
}

#[test]
fn a_restored_bar_is_an_effect() {
    let mut source = device();
    let _ = source.config_write(0x10, &0xfebf_1000u32.to_le_bytes());
    let _ = source.config_write(0x04, &[0x06]);
    let effects = Effects {
        bar0: BarMapping::At(0xfebf_1000..0xfebf_2000),
        bus_master: Some(true),
        ..Effects::default()
    };
    assert_eq!(device().restore(&source.save()), Ok(effects));
}

/// Where capabilities hold something, it is more.
#[test]
fn a_state_says_how_long_it_is() {
    for port_type in [Some(PortType::Endpoint), None] {
        let device = Device::new(&DeviceConfig::default(), port_type);
        assert_eq!(device.state_size(), 1296);
        assert!(device.state_size() <= STATE_SIZE);
    }
    let longer = [device().save().as_slice(), &[0]].concat();
    assert_eq!(device().restore(&longer), Err(RestoreError::Format(1297)));
}

/// The saved form is a promise: version 1 stays readable byte for byte.
#[test]
fn version_1_of_the_state_has_this_layout() {
    let mut device = device();
    let _ = device.set_status(0x4433_2211);
    let state = device.save();
    assert_eq!(state.len(), 1296);
    assert_eq!(&state[..8], b"vgpustub");
    assert_eq!(state[8..16], [1, 0, 0, 0, 0x00, 0x10, 0, 0]);
    assert_eq!(state[16..20], [0xf4, 0x1a, 0x11, 0x11]);
    assert_eq!(state[272..280], [0, 0, 0, 0, 0x11, 0x22, 0x33, 0x44]);
}
