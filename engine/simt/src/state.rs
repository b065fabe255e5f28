//! The registers of one warp, and how an instruction reads and writes them.

use crate::instruction::{Instruction, Operand, Special};
use crate::pattern::Patterns;
use crate::value::{LANES, Lane, Rows, Value, lanes};

/// Below so many lanes, one after the other is faster than all at once.
const SPARSE: u32 = 8;

/// Where a function's own registers and local memory begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) narrow: u32,
    pub(crate) wide: u32,
    pub(crate) predicate: u32,
    /// Bytes into each lane's local memory.
    pub(crate) local: u32,
}

/// What the special registers of a warp read as. Source: PTX ISA 10.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity {
    pub(crate) thread: [[u32; LANES]; 3],
    pub(crate) threads: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) blocks: [u32; 3],
    pub(crate) warp: u32,
    pub(crate) warps: u32,
    pub(crate) grid: u64,
    /// Where the launch's own shared memory begins, and the size of all of it.
    pub(crate) dynamic_shared: u32,
    pub(crate) shared_size: u32,
    /// Instructions executed so far: the clock.
    pub(crate) clock: u64,
}

/// A warp's registers.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) narrow: Vec<[u32; LANES]>,
    pub(crate) wide: Vec<[u64; LANES]>,
    /// One bit for each lane.
    pub(crate) predicates: Vec<u32>,
    /// The carry flag of each lane.
    pub(crate) carry: u32,
    /// Lanes that have not exited. Nobody reads the registers of the others.
    pub(crate) alive: u32,
    pub(crate) base: Base,
    /// What its block adds to shifted registers, by their numbers.
    pub(crate) shifts: Vec<u64>,
    /// How the rows of addresses that stay for a launch lie, by their numbers.
    pub(crate) patterns: Vec<Patterns>,
    pub(crate) identity: Identity,
    /// How many `bar.warp.sync` lanes of it have done.
    pub(crate) warp_barriers: u32,
}

impl Rows for State {
    #[inline(always)]
    fn narrow_at(&self, index: u32) -> &[u32; LANES] {
        &self.narrow[(self.base.narrow + index) as usize]
    }

    #[inline(always)]
    fn narrow_at_mut(&mut self, index: u32) -> &mut [u32; LANES] {
        &mut self.narrow[(self.base.narrow + index) as usize]
    }

    #[inline(always)]
    fn wide_at(&self, index: u32) -> &[u64; LANES] {
        &self.wide[(self.base.wide + index) as usize]
    }

    #[inline(always)]
    fn wide_at_mut(&mut self, index: u32) -> &mut [u64; LANES] {
        &mut self.wide[(self.base.wide + index) as usize]
    }
}

impl State {
    /// The lanes of a predicate.
    #[inline(always)]
    pub(crate) fn predicate(&self, operand: Operand) -> u32 {
        match operand {
            Operand::Predicate(index) => self.predicates[(self.base.predicate + index) as usize],
            Operand::NotPredicate(index) => {
                !self.predicates[(self.base.predicate + index) as usize]
            }
            Operand::Bits(0) => 0,
            _ => u32::MAX,
        }
    }

    /// What the block adds to a register.
    #[inline(always)]
    pub(crate) fn shift(&self, number: u32) -> u64 {
        self.shifts.get(number as usize).copied().unwrap_or(0)
    }

    /// What is added to the address of an access.
    #[inline(always)]
    pub(crate) fn offset(&self, i: &Instruction) -> u64 {
        self.shift(i.shift).wrapping_add_signed(i.offset)
    }

    /// The lanes of a source.
    #[inline(always)]
    pub(crate) fn read<L: Lane>(&self, operand: Operand) -> [L; LANES] {
        match operand {
            Operand::Narrow(index) => each(self.narrow_at(index), L::of_narrow),
            Operand::Wide(index) => each(self.wide_at(index), L::of_wide),
            Operand::Bits(bits) => [L::of_wide(bits); LANES],
            Operand::Special(special) => self.special(special),
            Operand::Shift(number) => [L::of_wide(self.shift(number)); LANES],
            other => self.read_rare(other).map(L::of_wide),
        }
    }

    #[cold]
    fn read_rare(&self, operand: Operand) -> [u64; LANES] {
        match operand {
            Operand::Predicate(_) | Operand::NotPredicate(_) => {
                let mask = self.predicate(operand);
                std::array::from_fn(|lane| u64::from(mask >> lane & 1))
            }
            Operand::Local(offset) => [u64::from(self.base.local.wrapping_add(offset)); LANES],
            Operand::DynamicShared(offset) => {
                [u64::from(self.identity.dynamic_shared) + u64::from(offset); LANES]
            }
            _ => [0; LANES],
        }
    }

