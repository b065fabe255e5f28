//! The cases.

mod access;
mod features;

use access::{Access, BAR0, COMMAND, DEVICE_CONTROL, INITIATE_FLR, MEMORY_SPACE, same};

use crate::{Error, Identity, Target};

/// One thing the device must do.
#[derive(Debug)]
pub struct Case {
    /// A sentence's worth of what is tested.
    pub name: &'static str,
    run: fn(&mut Access<'_>) -> Result<(), Error>,
}

/// All cases, in the order in which they run.
pub const CASES: &[Case] = &[
    Case {
        name: "identity: ids, class, revision, subsystem",
        run: identity,
    },
    Case {
        name: "config: every bit has its access right",
        run: access_rights,
    },
    Case {
        name: "config: bytes, words and dwords agree",
        run: config_widths,
    },
    Case {
        name: "config: the capability list ends and holds what it should",
        run: capability_list,
    },
    Case {
        name: "bar0: sizing yields its size, the address reads back",
        run: sizing,
    },
    Case {
        name: "bar0: answers where it is moved to",
        run: relocation,
    },
    Case {
        name: "bar0: keeps its content while decode is off",
        run: decode_off,
    },
    Case {
        name: "registers: read-write but for Status and the reserved",
        run: registers,
    },
    Case {
        name: "registers: Status is what the host says",
        run: host_status,
    },
    Case {
        name: "data region: storage for 1, 2, 4 and 8 bytes",
        run: data_region,
    },
    Case {
        name: "bar0: other accesses read 0 and change nothing",
        run: refused,
    },
    Case {
        name: "reset: a function level reset is a power-on",
        run: function_level_reset,
    },
    Case {
        name: "features: each register takes what it should",
        run: features::registers,
    },
    Case {
        name: "features: the driver goes up step by step",
        run: features::handshake,
    },
    Case {
        name: "features: the mailbox answers, and says so",
        run: features::mailbox,
    },
    Case {
        name: "features: a function level reset ends the driver",
        run: features::reset,
    },
];

const STATUS: u64 = 0x04;
const REQUEST_ID: u64 = 0x10;
const DATA: std::ops::Range<u64> = 0x20..0x400;

/// Runs a case on a device in its power-on state, but for BAR0 and Command,
/// and puts back what the device held before.
pub(crate) fn run(case: &Case, target: &mut dyn Target, identity: &Identity) -> Result<(), Error> {
    let mut access = Access { target, identity };
    let before = access.writable_registers()?;
    let result = (case.run)(&mut access);
    if identity.features {
        access.decode(true)?;
        access.bar0_write(features::DRIVER, 4, 0)?;
    }
    // Command last: memory decode goes on when BAR0 is in place.
    let (command, others): (Vec<_>, Vec<_>) = before
        .into_iter()
        .partition(|(offset, _)| *offset == COMMAND);
    access.config_write(COMMAND, 2, 0)?;
    for (offset, value) in others.into_iter().chain(command) {
        access.config_write(offset, 4, value)?;
    }
    for offset in (0..DATA.end).step_by(4) {
        access.bar0_write(offset, 4, 0)?;
    }
    result
}

/// The low `size` bytes of a value.
fn low(value: u64, size: usize) -> u64 {
    value & (u64::MAX >> (64 - 8 * size))
}

/// A value without two equal bytes, other at each offset.
fn pattern(offset: u64) -> u64 {
    (0xf1e2_d3c4_b5a6_9788_u64).rotate_left((offset % 61) as u32)
}

fn identity(access: &mut Access<'_>) -> Result<(), Error> {
    let identity = *access.identity;
    access.config_is(0x00, 2, identity.vendor_id.into())?;
    access.config_is(0x02, 2, identity.device_id.into())?;
    access.config_is(0x08, 1, identity.revision.into())?;
    access.config_is(0x09, 1, 0x00)?;
    access.config_is(0x0a, 1, 0x00)?;
    access.config_is(0x0b, 1, 0x12)?;
    access.config_is(0x0e, 1, 0x00)?;
    access.config_is(0x2c, 2, identity.subsystem_vendor_id.into())?;
    access.config_is(0x2e, 2, identity.subsystem_id.into())?;
    access.config_is(0x3d, 1, 0x00)
}

fn access_rights(access: &mut Access<'_>) -> Result<(), Error> {
    access.decode(false)?;
    for dword in access.identity.dwords() {
        let kept = dword.reset & !dword.writable;
        for value in [u32::MAX, 0, 0x5555_5555, 0xaaaa_aaaa] {
            // The one bit that acts has a case of its own.
            let value = match dword.offset {
                DEVICE_CONTROL => value & !INITIATE_FLR,
                COMMAND => value & !MEMORY_SPACE,
                _ => value,
            };
            access.config_write(dword.offset, 4, value)?;
            access.config_is(dword.offset, 4, kept | (value & dword.writable))?;
        }
    }
    Ok(())
}

fn config_widths(access: &mut Access<'_>) -> Result<(), Error> {
    for offset in 0..0x100 {
        let dword = access.config_read(offset & !3, 4)?.to_le_bytes();
        let lane = usize::from(offset & 3);
        for size in [1, 2, 4] {
            if lane.is_multiple_of(size) {
                let mut expected = [0; 4];
                expected[..size].copy_from_slice(&dword[lane..lane + size]);
                access.config_is(offset, size, u32::from_le_bytes(expected))?;
            }
        }
    }
    // Writes of bytes and words in a register of four writable bytes.
    access.decode(false)?;
    let mask = !(access.identity.bar0_size - 1);
    access.config_write(BAR0, 4, 0)?;
    access.config_write(BAR0 + 2, 2, 0xfebf)?;
    access.config_write(BAR0 + 1, 1, 0x10)?;
    access.config_is(BAR0, 4, 0xfebf_1000 & mask)
}

fn capability_list(access: &mut Access<'_>) -> Result<(), Error> {
    let mut at = access.config_read(0x34, 1)?;
    let mut found = Vec::new();
    while at != 0 {
        if at < 0x40 || at % 4 != 0 || found.len() >= 48 {
            return Err(Error::Mismatch(format!(
                "the capability list leads to {at:#04x} after {found:02x?}"
            )));
        }
        let header = access.config_read(at as u16, 2)?;
        found.push((at as u16, header as u8));
        at = header >> 8;
    }
    let expected = access.identity.capabilities();
    if found == expected {
        Ok(())
    } else {
        Err(Error::Mismatch(format!(
            "capabilities (offset, id) are {found:02x?}, not {expected:02x?}"
        )))
    }
}

fn sizing(access: &mut Access<'_>) -> Result<(), Error> {
    let mask = !(access.identity.bar0_size - 1);
    access.decode(false)?;
    for address in [0xe000_0000, 0xfe00_0000, 0x8000_0000] {
        access.config_write(BAR0, 4, u32::MAX)?;
        access.config_is(BAR0, 4, mask)?;
        access.config_write(BAR0, 4, address)?;
        access.config_is(BAR0, 4, address)?;
    }
    // The five BARs that the device does not have.
    for bar in (0x14..0x28).step_by(4) {
        access.config_write(bar, 4, u32::MAX)?;
        access.config_is(bar, 4, 0)?;
    }
    Ok(())
}

fn relocation(access: &mut Access<'_>) -> Result<(), Error> {
    let spare = access
        .target
        .spare_address()
        .ok_or(Error::Unsupported("no second address to place BAR0 at"))?;
    let home = access.config_read(BAR0, 4)?;
    access.bar0_write(REQUEST_ID, 4, 0x1234_5678)?;
    for address in [spare, home, spare] {
        access.decode(false)?;
        access.config_write(BAR0, 4, address)?;
        access.decode(true)?;
        access.bar0_is(REQUEST_ID, 4, 0x1234_5678)?;
    }
    // Also without switching decode off, as some firmware does.
    access.config_write(BAR0, 4, home)?;
    access.bar0_is(REQUEST_ID, 4, 0x1234_5678)
}

fn decode_off(access: &mut Access<'_>) -> Result<(), Error> {
    access.bar0_write(REQUEST_ID, 4, 0xabad_cafe)?;
    access.bar0_write(DATA.start, 8, pattern(0))?;
    access.decode(false)?;
    access.decode(true)?;
    access.bar0_is(REQUEST_ID, 4, 0xabad_cafe)?;
    access.bar0_is(DATA.start, 8, pattern(0))
}

fn registers(access: &mut Access<'_>) -> Result<(), Error> {
    for value in [0xffff_ffff, 0x0000_0000, 0x1234_5678] {
        for offset in (0..DATA.start).step_by(4) {
            let before = access.bar0_read(offset, 4)?;
            access.bar0_write(offset, 4, value)?;
            let expected = match offset {
                STATUS => before,
                0x00..=REQUEST_ID => value,
                _ => 0,
            };
            access.bar0_is(offset, 4, expected)?;
        }
    }
    Ok(())
}

fn host_status(access: &mut Access<'_>) -> Result<(), Error> {
    for status in [0xcafe_f00d, 0xffff_ffff, 0] {
        access
            .target
            .set_status(status)
            .ok_or(Error::Unsupported("the host's side is out of reach"))??;
        access.bar0_is(STATUS, 4, status.into())?;
        access.bar0_write(STATUS, 4, 0x5555_5555)?;
        access.bar0_is(STATUS, 4, status.into())?;
    }
    Ok(())
}

fn data_region(access: &mut Access<'_>) -> Result<(), Error> {
    for size in [1, 2, 4, 8] {
        for offset in DATA.step_by(size) {
            access.bar0_write(offset, size, low(pattern(offset), size))?;
        }
        for offset in DATA.step_by(size) {
            access.bar0_is(offset, size, low(pattern(offset), size))?;
        }
    }
    // Little-endian: the parts of an 8-byte value lie in rising order.
    access.bar0_write(DATA.start, 8, 0x8877_6655_4433_2211)?;
    access.bar0_is(DATA.start, 1, 0x11)?;
    access.bar0_is(DATA.start + 2, 2, 0x4433)?;
    access.bar0_is(DATA.start + 4, 4, 0x8877_6655)
}

fn refused(access: &mut Access<'_>) -> Result<(), Error> {
    access.bar0_write(0x00, 4, 0x1111_1111)?;
    access.bar0_write(0x08, 4, 0x2222_2222)?;
    for (offset, size) in [(0x00, 1), (0x02, 2), (0x08, 8), (0x00, 8), (0x0b, 1)] {
        access.bar0_write(offset, size, u64::MAX)?;
        access.bar0_is(offset, size, 0)?;
    }
    access.bar0_is(0x00, 4, 0x1111_1111)?;
    access.bar0_is(0x08, 4, 0x2222_2222)?;
    let end = u64::from(access.identity.bar0_size);
    let first = match access.identity.features {
        true => features::RESERVED,
        false => DATA.end,
    };
    for offset in [first, 0x7fc, 0x800, end - 8] {
        for size in [1, 2, 4, 8] {
            let offset = offset.next_multiple_of(size as u64);
            access.bar0_write(offset, size, u64::MAX)?;
            access.bar0_is(offset, size, 0)?;
        }
    }
    Ok(())
}

fn function_level_reset(access: &mut Access<'_>) -> Result<(), Error> {
    if access.identity.port_type.is_none() {
        return Err(Error::Unsupported(
            "a conventional function has no reset of its own",
        ));
    }
    let home = access.config_read(BAR0, 4)?;
    access.bar0_write(REQUEST_ID, 4, 0xffff_ffff)?;
    for offset in DATA.step_by(8) {
        access.bar0_write(offset, 8, u64::MAX)?;
    }
    access.config_write(0x3c, 1, 0x0b)?;
    access.config_write(DEVICE_CONTROL, 2, 0xf | INITIATE_FLR)?;
    for dword in access.identity.dwords() {
        let found = access.config_read(dword.offset, 4)? & !dword.kept;
        let expected = dword.reset & !dword.kept;
        same(
            "config",
            dword.offset.into(),
            4,
            found.into(),
            expected.into(),
        )?;
    }
    access.config_write(BAR0, 4, home)?;
    access.decode(true)?;
    for offset in (0..DATA.end).step_by(4) {
        access.bar0_is(offset, 4, 0)?;
    }
    Ok(())
}
