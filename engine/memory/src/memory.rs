use std::collections::BTreeMap;
use std::sync::Arc;

use crate::allocation::Allocation;

/// What a device allocation is a multiple of, as with CUDA's.
const GRANULE: u64 = 512;

/// An access that no allocation holds, or that is not aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{size} bytes at {address:#x}: {kind}")]
pub struct AccessError {
    /// The first byte.
    pub address: u64,
    /// How many.
    pub size: u64,
    /// What is wrong.
    pub kind: AccessErrorKind,
}

/// What is wrong with an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccessErrorKind {
    /// The address is no multiple of the size.
    #[error("not aligned")]
    Misaligned,
    /// No allocation at or below the address.
    #[error("no allocation there")]
    Unmapped,
    /// Behind the end of the nearest allocation below.
    #[error("past the allocation of {length} bytes at {base:#x}")]
    Past {
        /// Where that allocation begins.
        base: u64,
        /// Its length.
        length: u64,
    },
}

/// Why there is no allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AllocError {
    /// Zero bytes were asked for.
    #[error("an allocation of no bytes")]
    Empty,
    /// The device has not so much left.
    #[error("{asked} bytes asked for, {free} of {capacity} free")]
    Full {
        /// What was asked for.
        asked: u64,
        /// What is left.
        free: u64,
        /// What the device has.
        capacity: u64,
    },
}

/// The allocations as they were at one moment, in the order of their addresses.
#[derive(Debug, Clone, Default)]
pub struct View(Arc<[Arc<Allocation>]>);

impl View {
    /// The allocation that holds all of `size` bytes at `address`, which is a
    /// multiple of `size`.
    ///
    /// # Errors
    ///
    /// No allocation holds them, or the address is not aligned.
    #[inline]
    pub fn find(&self, address: u64, size: u64) -> Result<&Allocation, AccessError> {
        let found = self.range(address, size)?;
        if size.is_power_of_two() && address & size.wrapping_sub(1) != 0 {
            let kind = AccessErrorKind::Misaligned;
            return Err(AccessError {
                address,
                size,
                kind,
            });
        }
        Ok(found)
    }

    /// As [`find`](Self::find), for any alignment.
    ///
    /// # Errors
    ///
    /// No allocation holds them.
    pub fn range(&self, address: u64, size: u64) -> Result<&Allocation, AccessError> {
        let after = self.0.partition_point(|a| a.base() <= address);
        let below = after.checked_sub(1).and_then(|index| self.0.get(index));
        check(below.map(|a| &**a), address, size)
    }
}

fn check(below: Option<&Allocation>, address: u64, size: u64) -> Result<&Allocation, AccessError> {
    let fail = |kind| AccessError {
        address,
        size,
        kind,
    };
    let Some(below) = below else {
        return Err(fail(AccessErrorKind::Unmapped));
    };
    let offset = address.saturating_sub(below.base());
    if offset
        .checked_add(size)
        .is_some_and(|end| end <= below.size())
    {
        return Ok(below);
    }
    // Far away from anything, the nearest allocation says nothing.
    let near = offset < below.size().saturating_mul(2).saturating_add(1 << 20);
    Err(fail(if near {
        AccessErrorKind::Past {
            base: below.base(),
            length: below.size(),
        }
    } else {
        AccessErrorKind::Unmapped
    }))
}

/// All allocations of one device.
#[derive(Debug)]
pub struct Memory {
    allocations: BTreeMap<u64, Arc<Allocation>>,
    /// Of what `view` was last asked for; `None` after a change.
    view: Option<View>,
    first: u64,
    last: u64,
    next: u64,
    used: u64,
    capacity: u64,
    /// Memory without an address, by number.
    unmapped: BTreeMap<u64, Allocation>,
    /// The numbers of what is mapped, by address.
    mapped: BTreeMap<u64, u64>,
    next_number: u64,
    /// Addresses for mappings: the first, and the one behind the last.
    mappable: (u64, u64),
}

