//! Comparison and selection. Source: PTX ISA 9.7.6, 9.7.7.

use half::{bf16, f16};
use vgpu_ptx::Type;

use crate::code::{Action, Test};
use crate::form::Form;
use crate::instruction::{Combine, Instruction, Operand};
use crate::round::flush;
use crate::state::State;
use crate::value::{Lane, Value};
use crate::warp::Warp;
use crate::wide::{self, Compiled, ForEach, Once};
use crate::words::Words;

pub(super) const FORMS: &[Form] = &[
    form!(
        "setp.[eq ne lt le gt ge]{.[and or xor]}.[b16 b32 b64 u16 u32 u64 s16 s32 s64] p[|q], a, b, !c?",
        "9.7.6.2",
        setp
    ),
    form!(
        "setp.[lo ls hi hs]{.[and or xor]}.[u16 u32 u64] p[|q], a, b, !c?",
        "9.7.6.2",
        setp
    ),
    form!(
        "setp.[eq ne lt le gt ge equ neu ltu leu gtu geu num nan]{.[and or xor]}{.ftz}.f32 p[|q], a, b, !c?",
        "9.7.6.2",
        setp
    ),
    form!(
        "setp.[eq ne lt le gt ge equ neu ltu leu gtu geu num nan]{.[and or xor]}{.ftz}.f16 p[|q], a, b, !c?",
        "9.7.7.2",
        setp
    ),
    form!(
        "setp.[eq ne lt le gt ge equ neu ltu leu gtu geu num nan]{.[and or xor]}.f64 p[|q], a, b, !c?",
        "9.7.6.2",
        setp
    ),
    form!(
        "setp.[eq ne lt le gt ge equ neu ltu leu gtu geu num nan]{.[and or xor]}.bf16 p[|q], a, b, !c?",
        "9.7.7.2",
        setp
    ),
    form!(
        "set.[eq ne lt le gt ge]{.[and or xor]}.[u32 s32 f32].[b16 b32 b64 u16 u32 u64 s16 s32 s64] d, a:1, b:1, !c?",
        "9.7.6.1",
        set
    ),
    form!(
        "set.[lo ls hi hs]{.[and or xor]}.[u32 s32 f32].[u16 u32 u64] d, a:1, b:1, !c?",
        "9.7.6.1",
        set
    ),
    form!(
        "set.[eq ne lt le gt ge equ neu ltu leu gtu geu num nan]{.[and or xor]}{.ftz}.[u32 s32 f32].f32 d, a:1, b:1, !c?",
        "9.7.6.1",
        set
    ),
    form!(
        "set.[eq ne lt le gt ge equ neu ltu leu gtu geu num nan]{.[and or xor]}{.ftz}.[u32 s32 f32].f16 d, a:1, b:1, !c?",
        "9.7.7.1",
        set
    ),
    form!(
        "set.[eq ne lt le gt ge equ neu ltu leu gtu geu num nan]{.[and or xor]}.[u32 s32 f32].f64 d, a:1, b:1, !c?",
        "9.7.6.1",
        set
    ),
    form!(
        "set.[eq ne lt le gt ge equ neu ltu leu gtu geu num nan]{.[and or xor]}.[u32 s32 f32].bf16 d, a:1, b:1, !c?",
        "9.7.7.1",
        set
    ),
    form!(
        "selp.[b16 b32 b64 u16 u32 u64 s16 s32 s64 f32 f64] d, a, b, !c",
        "9.7.6.3",
        selp
    ),
    form!(
        "slct{.ftz}.[b16 b32 b64 u16 u32 u64 s16 s32 s64 f32 f64].[s32 f32] d, a, b, c:1",
        "9.7.6.4",
        slct
    ),
    form!(
        "testp.[finite infinite number notanumber normal subnormal].[f32 f64] p, a",
        "9.7.3.1",
        testp
    ),
];

/// A single whose subnormals are zeros.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Flushed(f32);

impl Value for Flushed {
    type Bits = u32;
    #[inline(always)]
    fn of(bits: u32) -> Self {
        Self(flush(f32::from_bits(bits)))
    }
    #[inline(always)]
    fn bits(self) -> u32 {
        self.0.to_bits()
    }
}

/// A half whose subnormals are zeros.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct FlushedHalf(f16);

impl Value for FlushedHalf {
    type Bits = u32;
    #[inline(always)]
    fn of(bits: u32) -> Self {
        let subnormal = bits & 0x7c00 == 0;
        Self(f16::of(if subnormal { bits & 0x8000 } else { bits }))
    }
    #[inline(always)]
    fn bits(self) -> u32 {
        self.0.bits()
    }
}

/// The test of operands `FIRST` and the next.
fn test<T: Value + PartialOrd, C: Compiled, const FIRST: usize>(operation: &str) -> Option<Test> {
    macro_rules! test {
        (|$a:ident, $b:ident| $f:expr) => {
            |w: &[Warp], i: &Instruction, holds: &mut [u32]| {
                let (a, b) = (i.operands[FIRST], i.operands[FIRST + 1]);
                C::test2::<T, _>(w, a, b, holds, |$a, $b| $f);
            }
        };
    }
    // The negations are what an unordered pair makes of them.
    #[allow(
        clippy::double_comparisons,
        clippy::eq_op,
        clippy::neg_cmp_op_on_partial_ord,
        clippy::nonminimal_bool
    )]
    Some(match operation {
        "eq" => test!(|a, b| a == b),
        // An unordered pair is not different.
        "ne" => test!(|a, b| a < b || a > b),
        "lt" | "lo" => test!(|a, b| a < b),
        "le" | "ls" => test!(|a, b| a <= b),
        "gt" | "hi" => test!(|a, b| a > b),
        "ge" | "hs" => test!(|a, b| a >= b),
        "equ" => test!(|a, b| !(a < b || a > b)),
        "neu" => test!(|a, b| a != b),
        "ltu" => test!(|a, b| !(a >= b)),
        "leu" => test!(|a, b| !(a > b)),
        "gtu" => test!(|a, b| !(a <= b)),
        "geu" => test!(|a, b| !(a < b)),
        "num" => test!(|a, b| a == a && b == b),
        "nan" => test!(|a, b| a != a || b != b),
        _ => return None,
    })
}

