//! What a warp's instructions with memory work on.

use vgpu_device_memory::{Allocation, View};

use crate::fault::{Cause, Failure};
use crate::instruction::{Instruction, Operand, Space};
use crate::shadow::Shadow;
use crate::state::State;
use crate::value::{LANES, Lane, extend, lanes};

/// Generic addresses of shared memory begin here. Source for windows: PTX ISA 5.1, `cvta`.
pub(crate) const SHARED_WINDOW: u64 = 0xff01 << 48;
/// Generic addresses of local memory.
pub(crate) const LOCAL_WINDOW: u64 = 0xff02 << 48;
/// Generic addresses of a kernel's parameters.
pub(crate) const PARAMETER_WINDOW: u64 = 0xff03 << 48;
/// Addresses of functions.
pub(crate) const CODE_WINDOW: u64 = 0xff04 << 48;
/// The bits of an address that tell its window.
pub(crate) const WINDOW: u64 = 0xffff << 48;

/// A warp's state with the memory around it.
#[derive(Debug)]
pub(crate) struct Execution<'a> {
    pub(crate) state: &'a mut State,
    /// The block's.
    pub(crate) shared: &'a mut [u8],
    /// Each lane's.
    pub(crate) local: &'a mut [Vec<u8>],
    pub(crate) parameters: &'a [u8],
    pub(crate) memory: &'a View,
    /// What the bytes of `shared` remember, where races are looked for.
    pub(crate) shadow: Option<&'a mut Shadow>,
}

/// Where one access goes, all checks done.
pub(crate) enum Place<'a> {
    Global(&'a Allocation, u64),
    Shared(usize),
    Local(usize),
    Parameter(usize),
}

pub(crate) fn bytes(from: &[u8], at: usize, size: u8) -> u64 {
    let mut value = [0; 8];
    let size = usize::from(size);
    value[..size].copy_from_slice(&from[at..at + size]);
    u64::from_le_bytes(value)
}