impl Memory {
    /// A device with `capacity` bytes and the addresses from `first` to `last`,
    /// which is not one of them.
    #[must_use]
    pub fn new(first: u64, last: u64, capacity: u64) -> Self {
        let first = first.max(GRANULE).next_multiple_of(GRANULE);
        Self {
            allocations: BTreeMap::new(),
            view: None,
            first,
            last,
            next: first,
            used: 0,
            capacity,
            unmapped: BTreeMap::new(),
            mapped: BTreeMap::new(),
            next_number: 1,
            mappable: (0, 0),
        }
    }

    /// The same with other addresses, from `first` to `last`, for [`map`](Self::map).
    #[must_use]
    pub fn with_mappings(mut self, first: u64, last: u64) -> Self {
        self.mappable = (first, last);
        self
    }

    /// Bytes that the device has.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Bytes that are left.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.capacity.saturating_sub(self.used)
    }

    /// How many allocations there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.allocations.len()
    }

    /// `size` new bytes, all 0; their address is a multiple of 512, from 4 KiB on
    /// of 4 KiB, from 1 MiB on of 2 MiB. CUDA promises less, and programs that
    /// divide a large allocation rely on what it does.
    ///
    /// # Errors
    ///
    /// `size` is 0 or more than is left, in the device or in the process.
    pub fn alloc(&mut self, size: u64) -> Result<u64, AllocError> {
        if size == 0 {
            return Err(AllocError::Empty);
        }
        let full = AllocError::Full {
            asked: size,
            free: self.free_bytes(),
            capacity: self.capacity,
        };
        if charge(size) > self.free_bytes() {
            return Err(full);
        }
        let base = self.place(size).ok_or(full)?;
        let allocation = Allocation::new(base, size).ok_or(full)?;
        self.allocations.insert(base, Arc::new(allocation));
        self.used = self.used.saturating_add(charge(size));
        self.next = base.saturating_add(span(size));
        self.view = None;
        Ok(base)
    }

    /// Addresses for `size` bytes: ahead of all that were given, or the first gap.
    fn place(&self, size: u64) -> Option<u64> {
        let fit = |from: u64, end: u64| {
            let base = from.checked_next_multiple_of(align(size))?;
            let behind = base.checked_add(span(size))?;
            (behind <= end).then_some(base)
        };
        let after = self.allocations.range(self.next..).next();
        if let Some(base) = fit(self.next, after.map_or(self.last, |(base, _)| *base)) {
            return Some(base);
        }
        let mut from = self.first;
        for (start, allocation) in &self.allocations {
            if let Some(base) = fit(from, *start) {
                return Some(base);
            }
            from = start.saturating_add(span(allocation.size()));
        }
        fit(from, self.last)
    }

    /// Gives back the allocation that begins at `base`. Kernels that still run
    /// keep what they see.
    ///
    /// # Errors
    ///
    /// No allocation begins there.
    pub fn free(&mut self, base: u64) -> Result<(), AccessError> {
        if self.mapped.contains_key(&base) {
            return Err(nowhere(base));
        }
        let freed = self.allocations.remove(&base).ok_or(nowhere(base))?;
        self.used = self.used.saturating_sub(charge(freed.size()));
        self.view = None;
        Ok(())
    }

    /// `size` new bytes, all 0, that have no address; gives their number.
    ///
    /// # Errors
    ///
    /// `size` is 0 or more than is left, in the device or in the process.
    pub fn create(&mut self, size: u64) -> Result<u64, AllocError> {
        if size == 0 {
            return Err(AllocError::Empty);
        }
        let full = AllocError::Full {
            asked: size,
            free: self.free_bytes(),
            capacity: self.capacity,
        };
        if charge(size) > self.free_bytes() {
            return Err(full);
        }
        let memory = Allocation::new(0, size).ok_or(full)?;
        let number = self.next_number;
        self.next_number = number.saturating_add(1);
        self.unmapped.insert(number, memory);
        self.used = self.used.saturating_add(charge(size));
        Ok(number)
    }

    /// Ends memory that is mapped nowhere.
    ///
    /// # Errors
    ///
    /// There is none of that number, or it is mapped.
    pub fn destroy(&mut self, number: u64) -> Result<(), AccessError> {
        let memory = self.unmapped.remove(&number).ok_or(nowhere(0))?;
        self.used = self.used.saturating_sub(charge(memory.size()));
        Ok(())
    }

    /// Gives memory an address; it is an allocation from then on.
    ///
    /// # Errors
    ///
    /// There is none of that number, or it is mapped; or the addresses are in use, or not for
    /// mappings, or begin at no multiple of 512: kernels' accesses are aligned within allocations.
    pub fn map(&mut self, number: u64, base: u64) -> Result<(), AccessError> {
        let size = self.unmapped.get(&number).ok_or(nowhere(base))?.size();
        let (first, last) = self.mappable;
        let end = base.checked_add(size).filter(|end| *end <= last);
        let fits = base >= first && base.is_multiple_of(GRANULE);
        let end = end.filter(|_| fits).ok_or(nowhere(base))?;
        let below = self.allocations.range(..end).next_back();
        if below.is_some_and(|(start, other)| start.saturating_add(other.size()) > base) {
            return Err(nowhere(base));
        }
        let memory = self.unmapped.remove(&number).ok_or(nowhere(base))?;
        self.allocations.insert(base, Arc::new(memory.at(base)));
        self.mapped.insert(base, number);
        self.view = None;
        Ok(())
    }

    /// Takes memory's address away; what is in it stays.
    ///
    /// # Errors
    ///
    /// No mapping begins there, or a kernel runs that sees it.
    pub fn unmap(&mut self, base: u64) -> Result<(), AccessError> {
        let number = *self.mapped.get(&base).ok_or(nowhere(base))?;
        self.view = None;
        let mapped = self.allocations.remove(&base).ok_or(nowhere(base))?;
        match Arc::try_unwrap(mapped) {
            Ok(memory) => {
                self.mapped.remove(&base);
                self.unmapped.insert(number, memory);
                Ok(())
            }
            Err(seen) => {
                self.allocations.insert(base, seen);
                Err(nowhere(base))
            }
        }
    }

    /// The allocations as they are now.
    pub fn view(&mut self) -> View {
        let allocations = &self.allocations;
        self.view
            .get_or_insert_with(|| View(allocations.values().cloned().collect()))
            .clone()
    }

    /// The allocation that holds `size` bytes at `address`.
    ///
    /// # Errors
    ///
    /// None does.
    pub fn find(&self, address: u64, size: u64) -> Result<&Allocation, AccessError> {
        let below = self.allocations.range(..=address).next_back();
        check(below.map(|(_, a)| &**a), address, size)
    }

    /// Copies out of the device.
    ///
    /// # Errors
    ///
    /// No allocation holds all of it.
    pub fn read(&self, address: u64, to: &mut [u8]) -> Result<(), AccessError> {
        let allocation = self.find(address, to.len() as u64)?;
        allocation.read(address.saturating_sub(allocation.base()), to);
        Ok(())
    }

    /// Copies into the device.
    ///
    /// # Errors
    ///
    /// No allocation holds all of it.
    pub fn write(&self, address: u64, from: &[u8]) -> Result<(), AccessError> {
        let allocation = self.find(address, from.len() as u64)?;
        allocation.write(address.saturating_sub(allocation.base()), from);
        Ok(())
    }

    /// Copies within the device; the ranges may overlap, as with `memmove`.
    ///
    /// # Errors
    ///
    /// No allocation holds all of either range.
    pub fn copy(&self, to: u64, from: u64, length: u64) -> Result<(), AccessError> {
        let (source, target) = (self.find(from, length)?, self.find(to, length)?);
        let (from, to) = (
            from.saturating_sub(source.base()),
            to.saturating_sub(target.base()),
        );
        let mut piece = [0; 4096];
        let backwards = source.base() == target.base() && to > from;
        let mut done = 0;
        while done < length {
            let step = length.saturating_sub(done).min(4096);
            let at = match backwards {
                true => length.saturating_sub(done).saturating_sub(step),
                false => done,
            };
            let bytes = usize::try_from(step).unwrap_or(0);
            let piece = piece.get_mut(..bytes).unwrap_or_default();
            source.read(from.saturating_add(at), piece);
            target.write(to.saturating_add(at), piece);
            done = done.saturating_add(step);
        }
        Ok(())
    }

    /// Writes `pattern`, of 1, 2 or 4 bytes, `count` times.
    ///
    /// # Errors
    ///
    /// No allocation holds all of it.
    pub fn fill(&self, address: u64, pattern: &[u8], count: u64) -> Result<(), AccessError> {
        let length = count.saturating_mul(pattern.len() as u64);
        let allocation = self.find(address, length)?;
        let offset = address.saturating_sub(allocation.base());
        let piece = pattern.repeat(4096_usize.checked_div(pattern.len()).unwrap_or(0));
        let mut done = 0;
        while done < length {
            let step = length.saturating_sub(done).min(piece.len() as u64);
            let bytes = usize::try_from(step).unwrap_or(0);
            let piece = piece.get(..bytes).unwrap_or_default();
            allocation.write(offset.saturating_add(done), piece);
            done = done.saturating_add(step.max(1));
        }
        Ok(())
    }
}

