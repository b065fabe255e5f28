//! A device with features: its driver, its host and its resets, against the written rules.

mod reference;

use vgpu_abi::bar0::{ACK, COMMAND, DATA_LENGTH, DATA_OFFSET, DRIVER, END};
use vgpu_device::{BarMapping, Device, DeviceConfig, Effects, FeaturesConfig, HostState, Refused};
use vgpu_pci::capability::PortType;

use crate::Input;
use reference::{CHANNELS, Reference};

fn device() -> Device {
    let features = FeaturesConfig {
        channels: u64::from(CHANNELS).try_into().expect("a valid limit"),
        ..FeaturesConfig::default()
    };
    let config = DeviceConfig {
        features: Some(features),
        ..DeviceConfig::default()
    };
    Device::new(&config, PortType::RootComplexIntegratedEndpoint)
}

/// The device, and what it has to be.
struct Both {
    device: Device,
    reference: Reference,
}

impl Both {
    /// A guest's write, which has the same effects on both.
    fn write(&mut self, offset: u64, size: usize, value: u64) {
        let found = self.device.bar0_write(offset, size, value);
        let expected = self.reference.write(offset, size, value);
        assert_eq!(found, expected, "{value:#x} to {offset:#x}, {size} bytes");
    }
}

/// What follows, but for what target `config` knows better.
fn same(found: &Effects, expected: &Effects) {
    let known = |effects: &Effects| Effects {
        bar0: BarMapping::Untouched,
        bus_master: None,
        ..effects.clone()
    };
    assert_eq!(known(found), known(expected));
}

/// Values of DRIVER, parameters and commands that lead somewhere, beside any others.
fn driver_and_host(both: &mut Both, op: u8, input: &mut Input<'_>) {
    match op {
        // All steps of a driver.
        0 => {
            both.write(DRIVER, 4, 1);
            both.write(ACK, 4, input.u8().into());
            both.write(DRIVER, 4, 2);
            both.write(DRIVER, 4, 3);
        }
        1 => both.write(DRIVER, 4, (input.u8() % 5).into()),
        // A command with parameters anywhere.
        2 | 3 => {
            let command = input.u8();
            let (at, length) = (u64::from(input.u16() % 0x3e8), input.u8() % 34);
            let parameters = input.bytes(length.into());
            for (offset, byte) in (at..).zip(parameters) {
                both.write(0x20 + offset, 1, (*byte).into());
            }
            both.write(DATA_OFFSET, 4, 0x20 + at);
            both.write(DATA_LENGTH, 4, length.into());
            both.write(COMMAND, 4, command.into());
        }
        // The host answers, this command or another.
        4 | 5 => {
            let number = both
                .reference
                .number
                .wrapping_sub(u32::from(input.u8() % 3));
            let value = input.u32();
            let result = match op {
                4 => Ok((value & 1 != 0).then_some(value)),
                _ => Err(value as u16),
            };
            let found = both.device.complete(number, result);
            let expected = both.reference.complete(number, result);
            same(&found, &expected);
        }
        6 => {
            let state = [HostState::NoDaemon, HostState::Ready, HostState::Lost];
            let state = state[usize::from(input.u8()) % 3];
            let revoked = both
                .reference
                .revoked
                .wrapping_sub(u32::from(input.u8() % 2));
            let found = both.device.set_host_state(state, revoked);
            let expected = both.reference.set_host_state(state, revoked);
            same(&found, &expected);
        }
        7 => {
            let found = both.device.channel_lost();
            let expected = both.reference.channel_lost();
            same(&found, &expected);
        }
        8 => {
            let found = both.device.memory_lost();
            let expected = both.reference.memory_lost();
            same(&found, &expected);
        }
        // Bus mastering goes, or comes.
        9 => {
            let on = input.u8() & 1 != 0;
            let found = both.device.config_write(4, &[2 | u8::from(on) << 2]);
            let expected = both.reference.set_bus_master(on);
            same(&found, &expected);
        }
        // A function level reset, or the machine's.
        10 => {
            let found = match input.u8() & 1 {
                0 => both.device.config_write(0x48, &[0, 0x80]),
                _ => both.device.reset(),
            };
            let expected = both.reference.reset();
            same(&found, &expected);
        }
        11 => {
            let status = input.u32();
            let found = both.device.set_status(status).ok();
            assert_eq!(found, both.reference.set_status(status));
        }
        // Saved and loaded, it has lost its channels.
        _ => {
            let mut saved = both.device.save().to_vec();
            saved.extend(both.device.save_features().expect("it has features"));
            let mut other = device();
            let found = other.restore(&saved).expect("a device takes its own state");
            let expected = both.reference.restore();
            assert_eq!(found.interrupt, expected.interrupt);
            both.device = other;
        }
    }
}

pub(super) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut both = Both {
        device: device(),
        reference: Reference::new(),
    };
    while !input.is_empty() {
        let op = input.u8();
        match op >> 6 {
            0 | 1 => driver_and_host(&mut both, op % 13, &mut input),
            // Anything anywhere, or the low bits of something known.
            2 => {
                let size = 1 << (op & 3);
                let offset = match op & 4 {
                    0 => u64::from(input.u16()) % (END + 0x10),
                    _ => u64::from(input.u8()) * 4 + 0x3c0,
                };
                let value = input.u64();
                both.write(offset, size, value);
            }
            _ => {
                let size = match op & 7 {
                    log @ 0..4 => 1 << log,
                    _ => usize::from(input.u8()),
                };
                let offset = u64::from(input.u16()) % (END + 0x10);
                let found = both.device.bar0_read(offset, size);
                let expected = both.reference.read(offset, size);
                assert_eq!(found, expected, "{offset:#x}, {size} bytes");
            }
        }
    }
    for offset in (0..END + 8).step_by(4) {
        let found = both.device.bar0_read(offset, 4);
        assert_eq!(found, both.reference.read(offset, 4), "{offset:#x}");
    }
    assert_eq!(both.device.bar0_read(END, 4), Err(Refused));
}
