//! What this process has allocated: device memory, and pinned memory of the
//! host, which is a region that the worker shares.

use std::collections::BTreeMap;
use std::sync::Mutex;

use vgpu_cuda_wire::CUresult;
use vgpu_transport::Region;

use crate::session::lock;

/// Device allocations by address, with their sizes; pinned ones with regions.
#[derive(Debug)]
pub(crate) struct Allocations<M> {
    device: Mutex<BTreeMap<u64, u64>>,
    pinned: Mutex<BTreeMap<usize, (usize, Region<M>)>>,
}

impl<M> Default for Allocations<M> {
    fn default() -> Self {
        Self {
            device: Mutex::default(),
            pinned: Mutex::default(),
        }
    }
}

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

impl<M> Allocations<M> {
    pub(crate) fn add(&self, address: u64, size: u64) {
        lock(&self.device).insert(address, size);
    }

    pub(crate) fn remove(&self, address: u64) -> Result<(), CUresult> {
        lock(&self.device)
            .remove(&address)
            .map(|_| ())
            .ok_or(INVALID)
    }

    /// Checks that a range is in one allocation.
    pub(crate) fn check(&self, address: u64, size: usize) -> Result<(), CUresult> {
        let device = lock(&self.device);
        let (start, length) = device.range(..=address).next_back().ok_or(INVALID)?;
        let end = (address - start).checked_add(size as u64);
        match end.is_some_and(|end| end <= *length) {
            true => Ok(()),
            false => Err(INVALID),
        }
    }

    pub(crate) fn pin(&self, address: usize, size: usize, region: Region<M>) {
        lock(&self.pinned).insert(address, (size, region));
    }

    pub(crate) fn unpin(&self, address: usize) -> Result<Region<M>, CUresult> {
        let removed = lock(&self.pinned).remove(&address);
        removed.map(|(_, region)| region).ok_or(INVALID)
    }

    /// The region and the offset where a range of host memory lies, if it is
    /// pinned.
    pub(crate) fn pinned(&self, address: usize, size: usize) -> Option<(u32, u64)> {
        let pinned = lock(&self.pinned);
        let (start, (length, region)) = pinned.range(..=address).next_back()?;
        let offset = address - start;
        let inside = offset.checked_add(size)? <= *length && offset < *length;
        inside.then_some((region.id, offset as u64))
    }
}
