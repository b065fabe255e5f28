//! Instructions as they are executed.

use crate::execution::Execution;
use crate::fault::Failure;
use crate::instruction::{Instruction, Modifiers, Operand};
use crate::linear::Linear;
use crate::state::State;
use crate::warp::Warp;
use crate::words::Words;

/// Which lanes of each warp a comparison holds for.
pub(crate) type Test = fn(&[Warp], &Instruction, &mut [u32]);
/// What is done with the lanes that it holds for, of those of the mask.
pub(crate) type Finish = fn(&mut State, &Instruction, u32, u32);

/// What is done where, once the guard has been looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Action {
    /// On registers alone, of several warps: for the lanes of each one's mask.
    Warps(fn(&mut [Warp], &Instruction, &[u32])),
    /// On registers alone, of one warp.
    Lanes(fn(&mut State, &Instruction, u32)),
    /// A comparison in several warps, and what is done with the lanes of each
    /// that it holds for.
    Tests(Test, Finish),
    /// A comparison, and what is done with the lanes that it holds for.
    Test(fn(&State, &Instruction) -> u32, Finish),
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
    /// How many of the operands, the first ones, it may write.
    pub(crate) results: usize,
    /// How its result follows from its sources, where that is a sum of products.
    pub(crate) linear: Option<Linear>,
    pub(crate) instruction: Instruction,
}

impl Step {
    /// One without operands.
    pub(crate) fn flow(flow: Flow, line: u32) -> Self {
        Self {
            action: Action::Flow(flow),
            clock: false,
            results: 0,
            linear: None,
            instruction: Instruction {
                guard: Operand::None,
                operands: Box::new([]),
                modifiers: Modifiers::of(&Words::new(&[])),
                offset: 0,
                shift: 0,
                row: 0,
                target: 0,
                line,
            },
        }
    }
}
