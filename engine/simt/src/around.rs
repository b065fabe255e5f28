//! What is around a warp: its block, and those beside it.

use vgpu_device_memory::{Allocation, View};

use zerocopy::IntoBytes;

use crate::code::{Action, Step};
use crate::execution::Execution;
use crate::fault::{Cause, Failure};
use crate::instruction::{Instruction, Operand};
use crate::program::Program;
use crate::shadow::Shadow;
use crate::state::State;
use crate::value::LANES;
use crate::warp::Warp;

/// Barriers that a block has. Source: PTX ISA 9.7.13.1.
pub(crate) const BARRIERS: usize = 16;

/// Allocations that are remembered, by the instruction that was there last.
pub(crate) type Found<'a> = [Option<&'a Allocation>; 64];

/// Who has come to a barrier.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Barrier {
    pub(crate) arrived: u32,
    /// Threads that it is for; 0 for all.
    pub(crate) expected: u32,
    /// For how many of them the predicate holds, and for how many not.
    pub(crate) yes: u32,
    pub(crate) no: u32,
}

/// What a warp's instructions may reach beside the warp itself.
pub(crate) struct Around<'a, 'm> {
    pub(crate) program: &'m Program,
    pub(crate) parameters: &'a [u8],
    pub(crate) memory: &'m View,
    /// The shared memory of each block, and its length in bytes.
    pub(crate) shared: &'a mut [Vec<u32>],
    pub(crate) shared_size: usize,
    /// Instructions that a warp executes before the next one has its turn.
    pub(crate) turn: u32,
    /// Of each block.
    pub(crate) barriers: &'a mut [[Barrier; BARRIERS]],
    pub(crate) found: &'a mut Found<'m>,
    /// Of each block, where races are looked for.
    pub(crate) shadows: &'a mut [Shadow],
}

impl<'m> Around<'_, 'm> {
    /// What an instruction with memory works on.
    #[inline(always)]
    pub(crate) fn execution<'w>(&'w mut self, warp: &'w mut Warp) -> Execution<'w> {
        Execution {
            state: &mut warp.state,
            shared: self.shared[warp.slot]
                .as_mut_slice()
                .as_mut_bytes()
                .get_mut(..self.shared_size)
                .unwrap_or_default(),
            local: &mut warp.local,
            parameters: self.parameters,
            memory: self.memory,
            shadow: self.shadows.get_mut(warp.slot),
        }
    }

    /// What lanes of a warp do together, once all of them that it takes are there.
    pub(crate) fn join(&mut self, warp: &mut Warp, step: &Step, mask: u32) -> Result<(), Failure> {
        match step.action {
            Action::Together(f) => warp.together(&step.instruction, mask, f),
            Action::WholeWarp(f) => f(&mut self.execution(warp), &step.instruction, mask)?,
            _ => {}
        }
        Ok(())
    }

    /// The whole words of a block's shared memory.
    #[inline(always)]
    pub(crate) fn words(&self, slot: usize) -> &[u32] {
        let words = &self.shared[slot];
        words.get(..self.shared_size / 4).unwrap_or_default()
    }

    #[inline(always)]
    pub(crate) fn words_mut(&mut self, slot: usize) -> &mut [u32] {
        let words = &mut self.shared[slot];
        words.get_mut(..self.shared_size / 4).unwrap_or_default()
    }

    /// The allocation that holds `size` bytes at `address`, for the instruction
    /// at `at`; and where in it.
    #[inline(always)]
    pub(crate) fn find(
        &mut self,
        at: u32,
        address: u64,
        size: u64,
    ) -> Option<(&'m Allocation, u64)> {
        let last = &mut self.found[at as usize % 64];
        if let Some(found) = *last {
            let offset = address.wrapping_sub(found.base());
            if offset < found.size() && found.size() - offset >= size {
                return Some((found, offset));
            }
        }
        let found = self.memory.range(address, size).ok()?;
        *last = Some(found);
        Some((found, address - found.base()))
    }

    /// Counts the lanes of `mask` at the barrier that an instruction names; which one.
    pub(crate) fn arrive(
        &mut self,
        slot: usize,
        state: &State,
        i: &Instruction,
        mask: u32,
    ) -> Result<u8, Failure> {
        let lane = mask.trailing_zeros() as usize;
        let value = |operand: Operand| state.read::<u64>(operand)[lane];
        let (id, count) = match *i.operands {
            [_, id, count] | [_, id, count, _] if !is_predicate(count) => (id, count),
            [_, id, ..] => (id, Operand::None),
            _ => (Operand::None, Operand::None),
        };
        let (id, expected) = (value(id), value(count));
        let fail = |cause| Failure { cause, lane };
        let number = usize::try_from(id).ok().filter(|id| *id < BARRIERS);
        let number = number.ok_or(fail(Cause::Barrier(id)))?;
        // Source: PTX ISA 9.7.13.1, of operand b.
        if !expected.is_multiple_of(LANES as u64) {
            return Err(fail(Cause::BarrierCount(expected)));
        }
        let barrier = &mut self.barriers[slot][number];
        let predicate = i.operands.last().copied().filter(|p| is_predicate(*p));
        let yes = predicate.map_or(0, |p| state.predicate(p)) & mask;
        barrier.arrived = barrier.arrived.saturating_add(mask.count_ones());
        barrier.expected = barrier
            .expected
            .max(u32::try_from(expected).unwrap_or(u32::MAX));
        barrier.yes = barrier.yes.saturating_add(yes.count_ones());
        barrier.no = barrier.no.saturating_add((mask & !yes).count_ones());
        Ok(number as u8)
    }
}

fn is_predicate(operand: Operand) -> bool {
    matches!(operand, Operand::Predicate(_) | Operand::NotPredicate(_))
}