    fn special<L: Lane>(&self, special: Special) -> [L; LANES] {
        let id = &self.identity;
        let all = |value: u32| [L::of_narrow(value); LANES];
        let each_lane =
            |f: fn(u32) -> u32| std::array::from_fn(|lane| L::of_narrow(f(lane as u32)));
        match special {
            Special::Thread(axis) => each(&id.thread[axis as usize % 3], L::of_narrow),
            Special::Threads(axis) => all(id.threads[axis as usize % 3]),
            Special::Block(axis) => all(id.block[axis as usize % 3]),
            Special::Blocks(axis) => all(id.blocks[axis as usize % 3]),
            Special::Lane => each_lane(|lane| lane),
            Special::Warp => all(id.warp),
            Special::Warps => all(id.warps),
            Special::Zero => all(0),
            Special::One => all(1),
            Special::Grid => [L::of_wide(id.grid); LANES],
            Special::LanesEqual => each_lane(|lane| 1 << lane),
            Special::LanesLess => each_lane(|lane| (1 << lane) - 1),
            Special::LanesLessEqual => each_lane(|lane| u32::MAX >> (31 - lane)),
            Special::LanesGreater => each_lane(|lane| !(u32::MAX >> (31 - lane))),
            Special::LanesGreaterEqual => each_lane(|lane| u32::MAX << lane),
            Special::Clock => [L::of_wide(id.clock); LANES],
            Special::ClockHigh => [L::of_wide(id.clock >> 32); LANES],
            Special::DynamicShared => all(id.shared_size - id.dynamic_shared),
            Special::TotalShared => all(id.shared_size),
        }
    }

    /// Writes the lanes of `mask`, and may write those that have exited, or that
    /// a block of no whole warps never had: all at once is faster.
    #[inline(always)]
    pub(crate) fn write<L: Lane>(&mut self, operand: Operand, values: &[L; LANES], mask: u32) {
        let mask = mask | !self.alive;
        match operand {
            Operand::Narrow(index) => {
                let to = self.narrow_at_mut(index);
                if mask == u32::MAX {
                    *to = each(values, L::narrow);
                } else {
                    blend(to, &each(values, L::narrow), mask);
                }
            }
            Operand::Wide(index) => {
                let to = self.wide_at_mut(index);
                if mask == u32::MAX {
                    *to = each(values, L::wide);
                } else {
                    blend(to, &each(values, L::wide), mask);
                }
            }
            _ => {}
        }
    }

    /// Writes the lanes of `mask` of a predicate.
    #[inline(always)]
    pub(crate) fn write_predicate(&mut self, operand: Operand, values: u32, mask: u32) {
        if let Operand::Predicate(index) = operand {
            let to = &mut self.predicates[(self.base.predicate + index) as usize];
            *to = *to & !mask | values & mask;
        }
    }

    /// `d = f(a)`.
    #[inline(always)]
    pub(crate) fn map1<A: Value, R: Value>(
        &mut self,
        i: &Instruction,
        mask: u32,
        f: impl Fn(A) -> R,
    ) {
        let a = self.read::<A::Bits>(i.operands[1]);
        self.produce(i.operands[0], mask, |lane| f(A::of(a[lane])).bits());
    }

    /// `d = f(a, b)`.
    #[inline(always)]
    pub(crate) fn map2<A: Value, B: Value, R: Value>(
        &mut self,
        i: &Instruction,
        mask: u32,
        f: impl Fn(A, B) -> R,
    ) {
        let a = self.read::<A::Bits>(i.operands[1]);
        let b = self.read::<B::Bits>(i.operands[2]);
        self.produce(i.operands[0], mask, |lane| {
            f(A::of(a[lane]), B::of(b[lane])).bits()
        });
    }

    /// `d = f(a, b, c)`.
    #[inline(always)]
    pub(crate) fn map3<A: Value, B: Value, C: Value, R: Value>(
        &mut self,
        i: &Instruction,
        mask: u32,
        f: impl Fn(A, B, C) -> R,
    ) {
        let a = self.read::<A::Bits>(i.operands[1]);
        let b = self.read::<B::Bits>(i.operands[2]);
        let c = self.read::<C::Bits>(i.operands[3]);
        self.produce(i.operands[0], mask, |lane| {
            f(A::of(a[lane]), B::of(b[lane]), C::of(c[lane])).bits()
        });
    }

    /// The lanes where `f(a, b)` holds.
    #[inline(always)]
    pub(crate) fn test2<A: Value>(&self, a: Operand, b: Operand, f: impl Fn(A, A) -> bool) -> u32 {
        let a = self.read::<A::Bits>(a);
        let b = self.read::<A::Bits>(b);
        let mut result = 0;
        for lane in 0..LANES {
            result |= u32::from(f(A::of(a[lane]), A::of(b[lane]))) << lane;
        }
        result
    }

    #[inline(always)]
    fn produce<L: Lane>(&mut self, to: Operand, mask: u32, f: impl Fn(usize) -> L) {
        let mut values = [L::default(); LANES];
        if mask.count_ones() < SPARSE {
            for lane in lanes(mask) {
                values[lane] = f(lane);
            }
        } else {
            for (lane, value) in values.iter_mut().enumerate() {
                *value = f(lane);
            }
        }
        self.write(to, &values, mask);
    }
}

/// `f` of each lane; a plain loop, which becomes vector instructions where
/// `array::map` does not.
#[inline(always)]
fn each<A: Copy, B: Copy + Default>(from: &[A; LANES], f: impl Fn(A) -> B) -> [B; LANES] {
    let mut to = [B::default(); LANES];
    for lane in 0..LANES {
        to[lane] = f(from[lane]);
    }
    to
}

/// One bit for each lane: what the compiler makes of a comparison with it is a
/// selection without branches.
const BITS: [u32; LANES] = {
    let mut bits = [0; LANES];
    let mut lane = 0;
    while lane < LANES {
        bits[lane] = 1 << lane;
        lane += 1;
    }
    bits
};

#[inline(always)]
fn blend<T: Copy>(to: &mut [T; LANES], values: &[T; LANES], mask: u32) {
    for lane in 0..LANES {
        let chosen = mask & BITS[lane] != 0;
        to[lane] = if chosen { values[lane] } else { to[lane] };
    }
}
