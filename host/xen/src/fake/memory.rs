//! A guest's memory, as far as there is any.

use std::collections::BTreeMap;

use rustix::io::Errno;

/// Parts of memory, by first address. A copy lies in one of them.
#[derive(Debug, Default)]
pub(crate) struct Memory(BTreeMap<u64, Vec<u8>>);

impl Memory {
    /// Has memory at `address`, with these bytes in it.
    pub(crate) fn add(&mut self, address: u64, bytes: Vec<u8>) {
        self.0.insert(address, bytes);
    }

    /// The bytes there.
    ///
    /// # Errors
    ///
    /// There is no memory, or not that much.
    pub(crate) fn bytes(&mut self, address: u64, count: usize) -> Result<&mut [u8], Errno> {
        let part = self.0.range_mut(..=address).next_back();
        let (start, part) = part.ok_or(Errno::FAULT)?;
        let offset = (address - start) as usize;
        let end = offset.checked_add(count).ok_or(Errno::FAULT)?;
        part.get_mut(offset..end).ok_or(Errno::FAULT)
    }
}
