//! A module that is loaded: its code, its kernels, its variables in memory.

use vgpu_device_memory::{AllocError, Memory};

use crate::code::Step;
use crate::instruction::Operand;
use crate::shifts::Shift;

/// Why a module is not loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Its text is not taken.
    #[error(transparent)]
    Ptx(#[from] vgpu_ptx::Error),
    /// The device has no room for its variables.
    #[error("no memory for a variable of the module: {0}")]
    Memory(#[from] AllocError),
}

/// A parameter of a kernel, in its block of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Where it begins, in bytes.
    pub offset: u32,
    /// Its length in bytes.
    pub size: u32,
    /// Its alignment in bytes.
    pub align: u32,
}

/// A kernel, as the host sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// Its name.
    pub name: String,
    /// Its parameters in order.
    pub parameters: Vec<Parameter>,
    /// Length of the block of parameters, in bytes.
    pub parameter_size: u32,
    /// Shared memory that it declares, in bytes.
    pub shared_size: u32,
    /// Local memory of a thread, in bytes, without that of what it calls.
    pub local_size: u32,
    /// Registers of 32 bits that a thread has.
    pub registers: u32,
    /// `.maxntid` or `.reqntid`: the most threads of a block.
    pub max_threads: Option<u32>,
    /// `.reqntid`: the threads that a block has to have.
    pub required_threads: Option<[u32; 3]>,
    pub(crate) body: u32,
}

/// A variable of the module in device memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Global {
    /// Where it begins.
    pub address: u64,
    /// Its length in bytes.
    pub size: u64,
}

/// A part of a thread's local memory, from where its function's begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) offset: u32,
    pub(crate) size: u32,
}

/// Functions that the machine brings along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builtin {
    /// Prints what failed, and ends the kernel.
    AssertFail,
    /// Prints, and gives how many arguments it took.
    Print,
}

/// A function's code and what a call of it needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Body {
    /// Its first instruction; `None` where it has none.
    pub(crate) start: Option<u32>,
    pub(crate) builtin: Option<Builtin>,
    pub(crate) entry: bool,
    /// Of a kernel: what is done when a warp begins with a launch, and not in each block.
    pub(crate) invariant: Vec<Step>,
    /// Of a kernel: what each block adds to what was done then.
    pub(crate) shifts: Vec<Shift>,
    /// Of a kernel: registers of addresses that stay for a launch, or are shifted.
    pub(crate) rows: Vec<Operand>,
    pub(crate) narrow: u32,
    pub(crate) wide: u32,
    pub(crate) predicates: u32,
    pub(crate) local: u32,
    pub(crate) parameters: Vec<Slot>,
    pub(crate) returns: Vec<Slot>,
}

/// What a call hands over, or takes back.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Passed {
    Memory(Slot),
    Value(Operand, u32),
}

/// One place from which a function is called.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The index of a function as bits, or the register that has it.
    pub(crate) target: Operand,
    pub(crate) arguments: Vec<Passed>,
    pub(crate) results: Vec<Passed>,
}

/// A loaded module.
#[derive(Debug)]
pub struct Program {
    pub(crate) code: Vec<Step>,
    pub(crate) bodies: Vec<Body>,
    pub(crate) calls: Vec<Call>,
    /// The instructions that each `brx.idx` chooses among.
    pub(crate) branches: Vec<Box<[u32]>>,
    pub(crate) kernels: Vec<Kernel>,
    pub(crate) globals: Vec<(String, Global)>,
    /// Whether races are looked for.
    pub(crate) race_check: bool,
}

impl Program {
    /// Its kernels, in the order of the text.
    #[must_use]
    pub fn kernels(&self) -> &[Kernel] {
        &self.kernels
    }

    /// The kernel of a name.
    #[must_use]
    pub fn kernel(&self, name: &str) -> Option<&Kernel> {
        self.kernels.iter().find(|kernel| kernel.name == name)
    }

    /// Its `.global` and `.const` variables with their names, in the order of
    /// the text. Modules that were linked may each have one of a name that only
    /// they see: a program means the first.
    #[must_use]
    pub fn globals(&self) -> &[(String, Global)] {
        &self.globals
    }

    /// Gives the memory of its variables back.
    pub fn unload(&self, memory: &mut Memory) {
        for (_, global) in &self.globals {
            // It was allocated by `load`, and the host cannot free it.
            let _ = memory.free(global.address);
        }
    }
}
