//! A guest's memory: parts of files, some that cannot be shared, and a few pages that can be read.

use std::cell::Cell;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, LazyLock};

use vgpu_abi::segment::PAGE;
use vgpu_channels::{Found, GuestMemory, Missing};

use super::super::given::event;

/// Pages that addresses here are among, most of them.
pub(super) const PAGES: u64 = 420;

/// Files of the memory. What they are matters little: the pages that are read are not in them.
static FILES: LazyLock<[Arc<OwnedFd>; 36]> = LazyLock::new(|| std::array::from_fn(|_| event()));

/// A part of the memory: its first page and its pages, the file and where in that it begins, in bytes.
struct Part {
    first: u64,
    bytes: u64,
    file: usize,
    offset: u64,
}

const fn part(first: u64, pages: u64, file: usize, page: u64) -> Part {
    Part {
        first,
        bytes: pages * PAGE,
        file,
        offset: page * PAGE,
    }
}

/// From 288 on each page is a file of its own, which are more than a message may have.
const OWN: std::ops::Range<u64> = 288..320;

const PARTS: [Part; 7] = [
    part(0, 64, 0, 16),
    // Neighbours by address, in another file.
    part(64, 64, 1, 0),
    // Behind the first part in its file, and so one piece with it.
    part(128, 32, 0, 80),
    // The same memory at another address.
    part(168, 8, 1, 4),
    // Not whole pages at its end, and not in its file.
    Part {
        first: 192,
        bytes: 4 * PAGE - 2048,
        file: 2,
        offset: 0,
    },
    Part {
        first: 200,
        bytes: 4 * PAGE,
        file: 2,
        offset: 512,
    },
    part(400, 16, 3, 1 << 40),
];

/// Not in a file that others could map.
const PRIVATE: std::ops::Range<u64> = 256..264;

/// What a page of it is, for a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    /// This page of this descriptor's.
    Of(i32, u64),
    /// In a file, but no whole page of it.
    Odd,
    Private,
    None,
}

/// Pages that can be read, from the first one on: the rest reads as zeros.
const READ: usize = 8;

#[derive(Debug)]
pub(super) struct Guest {
    pages: Box<[[u64; 512]; READ]>,
    /// Reads until a page changes that was read before.
    until: Cell<Option<u8>>,
    /// Pages that were read since [`Guest::begin`], a bit each, and one that has changed since.
    seen: Cell<u8>,
    changed: Cell<Option<usize>>,
    mattered: Cell<bool>,
}

impl Guest {
    pub(super) fn new() -> Self {
        Self {
            pages: vec![[0; 512]; READ].try_into().expect("as many"),
            until: Cell::new(None),
            seen: Cell::new(0),
            changed: Cell::new(None),
            mattered: Cell::new(false),
        }
    }

    /// Writes words into a page that can be read.
    pub(super) fn write(&mut self, page: u64, word: usize, words: &[u64]) {
        let page = &mut self.pages[page as usize % READ];
        for (to, from) in page[word % 512..].iter_mut().zip(words) {
            *to = *from;
        }
    }

    /// The next request finds a page changed after so many reads.
    pub(super) fn change_after(&mut self, reads: u8) {
        self.until.set(Some(reads));
    }

    /// A request begins.
    pub(super) fn begin(&self) {
        self.seen.set(0);
        self.changed.set(None);
        self.mattered.set(false);
    }

    /// It is over: whether a page that it had read was another when it was read again.
    pub(super) fn end(&mut self) -> bool {
        self.until.set(None);
        self.changed.set(None);
        self.mattered.get()
    }

    /// The words of a page, as they are while nothing changes.
    pub(super) fn words(&self, page: u64) -> [u64; 512] {
        self.pages.get(page as usize).copied().unwrap_or([0; 512])
    }

    /// What there is at a page.
    pub(super) fn page(page: u64) -> Page {
        if PRIVATE.contains(&page) {
            return Page::Private;
        }
        if OWN.contains(&page) {
            let file = &FILES[4 + (page - OWN.start) as usize];
            return Page::Of(file.as_raw_fd(), page);
        }
        for part in &PARTS {
            let (first, last) = (part.first * PAGE, part.first * PAGE + part.bytes - 1);
            if (first..=last).contains(&(page * PAGE)) {
                let at = part.offset + (page * PAGE - first);
                let whole = at.is_multiple_of(PAGE) && page * PAGE + PAGE - 1 <= last;
                return match whole {
                    true => Page::Of(FILES[part.file].as_raw_fd(), at / PAGE),
                    false => Page::Odd,
                };
            }
        }
        Page::None
    }
}

impl GuestMemory for Guest {
    fn find(&self, address: u64) -> Result<Found, Missing> {
        let page = address / PAGE;
        if PRIVATE.contains(&page) {
            return Err(Missing::NotShared);
        }
        if OWN.contains(&page) {
            return Ok(Found {
                file: Arc::clone(&FILES[4 + (page - OWN.start) as usize]),
                offset: address,
                length: PAGE - address % PAGE,
            });
        }
        let part = PARTS.iter().find(|part| {
            let first = part.first * PAGE;
            (first..first + part.bytes).contains(&address)
        });
        let part = part.ok_or(Missing::NotMemory)?;
        let into = address - part.first * PAGE;
        Ok(Found {
            file: Arc::clone(&FILES[part.file]),
            offset: part.offset + into,
            length: part.bytes - into,
        })
    }

    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        let there = self
            .find(address)
            .is_ok_and(|found| found.length >= into.len() as u64);
        if !there {
            return false;
        }
        let page = (address / PAGE) as usize;
        for (to, from) in into.chunks_mut(8).zip(self.words(page as u64)) {
            to.copy_from_slice(&from.to_le_bytes());
        }
        if page >= READ {
            return true;
        }
        if self.changed.get() == Some(page) {
            into[0x800] ^= 1;
            self.mattered.set(true);
        }
        self.seen.set(self.seen.get() | 1 << page);
        match self.until.get() {
            // From now on this page is another.
            Some(0) if self.changed.get().is_none() => self.changed.set(Some(page)),
            Some(left) => self.until.set(left.checked_sub(1).or(Some(0))),
            None => {}
        }
        true
    }
}
