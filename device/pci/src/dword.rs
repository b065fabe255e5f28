//! Sub-dword access, solved once.
//!
//! On the bus every access is one to four bytes of an aligned dword, told
//! apart by byte enables (PCI 3.0 section 3.2.3). An access that crosses a
//! dword acts as its bytes.

/// A write to one dword, of which only the enabled bytes count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DwordWrite {
    value: u32,
    enables: u32,
}

impl DwordWrite {
    /// The written bytes at their places in the dword, the others 0.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.value
    }

    /// 0xFF for each byte that is written, 0 for the others.
    #[must_use]
    pub const fn enables(self) -> u32 {
        self.enables
    }
}

/// Splits an access of `len` bytes at `offset` into dwords, in rising order:
/// (dword index, first byte within the dword, range of the data).
fn dwords(offset: u16, len: usize) -> impl Iterator<Item = (usize, usize, std::ops::Range<usize>)> {
    let first = usize::from(offset);
    let end = first.saturating_add(len);
    (first / 4..end.div_ceil(4)).map(move |index| {
        let dword = index.saturating_mul(4);
        let from = first.max(dword);
        let to = end.min(dword.saturating_add(4));
        let data = from.saturating_sub(first)..to.saturating_sub(first);
        (index, from.saturating_sub(dword), data)
    })
}

/// The dword writes that `data` at byte `offset` consists of, each with the
/// index of its dword.
pub(crate) fn writes(offset: u16, data: &[u8]) -> impl Iterator<Item = (usize, DwordWrite)> + '_ {
    dwords(offset, data.len()).filter_map(move |(index, lane, range)| {
        let mut value = [0; 4];
        let mut enables = [0; 4];
        let source = data.get(range)?;
        let lanes = lane..lane.saturating_add(source.len());
        value.get_mut(lanes.clone())?.copy_from_slice(source);
        enables.get_mut(lanes)?.fill(0xff);
        let write = DwordWrite {
            value: u32::from_le_bytes(value),
            enables: u32::from_le_bytes(enables),
        };
        Some((index, write))
    })
}

/// Fills `data` with the bytes at `offset`, taken from the dwords that
/// `register` returns for their index.
pub(crate) fn read(offset: u16, data: &mut [u8], register: impl Fn(usize) -> u32) {
    for (index, lane, range) in dwords(offset, data.len()) {
        let dword = register(index).to_le_bytes();
        if let Some(target) = data.get_mut(range) {
            let lanes = lane..lane.saturating_add(target.len());
            target.copy_from_slice(dword.get(lanes).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MEMORY: [u32; 64] = {
        let mut memory = [0; 64];
        let mut i = 0;
        while i < 64 {
            memory[i] = 0x0302_0100 + 0x0404_0404 * i as u32;
            i += 1;
        }
        memory
    };

    proptest! {
        /// In `MEMORY` each byte holds its own offset.
        #[test]
        fn a_read_returns_the_bytes_at_its_offset(offset in 0u16..256, len in 0usize..16) {
            let mut data = vec![0xaa; len];
            read(offset, &mut data, |i| MEMORY.get(i).copied().unwrap_or(0));
            for (i, byte) in data.iter().enumerate() {
                let at = usize::from(offset) + i;
                prop_assert_eq!(usize::from(*byte), if at < 256 { at } else { 0 });
            }
        }

        #[test]
        fn a_write_enables_exactly_its_bytes(
            offset in 0u16..256,
            data in proptest::collection::vec(any::<u8>(), 0..16),
        ) {
            let mut seen = Vec::new();
            for (index, write) in writes(offset, &data) {
                let value = write.value().to_le_bytes();
                for (lane, enable) in write.enables().to_le_bytes().into_iter().enumerate() {
                    match enable {
                        0xff => seen.push((index * 4 + lane, value[lane])),
                        0 => prop_assert_eq!(value[lane], 0),
                        _ => prop_assert!(false, "half a byte enabled"),
                    }
                }
            }
            let expected: Vec<_> = (usize::from(offset)..).zip(data).collect();
            prop_assert_eq!(seen, expected);
        }
    }
}
