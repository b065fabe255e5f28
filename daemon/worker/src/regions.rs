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
        table.total += window.size() as u64;
        let free = table.windows.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            table.windows.push(None);
            table.windows.len() - 1
        });
        table.windows[index] = Some(window);
        index as u32 + 1
    }

    pub(crate) fn remove(&self, id: u32) -> Result<(), Errno> {
        let mut table = self.table();
        let index = id.checked_sub(1).ok_or(Errno::NOENT)? as usize;
        let window = table.windows.get_mut(index).and_then(Option::take);
        let window = window.ok_or(Errno::NOENT)?;
        table.total -= window.size() as u64;
        Ok(())
    }
}
