//! Config space bytes, as the sysfs file `config` gives them.

use anyhow::{Result, bail};

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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_offsets_past_the_end() {
        let config = ConfigSpace::new(vec![0; 64]);
        assert!(config.u16(62).is_ok());
        assert!(config.u16(63).is_err());
        assert!(config.u8(4095).is_err());
    }
}
