//! One warp: its registers, and its lanes in groups that go the same way.

use crate::instruction::Instruction;
use crate::state::{Base, State};
use crate::value::{LANES, lanes};

/// What a group waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Ready,
    /// The other lanes that the instruction at its place names.
    Lanes,
    /// A barrier of the block; the instruction that waits is the one before.
    Barrier(u8),
}

/// A call that has not returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) call: u32,
    pub(crate) function: u32,
    pub(crate) back: u32,
    pub(crate) base: Base,
}

/// Lanes that go the same way.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) at: u32,
    pub(crate) lanes: u32,
    pub(crate) status: Status,
    pub(crate) base: Base,
    pub(crate) frames: Vec<Frame>,
    pub(crate) function: u32,
}

impl Group {
    /// Whether `other` stands at the same place, with the same way back.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.at == other.at && self.frames == other.frames
    }

    /// A part of it that goes another way.
    pub(crate) fn part(&self, at: u32, lanes: u32) -> Self {
        let frames = self.frames.clone();
        Self {
            at,
            lanes,
            frames,
            ..*self
        }
    }

    /// The order in which groups go.
    pub(crate) fn order(&self) -> (std::cmp::Reverse<usize>, u32) {
        (std::cmp::Reverse(self.frames.len()), self.at)
    }
}

/// A warp's registers, local memory, and groups.
#[derive(Debug, Default)]
pub(crate) struct Warp {
    pub(crate) state: State,
    pub(crate) local: Vec<Vec<u8>>,
    pub(crate) groups: Vec<Group>,
    /// Which of the blocks that go side by side it is of.
    pub(crate) slot: usize,
    /// Whether its rows are those of one block alone, and not of [the launch](crate::shifts).
    pub(crate) apart: bool,
    pub(crate) lane_instructions: u64,
    /// What its lanes have printed.
    pub(crate) printed: Vec<u8>,
}

impl Warp {
    /// Where the warp goes on, if all its lanes go on there, in no call.
    pub(crate) fn straight(&self) -> Option<u32> {
        match self.groups.as_slice() {
            [group] if group.status == Status::Ready && group.frames.is_empty() => Some(group.at),
            _ => None,
        }
    }

    /// The lanes of `group` that an instruction is not for go on at `at`;
    /// those of `mask` stay.
    pub(crate) fn leave(&mut self, group: &mut Group, mask: u32, at: u32) {
        let rest = group.lanes & !mask;
        if rest != 0 {
            self.groups.push(group.part(at, rest));
        }
        group.lanes = mask;
    }

    /// Runs `f` for each set of lanes that names itself.
    pub(crate) fn together(
        &mut self,
        i: &Instruction,
        mask: u32,
        f: fn(&mut State, &Instruction, u32),
    ) {
        let named = self.named(i);
        let mut rest = mask;
        while rest != 0 {
            let first = named[rest.trailing_zeros() as usize];
            let same = lanes(rest).filter(|lane| named[*lane] == first);
            let same = same.fold(0, |all, lane| all | 1 << lane);
            f(&mut self.state, i, same);
            rest &= !same;
        }
    }

    fn named(&self, i: &Instruction) -> [u32; LANES] {
        named(&self.state, i)
    }
}

/// The lanes that each lane's last operand names.
fn named(state: &State, i: &Instruction) -> [u32; LANES] {
    match i.operands.last() {
        Some(operand) => state.read(*operand),
        None => [u32::MAX; LANES],
    }
}

/// Lanes that those of `mask` wait for.
pub(crate) fn missing(state: &State, i: &Instruction, mask: u32, alive: u32) -> u32 {
    let named = named(state, i);
    let wanted = lanes(mask).fold(0, |all, lane| all | named[lane]);
    wanted & alive & !mask
}
