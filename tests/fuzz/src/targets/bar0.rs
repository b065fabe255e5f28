//! BAR0, as a guest and the host reach it.

use vgpu_device::{Device, Effects, Refused, Register};

use super::given::device;
use crate::Input;

/// BAR0 as `abi/src/bar0.rs` describes it, in other words than the model's.
struct Reference {
    bytes: [u8; 0x400],
}

impl Reference {
    /// Where an access goes, if it is one that the device takes.
    fn place(offset: u64, size: usize) -> Result<usize, Refused> {
        let taken = match offset {
            0..0x20 => size == 4,
            0x20..0x400 => matches!(size, 1 | 2 | 4 | 8),
            _ => false,
        };
        let at = offset as usize;
        match taken && at.is_multiple_of(size) {
            true => Ok(at),
            false => Err(Refused),
        }
    }

    fn read(&self, offset: u64, size: usize) -> Result<u64, Refused> {
        let at = Self::place(offset, size)?;
        let bytes = self.bytes[at..at + size].iter().rev();
        Ok(bytes.fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn write(&mut self, offset: u64, size: usize, value: u64) -> Result<Effects, Refused> {
        let at = Self::place(offset, size)?;
        // Status is the host's, and the last three registers are nobody's.
        if at != 4 && !(0x14..0x20).contains(&at) {
            for i in 0..size {
                self.bytes[at + i] = (value >> (8 * i)) as u8;
            }
        }
        Ok(Effects::default())
    }
}

pub(super) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let choice = input.u8();
    let mut device = device(choice).0;
    let mut reference = Reference { bytes: [0; 0x400] };
    while !input.is_empty() {
        let op = input.u8();
        let size = match op >> 3 {
            log @ 0..16 => 1 << (log % 4),
            _ => usize::from(input.u8()),
        };
        match op % 8 {
            kind @ 0..=5 => {
                let offset = if kind < 4 {
                    (input.u16() % 0x480).into()
                } else {
                    input.u64()
                };
                if kind % 2 == 0 {
                    let value = input.u64();
                    let got = device.bar0_write(offset, size, value);
                    assert_eq!(got, reference.write(offset, size, value));
                } else {
                    let got = device.bar0_read(offset, size);
                    assert_eq!(got, reference.read(offset, size), "{offset:#x} {size}");
                }
            }
            6 => {
                let status = input.u32();
                assert_eq!(device.set_status(status), Ok(Effects::default()));
                reference.bytes[4..8].copy_from_slice(&status.to_le_bytes());
            }
            _ => {
                // All of it, before it is gone.
                check_state(&device, &reference);
                if op & 8 == 0 {
                    assert!(device.reset().reset);
                    reference.bytes.fill(0);
                } else {
                    device = elsewhere(&device, choice);
                }
            }
        }
        check(&device, &reference);
    }
    // The data region reads the same at any width.
    let size = 1 << (choice % 4);
    for offset in (0x20..0x400).step_by(size) {
        let got = device.bar0_read(offset, size);
        assert_eq!(got, reference.read(offset, size));
    }
    check_state(&device, &reference);
}

/// A device that has taken over the state of this one.
fn elsewhere(device: &Device, choice: u8) -> Device {
    let mut other = self::device(choice).0;
    let effects = other.restore(&device.save());
    let _ = effects.expect("a device takes its own state");
    other
}

fn check_state(device: &Device, reference: &Reference) {
    let state = device.save();
    assert_eq!(state[state.len() - 0x400..], reference.bytes);
}

fn check(device: &Device, reference: &Reference) {
    for (register, bytes) in Register::ALL.iter().zip(reference.bytes.chunks_exact(4)) {
        assert_eq!(device.register(*register).to_le_bytes(), bytes);
    }
}
