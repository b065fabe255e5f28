//! The client's memory, as far as it is mapped.

use std::collections::BTreeMap;

use vfio_user_server::{DmaMap, Memory};
use vgpu_channels::{Found, GuestMemory, Missing};

/// A part of it.
#[derive(Debug)]
struct Part {
    last: u64,
    writable: bool,
    memory: Option<Memory>,
}

/// All parts, by first address. The server sees to it that no two overlap, and that there are not too many.
#[derive(Debug, Default)]
pub(crate) struct Maps(BTreeMap<u64, Part>);

impl Maps {
    pub(crate) fn add(&mut self, map: &DmaMap) {
        let part = Part {
            last: map.last(),
            writable: map.writable,
            memory: map.memory.clone(),
        };
        self.0.insert(map.address, part);
    }

    pub(crate) fn remove(&mut self, map: &DmaMap) {
        self.0.remove(&map.address);
    }
}

impl GuestMemory for Maps {
    fn find(&self, address: u64) -> Result<Found, Missing> {
        let before = self.0.range(..=address).next_back();
        let within = before.filter(|(_, part)| part.last >= address && part.writable);
        let (first, part) = within.ok_or(Missing::NotMemory)?;
        let memory = part.memory.as_ref().ok_or(Missing::NotShared)?;
        let into = address.saturating_sub(*first);
        Ok(Found {
            file: memory.file.clone(),
            // The server has checked that it ends in the file.
            offset: memory.offset.saturating_add(into),
            length: part.last.saturating_sub(address).saturating_add(1),
        })
    }
}
