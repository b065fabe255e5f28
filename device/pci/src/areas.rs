//! What lies behind a memory BAR: areas, each with the sizes of access that it takes and what a write does there.

use std::ops::Range;

use thiserror::Error;

/// The device takes no access of this size and alignment at this place. Such a read gives 0, such a write changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the device takes no such access there")]
pub struct Refused;

/// What a guest's write does in an area. A read gives what is stored, and changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AreaKind {
    /// It stores the value: registers, tables, data.
    Storage,
    /// It changes nothing: only the device does.
    ReadOnly,
    /// It clears each bit in which it has a 1 (RW1C of PCIe 4.0 section 7.4): what the device has set until the guest has seen it.
    WriteOneToClear,
    /// It stores nothing, and is the message itself: [`Written::Doorbell`].
    Doorbell,
    /// It stores nothing by itself: the device decides what becomes of the value, [`Written::Control`].
    Control,
}

/// What a guest's write has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a doorbell or a control is for the device"]
pub enum Written {
    /// It is over, with what its area stores of it.
    Stored,
    /// It was in an area of [`AreaKind::Doorbell`], and its value this one.
    Doorbell(u64),
    /// It was in an area of [`AreaKind::Control`], and its value this one.
    Control(u64),
}

/// A part of a BAR with rules of its own.
#[derive(Debug, Clone, Copy)]
pub struct Area {
    start: u64,
    end: u64,
    sizes: u8,
    kind: AreaKind,
}

impl Area {
    /// The bytes in `range`, which takes accesses of these sizes: a set, in which size 4 is bit 2, of value 4. All are
    /// aligned to their size.
    #[must_use]
    pub const fn new(range: Range<u64>, sizes: u8, kind: AreaKind) -> Self {
        Self {
            start: range.start,
            end: range.end,
            sizes,
            kind,
        }
    }
}

/// What an area says about a dword: the sizes of access, and what a write does.
#[derive(Debug, Clone, Copy)]
pub struct Rule(u8, AreaKind);

/// All areas of a BAR, spread out over its first dwords, so that an access finds its own by one look. What lies above
/// takes no access. A table of `DWORDS` is an `Areas<[Rule; DWORDS]>`; accesses take any, as `&Areas`.
///
/// The bytes are the device's, which hands them to each access, little-endian as the guest sees them. A doorbell needs
/// none, and reads 0 then.
///
/// ```
/// use vgpu_pci::{Area, Areas, AreaKind, Refused, Rule, Written};
///
/// const AREAS: &Areas = &Areas::<[Rule; 4]>::new(&[
///     Area::new(0..4, 4, AreaKind::Storage),
///     Area::new(4..8, 4, AreaKind::WriteOneToClear),
///     Area::new(8..16, 4 | 8, AreaKind::Doorbell),
/// ]);
/// let mut bytes = [0xff; 16];
/// assert_eq!(AREAS.write(&mut bytes, 4, 4, 0xff), Ok(Written::Stored));
/// assert_eq!(AREAS.read(&bytes, 4, 4), Ok(0xffff_ff00));
/// assert_eq!(AREAS.write(&mut bytes, 8, 8, 1), Ok(Written::Doorbell(1)));
/// assert_eq!(AREAS.write(&mut bytes, 2, 4, 1), Err(Refused));
/// ```
#[derive(Debug)]
pub struct Areas<T: ?Sized = [Rule]>(T);

impl<const DWORDS: usize> Areas<[Rule; DWORDS]> {
    /// A table of these, in the order of their offsets and without a gap.
    ///
    /// # Panics
    ///
    /// If they leave a gap, overlap, are not all of the dwords, or an access could cross from one to the next. In a constant,
    /// as it is meant to be, that is an error of the compiler's.
    #[must_use]
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "the compiler evaluates it"
    )]
    pub const fn new(areas: &[Area]) -> Self {
        let mut rules = [Rule(0, AreaKind::ReadOnly); DWORDS];
        let mut end = 0;
        let mut index = 0;
        while index < areas.len() {
            let Area {
                start, sizes, kind, ..
            } = areas[index];
            assert!(start == end, "areas leave no gap");
            end = areas[index].end;
            let largest = 1 << sizes.ilog2();
            assert!(
                start % largest == 0 && end % largest == 0 && start % 4 == 0 && end % 4 == 0,
                "no access crosses areas"
            );
            let mut at = start;
            while at < end {
                rules[at as usize / 4] = Rule(sizes, kind);
                at += 4;
            }
            index += 1;
        }
        assert!(end as usize == 4 * DWORDS, "areas are all there is");
        Self(rules)
    }
}

