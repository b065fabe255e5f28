//! Which memory a guest means: its segment directory, read ([`vgpu_abi::segment`]).

use vgpu_abi::link::FILES;
use vgpu_abi::mailbox::code;
use vgpu_abi::segment::{Directory, MAGIC, PAGE, PAGES_MAX, PER_PAGE, Segment};
use zerocopy::FromBytes;

use crate::memory::{GuestMemory, Missing, Shared};
use crate::ranges::Ranges;

/// A page of a directory, as it was read.
type Page = [u8; PAGE as usize];

/// What may be taken.
#[derive(Debug)]
pub(crate) struct Bounds<'a> {
    /// Bytes that the guest states, at most as many as it may have.
    pub(crate) length: u64,
    /// Pieces, at most.
    pub(crate) pieces: usize,
    /// Addresses that other regions have.
    pub(crate) taken: &'a [&'a Ranges],
}

/// Memory of a guest's, checked.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) shared: Shared,
    pub(crate) addresses: Ranges,
}

/// Reads a directory, and finds the memory that it names.
///
/// # Errors
///
/// One of [`vgpu_abi::mailbox::code`].
pub(crate) fn resolve(
    memory: &dyn GuestMemory,
    directory: u64,
    bounds: &Bounds<'_>,
) -> Result<Resolved, u16> {
    let pages = read(memory, directory)?;
    let mut resolved = Resolved {
        shared: Shared::default(),
        addresses: Ranges::default(),
    };
    let mut left = bounds.length;
    for (_, page) in &pages {
        for word in words(page) {
            let segment = Segment::from_word(word).ok_or(code::DIRECTORY)?;
            left = left.checked_sub(segment.length).ok_or(code::DIRECTORY)?;
            resolved.add(memory, &segment, bounds)?;
        }
    }
    let unchanged = pages.iter().all(|(address, page)| {
        let mut again = [0; PAGE as usize];
        memory.read(*address, &mut again) && again == **page
    });
    match left == 0 && unchanged {
        true => Ok(resolved),
        false => Err(code::DIRECTORY),
    }
}

impl Resolved {
    fn add(
        &mut self,
        memory: &dyn GuestMemory,
        segment: &Segment,
        bounds: &Bounds<'_>,
    ) -> Result<(), u16> {
        let last = segment
            .address
            .saturating_add(segment.length.saturating_sub(1));
        let taken = |it: &&Ranges| it.overlap(segment.address, last);
        if bounds.taken.iter().any(taken) || !self.addresses.insert(segment.address, last) {
            return Err(code::OVERLAP);
        }
        let (mut address, mut left) = (segment.address, segment.length);
        while left > 0 {
            let found = memory.find(address).map_err(|missing| match missing {
                Missing::NotMemory => code::NOT_MEMORY,
                Missing::NotShared => code::NOT_SHARED,
            })?;
            let part = found.length.min(left);
            // What is mapped is whole pages.
            if part == 0 || !part.is_multiple_of(PAGE) || !found.offset.is_multiple_of(PAGE) {
                return Err(code::NOT_MEMORY);
            }
            let pushed = self.shared.push(&found, part, FILES);
            if pushed.is_none() || self.shared.pieces.len() > bounds.pieces {
                return Err(code::FRAGMENTED);
            }
            address = address.saturating_add(part);
            left = left.saturating_sub(part);
        }
        Ok(())
    }
}

/// All pages of a directory, each read once, by their addresses.
fn read(memory: &dyn GuestMemory, directory: u64) -> Result<Vec<(u64, Box<Page>)>, u16> {
    let mut pages = Vec::new();
    let mut next = directory;
    while next != 0 {
        if !next.is_multiple_of(PAGE) || pages.len() >= PAGES_MAX as usize {
            return Err(code::DIRECTORY);
        }
        let mut page = Box::new([0; PAGE as usize]);
        if !memory.read(next, &mut *page) {
            return Err(code::NOT_MEMORY);
        }
        let address = next;
        let (head, _) = Directory::read_from_prefix(&*page).map_err(|_| code::DIRECTORY)?;
        if head.magic != MAGIC || !(1..=PER_PAGE).contains(&head.count) {
            return Err(code::DIRECTORY);
        }
        next = head.next;
        pages.push((address, page));
    }
    match pages.is_empty() {
        true => Err(code::DIRECTORY),
        false => Ok(pages),
    }
}

/// The segments of a page that was checked.
fn words(page: &Page) -> impl Iterator<Item = u64> {
    let count = Directory::read_from_prefix(page).map_or(0, |(head, _)| head.count);
    let (words, _) = page
        .get(size_of::<Directory>()..)
        .unwrap_or_default()
        .as_chunks();
    let words = words.iter().copied().map(u64::from_le_bytes);
    words.take(count as usize)
}
