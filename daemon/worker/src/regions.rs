//! The memory that a session shares beside its slice.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use vgpu_window::Window;

/// The most regions of a session.
const MOST: usize = 256;

/// A session's regions, by number; 0 is the slice and not among them.
#[derive(Debug)]
pub struct Regions {
    limit: u64,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    windows: Vec<Option<Window>>,
    total: u64,
}

impl Regions {
    /// None yet, and at most so many bytes in all.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            table: Mutex::default(),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The memory of a region. It stays mapped as long as it is used.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<Window> {
        let index = usize::try_from(id.checked_sub(1)?).ok()?;
        self.table().windows.get(index)?.clone()
    }

    /// Whether there is room for a region of so many bytes.
    pub(crate) fn admit(&self, size: u64) -> Result<usize, Errno> {
        let table = self.table();
        let total = table.total.checked_add(size);
        if total.is_none_or(|total| total > self.limit) {
            return Err(Errno::NOMEM);
        }
        let free = table.windows.iter().any(Option::is_none);
        if !free && table.windows.len() >= MOST {
            return Err(Errno::NOSPC);
        }
        usize::try_from(size).map_err(|_| Errno::NOMEM)
    }

    /// Adds one that was admitted; gives its number.
    pub(crate) fn add(&self, window: Window) -> u32 {
        let mut table = self.table();
        let free = table.windows.iter().position(Option::is_none);
        let index = free.unwrap_or(table.windows.len());
        table.put(index, window);
        index as u32 + 1
    }

    /// Adds one by a number that another has given it.
    pub(crate) fn place(&self, id: u32, window: Window) -> Result<(), Errno> {
        let index = id.checked_sub(1).ok_or(Errno::INVAL)? as usize;
        let mut table = self.table();
        match table.windows.get(index) {
            Some(Some(_)) => Err(Errno::EXIST),
            _ if index >= MOST => Err(Errno::NOSPC),
            _ => {
                table.put(index, window);
                Ok(())
            }
        }
    }

    /// Takes one out. It is still mapped for who has it from [`Self::get`].
    pub(crate) fn take(&self, id: u32) -> Result<Window, Errno> {
        let mut table = self.table();
        let index = id.checked_sub(1).ok_or(Errno::NOENT)? as usize;
        let window = table.windows.get_mut(index).and_then(Option::take);
        let window = window.ok_or(Errno::NOENT)?;
        table.total -= window.size() as u64;
        Ok(window)
    }
}

impl Table {
    /// Puts one where none is.
    fn put(&mut self, index: usize, window: Window) {
        if self.windows.len() <= index {
            self.windows.resize(index + 1, None);
        }
        self.total += window.size() as u64;
        self.windows[index] = Some(window);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_has_the_number_that_it_was_given() {
        let regions = Regions::new(u64::MAX);
        let window = || Window::create(4096).unwrap().1;
        for (id, placed) in [
            (0, Err(Errno::INVAL)),
            (3, Ok(())),
            (3, Err(Errno::EXIST)),
            (MOST as u32, Ok(())),
            (MOST as u32 + 1, Err(Errno::NOSPC)),
            (u32::MAX, Err(Errno::NOSPC)),
        ] {
            assert_eq!(regions.place(id, window()), placed, "{id}");
        }
        // The first that is free.
        assert_eq!(regions.add(window()), 1);
        assert!(regions.get(3).is_some() && regions.get(2).is_none());
        assert!(regions.take(3).is_ok() && regions.get(3).is_none());
        assert_eq!(regions.take(3).map(drop), Err(Errno::NOENT));
        assert_eq!(regions.take(0).map(drop), Err(Errno::NOENT));
        assert_eq!(regions.table().total, 2 * 4096);
    }
}
