//! Device memory of a session: addresses from the range that its program keeps
//! free, and physical memory for what is in use.
//!
//! The driver maps whole granules (2 MiB). What is larger than half a MiB has a
//! mapping of its own; smaller allocations share slabs of one granule.

use std::collections::BTreeMap;
use std::fmt;

use vgpu_engine::{DevicePtr, Error, ErrorKind, Result};

use crate::answer::invalid;

/// What allocations are a multiple of, as with CUDA's.
const GRANULE: u64 = 512;
/// The largest allocation that shares a slab.
const SMALL: u64 = 512 << 10;

/// What maps physical memory.
pub(crate) trait Mapper {
    /// Memory that is mapped.
    type Mapping;
    /// Maps new memory, of whole granules of the driver's.
    fn map(&self, address: DevicePtr, size: u64) -> Result<Self::Mapping>;
    /// Gives memory back.
    fn unmap(&self, mapping: Self::Mapping) -> Result<()>;
}

/// Bytes of one allocation: only [`Heap::span`] makes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    start: DevicePtr,
    length: u64,
}

impl Span {
    pub(crate) const fn start(self) -> DevicePtr {
        self.start
    }

    pub(crate) const fn length(self) -> u64 {
        self.length
    }

    /// Whether both have a byte in common.
    pub(crate) const fn overlaps(self, other: Self) -> bool {
        let (first, second) = match self.start <= other.start {
            true => (self, other),
            false => (other, self),
        };
        second.start.saturating_sub(first.start) < first.length && second.length > 0
    }
}

/// Addresses that are free: where ranges begin, and how long they are.
#[derive(Debug, Default)]
struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// The first `size` bytes that are free.
    fn take(&mut self, size: u64) -> Option<u64> {
        let (&start, &length) = self.0.iter().find(|&(_, &length)| length >= size)?;
        self.0.remove(&start);
        if length > size {
            self.0
                .insert(start.checked_add(size)?, length.checked_sub(size)?);
        }
        Some(start)
    }

    /// Takes exactly these bytes, if all are free.
    fn take_at(&mut self, start: u64, size: u64) -> bool {
        let Some((&begin, &length)) = self.0.range(..=start).next_back() else {
            return false;
        };
        let end = begin.saturating_add(length);
        let wanted = start.saturating_add(size);
        if wanted > end {
            return false;
        }
        self.0.remove(&begin);
        for (start, end) in [(begin, start), (wanted, end)] {
            if start < end {
                self.0.insert(start, end.saturating_sub(start));
            }
        }
        true
    }

    /// Makes bytes free, that were not.
    fn give(&mut self, start: u64, size: u64) {
        let (mut start, mut size) = (start, size);
        if let Some(after) = self.0.remove(&start.saturating_add(size)) {
            size = size.saturating_add(after);
        }
        let before = self
            .0
            .range(..start)
            .next_back()
            .map(|(&at, &length)| (at, length));
        if let Some((at, length)) =
            before.filter(|(at, length)| at.saturating_add(*length) == start)
        {
            start = at;
            size = size.saturating_add(length);
        }
        self.0.insert(start, size);
    }
}

/// The allocations of a session.
pub(crate) struct Heap<M: Mapper> {
    granularity: u64,
    /// Addresses that nothing is mapped at.
    addresses: Ranges,
    /// What is free in slabs.
    small: Ranges,
    /// All mappings by address: slabs, and large allocations.
    mappings: BTreeMap<u64, M::Mapping>,
    slabs: std::collections::BTreeSet<u64>,
    allocations: BTreeMap<u64, u64>,
}

impl<M: Mapper> fmt::Debug for Heap<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heap")
            .field("allocations", &self.allocations.len())
            .field("mappings", &self.mappings.len())
            .finish_non_exhaustive()
    }
}

impl<M: Mapper> Heap<M> {
    /// Without allocations, in the addresses from `first` to `last`, which is
    /// not one of them; both are multiples of the granularity, which is a power
    /// of two.
    pub(crate) fn new(first: u64, last: u64, granularity: u64) -> Self {
        let mut addresses = Ranges::default();
        // Address 0 is no allocation's.
        addresses.give(
            first.max(granularity),
            last.saturating_sub(first.max(granularity)),
        );
        Self {
            granularity,
            addresses,
            small: Ranges::default(),
            mappings: BTreeMap::new(),
            slabs: std::collections::BTreeSet::new(),
            allocations: BTreeMap::new(),
        }
    }