/// `C` is for the types that most kernels compare.
fn typed<C: Compiled, const FIRST: usize>(w: &Words<'_>, ty: Type) -> Option<Test> {
    let operation = w.word(1);
    match ty {
        Type::F32 if w.has("ftz") => test::<Flushed, Once, FIRST>(operation),
        Type::F32 => test::<f32, C, FIRST>(operation),
        Type::F64 => test::<f64, Once, FIRST>(operation),
        Type::F16 if w.has("ftz") => test::<FlushedHalf, Once, FIRST>(operation),
        Type::F16 => test::<f16, Once, FIRST>(operation),
        Type::Bf16 => test::<bf16, Once, FIRST>(operation),
        Type::S16 => test::<i16, Once, FIRST>(operation),
        Type::S32 => test::<i32, C, FIRST>(operation),
        Type::S64 => test::<i64, C, FIRST>(operation),
        _ => match ty.size() {
            2 => test::<u16, Once, FIRST>(operation),
            4 => test::<u32, C, FIRST>(operation),
            _ => test::<u64, C, FIRST>(operation),
        },
    }
}

/// `result` with the third predicate, the last operand.
fn combined(s: &State, i: &Instruction, result: u32) -> u32 {
    let third = || i.operands.last().map_or(0, |operand| s.predicate(*operand));
    match i.modifiers.combine {
        Combine::And => result & third(),
        Combine::Or => result | third(),
        Combine::Xor => result ^ third(),
        _ => result,
    }
}

fn setp(w: &Words<'_>) -> Option<Action> {
    Some(Action::Tests(
        typed::<ForEach, 2>(w, w.ty())?,
        |s, i, result, mask| {
            let [p, q, ..] = *i.operands else { return };
            let (holds, fails) = (combined(s, i, result), combined(s, i, !result));
            s.write_predicate(p, holds, mask);
            s.write_predicate(q, fails, mask);
        },
    ))
}

fn set(w: &Words<'_>) -> Option<Action> {
    fn write(s: &mut State, i: &Instruction, result: u32, mask: u32, one: u32) {
        let result = combined(s, i, result);
        let values = std::array::from_fn(|lane| if result >> lane & 1 != 0 { one } else { 0 });
        s.write::<u32>(i.operands[0], &values, mask);
    }
    let finish: fn(&mut State, &Instruction, u32, u32) = match w.ty() {
        Type::F32 => |s, i, result, mask| write(s, i, result, mask, 1f32.to_bits()),
        _ => |s, i, result, mask| write(s, i, result, mask, u32::MAX),
    };
    Some(Action::Tests(typed::<Once, 1>(w, w.second())?, finish))
}

/// `d = lane of choice ? a : b`.
fn select<L: Lane>(s: &mut State, i: &Instruction, choice: u32, mask: u32) {
    let a: [L; 32] = s.read(i.operands[1]);
    let b: [L; 32] = s.read(i.operands[2]);
    let pick = |lane| {
        if choice >> lane & 1 != 0 {
            a[lane]
        } else {
            b[lane]
        }
    };
    s.write(i.operands[0], &std::array::from_fn(pick), mask);
}

fn selp(w: &Words<'_>) -> Option<Action> {
    Some(match w.ty().size() {
        8 => Action::Warps(wide::select::<u64>),
        _ => Action::Warps(wide::select::<u32>),
    })
}

fn slct(w: &Words<'_>) -> Option<Action> {
    macro_rules! test {
        ($ty:ty) => {
            |w, i, holds| {
                let (c, zero) = (i.operands[3], Operand::Bits(0));
                Once::test2::<$ty, _>(w, c, zero, holds, |c, zero| c >= zero);
            }
        };
    }
    let test: Test = match w.second() {
        Type::S32 => test!(i32),
        // A subnormal below zero counts as zero where it is flushed.
        _ if w.has("ftz") => test!(Flushed),
        _ => test!(f32),
    };
    Some(match w.ty().size() {
        8 => Action::Tests(test, select::<u64>),
        _ => Action::Tests(test, select::<u32>),
    })
}

fn testp(w: &Words<'_>) -> Option<Action> {
    macro_rules! test {
        ($f:ident) => {
            match w.ty() {
                Type::F32 => |w: &[Warp], i: &Instruction, holds: &mut [u32]| {
                    let a = i.operands[1];
                    Once::test2::<f32, _>(w, a, Operand::Bits(0), holds, |a, _| f32::$f(a));
                },
                _ => |w: &[Warp], i: &Instruction, holds: &mut [u32]| {
                    let a = i.operands[1];
                    Once::test2::<f64, _>(w, a, Operand::Bits(0), holds, |a, _| f64::$f(a));
                },
            }
        };
    }
    let test: Test = match w.word(1) {
        "finite" => test!(is_finite),
        "infinite" => test!(is_infinite),
        "normal" => test!(is_normal),
        "subnormal" => test!(is_subnormal),
        "number" | "notanumber" => test!(is_nan),
        _ => return None,
    };
    let negate = w.has("number");
    Some(Action::Tests(
        test,
        match negate {
            true => |s, i, result, mask| s.write_predicate(i.operands[0], !result, mask),
            false => |s, i, result, mask| s.write_predicate(i.operands[0], result, mask),
        },
    ))
}
