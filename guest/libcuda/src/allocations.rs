//! What this process has allocated: device memory, and pinned memory of the
//! host, which is a region that the worker shares.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use smallvec::SmallVec;
use vgpu_cuda_wire::CUresult;
use vgpu_transport::Region;

use crate::Done;
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
    pub(crate) kind: Kind,
}

/// What a piece of device memory ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A call that frees it.
    Allocation,
    /// Its module.
    Variable,
    /// The end of its mapping. What follows it may be one with it.
    Mapping,
}

/// Ranges, each as its offset in a larger one and its length.
pub(crate) type Pieces = SmallVec<[(usize, usize); 1]>;

/// A piece of pinned memory: the library's own, or the program's that it registered.
#[derive(Debug)]
struct Pinned<M> {
    size: usize,
    context: usize,
    flags: u32,
    backing: Backing<M>,
}

/// What the worker has of pinned memory.
#[derive(Debug)]
pub(crate) enum Backing<M> {
    /// The region that it is.
    Region(Region<M>),
    /// A region of the program's own pages, in which so many bytes come before it.
    Lent { region: u32, before: usize },
    /// Nothing: it is copied as any other.
    Copied,
}

impl<M> Backing<M> {
    /// The region, and how many bytes of it come before the memory.
    pub(crate) fn region(&self) -> Option<(u32, usize)> {
        match self {
            Self::Region(region) => Some((region.id, 0)),
            &Self::Lent { region, before } => Some((region, before)),
            Self::Copied => None,
        }
    }
}

/// Changes of device memory, of all that there are: each has a number of its own.
static CHANGES: AtomicU64 = AtomicU64::new(1);

/// An allocation as a thread has found it after a change: its calls name the same again, and need no lock as long as that is
/// the last.
#[derive(Clone, Copy, Debug)]
struct Recent {
    change: u64,
    start: u64,
    size: u64,
}

thread_local! {
    static RECENT: Cell<Recent> = const {
        Cell::new(Recent {
            change: 0,
            start: 0,
            size: 0,
        })
    };
}

/// Allocations by address.
#[derive(Debug)]
pub(crate) struct Allocations<M> {
    device: Mutex<BTreeMap<u64, Device>>,
    /// The last change of it; written under its lock.
    change: AtomicU64,
    pinned: Mutex<BTreeMap<usize, Pinned<M>>>,
}

impl<M> Default for Allocations<M> {
    fn default() -> Self {
        Self {
            device: Mutex::default(),
            change: AtomicU64::new(next_change()),
            pinned: Mutex::default(),
        }
    }
}

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

fn next_change() -> u64 {
    CHANGES.fetch_add(1, Ordering::Relaxed)
}

