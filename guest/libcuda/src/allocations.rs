//! What this process has allocated: device memory, and pinned memory of the
//! host, which is a region that the worker shares.

use std::collections::BTreeMap;
use std::sync::Mutex;

use vgpu_cuda_wire::CUresult;
use vgpu_transport::Region;

use crate::lock::lock;
use crate::modules::Module;

/// A piece of device memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Device {
    pub(crate) size: u64,
    /// The context that it ends with.
    pub(crate) context: usize,
    /// The pool that it comes from, or 0.
    pub(crate) pool: usize,
    /// Whether it is a variable of a module, which it ends with.
    pub(crate) variable: bool,
}

/// A piece of pinned memory.
#[derive(Debug)]
struct Pinned<M> {
    size: usize,
    context: usize,
    region: Region<M>,
}

/// Allocations by address.
#[derive(Debug)]
pub(crate) struct Allocations<M> {
    device: Mutex<BTreeMap<u64, Device>>,
    pinned: Mutex<BTreeMap<usize, Pinned<M>>>,
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
    pub(crate) fn add(&self, address: u64, allocation: Device) {
        lock(&self.device).insert(address, allocation);
    }

    /// Takes off what a program allocated.
    pub(crate) fn remove(&self, address: u64) -> Result<Device, CUresult> {
        let mut device = lock(&self.device);
        match device.get(&address) {
            Some(allocation) if !allocation.variable => device.remove(&address).ok_or(INVALID),
            _ => Err(INVALID),
        }
    }

    /// Adds the variables of a module.
    pub(crate) fn add_variables(&self, module: &Module) {
        let mut device = lock(&self.device);
        device.extend(module.globals.values().map(|&(address, size)| {
            let variable = Device {
                size,
                context: module.context,
                pool: 0,
                variable: true,
            };
            (address, variable)
        }));
    }

    /// Takes off the variables of a module.
    pub(crate) fn remove_variables(&self, module: &Module) {
        let mut device = lock(&self.device);
        for (address, _) in module.globals.values() {
            device.remove(address);
        }
    }

    /// Takes off all device memory that was allocated in a context.
    pub(crate) fn remove_of(&self, context: usize) -> BTreeMap<u64, Device> {
        let mut device = lock(&self.device);
        let all = std::mem::take(&mut *device).into_iter();
        let (taken, left) =
            all.partition(|(_, device)| device.context == context && !device.variable);
        *device = left;
        taken
    }

    /// The allocation that an address lies in.
    pub(crate) fn find(&self, address: u64) -> Result<(u64, Device), CUresult> {
        let (start, allocation) = self.before(address)?;
        match address - start < allocation.size {
            true => Ok((start, allocation)),
            false => Err(INVALID),
        }
    }

    /// The last allocation that begins at an address or before.
    fn before(&self, address: u64) -> Result<(u64, Device), CUresult> {
        let device = lock(&self.device);
        let (&start, &allocation) = device.range(..=address).next_back().ok_or(INVALID)?;
        Ok((start, allocation))
    }

    /// Checks that a range is in one allocation. An empty one may be at its end.
    pub(crate) fn check(&self, address: u64, size: usize) -> Result<(), CUresult> {
        let (start, allocation) = self.before(address)?;
        let end = (address - start).checked_add(size as u64);
        match end.is_some_and(|end| end <= allocation.size) {
            true => Ok(()),
            false => Err(INVALID),
        }
    }

    pub(crate) fn pin(&self, address: usize, size: usize, context: usize, region: Region<M>) {
        let pinned = Pinned {
            size,
            context,
            region,
        };
        lock(&self.pinned).insert(address, pinned);
    }

    pub(crate) fn unpin(&self, address: usize) -> Result<Region<M>, CUresult> {
        let removed = lock(&self.pinned).remove(&address);
        removed.map(|pinned| pinned.region).ok_or(INVALID)
    }

    /// Takes off all pinned memory of a context.
    pub(crate) fn unpin_of(&self, context: usize) -> Vec<Region<M>> {
        let mut pinned = lock(&self.pinned);
        let all = std::mem::take(&mut *pinned).into_iter();
        let (taken, left) = all.partition(|(_, pinned)| pinned.context == context);
        *pinned = left;
        let taken: BTreeMap<_, _> = taken;
        taken.into_values().map(|pinned| pinned.region).collect()
    }

    /// The region and the offset where a range of host memory lies, if it is
    /// pinned.
    pub(crate) fn pinned(&self, address: usize, size: usize) -> Option<(u32, u64)> {
        let all = lock(&self.pinned);
        let (start, pinned) = all.range(..=address).next_back()?;
        let offset = address - start;
        let inside = offset.checked_add(size)? <= pinned.size && offset < pinned.size;
        inside.then_some((pinned.region.id, offset as u64))
    }
}
