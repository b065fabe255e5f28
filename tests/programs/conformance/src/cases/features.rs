//! What a device with features has besides. One without has nothing of it, as the other cases find.

use super::access::{Access, BAR0, DEVICE_CONTROL, INITIATE_FLR};
use crate::Error;

const COMMAND: u64 = 0x00;
const STATUS: u64 = 0x04;
const DATA_OFFSET: u64 = 0x08;
const DATA_LENGTH: u64 = 0x0c;
const REQUEST_ID: u64 = 0x10;
const DATA: u64 = 0x20;
const MAGIC: u64 = 0x400;
const ABI: u64 = 0x404;
const FEATURES: u64 = 0x408;
const ACK: u64 = 0x410;
pub(super) const DRIVER: u64 = 0x418;
const STATE: u64 = 0x41c;
const GENERATION: u64 = 0x420;
const LIMITS: u64 = 0x424;
const PEER: u64 = 0x42c;
const EVENTS: u64 = 0x430;
const EVENTS_ACK: u64 = 0x434;
/// The first register that there is not.
pub(super) const RESERVED: u64 = 0x438;
const MSIX_TABLE: std::ops::Range<u64> = 0xc00..0xc20;

/// Values of DRIVER.
const PRESENT: u64 = 1;
const SETTLED: u64 = 2;
const RUN: u64 = 3;

/// Status of a mailbox that takes commands, and has done one.
const IDLE: u64 = 1 << 0;
const DONE: u64 = 1 << 1;
const ERROR: u64 = 1 << 2;

const ECHO: u64 = 1;
const CODE_UNKNOWN: u64 = 1;
const EVENT_MAILBOX: u64 = 1;

pub(super) fn registers(access: &mut Access<'_>) -> Result<(), Error> {
    if !access.identity.features {
        return Ok(());
    }
    access.bar0_is(MAGIC, 4, 0x5550_4756)?;
    access.bar0_is(ABI, 4, 0x0001_0000)?;
    access.bar0_is(PEER, 4, 0xffff)?;
    let limits = access.bar0_read(LIMITS, 4)?;
    if limits & 0xffff == 0 || limits >> 16 == 0 {
        return Err(Error::Mismatch(format!("LIMITS reads {limits:#x}")));
    }
    for offset in (MAGIC..RESERVED).step_by(4) {
        let writable = (ACK..DRIVER).contains(&offset);
        // The host's may change at any time.
        if matches!(offset, DRIVER | STATE | GENERATION) {
            continue;
        }
        let before = access.bar0_read(offset, 4)?;
        access.bar0_write(offset, 4, 0x1234_5678)?;
        let expected = if writable { 0x1234_5678 } else { before };
        access.bar0_is(offset, 4, expected)?;
        access.bar0_write(offset, 4, before)?;
        for size in [1, 2, 8] {
            if offset.is_multiple_of(size) {
                access.bar0_write(offset, size as usize, u64::MAX)?;
                access.bar0_is(offset, size as usize, 0)?;
            }
        }
        access.bar0_is(offset, 4, before)?;
    }
    // Masked vectors, in which the rest is storage.
    for entry in MSIX_TABLE.step_by(16) {
        access.bar0_is(entry + 12, 4, 1)?;
        access.bar0_write(entry, 8, 0x8877_6655_4433_2210)?;
        access.bar0_is(entry, 4, 0x4433_2210)?;
        access.bar0_is(entry + 4, 4, 0x8877_6655)?;
        access.bar0_write(entry, 8, 0)?;
    }
    Ok(())
}

