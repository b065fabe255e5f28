//! The device as the cases use it.

use crate::{Error, Identity, Target};

pub(super) const COMMAND: u16 = 0x04;
pub(super) const MEMORY_SPACE: u32 = 1 << 1;
pub(super) const BAR0: u16 = 0x10;
pub(super) const DEVICE_CONTROL: u16 = 0x48;
pub(super) const INITIATE_FLR: u32 = 1 << 15;

/// Accesses and checks.
pub(super) struct Access<'a> {
    pub(super) target: &'a mut dyn Target,
    pub(super) identity: &'a Identity,
}

impl Access<'_> {
    pub(super) fn config_read(&mut self, offset: u16, size: usize) -> Result<u32, Error> {
        self.target.config_read(offset, size)
    }

    pub(super) fn config_write(
        &mut self,
        offset: u16,
        size: usize,
        value: u32,
    ) -> Result<(), Error> {
        self.target.config_write(offset, size, value)
    }

    pub(super) fn bar0_read(&mut self, offset: u64, size: usize) -> Result<u64, Error> {
        self.target.bar0_read(offset, size)
    }

    pub(super) fn bar0_write(&mut self, offset: u64, size: usize, value: u64) -> Result<(), Error> {
        self.target.bar0_write(offset, size, value)
    }

    pub(super) fn config_is(
        &mut self,
        offset: u16,
        size: usize,
        expected: u32,
    ) -> Result<(), Error> {
        let found = self.config_read(offset, size)?;
        same("config", offset.into(), size, found.into(), expected.into())
    }

    pub(super) fn bar0_is(&mut self, offset: u64, size: usize, expected: u64) -> Result<(), Error> {
        let found = self.bar0_read(offset, size)?;
        same("BAR0", offset, size, found, expected)
    }

    /// The dwords of config space that a guest can change, with their values.
    pub(super) fn writable_registers(&mut self) -> Result<Vec<(u16, u32)>, Error> {
        self.identity
            .dwords()
            .into_iter()
            .filter(|dword| dword.writable != 0)
            .map(|dword| Ok((dword.offset, self.config_read(dword.offset, 4)?)))
            .collect()
    }

    pub(super) fn decode(&mut self, on: bool) -> Result<(), Error> {
        let command = self.config_read(COMMAND, 2)? & !MEMORY_SPACE;
        let bit = if on { MEMORY_SPACE } else { 0 };
        self.config_write(COMMAND, 2, command | bit)
    }
}

pub(super) fn same(
    space: &str,
    offset: u64,
    size: usize,
    found: u64,
    expected: u64,
) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    let digits = 2 * size;
    Err(Error::Mismatch(format!(
        "{size} bytes at {space} + {offset:#05x} read 0x{found:0digits$x}, not 0x{expected:0digits$x}"
    )))
}