/// There is nothing of the kind that is asked for.
const fn nowhere(address: u64) -> AccessError {
    AccessError {
        address,
        size: 0,
        kind: AccessErrorKind::Unmapped,
    }
}

/// What an address is a multiple of.
fn align(size: u64) -> u64 {
    match size {
        0..0x1000 => GRANULE,
        0x1000..0x10_0000 => 0x1000,
        _ => 0x20_0000,
    }
}

/// What an allocation costs: whole granules.
fn charge(size: u64) -> u64 {
    size.checked_next_multiple_of(GRANULE).unwrap_or(u64::MAX)
}

/// Addresses that an allocation takes: its granules, and one as a gap.
fn span(size: u64) -> u64 {
    charge(size).saturating_add(GRANULE)
}

#[cfg(test)]
mod tests {
    use super::{AccessErrorKind, AllocError, Memory};

    fn memory() -> Memory {
        Memory::new(0x1000, 0x10_0000, 64 << 10)
    }

    #[test]
    fn bytes_come_back_as_they_went_in() {
        let mut memory = memory();
        let base = memory.alloc(1001).unwrap();
        let bytes: Vec<u8> = (0..=250).collect();
        for offset in 0..9 {
            for length in 0..20 {
                memory.fill(base, &[0xee], 64).unwrap();
                memory.write(base + offset, &bytes[..length]).unwrap();
                let mut back = [0; 64];
                memory.read(base, &mut back).unwrap();
                let mut expected = [0xee; 64];
                expected[offset as usize..][..length].copy_from_slice(&bytes[..length]);
                assert_eq!(back, expected, "{offset} {length}");
            }
        }
        let mut tail = [0; 3];
        memory.write(base + 998, &[1, 2, 3]).unwrap();
        memory.read(base + 998, &mut tail).unwrap();
        assert_eq!(tail, [1, 2, 3]);
    }

