//! Records: what the rings carry.

use alloc::boxed::Box;

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::layout::COMMAND_SIZE;

/// The op of a record that fills the end of a ring, so that records never wrap.
pub const PAD: u16 = 0;
/// The slot of a record that wants no reply.
pub const NO_SLOT: u8 = 0xff;
/// The bytes of a header.
pub const HEADER_SIZE: usize = 16;
/// The longest record of any ring.
pub const LONGEST_RECORD: usize = COMMAND_SIZE / 4;

/// The 16 bytes before a record's payload, little-endian.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Header {
    /// The bytes of the whole record, a multiple of 16.
    pub len: u32,
    /// What it asks for; 0 is [`PAD`].
    pub op: u16,
    /// Flags of the op.
    pub flags: u8,
    /// Where the reply goes, or [`NO_SLOT`].
    pub slot: u8,
    /// The number by which the reply, or a fault, names this record.
    pub seq: u32,
    /// What the op makes of it.
    pub aux: u32,
}

impl Header {
    /// The two words of it, as they lie in the ring.
    #[inline]
    pub(crate) const fn to_words(self) -> [u64; 2] {
        [
            self.len as u64
                | (self.op as u64) << 32
                | (self.flags as u64) << 48
                | (self.slot as u64) << 56,
            self.seq as u64 | (self.aux as u64) << 32,
        ]
    }

    #[inline]
    pub(crate) const fn from_words([first, second]: [u64; 2]) -> Self {
        Self {
            len: first as u32,
            op: (first >> 32) as u16,
            flags: (first >> 48) as u8,
            slot: (first >> 56) as u8,
            seq: second as u32,
            aux: (second >> 32) as u32,
        }
    }
}

/// A record in private memory, which nobody else can change any more. It has
/// room for the longest one.
#[derive(Debug, FromZeros)]
#[repr(C)]
pub struct Record {
    pub(crate) header: Header,
    pub(crate) len: usize,
    pub(crate) payload: [u64; (LONGEST_RECORD - HEADER_SIZE) / 8],
}

impl Record {
    /// An empty record: a consumer needs one, of 64 KiB.
    ///
    /// # Panics
    /// There is no memory.
    #[must_use]
    pub fn boxed() -> Box<Self> {
        Self::new_box_zeroed().expect("64 KiB of memory")
    }

    /// Its header.
    #[inline]
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// What follows the header: what was sent, with zeros up to a multiple of 16.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.payload[..self.len].as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_header_are_its_bytes() {
        let header = Header {
            len: 0x0102_0304,
            op: 0x0506,
            flags: 7,
            slot: 8,
            seq: 0x090a_0b0c,
            aux: 0x0d0e_0f10,
        };
        let words = header.to_words();
        assert_eq!(words.as_bytes(), header.as_bytes());
        assert_eq!(Header::from_words(words), header);
    }
}
