//! The parts of its memory that a client lets the device reach.

use std::collections::BTreeMap;

use rustix::io::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE, VFIO_DMA_UNMAP_FLAG_ALL,
};

use crate::device::Device;
use crate::files::Files;
use crate::limits::{MAX_DMA_MAPS, PAGE_SIZE};
use crate::memory::{DmaMap, Memory, MemoryFiles};
use crate::wire;

/// All that is mapped, by first address. No two overlap.
#[derive(Debug, Default)]
pub(crate) struct DmaMaps {
    maps: BTreeMap<u64, DmaMap>,
    files: MemoryFiles,
}

impl DmaMaps {
    /// Adds a part and tells the device. Its memory is the file in `files`,
    /// where there is one.
    pub(crate) fn map(
        &mut self,
        request: &wire::DmaMap,
        files: &mut Files,
        device: &mut dyn Device,
    ) -> Result<(), Errno> {
        let known = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
        if request.flags & known == 0 || request.flags & !known != 0 {
            return Err(Errno::INVAL);
        }
        let last = last(request.address, request.size)?;
        let end = request.offset.checked_add(request.size);
        let end = end
            .filter(|end| *end <= i64::MAX as u64)
            .ok_or(Errno::INVAL)?;
        if self.overlaps(request.address, last) {
            return Err(Errno::EXIST);
        }
        if self.maps.len() >= MAX_DMA_MAPS {
            return Err(Errno::NOSPC);
        }
        let writable = request.flags & VFIO_DMA_MAP_FLAG_WRITE != 0;
        let file = self.files.take(files, end, writable)?;
        let map = DmaMap {
            address: request.address,
            size: request.size,
            writable,
            memory: file.map(|file| Memory {
                file,
                offset: request.offset,
            }),
        };
        device.dma_mapped(&map)?;
        self.maps.insert(request.address, map);
        Ok(())
    }

    /// Takes away a part that was mapped as exactly this, or all of them.
    pub(crate) fn unmap(
        &mut self,
        request: &wire::DmaUnmap,
        device: &mut dyn Device,
    ) -> Result<(), Errno> {
        match request.flags {
            0 => {
                last(request.address, request.size)?;
                let map = self.maps.get(&request.address).ok_or(Errno::NOENT)?;
                if map.size != request.size {
                    return Err(Errno::INVAL);
                }
                device.dma_unmapped(map);
                self.maps.remove(&request.address);
                Ok(())
            }
            VFIO_DMA_UNMAP_FLAG_ALL if request.address == 0 && request.size == 0 => {
                self.unmap_all(device);
                Ok(())
            }
            _ => Err(Errno::INVAL),
        }
    }

    pub(crate) fn unmap_all(&mut self, device: &mut dyn Device) {
        while let Some((_, map)) = self.maps.pop_first() {
            device.dma_unmapped(&map);
        }
    }

    fn overlaps(&self, first: u64, last: u64) -> bool {
        self.maps
            .range(..=last)
            .next_back()
            .is_some_and(|(_, map)| map.last() >= first)
    }
}

/// The last address of a part, if there can be such a part.
fn last(address: u64, size: u64) -> Result<u64, Errno> {
    if !address.is_multiple_of(PAGE_SIZE) || !size.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::INVAL);
    }
    size.checked_sub(1)
        .and_then(|less| address.checked_add(less))
        .ok_or(Errno::INVAL)
}