    #[test]
    fn rows_are_whole_or_nothing() {
        let mut memory = memory();
        let base = memory.alloc(48).unwrap();
        let view = memory.view();
        let allocation = view.find(base, 48).unwrap();
        allocation.store_row(8, &[1, 2, 3, 4]);
        allocation.store_row(36, &[5, 6, 7, 8]);
        allocation.store_row(u64::MAX - 3, &[9, 9, 9, 9]);
        let mut row = [0; 12];
        allocation.load_row(0, &mut row);
        assert_eq!(row, [0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0]);
        let mut before = [7; 4];
        allocation.load_row(36, &mut before);
        assert_eq!(before, [7; 4]);
    }

    #[test]
    fn copies_that_overlap() {
        let mut memory = memory();
        let base = memory.alloc(20_000).unwrap();
        let bytes: Vec<u8> = (0..10_000u32).map(|i| (i % 251) as u8).collect();
        for (from, to) in [(0, 4097), (4097, 0), (5, 5), (0, 9_999)] {
            memory.write(base + from, &bytes).unwrap();
            memory.copy(base + to, base + from, 10_000).unwrap();
            let mut back = vec![0; 10_000];
            memory.read(base + to, &mut back).unwrap();
            assert_eq!(back, bytes, "{from} {to}");
        }
    }

