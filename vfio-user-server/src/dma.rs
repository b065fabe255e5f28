//! The parts of its memory that a client lets the device reach.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE, VFIO_DMA_UNMAP_FLAG_ALL,
};

use crate::device::Device;
use crate::limits::{MAX_DMA_MAPS, PAGE_SIZE};
use crate::wire;

/// A part of the client's memory: guest-physical addresses, unless the guest
/// has an IOMMU.
#[derive(Debug)]
pub struct DmaMap {
    /// The first address.
    pub address: u64,
    /// Size in bytes, not 0; the last address is no higher than `u64::MAX`.
    pub size: u64,
    /// Whether the device may write there, not only read.
    pub writable: bool,
    /// The memory itself, to map; `None` where the client cannot share it.
    pub memory: Option<Memory>,
}

impl DmaMap {
    /// The last address.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.address.saturating_add(self.size.saturating_sub(1))
    }
}

/// Memory that a client shares.
#[derive(Debug)]
pub struct Memory {
    /// The file that holds it. The client may truncate it at any time.
    pub file: OwnedFd,
    /// Where in that file the part begins, in bytes.
    pub offset: u64,
}

/// All that is mapped, by first address. No two overlap.
#[derive(Debug, Default)]
pub(crate) struct DmaMaps(BTreeMap<u64, DmaMap>);

impl DmaMaps {
    /// Adds a part and tells the device.
    pub(crate) fn map(
        &mut self,
        request: &wire::DmaMap,
        file: Option<OwnedFd>,
        device: &mut dyn Device,
    ) -> Result<(), Errno> {
        let known = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
        if request.flags & known == 0 || request.flags & !known != 0 {
            return Err(Errno::INVAL);
        }
        let last = last(request.address, request.size)?;
        let end_in_file = request.offset.checked_add(request.size);
        if end_in_file.is_none_or(|end| end > i64::MAX as u64) {
            return Err(Errno::INVAL);
        }
        if self.overlaps(request.address, last) {
            return Err(Errno::EXIST);
        }
        if self.0.len() >= MAX_DMA_MAPS {
            return Err(Errno::NOSPC);
        }
        let map = DmaMap {
            address: request.address,
            size: request.size,
            writable: request.flags & VFIO_DMA_MAP_FLAG_WRITE != 0,
            memory: file.map(|file| Memory {
                file,
                offset: request.offset,
            }),
        };
        device.dma_mapped(&map)?;
        self.0.insert(request.address, map);
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
                let map = self.0.get(&request.address).ok_or(Errno::NOENT)?;
                if map.size != request.size {
                    return Err(Errno::INVAL);
                }
                device.dma_unmapped(map);
                self.0.remove(&request.address);
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
        while let Some((_, map)) = self.0.pop_first() {
            device.dma_unmapped(&map);
        }
    }

    fn overlaps(&self, first: u64, last: u64) -> bool {
        self.0
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
