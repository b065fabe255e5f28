//! The bytes behind BAR0.

use vgpu_abi::bar0;

/// Bytes of registers and data, which every device has.
pub(crate) const PLAIN_SIZE: usize = bar0::DATA.end as usize;

/// Bytes of BAR0 that may have storage.
const SIZE: usize = bar0::END as usize;

/// The first page of BAR0, little-endian as the guest sees it. Offsets past its end read 0, and take nothing.
#[derive(Debug)]
pub(crate) struct Storage([u8; SIZE]);

impl Default for Storage {
    fn default() -> Self {
        Self([0; SIZE])
    }
}

impl Storage {
    #[inline]
    pub(crate) const fn bytes(&self) -> &[u8; SIZE] {
        &self.0
    }

    #[inline]
    pub(crate) const fn bytes_mut(&mut self) -> &mut [u8; SIZE] {
        &mut self.0
    }

    /// Registers and data.
    #[expect(clippy::unwrap_used, reason = "the compiler knows the sizes")]
    pub(crate) fn plain(&self) -> &[u8; PLAIN_SIZE] {
        const { assert!(PLAIN_SIZE <= SIZE) };
        self.0.first_chunk().unwrap()
    }

    /// The same, to be changed.
    #[expect(clippy::unwrap_used, reason = "the compiler knows the sizes")]
    pub(crate) fn plain_mut(&mut self) -> &mut [u8; PLAIN_SIZE] {
        const { assert!(PLAIN_SIZE <= SIZE) };
        self.0.first_chunk_mut().unwrap()
    }

    /// A register.
    pub(crate) fn get(&self, offset: u64) -> u32 {
        let bytes = self.at(offset).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    /// Writes one.
    pub(crate) fn set(&mut self, offset: u64, value: u32) {
        self.put(offset, &value.to_le_bytes());
    }

    /// Two registers as one value, the lower half first.
    pub(crate) fn get_long(&self, offset: u64) -> u64 {
        let bytes = self.at(offset).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// Writes bytes; those past the end are left out.
    pub(crate) fn put(&mut self, offset: u64, bytes: &[u8]) {
        let place = usize::try_from(offset).ok();
        let place = place
            .and_then(|at| self.0.get_mut(at..))
            .unwrap_or_default();
        for (to, from) in place.iter_mut().zip(bytes) {
            *to = *from;
        }
    }

    /// All from an offset on.
    pub(crate) fn at(&self, offset: u64) -> Option<&[u8]> {
        self.0.get(usize::try_from(offset).ok()?..)
    }
}
