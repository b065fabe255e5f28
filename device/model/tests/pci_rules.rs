//! Config space against a reference that is written from PCI's rules: any
//! sequence of guest accesses keeps them.

mod reference;

use proptest::prelude::*;
use reference::reference;
use vgpu_device::{Bar0Size, Device, DeviceConfig};
use vgpu_pci::capability::PortType;

fn device(port_type: impl Into<Option<PortType>>, bar0_size: u32) -> Device {
    let config = DeviceConfig {
        bar0_size: Bar0Size::try_from(u64::from(bar0_size)).unwrap(),
        ..DeviceConfig::default()
    };
    Device::new(&config, port_type)
}

fn bytes(device: &Device) -> [u8; 256] {
    let mut bytes = [0; 256];
    device.config_read(0, &mut bytes);
    bytes
}

#[derive(Debug, Clone)]
struct Write {
    offset: u16,
    data: Vec<u8>,
}

impl Write {
    /// Device Control bit 15 written as 1: a device that has it resets.
    fn resets(&self, port_type: Option<PortType>) -> bool {
        port_type.is_some() && self.initiates_reset()
    }

    fn initiates_reset(&self) -> bool {
        (usize::from(self.offset)..)
            .zip(&self.data)
            .any(|(at, byte)| at == 0x49 && byte & 0x80 != 0)
    }
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let data = prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..=8),
        (1usize..=8).prop_map(|len| vec![0xff; len]),
    ];
    let offset = prop_oneof![8 => 0u16..0x80, 1 => any::<u16>()];
    let write = (offset, data).prop_map(|(offset, data)| Write { offset, data });
    proptest::collection::vec(write, 0..24)
}

fn port_types() -> impl Strategy<Value = Option<PortType>> {
    prop_oneof![
        Just(Some(PortType::Endpoint)),
        Just(Some(PortType::RootComplexIntegratedEndpoint)),
        Just(None),
    ]
}

fn bar0_sizes() -> impl Strategy<Value = u32> {
    (12u32..=24).prop_map(|shift| 1 << shift)
}

