//! Instructions as data.

use vgpu_ptx::Type;

use crate::words::Words;

/// A decoded operand. Indices count from the function's own [`Base`](crate::state::Base).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operand {
    None,
    /// A register of up to 32 bits.
    Narrow(u32),
    /// A register of 64 bits.
    Wide(u32),
    Predicate(u32),
    NotPredicate(u32),
    /// A number, or an address that does not depend on the thread.
    Bits(u64),
    /// The address of a variable in local memory.
    Local(u32),
    /// An address in the shared memory that the launch adds.
    DynamicShared(u32),
    /// What a block adds to the lanes of a [shifted](crate::shifts) register.
    Shift(u32),
    Special(Special),
}

/// A register of the machine. Source: PTX ISA 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Special {
    Thread(u8),
    Threads(u8),
    Block(u8),
    Blocks(u8),
    Lane,
    Warp,
    Warps,
    Zero,
    One,
    Grid,
    LanesEqual,
    LanesLess,
    LanesLessEqual,
    LanesGreater,
    LanesGreaterEqual,
    Clock,
    ClockHigh,
    DynamicShared,
    TotalShared,
}

/// How a result that no float holds is rounded. Source: PTX ISA 6.5.2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Rounding {
    #[default]
    Nearest,
    Zero,
    Down,
    Up,
}

/// Where an access goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Space {
    #[default]
    Generic,
    Global,
    Shared,
    Local,
    Parameter,
}

/// What the words of a form say beside which function executes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Modifiers {
    pub(crate) rounding: Rounding,
    /// `.ftz`: subnormals are zeros.
    pub(crate) flush: bool,
    /// `.sat`.
    pub(crate) saturate: bool,
    pub(crate) space: Space,
    /// The types; where there are fewer, the last one again.
    pub(crate) types: [Type; 3],
    /// `.v2`, `.v4`: elements of an access.
    pub(crate) count: u8,
    pub(crate) combine: Combine,
    /// Whether an access is ordered with others by itself. Source: PTX ISA 8.4, 8.7.1.
    pub(crate) strong: bool,
}

/// How a result goes with a third operand: that of a comparison with a predicate, that of a video
/// instruction with a number. Source: PTX ISA 9.7.6.2, 9.7.18.1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Combine {
    #[default]
    None,
    And,
    Or,
    Xor,
    Add,
    Min,
    Max,
}

impl Modifiers {
    pub(crate) fn of(w: &Words<'_>) -> Self {
        let rounding = match () {
            () if w.has("rz") || w.has("rzi") => Rounding::Zero,
            () if w.has("rm") || w.has("rmi") => Rounding::Down,
            () if w.has("rp") || w.has("rpi") => Rounding::Up,
            () => Rounding::Nearest,
        };
        let space = w.words.iter().skip(1).find_map(|word| match *word {
            // Constants lie in global memory here.
            "global" | "const" => Some(Space::Global),
            "shared" | "shared::cta" | "shared::cluster" => Some(Space::Shared),
            "local" => Some(Space::Local),
            "param" | "param::entry" | "param::func" => Some(Space::Parameter),
            _ => None,
        });
        let count = w.words.iter().find_map(|word| match *word {
            "v2" => Some(2),
            "v4" => Some(4),
            "v8" => Some(8),
            _ => None,
        });
        Self {
            rounding,
            flush: w.has("ftz"),
            saturate: w.has("sat"),
            space: space.unwrap_or_default(),
            types: [w.ty(), w.second(), w.third()],
            count: count.unwrap_or(1),
            strong: ["volatile", "relaxed", "acquire", "release"]
                .iter()
                .any(|word| w.has(word)),
            combine: match () {
                () if w.has("and") => Combine::And,
                () if w.has("or") => Combine::Or,
                () if w.has("xor") => Combine::Xor,
                () if w.has("add") => Combine::Add,
                () if w.has("min") => Combine::Min,
                () if w.has("max") => Combine::Max,
                () => Combine::None,
            },
        }
    }
}

/// One instruction, but for what it does.
#[derive(Debug, Clone)]
pub(crate) struct Instruction {
    /// A predicate, or `None`.
    pub(crate) guard: Operand,
    pub(crate) operands: Box<[Operand]>,
    pub(crate) modifiers: Modifiers,
    /// Added to the address that is the last operand.
    pub(crate) offset: i64,
    /// The block's [shift](crate::shifts) that is added as well; 0 for none.
    pub(crate) shift: u32,
    /// Where the address is in a row that stays for a launch: its number among them, from 1 on; else 0.
    pub(crate) row: u32,
    /// An instruction, or a call.
    pub(crate) target: u32,
    /// The line in the text.
    pub(crate) line: u32,
}