pub(crate) fn set_bytes(to: &mut [u8], at: usize, size: u8, value: u64) {
    let size = usize::from(size);
    to[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
}

/// `size` bytes at `address` of `length`, as an index; `None` where they are not there.
pub(crate) fn within(address: u64, size: u64, length: usize) -> Option<usize> {
    let end = address.checked_add(size)?;
    (end <= length as u64 && address & (size - 1) == 0).then_some(address as usize)
}

/// How many lanes access words side by side, in order: most do, all of a warp or
/// the first ones. `None` where they do not.
#[inline(always)]
fn neighbours(offsets: &[u64; LANES], mask: u32) -> Option<usize> {
    let mut apart = 0;
    for (lane, offset) in offsets.iter().enumerate() {
        let wanted = mask >> lane & 1;
        let expected = offsets[0].wrapping_add(4 * lane as u64);
        apart |= u32::from(*offset != expected) & wanted;
    }
    let first = mask.wrapping_add(1) & mask == 0;
    (first && apart == 0).then_some(mask.count_ones() as usize)
}

impl<'a> Execution<'a> {
    /// Where `size` bytes at an address are; at first in the allocation that
    /// the lane before found.
    #[inline(always)]
    fn place(
        &self,
        space: Space,
        address: u64,
        size: u64,
        lane: usize,
        last: Option<&'a Allocation>,
    ) -> Result<Place<'a>, Failure> {
        if let (Space::Global | Space::Generic, Some(last)) = (space, last) {
            let offset = address.wrapping_sub(last.base());
            let inside = offset < last.size() && last.size() - offset >= size;
            if inside && address & (size - 1) == 0 {
                return Ok(Place::Global(last, offset));
            }
        }
        self.look_up(space, address, size, lane)
    }

    pub(crate) fn look_up(
        &self,
        space: Space,
        address: u64,
        size: u64,
        lane: usize,
    ) -> Result<Place<'a>, Failure> {
        let fail = |cause| Failure { cause, lane };
        let (space, address) = match (space, address & WINDOW) {
            (Space::Generic, SHARED_WINDOW) => (Space::Shared, address & !WINDOW),
            (Space::Generic, LOCAL_WINDOW) => (Space::Local, address & !WINDOW),
            (Space::Generic, PARAMETER_WINDOW) => (Space::Parameter, address & !WINDOW),
            (Space::Generic, _) => (Space::Global, address),
            // These have addresses of 32 bits.
            (Space::Shared | Space::Local, _) => (space, address & 0xffff_ffff),
            _ => (space, address),
        };
        match space {
            Space::Shared => {
                let length = self.shared.len();
                let at = within(address, size, length).ok_or(fail(Cause::Shared {
                    address,
                    size,
                    length: length as u64,
                }))?;
                Ok(Place::Shared(at))
            }
            Space::Local => {
                let length = self.local[lane].len();
                let at = within(address, size, length).ok_or(fail(Cause::Local {
                    address,
                    size,
                    length: length as u64,
                }))?;
                Ok(Place::Local(at))
            }
            Space::Parameter => {
                let length = self.parameters.len();
                let at = within(address, size, length).ok_or(fail(Cause::Parameter {
                    address,
                    size,
                    length: length as u64,
                }))?;
                Ok(Place::Parameter(at))
            }
            Space::Global | Space::Generic => {
                let found = self
                    .memory
                    .find(address, size)
                    .map_err(|e| fail(Cause::Global(e)))?;
                Ok(Place::Global(found, address - found.base()))
            }
        }
    }

    /// The allocation that holds what all lanes of `mask` access, and where in
    /// it; 0 for the other lanes. `None` where there is no such one: then each
    /// lane looks by itself.
    #[inline(always)]
    fn one_allocation(
        &self,
        i: &Instruction,
        addresses: &[u64; LANES],
        total: u64,
        mask: u32,
    ) -> Option<(&'a Allocation, [u64; LANES])> {
        if !matches!(i.modifiers.space, Space::Global | Space::Generic) {
            return None;
        }
        let first = addresses[mask.trailing_zeros() as usize % LANES];
        let found = self.memory.find(first, total).ok()?;
        let (base, limit) = (found.base(), found.size() - total);
        let mut offsets = [0; LANES];
        let mut wrong = 0;
        for lane in 0..LANES {
            let wanted = if mask >> lane & 1 != 0 { u64::MAX } else { 0 };
            let offset = addresses[lane].wrapping_sub(base) & wanted;
            offsets[lane] = offset;
            wrong |= u64::from(offset > limit) | offset & (total - 1);
        }
        (wrong == 0).then_some((found, offsets))
    }

    /// `ld`: the elements to the first operands, the address in the last.
    pub(crate) fn load(&mut self, i: &Instruction, mask: u32) -> Result<(), Failure> {
        match i.operands[0] {
            Operand::Narrow(_) => self.load_as::<u32>(i, mask),
            _ => self.load_as::<u64>(i, mask),
        }
    }

    fn load_as<L: Lane>(&mut self, i: &Instruction, mask: u32) -> Result<(), Failure> {
        let count = usize::from(i.modifiers.count);
        let ty = i.modifiers.types[0];
        let size = ty.size();
        let total = u64::from(size) * count as u64;
        let addresses = self.addresses(i);
        if let Some((from, offsets)) = self.one_allocation(i, &addresses, total, mask) {
            for index in 0..count {
                let step = index as u64 * u64::from(size);
                let mut values = [L::default(); LANES];
                if size == 4 && size_of::<L>() == 4 {
                    let mut words = [0u32; LANES];
                    let side_by_side = match count {
                        1 => neighbours(&offsets, mask),
                        _ => None,
                    };
                    match side_by_side {
                        Some(LANES) => from.load_words(offsets[0], &mut words),
                        Some(lanes) => from.load_words(offsets[0], &mut words[..lanes]),
                        None => {
                            for lane in 0..LANES {
                                words[lane] = from.load_32(offsets[lane] + step);
                            }
                        }
                    }
                    for lane in 0..LANES {
                        values[lane] = L::of_narrow(words[lane]);
                    }
                } else {
                    for lane in lanes(mask) {
                        let bits = from.load(offsets[lane] + step, size);
                        values[lane] = L::of_wide(extend(bits, ty));
                    }
                }
                self.state.write(i.operands[index], &values, mask);
            }
            return Ok(());
        }
        let mut last = None;
        for index in 0..count {
            let step = index * usize::from(size);
            let mut values = [L::default(); LANES];
            for lane in lanes(mask) {
                let place = self.place(i.modifiers.space, addresses[lane], total, lane, last)?;
                let bits = match place {
                    Place::Global(allocation, offset) => {
                        last = Some(allocation);
                        match size {
                            4 => u64::from(allocation.load_32(offset + step as u64)),
                            _ => allocation.load(offset + step as u64, size),
                        }
                    }
                    Place::Shared(at) => bytes(self.shared, at + step, size),
                    Place::Local(at) => bytes(&self.local[lane], at + step, size),
                    Place::Parameter(at) => bytes(self.parameters, at + step, size),
                };
                values[lane] = L::of_wide(extend(bits, ty));
            }
            self.state.write(i.operands[index], &values, mask);
        }
        Ok(())
    }

    /// `st`: the elements in the first operands, the address in the last.
    pub(crate) fn store(&mut self, i: &Instruction, mask: u32) -> Result<(), Failure> {
        let count = usize::from(i.modifiers.count);
        let size = i.modifiers.types[0].size();
        let total = u64::from(size) * count as u64;
        let addresses = self.addresses(i);
        if let Some((to, offsets)) = self.one_allocation(i, &addresses, total, mask) {
            for index in 0..count {
                let step = index as u64 * u64::from(size);
                if size == 4 {
                    let values: [u32; LANES] = self.state.read(i.operands[index]);
                    let side_by_side = match count {
                        1 => neighbours(&offsets, mask),
                        _ => None,
                    };
                    match side_by_side {
                        Some(LANES) => to.store_words(offsets[0], &values),
                        Some(lanes) => to.store_words(offsets[0], &values[..lanes]),
                        None => {
                            for lane in lanes(mask) {
                                to.store_32(offsets[lane] + step, values[lane]);
                            }
                        }
                    }
                } else {
                    let values: [u64; LANES] = self.state.read(i.operands[index]);
                    for lane in lanes(mask) {
                        to.store(offsets[lane] + step, size, values[lane]);
                    }
                }
            }
            return Ok(());
        }
        let mut last = None;
        for index in 0..count {
            let step = index * usize::from(size);
            let values: [u64; LANES] = self.state.read(i.operands[index]);
            for lane in lanes(mask) {
                let place = self.place(i.modifiers.space, addresses[lane], total, lane, last)?;
                let value = values[lane];
                match place {
                    Place::Global(to, offset) => {
                        last = Some(to);
                        match size {
                            4 => to.store_32(offset + step as u64, value as u32),
                            _ => to.store(offset + step as u64, size, value),
                        }
                    }
                    Place::Shared(at) => set_bytes(self.shared, at + step, size, value),
                    Place::Local(at) => set_bytes(&mut self.local[lane], at + step, size, value),
                    Place::Parameter(at) => return Err(self.read_only(at, total, lane)),
                }
            }
        }
        Ok(())
    }

    /// `atom`, `red`: lane after lane, `old = f(old, b, c)`; operands d, b, c, address.
    #[inline(always)]
    pub(crate) fn atomic<L: Lane>(
        &mut self,
        i: &Instruction,
        mask: u32,
        f: impl Fn(L, L, L) -> L,
    ) -> Result<(), Failure> {
        let size = i.modifiers.types[0].size();
        let addresses = self.addresses(i);
        let b: [L; LANES] = self.state.read(i.operands[1]);
        let c: [L; LANES] = self.state.read(i.operands[2]);
        let mut before = [L::default(); LANES];
        let mut last = None;
        for lane in lanes(mask) {
            let place = self.place(
                i.modifiers.space,
                addresses[lane],
                u64::from(size),
                lane,
                last,
            )?;
            if let Place::Shared(at) = place {
                self.watch_atomic(i, lane, at, usize::from(size))?;
            }
            let (b, c) = (b[lane], c[lane]);
            let plain = |bytes_of: &mut [u8], at| {
                let old = L::of_wide(bytes(bytes_of, at, size));
                set_bytes(bytes_of, at, size, f(old, b, c).wide());
                old
            };
            before[lane] = match place {
                Place::Global(to, offset) => match size {
                    8 => L::of_wide(to.update_64(offset, |o| f(L::of_wide(o), b, c).wide())),
                    4 => L::of_narrow(to.update_32(offset, |o| f(L::of_narrow(o), b, c).narrow())),
                    _ => {
                        let shift = (offset & 2) * 8;
                        let part = |word: u32| word >> shift & 0xffff;
                        let word = to.update_32(offset & !3, |word| {
                            let new = f(L::of_narrow(part(word)), b, c).narrow() & 0xffff;
                            word & !(0xffff << shift) | new << shift
                        });
                        L::of_narrow(part(word))
                    }
                },
                Place::Shared(at) => plain(self.shared, at),
                Place::Local(at) => plain(&mut self.local[lane], at),
                Place::Parameter(at) => {
                    return Err(self.read_only(at, u64::from(size), lane));
                }
            };
            last = match place {
                Place::Global(allocation, _) => Some(allocation),
                _ => None,
            };
        }
        self.state.write(i.operands[0], &before, mask);
        Ok(())
    }

    /// `size` bytes at a generic address, which the machine itself reads.
    pub(crate) fn fetch(&self, address: u64, size: u8, lane: usize) -> Result<u64, Failure> {
        let place = self.place(Space::Generic, address, u64::from(size), lane, None)?;
        Ok(match place {
            Place::Global(from, offset) => from.load(offset, size),
            Place::Shared(at) => bytes(self.shared, at, size),
            Place::Local(at) => bytes(&self.local[lane], at, size),
            Place::Parameter(at) => bytes(self.parameters, at, size),
        })
    }

    fn read_only(&self, at: usize, size: u64, lane: usize) -> Failure {
        let (address, length) = (at as u64, self.parameters.len() as u64);
        let cause = Cause::Parameter {
            address,
            size,
            length,
        };
        Failure { cause, lane }
    }

    pub(crate) fn addresses(&self, i: &Instruction) -> [u64; LANES] {
        let last = i.operands.len() - 1;
        let base: [u64; LANES] = self.state.read(i.operands[last]);
        let offset = self.state.offset(i);
        let mut addresses = base;
        for address in &mut addresses {
            *address = address.wrapping_add(offset);
        }
        addresses
    }
}