impl Areas {
    /// A guest's read of `size` bytes at byte `offset`.
    ///
    /// # Errors
    ///
    /// If the area takes no such access.
    #[inline]
    pub fn read(&self, bytes: &[u8], offset: u64, size: usize) -> Result<u64, Refused> {
        // Registers are of 4 bytes, and nearly all accesses: a way of their own, in which the compiler knows the size.
        match size {
            4 => self.read_sized(bytes, offset, 4),
            _ => self.read_sized(bytes, offset, size),
        }
    }

    #[inline(always)]
    fn read_sized(&self, bytes: &[u8], offset: u64, size: usize) -> Result<u64, Refused> {
        let (at, kind) = self.place(offset, size)?;
        let message = matches!(kind, AreaKind::Doorbell | AreaKind::Control);
        let nothing = || message.then_some(0);
        load(bytes, at, size).or_else(nothing).ok_or(Refused)
    }

    /// A guest's write of the low `size` bytes of `value` at byte `offset`.
    ///
    /// # Errors
    ///
    /// If the area takes no such access. Nothing is changed then.
    #[inline]
    pub fn write(
        &self,
        bytes: &mut [u8],
        offset: u64,
        size: usize,
        value: u64,
    ) -> Result<Written, Refused> {
        // As read() does.
        match size {
            4 => self.write_sized(bytes, offset, 4, value),
            _ => self.write_sized(bytes, offset, size, value),
        }
    }

    #[inline(always)]
    fn write_sized(
        &self,
        bytes: &mut [u8],
        offset: u64,
        size: usize,
        value: u64,
    ) -> Result<Written, Refused> {
        let (at, kind) = self.place(offset, size)?;
        let stored = match kind {
            AreaKind::Storage => value,
            AreaKind::WriteOneToClear => load(bytes, at, size).ok_or(Refused)? & !value,
            AreaKind::ReadOnly => return Ok(Written::Stored),
            AreaKind::Doorbell => return Ok(Written::Doorbell(low(size, value)?)),
            AreaKind::Control => return Ok(Written::Control(low(size, value)?)),
        };
        store(bytes, at, size, stored).ok_or(Refused)?;
        Ok(Written::Stored)
    }

    /// Where in the bytes an access goes, and what a write does there.
    ///
    /// # Errors
    ///
    /// If the area takes no such access.
    #[inline]
    pub fn place(&self, offset: u64, size: usize) -> Result<(usize, AreaKind), Refused> {
        let at = usize::try_from(offset).map_err(|_| Refused)?;
        let &Rule(sizes, kind) = self.0.get(at / 4).ok_or(Refused)?;
        let accepted = size.is_power_of_two() && usize::from(sizes) & size != 0;
        let aligned = at & size.wrapping_sub(1) == 0;
        (accepted && aligned).then_some((at, kind)).ok_or(Refused)
    }
}

/// The low `size` bytes of a value.
#[inline]
fn low(size: usize, value: u64) -> Result<u64, Refused> {
    let mut bytes = [0; 8];
    store(&mut bytes, 0, size, value).ok_or(Refused)?;
    Ok(u64::from_le_bytes(bytes))
}

// Each size by itself, which is one instruction: a slice of any length is a call of memcpy().

#[inline]
fn load(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?;
    match size {
        1 => bytes.first_chunk().map(|b| u8::from_le_bytes(*b).into()),
        2 => bytes.first_chunk().map(|b| u16::from_le_bytes(*b).into()),
        4 => bytes.first_chunk().map(|b| u32::from_le_bytes(*b).into()),
        _ => bytes.first_chunk().map(|b| u64::from_le_bytes(*b)),
    }
}

