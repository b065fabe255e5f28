//! The host's view of the device: each register and counter by its name.

use std::ffi::c_char;

use vgpu_device::Register;

use crate::instance::VgpuDevice;

/// Room for a value's name with its closing NUL, in bytes.
pub const VGPU_NAME_SIZE: usize = 32;
/// Room for a value's description with its closing NUL, in bytes.
pub const VGPU_DESCRIPTION_SIZE: usize = 64;

/// A register or a counter, as the host sees it.
#[repr(C)]
#[derive(Debug)]
pub struct VgpuValue {
    /// Its name in small letters, such as data-offset.
    pub name: [c_char; VGPU_NAME_SIZE],
    /// What it is.
    pub description: [c_char; VGPU_DESCRIPTION_SIZE],
    /// Which of all values it is, from 0 on.
    pub index: u32,
    /// Whether it is the one that [`vgpu_set_status`](crate::vgpu_set_status) sets.
    pub settable: bool,
}

/// What the device counts.
struct Counter {
    name: &'static str,
    description: &'static str,
    of: fn(&VgpuDevice) -> u64,
}

const COUNTERS: [Counter; 2] = [
    Counter {
        name: "refused-reads",
        description: "BAR0 reads that the device takes in no form",
        of: |device| device.refused_reads,
    },
    Counter {
        name: "refused-writes",
        description: "BAR0 writes that the device takes in no form",
        of: |device| device.refused_writes,
    },
];

const REGISTERS: usize = Register::ALL.len();
const COUNT: usize = REGISTERS + COUNTERS.len();

/// All of them: the registers as the model lists them, and the counters.
static VALUES: [VgpuValue; COUNT] = {
    let mut values = [const {
        VgpuValue {
            name: [0; VGPU_NAME_SIZE],
            description: [0; VGPU_DESCRIPTION_SIZE],
            index: 0,
            settable: false,
        }
    }; COUNT];
    let mut index = 0;
    while index < COUNT {
        let value = &mut values[index];
        value.index = index as u32;
        if index < REGISTERS {
            let register = Register::ALL[index];
            value.settable = matches!(register, Register::Status);
            let end = match value.settable {
                true => " register; the host may set it",
                false => " register",
            };
            property(&mut value.name, register.name());
            let at = append(&mut value.description, 0, register.name());
            append(&mut value.description, at, end);
        } else {
            let counter = &COUNTERS[index - REGISTERS];
            property(&mut value.name, counter.name);
            append(&mut value.description, 0, counter.description);
        }
        index += 1;
    }
    values
};

/// Writes a text as C has it from `at` on, and returns where its NUL is. The compiler complains where it has no room.
const fn append(into: &mut [c_char], at: usize, text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        into[at + index] = bytes[index] as c_char;
        index += 1;
    }
    assert!(into[at + index] == 0, "text is closed by NUL");
    at + index
}

/// Writes a name as QEMU writes those of properties: `Data Offset` as `data-offset`.
const fn property(into: &mut [c_char], name: &str) {
    let end = append(into, 0, name);
    let mut index = 0;
    while index < end {
        let letter = into[index] as u8;
        into[index] = match letter {
            b' ' => b'-',
            _ => letter.to_ascii_lowercase(),
        } as c_char;
        index += 1;
    }
}

/// The register or counter of this index; NULL after the last one.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_value_at(index: u32) -> Option<&'static VgpuValue> {
    VALUES.get(index as usize)
}

/// The host reads a register or a counter.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_value(device: &VgpuDevice, value: &VgpuValue) -> u64 {
    let index = value.index as usize;
    match Register::ALL.get(index) {
        Some(register) => device.device.register(*register).into(),
        None => {
            let counter = COUNTERS.get(index.wrapping_sub(REGISTERS));
            counter.map_or(0, |counter| (counter.of)(device))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn each_value_has_its_name_and_description() {
        let text = |chars: &[c_char]| {
            let bytes: Vec<u8> = chars.iter().map(|it| *it as u8).collect();
            CStr::from_bytes_until_nul(&bytes)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        };
        let all = (0..).map_while(|index| vgpu_value_at(index));
        let all: Vec<_> = all
            .map(|it| (text(&it.name), text(&it.description), it.settable))
            .collect();
        let expected = [
            ("command", "Command register", false),
            ("status", "Status register; the host may set it", true),
            ("data-offset", "Data Offset register", false),
            ("data-length", "Data Length register", false),
            ("request-id", "Request ID register", false),
            (
                "refused-reads",
                "BAR0 reads that the device takes in no form",
                false,
            ),
            (
                "refused-writes",
                "BAR0 writes that the device takes in no form",
                false,
            ),
        ];
        let expected = expected
            .map(|(name, description, settable)| (name.into(), description.into(), settable));
        assert_eq!(all, expected);
    }
}
