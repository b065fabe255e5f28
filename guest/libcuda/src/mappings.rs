//! Memory and addresses apart: addresses are reserved, memory is made, and mapped there.
//!
//! Addresses are of the upper half of those that the process keeps free for the device; its lower
//! half is where the engine allocates. An engine maps memory when kernels may reach it.

use std::collections::BTreeMap;
use std::ffi::c_uint;
use std::sync::Mutex;

use vgpu_cuda_wire::{CUmemAllocationProp, CUmemLocation, CUresult};

use crate::Done;
use crate::allocations::{Device, Kind};
use crate::lock::lock;
use crate::worker::Worker;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

/// `CU_MEM_ALLOCATION_TYPE_PINNED`, and `CU_MEM_LOCATION_TYPE_DEVICE`.
pub(crate) const PINNED: c_uint = 1;
pub(crate) const DEVICE: c_uint = 1;

/// What memory of the device is.
pub(crate) fn device_memory(flags: [u8; 8]) -> CUmemAllocationProp {
    CUmemAllocationProp {
        kind: PINNED,
        handles: 0,
        location: CUmemLocation {
            kind: DEVICE,
            id: 0,
        },
        security: std::ptr::null_mut(),
        flags,
    }
}

/// What sizes and addresses are multiples of.
pub(crate) const GRANULE: u64 = 2 << 20;

/// Memory that a program made.
#[derive(Clone, Copy, Debug)]
struct Memory {
    size: u64,
    /// `requestedHandleTypes`, and the flags.
    flags: [u8; 8],
    /// How many handles the program has: it made one, and may have got others.
    handles: u64,
    mapped: Option<u64>,
}

/// A mapping.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    memory: u64,
    size: u64,
    /// Whether kernels may read and write.
    access: bool,
}

#[derive(Debug, Default)]
struct State {
    /// Where the addresses begin, and the one behind the last.
    addresses: (u64, u64),
    /// Reserved addresses: start and size.
    reserved: BTreeMap<u64, u64>,
    memories: BTreeMap<u64, Memory>,
    mappings: BTreeMap<u64, Mapping>,
}

/// All of a process.
#[derive(Debug, Default)]
pub(crate) struct Mappings(Mutex<State>);

/// Checks a range of whole granules; gives its end.
fn whole(address: u64, size: usize) -> Result<u64, CUresult> {
    let size = size as u64;
    let whole = size > 0 && size.is_multiple_of(GRANULE) && address.is_multiple_of(GRANULE);
    address.checked_add(size).filter(|_| whole).ok_or(INVALID)
}

impl State {
    /// The mappings that a range consists of.
    fn of(&self, address: u64, size: usize) -> Result<Vec<(u64, Mapping)>, CUresult> {
        let end = whole(address, size)?;
        let found: Vec<_> = self.mappings.range(address..end).collect();
        let mut next = address;
        for (start, mapping) in &found {
            if **start != next {
                return Err(INVALID);
            }
            next = *start + mapping.size;
        }
        match next == end {
            true => Ok(found
                .into_iter()
                .map(|(at, mapping)| (*at, *mapping))
                .collect()),
            false => Err(INVALID),
        }
    }

    /// Whether a range was reserved, as a whole.
    fn is_reserved(&self, address: u64, end: u64) -> bool {
        let found = self.reserved.range(..=address).next_back();
        found.is_some_and(|(start, size)| end <= start + size)
    }

    /// Ends memory that neither a handle nor a mapping has any more.
    fn forget(&mut self, worker: &Worker, number: u64) -> Done {
        let unused = |memory: &&Memory| memory.handles == 0 && memory.mapped.is_none();
        match self.memories.get(&number).filter(unused) {
            None => Ok(()),
            Some(_) => {
                self.memories.remove(&number);
                worker.connection.client().memory_destroy(number)
            }
        }
    }

    fn set_access(&mut self, worker: &Worker, address: u64, access: bool) -> Done {
        let mapping = self.mappings.get_mut(&address).ok_or(INVALID)?;
        let client = worker.connection.client();
        match (mapping.access, access) {
            (false, true) => {
                client.memory_map(mapping.memory, address)?;
                let allocation = Device {
                    size: mapping.size,
                    context: 0,
                    pool: 0,
                    kind: Kind::Mapping,
                };
                worker.allocations.add(address, allocation);
            }
            (true, false) => {
                client.memory_unmap(address)?;
                worker.allocations.remove_mapping(address);
            }
            _ => {}
        }
        mapping.access = access;
        Ok(())
    }
}

impl Mappings {
    /// None yet, at addresses from the first to one behind the last.
    pub(crate) fn new(first: u64, last: u64) -> Self {
        let addresses = (first.next_multiple_of(GRANULE), last);
        Self(Mutex::new(State {
            addresses,
            ..State::default()
        }))
    }

