//! Config space, as a guest and the host reach it.

use std::ops::Range;

use vgpu_device::{Device, Effects};

use super::given::device;
use super::reference::{Byte, reference};
use crate::Input;

const COMMAND: usize = 0x04;
const BAR0: usize = 0x10;
const DEVICE_CONTROL_HIGH: usize = 0x49;

/// What the device has told its host.
#[derive(Default)]
struct Told {
    range: Option<Range<u64>>,
    bus_master: bool,
    resets: usize,
}

impl Told {
    fn hear(&mut self, effects: Effects) {
        let Effects {
            bar0,
            bus_master,
            reset,
            doorbell,
            request,
            interrupt,
            revoke,
        } = effects;
        assert_eq!((doorbell, request), (None, None), "config space has none");
        assert_eq!((interrupt, revoke), (false, None), "it has no features");
        bar0.update(&mut self.range);
        self.bus_master = bus_master.unwrap_or(self.bus_master);
        self.resets += usize::from(reset);
    }
}

/// A device, and what it should be.
struct Checked {
    choice: u8,
    device: Device,
    told: Told,
    rules: [Byte; 256],
    expected: [u8; 256],
    bar0_size: u32,
    /// Whether the function can be reset alone.
    resettable: bool,
    resets: usize,
}

pub(super) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let choice = input.u8();
    let (device, port_type, bar0_size) = device(choice);
    let rules = reference(port_type, bar0_size);
    let mut checked = Checked {
        choice,
        resettable: port_type.is_some(),
        device,
        told: Told::default(),
        rules,
        expected: rules.map(|byte| byte.reset),
        bar0_size,
        resets: 0,
    };
    checked.check();
    while !input.is_empty() {
        match input.u8() % 8 {
            0..=3 => {
                let (offset, count) = (input.u8().into(), input.u8() % 9);
                checked.write(offset, input.bytes(count.into()));
            }
            // Anywhere, and longer than any bus allows.
            4 => {
                let (offset, count) = (input.u16(), input.u8());
                checked.write(offset, input.bytes(count.into()));
            }
            5 => checked.read(input.u16(), input.u8().into()),
            6 => {
                // All of it, before it is gone.
                checked.check();
                match input.u8() % 3 {
                    0 => checked.reset(),
                    1 => checked.go_on_elsewhere(),
                    _ => checked.masks(),
                }
            }
            _ => checked.size_bar0(),
        }
    }
    checked.check();
}

impl Checked {
    fn write(&mut self, offset: u16, data: &[u8]) {
        self.told.hear(self.device.config_write(offset, data));
        let mut reset = false;
        for (at, new) in (usize::from(offset)..256).zip(data) {
            let Byte { writable, .. } = self.rules[at];
            self.expected[at] = (self.expected[at] & !writable) | (new & writable);
            reset |= self.resettable && at == DEVICE_CONTROL_HIGH && new & 0x80 != 0;
        }
        if reset {
            self.expected = self.rules.map(|byte| byte.reset);
            self.resets += 1;
        }
        self.check_host();
        self.read(offset & !3, data.len().min(8));
    }

    /// A read of any size is that many reads of a byte.
    fn read(&mut self, offset: u16, count: usize) {
        let mut data = [0xaa; 255];
        let data = &mut data[..count];
        self.device.config_read(offset, data);
        for (at, got) in (usize::from(offset)..).zip(&*data) {
            assert_eq!(*got, self.expected.get(at).copied().unwrap_or(0));
            let mut one = [0xaa];
            if let Ok(at) = u16::try_from(at) {
                self.device.config_read(at, &mut one);
                assert_eq!(one[0], *got);
            }
        }
    }

    fn reset(&mut self) {
        let fresh = device(self.choice).0;
        for _ in 0..2 {
            self.told.hear(self.device.reset());
            assert_eq!(self.device.save(), fresh.save());
        }
        self.expected = self.rules.map(|byte| byte.reset);
        self.resets += 2;
    }

    /// Saved and restored, it is the same device with the same host.
    fn go_on_elsewhere(&mut self) {
        let state = self.device.save();
        self.device = device(self.choice).0;
        // As a new host starts.
        let mut told = Told {
            resets: self.resets,
            ..Told::default()
        };
        let effects = self.device.restore(&state);
        told.hear(effects.expect("a device takes its own state"));
        assert_eq!(self.device.save(), state);
        self.told = told;
    }

    fn masks(&self) {
        let mut masks = [0xaa; 256];
        self.device.config_write_mask(0, &mut masks);
        assert_eq!(masks, self.rules.map(|byte| byte.writable));
    }

    /// PCI 3.0 section 6.2.5.1.
    fn size_bar0(&mut self) {
        let before = self.dword(BAR0);
        self.write(BAR0 as u16, &[0xff; 4]);
        let size = (!(self.dword(BAR0) & !0xf)).wrapping_add(1);
        assert!(size.is_power_of_two() && size == self.bar0_size);
        self.write(BAR0 as u16, &before.to_le_bytes());
        assert_eq!(self.dword(BAR0), before);
    }

    fn dword(&self, offset: usize) -> u32 {
        let mut dword = [0; 4];
        self.device.config_read(offset as u16, &mut dword);
        u32::from_le_bytes(dword)
    }

    fn check(&self) {
        let mut bytes = [0xaa; 256];
        self.device.config_read(0, &mut bytes);
        assert_eq!(bytes, self.expected);

        // The list ends, within the space, at aligned places.
        let (mut at, mut left) = (bytes[0x34], 48);
        while at != 0 {
            assert!(at >= 0x40 && at.is_multiple_of(4) && left > 0, "{at:#x}");
            (at, left) = (bytes[usize::from(at) + 1], left - 1);
        }
        self.check_host();
    }

    /// What the host was told is what the registers say.
    fn check_host(&self) {
        let command = self.dword(COMMAND);
        let start = u64::from(self.dword(BAR0));
        let end = start + u64::from(self.bar0_size);
        let decodes = command & 2 != 0 && start != 0 && end < 1 << 32;
        assert_eq!(self.told.range, decodes.then_some(start..end));
        assert_eq!(self.told.bus_master, command & 4 != 0);
        assert_eq!(self.told.resets, self.resets);
        assert_eq!(self.device.memory_decoded(), command & 2 != 0);
    }
}