    fn map(&mut self, mapper: &M, size: u64) -> Result<u64> {
        let full = || {
            Error::new(
                ErrorKind::OutOfMemory,
                format!("no addresses for {size} bytes"),
            )
        };
        let whole = size
            .checked_next_multiple_of(self.granularity)
            .ok_or_else(full)?;
        let address = self.addresses.take(whole).ok_or_else(full)?;
        match mapper.map(address, whole) {
            Ok(mapping) => {
                self.mappings.insert(address, mapping);
                Ok(address)
            }
            Err(error) => {
                self.addresses.give(address, whole);
                Err(error)
            }
        }
    }

    /// A mapping's addresses stay taken where the driver does not unmap it.
    fn unmap(&mut self, mapper: &M, address: u64, size: u64) -> Result<()> {
        if let Some(mapping) = self.mappings.remove(&address) {
            mapper.unmap(mapping)?;
            self.addresses
                .give(address, size.next_multiple_of(self.granularity));
        }
        Ok(())
    }

    pub(crate) fn alloc(&mut self, mapper: &M, size: u64) -> Result<DevicePtr> {
        if size == 0 {
            return Err(invalid("an allocation of no bytes"));
        }
        let address = match size > SMALL.min(self.granularity) {
            true => self.map(mapper, size)?,
            false => self.alloc_small(mapper, size.next_multiple_of(GRANULE))?,
        };
        self.allocations.insert(address, size);
        Ok(address)
    }

    fn alloc_small(&mut self, mapper: &M, size: u64) -> Result<DevicePtr> {
        if let Some(address) = self.small.take(size) {
            return Ok(address);
        }
        let slab = self.map(mapper, self.granularity)?;
        self.slabs.insert(slab);
        self.small.give(slab, self.granularity);
        let full = || Error::new(ErrorKind::OutOfMemory, "a new slab has no room");
        self.small.take(size).ok_or_else(full)
    }

    pub(crate) fn free(&mut self, mapper: &M, address: DevicePtr) -> Result<()> {
        let size = self.allocations.remove(&address);
        let size = size.ok_or_else(|| invalid(format!("no allocation begins at {address:#x}")))?;
        if size > SMALL.min(self.granularity) {
            return self.unmap(mapper, address, size);
        }
        let size = size.next_multiple_of(GRANULE);
        self.small.give(address, size);
        // Slabs that are empty now; one of all stays, for the next allocation.
        let last = address.saturating_add(size);
        let touched = self.slabs.range(..last).rev();
        let touched = touched.take_while(|slab| slab.saturating_add(self.granularity) > address);
        for slab in touched.copied().collect::<Vec<_>>() {
            if self.slabs.len() > 1 && self.small.take_at(slab, self.granularity) {
                self.slabs.remove(&slab);
                self.unmap(mapper, slab, self.granularity)?;
            }
        }
        Ok(())
    }

    /// Begin and length of the allocation, or of the one of `others`, that
    /// holds so many bytes at an address.
    fn holder(
        &self,
        others: &BTreeMap<u64, u64>,
        address: DevicePtr,
        length: u64,
    ) -> Option<(DevicePtr, u64)> {
        let holds = |table: &BTreeMap<u64, u64>| {
            let (&base, &size) = table.range(..=address).next_back()?;
            let end = address.saturating_sub(base).checked_add(length)?;
            (end <= size).then_some((base, size))
        };
        holds(&self.allocations).or_else(|| holds(others))
    }

    /// Begin and length of the allocation that an address falls into.
    pub(crate) fn find(
        &self,
        others: &BTreeMap<u64, u64>,
        address: DevicePtr,
    ) -> Option<(DevicePtr, u64)> {
        self.holder(others, address, 1)
    }

    /// Bytes of one allocation, or of one of `others`.
    pub(crate) fn span(
        &self,
        others: &BTreeMap<u64, u64>,
        start: DevicePtr,
        length: u64,
    ) -> Result<Span> {
        let found = self.holder(others, start, length);
        found
            .map(|_| Span { start, length })
            .ok_or_else(|| invalid(format!("no allocation holds {length} bytes at {start:#x}")))
    }

    /// Gives all memory back.
    pub(crate) fn clear(&mut self, mapper: &M) {
        for (_, mapping) in std::mem::take(&mut self.mappings) {
            // The process's end does it where the driver does not.
            let _ = mapper.unmap(mapping);
        }
        self.allocations.clear();
    }
}
