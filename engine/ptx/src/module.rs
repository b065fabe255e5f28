//! What a text says, with every name resolved.

use crate::error::Position;
use crate::lexer::shortened;
use crate::types::Type;

/// Place of a register in [`Function::registers`].
pub type RegisterIndex = u32;
/// Place of a function in [`Module::functions`].
pub type FunctionIndex = u32;
/// Place of a variable in [`Module::variables`] or [`Function::variables`].
pub type VariableIndex = u32;

/// A PTX module.
#[derive(Debug, Clone, PartialEq)]
pub struct Module<'a> {
    /// `.version`: major and minor.
    pub version: (u32, u32),
    /// `.target`: the first word, such as `sm_70`.
    pub target: &'a str,
    /// Variables outside functions, in order.
    pub variables: Vec<Variable<'a>>,
    /// Kernels and functions, in the order of their first mention.
    pub functions: Vec<Function<'a>>,
}

/// Who sees a name. Source: PTX ISA 11.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Linkage {
    Module,
    Visible,
    Weak,
    Common,
    Extern,
}

impl Linkage {
    /// Whether a declaration of this linkage gives way to one of another.
    pub(crate) fn yields_to(self, other: Self) -> bool {
        match self {
            Self::Extern => true,
            Self::Weak | Self::Common => {
                matches!(other, Self::Visible | Self::Weak | Self::Common)
            }
            Self::Module | Self::Visible => false,
        }
    }
}

/// Where a variable lives. Source: PTX ISA 5.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Space {
    Register,
    Constant,
    Global,
    Local,
    Parameter,
    Shared,
}

/// A variable, or a parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable<'a> {
    /// Where it is declared.
    pub position: Position,
    /// Who sees it.
    pub linkage: Linkage,
    /// Where it lives.
    pub space: Space,
    /// The type of one element.
    pub ty: Type,
    /// Its name; unique in its scope only.
    pub name: &'a str,
    /// Alignment in bytes: a power of two, at least that of the type.
    pub align: u32,
    /// Size in bytes; 0 for `name[]`.
    pub size: u64,
    /// Whether it was declared as an array.
    pub array: bool,
    /// What it holds at first, from its start; the rest is 0.
    pub initializer: Vec<Initializer>,
}

/// The first value of one element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Initializer {
    /// The element's bits.
    Bits(u64),
    /// An address.
    Address(Symbol, i64),
}

/// What a name in an operand stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symbol {
    /// A variable of the module.
    Module(VariableIndex),
    /// A variable of the function: `.local`, `.shared`, `.param` in its body.
    Function(VariableIndex),
    /// A parameter of the function.
    Parameter(VariableIndex),
    /// What the function returns.
    Return(VariableIndex),
    /// A function.
    Code(FunctionIndex),
}

/// A register that the body uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub ty: Type,
}

/// A kernel (`.entry`) or a function (`.func`).
#[derive(Debug, Clone, PartialEq)]
pub struct Function<'a> {
    /// Where it is declared.
    pub position: Position,
    /// Who sees it.
    pub linkage: Linkage,
    /// Its name.
    pub name: &'a str,
    /// Whether the host may launch it.
    pub entry: bool,
    /// What it returns: at most one.
    pub returns: Vec<Variable<'a>>,
    /// What it takes.
    pub parameters: Vec<Variable<'a>>,
    /// `.maxntid`, the most threads of a block in each dimension.
    pub max_threads: Option<[u32; 3]>,
    /// `.reqntid`, the threads of a block.
    pub required_threads: Option<[u32; 3]>,
    /// The registers that the body uses.
    pub registers: Vec<Register<'a>>,
    /// The variables that the body declares.
    pub variables: Vec<Variable<'a>>,
    /// The body.
    pub instructions: Vec<Instruction<'a>>,
    /// Lists of instructions that `.branchtargets` gives.
    pub targets: Vec<Vec<u32>>,
    /// Whether there is a body.
    pub defined: bool,
}

impl Function<'_> {
    /// Where each parameter begins in a kernel's block of parameters, and the
    /// block's length; `None` where it passes 4 GiB. Source: PTX ISA 7.1.
    #[must_use]
    pub fn parameter_offsets(&self) -> Option<(Vec<u32>, u32)> {
        let mut next = 0u32;
        let mut offsets = Vec::new();
        for parameter in &self.parameters {
            let start = next.checked_next_multiple_of(parameter.align)?;
            next = start.checked_add(u32::try_from(parameter.size).ok()?)?;
            offsets.push(start);
        }
        Some((offsets, next))
    }
}

/// `@p` or `@!p` ahead of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// The predicate.
    pub register: RegisterIndex,
    /// Whether the instruction runs where it is false.
    pub negated: bool,
}

/// The most words of an instruction that a message repeats.
const MOST_WORDS: usize = 16;

/// One instruction.
#[derive(Debug, Clone, PartialEq)]
pub struct Instruction<'a> {
    /// Where its opcode stands.
    pub position: Position,
    /// Which lanes it is for.
    pub guard: Option<Guard>,
    /// The opcode and its modifiers: `["mad", "lo", "s32"]`. Never empty.
    pub words: Vec<&'a str>,
    /// The operands in order.
    pub operands: Vec<Operand<'a>>,
}

impl Instruction<'_> {
    /// The words as they are written, such as `mad.lo.s32`; shortened where no
    /// instruction of the ISA is so long.
    #[must_use]
    pub fn form(&self) -> String {
        let first = self.words.iter().take(MOST_WORDS);
        let first: Vec<_> = first.map(|word| shortened(word)).collect();
        match self.words.len() > MOST_WORDS {
            true => format!("{}…", first.join(".")),
            false => first.join("."),
        }
    }
}

/// `.x` to `.w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Component {
    X,
    Y,
    Z,
    W,
}

/// One operand.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand<'a> {
    /// A register.
    Register(RegisterIndex),
    /// `%r1.b0`, `-%r1`, `-%r1.h1`: what a video instruction takes of a register.
    Part {
        /// The register.
        register: RegisterIndex,
        /// The word behind it, without its dot.
        part: Option<&'a str>,
        /// Whether `-` stands before it.
        negative: bool,
    },
    /// A register of the machine, such as `%tid.x`, with its percent sign.
    Special(&'a str, Option<Component>),
    /// `_`: the result is not wanted.
    Sink,
    /// An integer, as two's complement.
    Integer(i128),
    /// `0f…`: the bits of a single.
    Single(u32),
    /// `0d…` or a decimal fraction: the bits of a double.
    Double(u64),
    /// `name`, `name+4`.
    Symbol(Symbol, i64),
    /// `[register+4]`.
    Address(RegisterIndex, i64),
    /// `[name+4]`.
    SymbolAddress(Symbol, i64),
    /// `[64]`.
    AbsoluteAddress(i64),
    /// `!p`.
    Not(RegisterIndex),
    /// `d|p`.
    Pair(Box<[Operand<'a>; 2]>),
    /// `{a, b}`.
    Vector(Vec<Operand<'a>>),
    /// `(a, b)`, of a call.
    List(Vec<Operand<'a>>),
    /// A label: the place in [`Function::instructions`], which may be its end.
    Label(u32),
    /// A list of labels for `brx.idx`: the index of one of [`Function::targets`].
    Targets(u32),
}

impl<'a> Operand<'a> {
    /// Both of [`Operand::Pair`]; of any other, itself alone.
    #[must_use]
    pub fn halves(&self) -> (&Self, Option<&Self>) {
        match self {
            Self::Pair(pair) => {
                let [first, second] = &**pair;
                (first, Some(second))
            }
            other => (other, None),
        }
    }
}
