//! Config space bytes, as the sysfs file `config` gives them.

use std::fmt;

use anyhow::{Result, bail, ensure};

/// Offsets and bits of a type-0 header (PCI 3.0, section 6.1).
pub(crate) const VENDOR_ID: u16 = 0x00;
pub(crate) const DEVICE_ID: u16 = 0x02;
pub(crate) const COMMAND: u16 = 0x04;
pub(crate) const COMMAND_MEMORY: u16 = 1 << 1;
const STATUS: u16 = 0x06;
const STATUS_CAPABILITY_LIST: u16 = 1 << 4;
pub(crate) const REVISION: u16 = 0x08;
pub(crate) const CLASS: u16 = 0x09;
pub(crate) const BAR0: u16 = 0x10;
const CAPABILITY_POINTER: u16 = 0x34;

/// First offset that a capability can have.
const FIRST_CAPABILITY: u8 = 0x40;

/// Capabilities are 4 bytes or more: as many have room from 0x40 to 0xFF.
const MOST_CAPABILITIES: usize = (0x100 - FIRST_CAPABILITY as usize) / 4;

/// A capability of the list that starts at 0x34.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capability {
    pub(crate) offset: u8,
    pub(crate) id: u8,
}

impl fmt::Display for Capability {
    /// Writes the offset as lspci does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{:02x}] ID {:#04x}", self.offset, self.id)
    }
}

pub(crate) struct ConfigSpace(Vec<u8>);

impl ConfigSpace {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Size in bytes: 64 for those who are not root, 256, or 4096 on PCI
    /// Express.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// `N` bytes from `offset`, lowest address first.
    pub(crate) fn bytes<const N: usize>(&self, offset: u16) -> Result<[u8; N]> {
        let offset = usize::from(offset);
        match self.0.get(offset..).and_then(<[u8]>::first_chunk) {
            Some(bytes) => Ok(*bytes),
            None => bail!("config space ends at {:#x}, before {offset:#x}", self.len()),
        }
    }

    pub(crate) fn u8(&self, offset: u16) -> Result<u8> {
        Ok(u8::from_le_bytes(self.bytes(offset)?))
    }

    pub(crate) fn u16(&self, offset: u16) -> Result<u16> {
        Ok(u16::from_le_bytes(self.bytes(offset)?))
    }

    pub(crate) fn u32(&self, offset: u16) -> Result<u32> {
        Ok(u32::from_le_bytes(self.bytes(offset)?))
    }

    /// Walks the capability list to its end.
    pub(crate) fn capabilities(&self) -> Result<Vec<Capability>> {
        ensure!(
            self.u16(STATUS)? & STATUS_CAPABILITY_LIST != 0,
            "Status bit 4 is clear: no capability list"
        );
        let mut capabilities = Vec::new();
        let mut next = self.u8(CAPABILITY_POINTER)?;
        while next != 0 {
            ensure!(
                next >= FIRST_CAPABILITY && next % 4 == 0,
                "the capability list leads to {next:#04x}, where no capability can be"
            );
            ensure!(
                capabilities.len() < MOST_CAPABILITIES,
                "the capability list does not end: it comes back to {next:#04x}"
            );
            let offset = next;
            let id;
            [id, next] = self.bytes(offset.into())?;
            capabilities.push(Capability { offset, id });
        }
        Ok(capabilities)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pointer: u8, bytes: &[(usize, u8)]) -> ConfigSpace {
        let mut config = vec![0; 256];
        config[usize::from(STATUS)] = STATUS_CAPABILITY_LIST as u8;
        config[usize::from(CAPABILITY_POINTER)] = pointer;
        for &(offset, byte) in bytes {
            config[offset] = byte;
        }
        ConfigSpace::new(config)
    }

    #[test]
    fn walks_to_the_end() {
        let config = config(0x40, &[(0x40, 0x10), (0x41, 0x80), (0x80, 0x05)]);
        let capabilities =
            [(0x40, 0x10), (0x80, 0x05)].map(|(offset, id)| Capability { offset, id });
        assert_eq!(config.capabilities().unwrap(), capabilities);
    }

    #[test]
    fn refuses_a_list_that_cannot_be() {
        for (pointer, bytes, cause) in [
            (0x40, &[(0x41, 0x40)][..], "does not end"),
            (0x40, &[(0x41, 0x20)], "leads to 0x20"),
            (0x42, &[], "leads to 0x42"),
            (0x40, &[(usize::from(STATUS), 0)], "Status bit 4"),
        ] {
            let error = config(pointer, bytes)
                .capabilities()
                .unwrap_err()
                .to_string();
            assert!(error.contains(cause), "{error}");
        }
    }

    #[test]
    fn refuses_offsets_past_the_end() {
        let config = ConfigSpace::new(vec![0; 64]);
        assert!(config.u16(62).is_ok());
        assert!(config.u16(63).is_err());
        assert!(config.u8(4095).is_err());
    }
}