#[inline]
fn store(bytes: &mut [u8], at: usize, size: usize, value: u64) -> Option<()> {
    let bytes = bytes.get_mut(at..)?;
    match size {
        1 => *bytes.first_chunk_mut()? = (value as u8).to_le_bytes(),
        2 => *bytes.first_chunk_mut()? = (value as u16).to_le_bytes(),
        4 => *bytes.first_chunk_mut()? = (value as u32).to_le_bytes(),
        _ => *bytes.first_chunk_mut()? = value.to_le_bytes(),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREAS: &Areas = &Areas::<[Rule; 8]>::new(&[
        Area::new(0..4, 4, AreaKind::Storage),
        Area::new(4..8, 4, AreaKind::ReadOnly),
        Area::new(8..16, 1 | 2 | 4 | 8, AreaKind::WriteOneToClear),
        Area::new(16..24, 4 | 8, AreaKind::Doorbell),
        Area::new(24..32, 4 | 8, AreaKind::Control),
    ]);

    #[test]
    fn a_write_does_what_its_area_says() {
        // None behind doorbells and controls.
        let mut bytes = [0xa5; 16];
        for (offset, size, written, after) in [
            (0, 4, Written::Stored, 0x3c3c_3c3c),
            (4, 4, Written::Stored, 0xa5a5_a5a5),
            (8, 1, Written::Stored, 0x81),
            (10, 2, Written::Stored, 0x8181),
            (8, 8, Written::Stored, 0x8181_8181_8181_8181),
            (16, 4, Written::Doorbell(0x3c3c_3c3c), 0),
            (16, 8, Written::Doorbell(0x3c3c_3c3c_3c3c_3c3c), 0),
            (28, 4, Written::Control(0x3c3c_3c3c), 0),
            (24, 8, Written::Control(0x3c3c_3c3c_3c3c_3c3c), 0),
        ] {
            let value = 0x3c3c_3c3c_3c3c_3c3c;
            assert_eq!(AREAS.write(&mut bytes, offset, size, value), Ok(written));
            assert_eq!(AREAS.read(&bytes, offset, size), Ok(after), "{offset}");
        }
    }

    #[test]
    fn other_sizes_and_places_are_refused_and_change_nothing() {
        let mut bytes = [0xa5; 32];
        for offset in 0..40 {
            for size in 0..20 {
                let sizes: &[usize] = match offset {
                    0..8 => &[4],
                    8..16 => &[1, 2, 4, 8],
                    16..32 => &[4, 8],
                    _ => &[],
                };
                let taken = sizes.contains(&size) && offset % size as u64 == 0;
                assert_eq!(AREAS.read(&bytes, offset, size).is_ok(), taken);
                if !taken {
                    assert_eq!(AREAS.write(&mut bytes, offset, size, 0), Err(Refused));
                }
            }
        }
        assert_eq!(AREAS.read(&bytes, u64::MAX, 4), Err(Refused));
        assert_eq!(bytes, [0xa5; 32]);
    }

    #[test]
    fn too_few_bytes_refuse() {
        let mut bytes = [0; 15];
        assert_eq!(AREAS.read(&bytes, 8, 8), Err(Refused));
        assert_eq!(AREAS.write(&mut bytes, 8, 8, 1), Err(Refused));
    }

    #[test]
    fn a_table_with_a_gap_or_a_crossing_is_none() {
        let tables: [&[Area]; 5] = [
            &[Area::new(4..16, 4, AreaKind::Storage)],
            &[Area::new(0..12, 4, AreaKind::Storage)],
            &[Area::new(0..20, 4, AreaKind::Storage)],
            &[
                Area::new(0..4, 4, AreaKind::Storage),
                Area::new(4..16, 8, AreaKind::Storage),
            ],
            &[
                Area::new(0..2, 1, AreaKind::Storage),
                Area::new(2..16, 1, AreaKind::Storage),
            ],
        ];
        for table in tables {
            assert!(std::panic::catch_unwind(|| Areas::<[Rule; 4]>::new(table)).is_err());
        }
    }
}