    #[test]
    fn an_access_outside_is_refused() {
        let mut memory = memory();
        let a = memory.alloc(100).unwrap();
        let b = memory.alloc(100).unwrap();
        let past = AccessErrorKind::Past {
            base: a,
            length: 100,
        };
        assert_eq!(memory.view().find(a + 100, 4).unwrap_err().kind, past);
        assert_eq!(memory.view().find(a + 98, 4).unwrap_err().kind, past);
        let misaligned = AccessErrorKind::Misaligned;
        assert_eq!(memory.view().find(a + 2, 4).unwrap_err().kind, misaligned);
        assert_eq!(
            memory.read(0, &mut [0]).unwrap_err().kind,
            AccessErrorKind::Unmapped
        );
        assert!(memory.read(u64::MAX, &mut [0; 8]).is_err());
        assert!(memory.fill(a, &[0; 4], u64::MAX).is_err());
        memory.free(a).unwrap();
        assert!(memory.view().find(a, 4).is_err(), "after free");
        assert!(memory.free(a).is_err(), "twice");
        assert!(memory.free(b + 4).is_err(), "inside");
    }

    #[test]
    fn memory_keeps_its_bytes_from_one_address_to_the_next() {
        let mut memory = memory().with_mappings(0x20_0000, 0x80_0000);
        let whole = memory.free_bytes();
        let number = memory.create(0x4000).unwrap();
        let other = memory.create(0x4000).unwrap();
        assert_eq!(memory.free_bytes(), whole - 0x8000);
        assert!(memory.map(number, 0x1000).is_err(), "not for mappings");
        assert!(memory.map(number, 0x80_0000 - 0x3e00).is_err(), "its end");
        assert!(memory.map(number, 0x20_0004).is_err(), "not aligned");
        assert!(memory.map(number, u64::MAX).is_err());
        memory.map(number, 0x20_0000).unwrap();
        assert!(memory.map(number, 0x40_0000).is_err(), "twice");
        for taken in [0x20_0000, 0x20_3e00, 0x1f_c200] {
            assert!(memory.map(other, taken).is_err(), "{taken:#x}");
        }
        memory.map(other, 0x20_4000).unwrap();
        memory.write(0x20_0100, &[1, 2, 3]).unwrap();
        assert!(memory.free(0x20_0000).is_err(), "it is no allocation");
        assert!(memory.destroy(number).is_err(), "it is mapped");
        let view = memory.view();
        assert!(memory.unmap(0x20_0000).is_err(), "a kernel sees it");
        drop(view);
        memory.unmap(0x20_0000).unwrap();
        assert!(memory.read(0x20_0100, &mut [0]).is_err());
        assert!(memory.unmap(0x20_0000).is_err());
        memory.map(number, 0x60_0000).unwrap();
        let mut back = [0; 3];
        memory.read(0x60_0100, &mut back).unwrap();
        assert_eq!(back, [1, 2, 3]);
        memory.unmap(0x60_0000).unwrap();
        memory.destroy(number).unwrap();
        assert!(memory.destroy(number).is_err(), "twice");
        assert_eq!(memory.free_bytes(), whole - 0x4000);
        assert_eq!(memory.create(0), Err(AllocError::Empty));
        assert!(memory.create(u64::MAX).is_err());
    }

    #[test]
    fn large_allocations_are_aligned_as_programs_expect() {
        let mut memory = Memory::new(0x1000, 1 << 40, 1 << 30);
        for (size, align) in [(1, 512), (4095, 512), (4096, 4096), (1 << 20, 2 << 20)] {
            memory.alloc(1).unwrap();
            assert_eq!(memory.alloc(size).unwrap() % align, 0, "{size}");
        }
    }

    #[test]
    fn freed_addresses_come_back_last_and_memory_is_counted() {
        let mut memory = memory();
        let first = memory.alloc(512).unwrap();
        memory.free(first).unwrap();
        assert_ne!(memory.alloc(512).unwrap(), first);
        assert_eq!(memory.free_bytes(), (64 << 10) - 512);
        assert!(matches!(
            memory.alloc(64 << 10),
            Err(AllocError::Full { .. })
        ));
        assert_eq!(memory.alloc(0), Err(AllocError::Empty));
        for _ in 0..5000 {
            let base = memory.alloc(2000).unwrap();
            memory.write(base, &[1; 2000]).unwrap();
            memory.free(base).unwrap();
        }
        assert!(matches!(
            memory.alloc(u64::MAX),
            Err(AllocError::Full { .. })
        ));
    }
}
