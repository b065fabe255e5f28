//! Instructions as they are executed.

use crate::execution::Execution;
use crate::fault::Failure;
use crate::instruction::Instruction;
use crate::state::State;
use crate::warp::Warp;

/// What is done where, once the guard has been looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Action {
    /// On registers alone, of several warps: for the lanes of each one's mask.
    Warps(fn(&mut [Warp], &Instruction, &[u32])),
    /// On registers alone, of one warp.
    Lanes(fn(&mut State, &Instruction, u32)),
    /// A comparison in several warps, and what is done with the lanes of each
    /// that it holds for.
    Tests(
        fn(&[Warp], &Instruction, &mut [u32]),
        fn(&mut State, &Instruction, u32, u32),
    ),
    /// A comparison, and what is done with the lanes that it holds for.
    Test(
        fn(&State, &Instruction) -> u32,
        fn(&mut State, &Instruction, u32, u32),
    ),
    /// `ld`, `st`.
    Load,
    Store,
    /// With memory, in one warp.
    Memory(fn(&mut Execution<'_>, &Instruction, u32) -> Result<(), Failure>),
    /// With memory, by all lanes of the warp together.
    WholeWarp(fn(&mut Execution<'_>, &Instruction, u32) -> Result<(), Failure>),
    /// By all lanes that the last operand names, together.
    Together(fn(&mut State, &Instruction, u32)),
    Flow(Flow),
}

/// What changes which instruction is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// To the instruction of `Instruction::target`.
    Branch,
    /// To one of the instructions of a list, which `Instruction::target` names,
    /// by the number of the first operand.
    Choose,
    /// Into a function; `Instruction::target` is the place of the call's arguments.
    Call,
    Return,
    Exit,
    Trap,
    /// Waits at a barrier; what it then writes.
    Barrier(Reduction),
    /// Counts at a barrier, and goes on.
    Arrive,
    Nothing,
}

/// What a barrier gives its threads. Source: PTX ISA 9.7.13.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reduction {
    None,
    And,
    Or,
    Count,
}

/// One step of a program.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) action: Action,
    /// Whether an operand is the clock.
    pub(crate) clock: bool,
    pub(crate) instruction: Instruction,
}