impl<M> Allocations<M> {
    /// Device memory, to be changed.
    fn change(&self) -> MutexGuard<'_, BTreeMap<u64, Device>> {
        let device = lock(&self.device);
        self.change.store(next_change(), Ordering::Release);
        device
    }

    pub(crate) fn add(&self, address: u64, allocation: Device) {
        self.change().insert(address, allocation);
    }

    /// Takes off what a program allocated.
    pub(crate) fn remove(&self, address: u64) -> Result<Device, CUresult> {
        let mut device = self.change();
        match device.get(&address) {
            Some(allocation) if allocation.kind == Kind::Allocation => {
                device.remove(&address).ok_or(INVALID)
            }
            _ => Err(INVALID),
        }
    }

    /// Adds the variables of a module.
    pub(crate) fn add_variables(&self, module: &Module) {
        let mut device = self.change();
        device.extend(module.globals.values().map(|&(address, size)| {
            let variable = Device {
                size,
                context: module.context,
                pool: 0,
                kind: Kind::Variable,
            };
            (address, variable)
        }));
    }

    /// Takes off the variables of a module.
    pub(crate) fn remove_variables(&self, module: &Module) {
        let mut device = self.change();
        for (address, _) in module.globals.values() {
            device.remove(address);
        }
    }

    /// Takes off all device memory that was allocated in a context.
    pub(crate) fn remove_of(&self, context: usize) -> BTreeMap<u64, Device> {
        let mut device = self.change();
        let all = std::mem::take(&mut *device).into_iter();
        let (taken, left) = all
            .partition(|(_, device)| device.context == context && device.kind == Kind::Allocation);
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
        let recent = Recent {
            change: self.change.load(Ordering::Relaxed),
            start,
            size: allocation.size,
        };
        let _ = RECENT.try_with(|it| it.set(recent));
        Ok((start, allocation))
    }

    /// Checks that a range is in one allocation, or in mappings that follow each other. An empty
    /// one may be at an end.
    pub(crate) fn check(&self, address: u64, size: usize) -> Done {
        self.each_piece(address, size, |_, _| Ok(()))
    }

    /// Does something to each part of a range: see [`Allocations::pieces`]. Nearly all ranges are one.
    #[inline(always)]
    pub(crate) fn each_piece(
        &self,
        address: u64,
        size: usize,
        mut work: impl FnMut(usize, usize) -> Done,
    ) -> Done {
        if self.is_in_recent(address, size) {
            return work(0, size);
        }
        self.each_piece_anew(address, size, work)
    }

    #[cold]
    fn each_piece_anew(
        &self,
        address: u64,
        size: usize,
        mut work: impl FnMut(usize, usize) -> Done,
    ) -> Done {
        let mut pieces = self.pieces(address, size)?.into_iter();
        pieces.try_for_each(|(offset, length)| work(offset, length))
    }

    /// Whether a range is in the allocation that this thread has found last.
    #[inline]
    fn is_in_recent(&self, address: u64, size: usize) -> bool {
        // At a thread's very end this is gone, and its calls may go on.
        RECENT.try_with(Cell::get).is_ok_and(|recent| {
            let end = address.wrapping_sub(recent.start).checked_add(size as u64);
            recent.change == self.change.load(Ordering::Acquire)
                && end.is_some_and(|end| end <= recent.size)
        })
    }

    /// The parts of a range by what they lie in: one, but for mappings that follow each other.
    pub(crate) fn pieces(&self, address: u64, size: usize) -> Result<Pieces, CUresult> {
        let (mut start, mut allocation) = self.before(address)?;
        let mut pieces = Pieces::new();
        let mut done = 0;
        loop {
            let at = address.checked_add(done as u64).ok_or(INVALID)?;
            let room = allocation.size.checked_sub(at - start).ok_or(INVALID)?;
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let length = (size - done).min(room);
            pieces.push((done, length));
            done += length;
            if done == size {
                return Ok(pieces);
            }
            let end = start.checked_add(allocation.size).ok_or(INVALID)?;
            let next = lock(&self.device).get(&end).copied();
            let next = next.filter(|next| [next.kind, allocation.kind] == [Kind::Mapping; 2]);
            (start, allocation) = (end, next.ok_or(INVALID)?);
        }
    }

    /// Takes a mapping off.
    pub(crate) fn remove_mapping(&self, address: u64) {
        self.change().remove(&address);
    }

    /// Adds pinned memory.
    ///
    /// # Errors
    /// Some of it is pinned already.
    pub(crate) fn pin(
        &self,
        address: usize,
        size: usize,
        context: usize,
        flags: u32,
        backing: Backing<M>,
    ) -> Result<(), CUresult> {
        let new = Pinned {
            size,
            context,
            flags,
            backing,
        };
        let end = address.checked_add(size).ok_or(INVALID)?;
        let mut pinned = lock(&self.pinned);
        let before = pinned.range(..end).next_back();
        if before.is_some_and(|(start, other)| start + other.size > address) {
            return Err(CUresult::CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
        }
        pinned.insert(address, new);
        Ok(())
    }

    /// Takes off pinned memory that a region is.
    pub(crate) fn unpin(&self, address: usize) -> Result<Region<M>, CUresult> {
        let mut pinned = lock(&self.pinned);
        match pinned.remove(&address) {
            Some(Pinned {
                backing: Backing::Region(region),
                ..
            }) => Ok(region),
            other => {
                pinned.extend(other.map(|other| (address, other)));
                Err(INVALID)
            }
        }
    }

    /// Has copies of memory that the program registered name a region of its pages; gives whether it is still registered.
    pub(crate) fn lend(&self, address: usize, region: u32, before: usize) -> bool {
        let mut pinned = lock(&self.pinned);
        let found = pinned.get_mut(&address);
        let found = found.filter(|found| matches!(found.backing, Backing::Copied));
        found
            .map(|found| found.backing = Backing::Lent { region, before })
            .is_some()
    }

    /// Takes off memory that the program registered; gives the region of its pages, where there is one.
    pub(crate) fn unregister(&self, address: usize) -> Result<Option<u32>, CUresult> {
        let mut pinned = lock(&self.pinned);
        match pinned.get(&address).map(|found| &found.backing) {
            None | Some(Backing::Region(_)) => Err(CUresult::CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED),
            Some(own) => {
                let region = own.region().map(|(region, _)| region);
                pinned.remove(&address);
                Ok(region)
            }
        }
    }

    /// Takes off all pinned memory of a context.
    pub(crate) fn unpin_of(&self, context: usize) -> Vec<Backing<M>> {
        let mut pinned = lock(&self.pinned);
        let all = std::mem::take(&mut *pinned).into_iter();
        let (taken, left) = all.partition(|(_, pinned)| pinned.context == context);
        *pinned = left;
        let taken: BTreeMap<_, _> = taken;
        let taken = taken.into_values();
        taken.map(|pinned| pinned.backing).collect()
    }

    /// Start, size and flags of the pinned memory that an address lies in.
    pub(crate) fn pinned_at(&self, address: usize) -> Option<(usize, usize, u32)> {
        let all = lock(&self.pinned);
        let (&start, pinned) = all.range(..=address).next_back()?;
        (address - start < pinned.size).then_some((start, pinned.size, pinned.flags))
    }

    /// The region and the offset where a range of host memory lies, if it is in one.
    pub(crate) fn pinned(&self, address: usize, size: usize) -> Option<(u32, u64)> {
        let all = lock(&self.pinned);
        let (start, pinned) = all.range(..=address).next_back()?;
        let offset = address - start;
        let inside = offset.checked_add(size)? <= pinned.size && offset < pinned.size;
        let (region, before) = pinned.backing.region().filter(|_| inside)?;
        Some((region, (before + offset) as u64))
    }
}