/// Steps up to SETTLED with all that is offered, and back where it was not.
pub(super) fn handshake(access: &mut Access<'_>) -> Result<(), Error> {
    if !access.identity.features {
        return Ok(());
    }
    access.bar0_is(DRIVER, 4, 0)?;
    for (value, reads) in [
        (SETTLED, 0),
        (PRESENT, PRESENT),
        (RUN, PRESENT),
        (7, PRESENT),
    ] {
        access.bar0_write(DRIVER, 4, value)?;
        access.bar0_is(DRIVER, 4, reads)?;
    }
    access.bar0_is(STATUS, 4, IDLE)?;
    let generation = access.bar0_read(GENERATION, 4)?;
    let offered = access.bar0_read(FEATURES, 4)?;
    access.bar0_write(ACK, 4, offered | 1 << 31)?;
    access.bar0_write(DRIVER, 4, SETTLED)?;
    access.bar0_is(DRIVER, 4, 0)?;
    access.bar0_is(ACK, 4, 0)?;
    access.bar0_is(GENERATION, 4, generation + 1)?;

    access.bar0_write(DRIVER, 4, PRESENT)?;
    access.bar0_write(ACK, 4, offered)?;
    access.bar0_write(DRIVER, 4, SETTLED)?;
    access.bar0_is(DRIVER, 4, SETTLED)?;
    access.bar0_write(ACK, 4, 0)?;
    access.bar0_is(ACK, 4, offered)?;
    access.bar0_write(DRIVER, 4, RUN)?;
    access.bar0_is(DRIVER, 4, RUN)
}

pub(super) fn mailbox(access: &mut Access<'_>) -> Result<(), Error> {
    if !access.identity.features {
        return Ok(());
    }
    access.bar0_write(DRIVER, 4, PRESENT)?;
    access.bar0_write(EVENTS_ACK, 4, u64::MAX)?;
    access.bar0_write(DATA + 0x100, 8, 0x8877_6655_4433_2211)?;
    access.bar0_write(DATA_OFFSET, 4, DATA + 0x100)?;
    access.bar0_write(DATA_LENGTH, 4, 8)?;
    access.bar0_write(REQUEST_ID, 4, 0x1234)?;
    access.bar0_write(COMMAND, 4, ECHO)?;
    access.bar0_is(STATUS, 4, IDLE | DONE)?;
    for (at, word) in [0x1234, IDLE | DONE, 8, 0].into_iter().enumerate() {
        access.bar0_is(DATA + 4 * at as u64, 4, word)?;
    }
    access.bar0_is(DATA + 0x10, 8, 0x8877_6655_4433_2211)?;
    access.bar0_is(EVENTS, 4, EVENT_MAILBOX)?;
    access.bar0_write(EVENTS_ACK, 4, EVENT_MAILBOX)?;
    access.bar0_is(EVENTS, 4, 0)?;
    access.bar0_write(COMMAND, 4, 0x7777)?;
    access.bar0_is(STATUS, 4, IDLE | DONE | ERROR | CODE_UNKNOWN << 16)
}

pub(super) fn reset(access: &mut Access<'_>) -> Result<(), Error> {
    if !access.identity.features {
        return Ok(());
    }
    if access.identity.port_type.is_none() {
        return Err(Error::Unsupported(
            "a conventional function has no reset of its own",
        ));
    }
    let home = access.config_read(BAR0, 4)?;
    access.bar0_write(DRIVER, 4, PRESENT)?;
    access.bar0_write(MSIX_TABLE.start + 12, 4, 0)?;
    access.bar0_write(MSIX_TABLE.start + 8, 4, 0x1234)?;
    let generation = access.bar0_read(GENERATION, 4)?;
    access.config_write(DEVICE_CONTROL, 2, INITIATE_FLR)?;
    access.config_write(BAR0, 4, home)?;
    access.decode(true)?;
    access.bar0_is(DRIVER, 4, 0)?;
    access.bar0_is(STATUS, 4, 0)?;
    access.bar0_is(GENERATION, 4, generation + 1)?;
    if access.identity.by_vfio {
        // QEMU lays its own table over the device's, and knows nothing of the reset.
        access.bar0_write(MSIX_TABLE.start + 12, 4, 1)?;
        return access.bar0_write(MSIX_TABLE.start + 8, 4, 0);
    }
    access.bar0_is(MSIX_TABLE.start + 8, 4, 0)?;
    access.bar0_is(MSIX_TABLE.start + 12, 4, 1)
}