proptest! {
    /// Each bit is what the reference says: read-only ones never change,
    /// writable ones hold the last write, a reset puts all back.
    #[test]
    fn every_bit_follows_the_reference(
        port_type in port_types(), size in bar0_sizes(), writes in writes(),
    ) {
        let reference = reference(port_type, size);
        let mut device = device(port_type, size);
        let mut expected = reference.map(|byte| byte.reset);
        prop_assert_eq!(bytes(&device), expected);
        for write in writes {
            let _ = device.config_write(write.offset, &write.data);
            for (at, new) in (usize::from(write.offset)..256).zip(&write.data) {
                let writable = reference[at].writable;
                expected[at] = (expected[at] & !writable) | (new & writable);
            }
            if write.resets(port_type) {
                expected = reference.map(|byte| byte.reset);
            }
            prop_assert_eq!(bytes(&device), expected);
        }
    }

    /// What the model tells an attachment about its bits is what they do.
    #[test]
    fn the_write_mask_is_the_reference(port_type in port_types(), size in bar0_sizes()) {
        let mut mask = [0xaa; 256];
        device(port_type, size).config_write_mask(0, &mut mask);
        prop_assert_eq!(mask, reference(port_type, size).map(|byte| byte.writable));
    }

    /// One access of n bytes is n accesses of one byte, at any alignment.
    #[test]
    fn width_does_not_matter(writes in writes(), offset in 0u16..300, len in 0usize..16) {
        let port_type = PortType::Endpoint;
        let (mut whole, mut split) = (device(port_type, 4096), device(port_type, 4096));
        // A reset in the middle of a split write is another access sequence.
        for write in writes.iter().filter(|write| !write.initiates_reset()) {
            let _ = whole.config_write(write.offset, &write.data);
            for (at, byte) in (usize::from(write.offset)..).zip(&write.data) {
                if let Ok(at) = u16::try_from(at) {
                    let _ = split.config_write(at, &[*byte]);
                }
            }
        }
        prop_assert_eq!(bytes(&whole), bytes(&split));
        let mut data = vec![0xaa; len];
        whole.config_read(offset, &mut data);
        for (at, byte) in (offset..).zip(data) {
            let mut one = [0xaa];
            whole.config_read(at, &mut one);
            prop_assert_eq!(byte, one[0]);
        }
    }

    /// Sizing (PCI 3.0 section 6.2.5.1): all-ones reads back the mask of a
    /// power of two, and the address written next reads back as itself.
    #[test]
    fn sizing_yields_the_power_of_two(size in bar0_sizes(), address in any::<u32>()) {
        let mut device = device(PortType::Endpoint, size);
        let mut bar = [0; 4];
        let _ = device.config_write(0x10, &[0xff; 4]);
        device.config_read(0x10, &mut bar);
        prop_assert_eq!((!u32::from_le_bytes(bar)).wrapping_add(1), size);
        let address = address & !(size - 1);
        let _ = device.config_write(0x10, &address.to_le_bytes());
        device.config_read(0x10, &mut bar);
        prop_assert_eq!(u32::from_le_bytes(bar), address);
    }

    /// The list ends, within the space, at aligned offsets, whatever was written.
    #[test]
    fn the_capability_list_terminates(port_type in port_types(), writes in writes()) {
        let mut device = device(port_type, 4096);
        for write in writes {
            let _ = device.config_write(write.offset, &write.data);
        }
        let bytes = bytes(&device);
        let mut seen = Vec::new();
        let mut at = bytes[0x34];
        while at != 0 {
            prop_assert!(at >= 0x40 && at.is_multiple_of(4), "pointer {at:#x}");
            prop_assert!(!seen.contains(&at), "loop at {at:#x}");
            seen.push(at);
            at = bytes[usize::from(at) + 1];
        }
        prop_assert_eq!(seen, port_type.map_or(vec![], |_| vec![0x40]));
    }

    /// A reset leads to the power-on state; a second one changes nothing.
    #[test]
    fn reset_is_idempotent(port_type in port_types(), writes in writes()) {
        let fresh = device(port_type, 4096);
        let mut device = device(port_type, 4096);
        for write in writes {
            let _ = device.config_write(write.offset, &write.data);
            let _ = device.bar0_write(u64::from(write.offset), 4, u64::from(write.data[0]));
        }
        for _ in 0..2 {
            let _ = device.reset();
            prop_assert_eq!(device.save(), fresh.save());
        }
    }

    /// Saved and restored elsewhere, a device goes on as the same device.
    #[test]
    fn state_survives_save_and_restore(port_type in port_types(), writes in writes()) {
        let mut source = device(port_type, 4096);
        for write in writes {
            let _ = source.config_write(write.offset, &write.data);
            let _ = source.bar0_write(u64::from(write.offset), 4, u64::from(write.data[0]));
        }
        let _ = source.set_status(0x600d);
        let mut target = device(port_type, 4096);
        let _ = target.restore(&source.save()).unwrap();
        prop_assert_eq!(bytes(&target), bytes(&source));
        prop_assert_eq!(target.save(), source.save());
    }

    /// Who keeps that part after each write has all of the state.
    #[test]
    fn a_write_changes_the_part_of_the_state_that_it_names(
        accesses in proptest::collection::vec((0u64..0x500, 0usize..=9, any::<u64>()), 1..24)
    ) {
        let mut device = device(PortType::Endpoint, 4096);
        let mut kept = device.save();
        for (offset, size, value) in accesses {
            let taken = device.bar0_write(offset, size, value).is_ok();
            let part = device.saved_access(offset, size);
            prop_assert_eq!(part.is_some(), taken);
            if let Some((at, part)) = part {
                prop_assert_eq!(part.len(), size);
                kept[at..at + size].copy_from_slice(part);
            }
            prop_assert_eq!(kept, device.save());
        }
    }

    /// No bytes that somebody calls a saved state can do harm.
    #[test]
    fn a_damaged_state_is_refused_whole(flips in proptest::collection::vec((0usize..1296, 1u8..), 1..4)) {
        let mut source = device(PortType::Endpoint, 4096);
        let _ = source.config_write(0x04, &[0x06]);
        let mut state = source.save();
        for (at, bits) in flips {
            state[at] ^= bits;
        }
        let mut target = device(PortType::Endpoint, 4096);
        let before = target.save();
        if target.restore(&state).is_ok() {
            // Only writable bits were hit: the reference holds as ever.
            let reference = reference(Some(PortType::Endpoint), 4096);
            for (byte, rule) in bytes(&target).into_iter().zip(reference) {
                prop_assert_eq!((byte ^ rule.reset) & !rule.writable, 0);
            }
        } else {
            prop_assert_eq!(target.save(), before);
        }
    }
}
