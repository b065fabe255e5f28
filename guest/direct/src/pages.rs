//! Memory of this process that stays where it is, and where that is.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;

use vgpu_ring::Memory;
use vgpu_terminal::{Failure, OrMend};
use vgpu_window::Window;

/// Bytes of a page, as the device and this processor have them.
pub const PAGE: usize = vgpu_abi::segment::PAGE as usize;

/// Bytes of a huge page.
pub const HUGE: usize = 2 << 20;

/// Linux: `Documentation/admin-guide/mm/pagemap.rst`.
const PAGEMAP: &str = "/proc/self/pagemap";
const PRESENT: u64 = 1 << 63;
const NUMBER: u64 = (1 << 55) - 1;

/// Locked memory, and the addresses of its pages as the machine has them.
#[derive(Debug)]
pub struct Pages {
    window: Window,
    addresses: Vec<u64>,
    huge: bool,
}

impl Pages {
    /// Zeroed memory of `length` bytes: of huge pages where there are some, and else of small ones, which are locked.
    ///
    /// # Errors
    /// `length` is no multiple of [`PAGE`]; there is no memory; its addresses are kept from this process.
    pub fn new(length: usize) -> Result<Self, Failure> {
        let whole = length.next_multiple_of(HUGE);
        match Window::anonymous(whole, true) {
            Ok(window) => Self::locate(window, true),
            Err(_) => Self::small(length),
        }
    }

    /// The same, of small pages in any case.
    ///
    /// # Errors
    /// As [`Pages::new`].
    pub fn small(length: usize) -> Result<Self, Failure> {
        let window = Window::anonymous(length, false).or_mend(
            "run it as root (locked memory has a limit for others), with more memory free, or with a smaller --region",
        )?;
        Self::locate(window, false)
    }

    fn locate(window: Window, huge: bool) -> Result<Self, Failure> {
        for page in window.words().chunks(PAGE / 8) {
            page[0].store(0, Ordering::Relaxed);
        }
        let addresses = addresses(&window)?;
        Ok(Self {
            window,
            addresses,
            huge,
        })
    }

    /// Memory as if it lay there.
    #[cfg(any(test, feature = "fake"))]
    #[must_use]
    pub fn at(window: Window, addresses: Vec<u64>) -> Self {
        Self {
            window,
            addresses,
            huge: false,
        }
    }

    /// The memory.
    #[must_use]
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// The address of each of its pages of [`PAGE`] bytes.
    #[must_use]
    pub fn addresses(&self) -> &[u64] {
        &self.addresses
    }

    /// Whether it is of huge pages.
    #[must_use]
    pub fn is_huge(&self) -> bool {
        self.huge
    }

    /// Whether the kernel has moved a page since: the device then writes to memory that is another's.
    ///
    /// # Errors
    /// Addresses cannot be read any more.
    pub fn moved(&self) -> Result<bool, Failure> {
        Ok(addresses(&self.window)? != self.addresses)
    }
}

fn addresses(window: &Window) -> Result<Vec<u64>, Failure> {
    let mend = "run it as root, with CAP_SYS_ADMIN, in no container";
    let first = window.words().as_ptr().addr() / PAGE;
    let mut entries = vec![0; window.size() / PAGE * 8];
    File::open(PAGEMAP)
        .and_then(|file| file.read_exact_at(&mut entries, first as u64 * 8))
        .map_err(|error| Failure::new(format!("cannot read {PAGEMAP}: {error}"), mend))?;
    decode(&entries).ok_or_else(|| {
        let cause = "the kernel does not tell where this process's memory lies (/proc/self/pagemap has no addresses)";
        Failure::new(cause, mend)
    })
}

/// The addresses in entries of a pagemap; `None` where one is of no page, or is kept secret.
fn decode(entries: &[u8]) -> Option<Vec<u64>> {
    let (entries, _) = entries.as_chunks();
    let address = |entry: &[u8; 8]| {
        let entry = u64::from_le_bytes(*entry);
        let number = entry & NUMBER;
        let known = entry & PRESENT != 0 && number != 0;
        known.then(|| number.checked_mul(PAGE as u64)).flatten()
    };
    entries.iter().map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pagemap_tells_addresses_or_nothing() {
        let entry = |bits: u64| bits.to_le_bytes();
        let two = [entry(PRESENT | 1 << 61 | 0x1234), entry(PRESENT | 1 << 51)].concat();
        assert_eq!(decode(&two), Some(vec![0x123_4000, 1 << 63]));
        for wrong in [0, 0x1234, PRESENT, PRESENT | NUMBER] {
            let entries = [entry(PRESENT | 1), entry(wrong)].concat();
            assert_eq!(decode(&entries), None, "{wrong:#x}");
        }
    }
}