    /// Reserves addresses; at `hint` where that is free.
    pub(crate) fn reserve(&self, size: usize, alignment: u64, hint: u64) -> Result<u64, CUresult> {
        whole(0, size)?;
        if alignment != 0 && !alignment.is_power_of_two() {
            return Err(INVALID);
        }
        let (alignment, size) = (alignment.max(GRANULE), size as u64);
        let mut state = lock(&self.0);
        let (first, last) = state.addresses;
        let free = |state: &State, start: u64| {
            let end = start.checked_add(size).filter(|end| *end <= last)?;
            let before = state.reserved.range(..end).next_back();
            let taken = before.map_or(first, |(start, size)| start + size);
            (start >= taken).then_some(start)
        };
        let hinted = Some(hint).filter(|hint| hint.is_multiple_of(alignment) && *hint >= first);
        let mut found = hinted.and_then(|hint| free(&state, hint));
        let ends: Vec<_> = state.reserved.iter().map(|(at, size)| at + size).collect();
        let mut places = std::iter::once(first).chain(ends);
        while found.is_none() {
            let place = places.next().ok_or(CUresult::CUDA_ERROR_OUT_OF_MEMORY)?;
            let place = place.checked_next_multiple_of(alignment);
            found = place.and_then(|place| free(&state, place));
        }
        let start = found.ok_or(INVALID)?;
        state.reserved.insert(start, size);
        Ok(start)
    }

    /// Gives addresses back: all of a reservation, with nothing mapped there.
    pub(crate) fn free(&self, address: u64, size: usize) -> Done {
        let end = whole(address, size)?;
        let mut state = lock(&self.0);
        let same = state.reserved.get(&address) == Some(&(size as u64));
        if !same || state.mappings.range(address..end).next().is_some() {
            return Err(INVALID);
        }
        state.reserved.remove(&address);
        Ok(())
    }

    /// Makes memory; gives its handle.
    pub(crate) fn create(
        &self,
        worker: &Worker,
        size: usize,
        flags: [u8; 8],
    ) -> Result<u64, CUresult> {
        whole(0, size)?;
        let size = size as u64;
        let number = worker.connection.client().memory_create(size)?;
        let memory = Memory {
            size,
            flags,
            handles: 1,
            mapped: None,
        };
        lock(&self.0).memories.insert(number, memory);
        Ok(number)
    }

    /// Ends a handle. Memory that is mapped stays until it is not.
    pub(crate) fn release(&self, worker: &Worker, handle: u64) -> Done {
        let mut state = lock(&self.0);
        let memory = state.memories.get_mut(&handle).ok_or(INVALID)?;
        memory.handles = memory.handles.checked_sub(1).ok_or(INVALID)?;
        state.forget(worker, handle)
    }

    /// The handle of the memory that is mapped at an address; one handle more.
    pub(crate) fn retain(&self, address: u64) -> Result<u64, CUresult> {
        let mut state = lock(&self.0);
        let found = state.mappings.range(..=address).next_back();
        let inside = found.filter(|(start, mapping)| address - *start < mapping.size);
        let number = inside.ok_or(INVALID)?.1.memory;
        let memory = state.memories.get_mut(&number).ok_or(INVALID)?;
        memory.handles += 1;
        Ok(number)
    }

    /// What memory is.
    pub(crate) fn properties(&self, handle: u64) -> Result<CUmemAllocationProp, CUresult> {
        let state = lock(&self.0);
        let memory = state.memories.get(&handle);
        let memory = memory.filter(|memory| memory.handles > 0).ok_or(INVALID)?;
        Ok(device_memory(memory.flags))
    }

    /// Maps memory. Kernels reach it when they are allowed to.
    pub(crate) fn map(&self, address: u64, size: usize, handle: u64) -> Done {
        let end = whole(address, size)?;
        let mut state = lock(&self.0);
        if !state.is_reserved(address, end) || state.mappings.range(address..end).next().is_some() {
            return Err(INVALID);
        }
        let before = state.mappings.range(..address).next_back();
        if before.is_some_and(|(start, mapping)| start + mapping.size > address) {
            return Err(INVALID);
        }
        let memory = state.memories.get_mut(&handle);
        let memory = memory.filter(|memory| memory.handles > 0).ok_or(INVALID)?;
        if size as u64 > memory.size {
            return Err(INVALID);
        }
        if memory.mapped.is_some() || (size as u64) < memory.size {
            return Err(crate::unsupported("memory mapped twice, or in part"));
        }
        memory.mapped = Some(address);
        let mapping = Mapping {
            memory: handle,
            size: size as u64,
            access: false,
        };
        state.mappings.insert(address, mapping);
        Ok(())
    }

    /// Ends all mappings of a range.
    pub(crate) fn unmap(&self, worker: &Worker, address: u64, size: usize) -> Done {
        let mut state = lock(&self.0);
        for (start, mapping) in state.of(address, size)? {
            state.set_access(worker, start, false)?;
            state.mappings.remove(&start);
            if let Some(memory) = state.memories.get_mut(&mapping.memory) {
                memory.mapped = None;
            }
            state.forget(worker, mapping.memory)?;
        }
        Ok(())
    }

    /// Allows kernels and copies to read and write all of a range, or not to.
    pub(crate) fn allow(&self, worker: &Worker, address: u64, size: usize, access: bool) -> Done {
        let mut state = lock(&self.0);
        let mut mappings = state.of(address, size)?.into_iter();
        mappings.try_for_each(|(start, _)| state.set_access(worker, start, access))
    }

    /// Whether kernels may reach what is mapped at an address.
    pub(crate) fn allowed(&self, address: u64) -> Result<bool, CUresult> {
        let state = lock(&self.0);
        let found = state.mappings.range(..=address).next_back();
        let inside = found.filter(|(start, mapping)| address - *start < mapping.size);
        Ok(inside.ok_or(INVALID)?.1.access)
    }
}
