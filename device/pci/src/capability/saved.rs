//! What capabilities hold beside their registers, in saved form: a section for
//! each that holds something, in rising order of their offsets, and any number
//! of zeros.
//!
//! A section is the capability's offset in config space and its ID (a byte
//! each), the length of its state in bytes (16 bits, little-endian), and the
//! state. So it is found, and checked, without knowing any other capability.

/// Bytes of a section before the state.
pub(crate) const HEADER: usize = 4;

/// The state of one capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Section<'a> {
    /// Where the capability begins in config space.
    pub(crate) offset: u8,
    /// Its ID.
    pub(crate) id: u8,
    /// What it holds.
    pub(crate) state: &'a [u8],
}

/// Something other than sections and zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Writes the beginning of a section to `into`, and returns where its state of
/// `size` bytes and what comes after it belong; `None` where it has no room.
pub(crate) fn begin(
    into: &mut [u8],
    offset: u8,
    id: u8,
    size: usize,
) -> Option<(&mut [u8], &mut [u8])> {
    let (header, rest) = into.split_first_chunk_mut::<HEADER>()?;
    let [low, high] = u16::try_from(size).ok()?.to_le_bytes();
    let (state, rest) = rest.split_at_mut_checked(size)?;
    *header = [offset, id, low, high];
    Some((state, rest))
}

/// The sections in `saved`, until the first mistake.
pub(crate) fn sections(saved: &[u8]) -> impl Iterator<Item = Result<Section<'_>, Malformed>> {
    let mut left = saved;
    let mut last = 0;
    std::iter::from_fn(move || {
        if left.iter().all(|byte| *byte == 0) {
            return None;
        }
        let section = split(left).filter(|(section, _)| section.offset > last);
        left = section.map_or(&[], |(_, rest)| rest);
        let section = section.map(|(section, _)| section);
        last = section.map_or(last, |section| section.offset);
        Some(section.ok_or(Malformed))
    })
}

fn split(saved: &[u8]) -> Option<(Section<'_>, &[u8])> {
    let (&[offset, id, low, high], rest) = saved.split_first_chunk()?;
    let (state, rest) = rest.split_at_checked(u16::from_le_bytes([low, high]).into())?;
    Some((Section { offset, id, state }, rest))
}
