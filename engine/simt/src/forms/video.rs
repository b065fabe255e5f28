//! Integers of a byte, a half or a word, taken out of registers.
//! Source: PTX ISA 9.7.18, by its pseudo code.

use crate::code::Action;
use crate::form::Form;
use crate::instruction::{Combine, Instruction, Operand};
use crate::selection::NEGATIVE;
use crate::state::State;
use crate::value::{LANES, lanes};
use crate::words::Words;

/// An operation alone; with a second one; and into a part of a register.
macro_rules! scalar {
    ($($opcode:literal, $words:literal, $section:literal, $semantics:expr;)*) => {
        &[$(
            form!(concat!($opcode, $words, " d:u32, a.part, b.part"), $section, $semantics),
            form!(concat!($opcode, $words, ".[add min max] d:u32, a.part, b.part, c:u32"), $section, $semantics),
            form!(concat!($opcode, $words, " d.part, a.part, b.part, c:u32"), $section, $semantics),
        )*]
    };
}

/// An operation on two halves or four bytes, merged with `c`, or added to it.
macro_rules! packed {
    ($($opcode:literal $count:literal, $words:literal, $saturates:literal, $section:literal, $semantics:expr;)*) => {
        &[$(
            form!(concat!($opcode, $count, $words, $saturates, " d.mask", $count, ", a.pick", $count, ", b.pick", $count, ", c:u32"), $section, $semantics),
            form!(concat!($opcode, $count, $words, ".add d.mask", $count, ", a.pick", $count, ", b.pick", $count, ", c:u32"), $section, $semantics),
        )*]
    };
}

/// What runs an operation, with that operation: `f(a, b)` of numbers.
macro_rules! operation {
    ($run:path, |$a:ident, $b:ident| $f:expr) => {
        Some(Action::Lanes(|s, i, m| {
            $run(s, i, m, |$a: i128, $b: i128| -> i128 { $f })
        }))
    };
}

macro_rules! arithmetic {
    ($w:expr, $run:path) => {
        match $w.word(0).trim_end_matches(['2', '4']) {
            "vadd" => operation!($run, |a, b| a + b),
            "vsub" => operation!($run, |a, b| a - b),
            "vabsdiff" => operation!($run, |a, b| (a - b).abs()),
            "vmin" => operation!($run, |a, b| a.min(b)),
            "vmax" => operation!($run, |a, b| a.max(b)),
            "vavrg" => operation!($run, |a, b| (a + b + i128::from(a + b >= 0)) >> 1),
            _ => None,
        }
    };
}

macro_rules! comparison {
    ($w:expr, $run:path) => {
        match $w.word(3) {
            "eq" => operation!($run, |a, b| i128::from(a == b)),
            "ne" => operation!($run, |a, b| i128::from(a != b)),
            "lt" => operation!($run, |a, b| i128::from(a < b)),
            "le" => operation!($run, |a, b| i128::from(a <= b)),
            "gt" => operation!($run, |a, b| i128::from(a > b)),
            "ge" => operation!($run, |a, b| i128::from(a >= b)),
            _ => None,
        }
    };
}

pub(super) const SCALAR: &[Form] = scalar! {
    "vadd", ".[u32 s32].[u32 s32].[u32 s32]{.sat}", "9.7.18.1.1", |w| arithmetic!(w, scalar::<false>);
    "vsub", ".[u32 s32].[u32 s32].[u32 s32]{.sat}", "9.7.18.1.1", |w| arithmetic!(w, scalar::<false>);
    "vabsdiff", ".[u32 s32].[u32 s32].[u32 s32]{.sat}", "9.7.18.1.1", |w| arithmetic!(w, scalar::<false>);
    "vmin", ".[u32 s32].[u32 s32].[u32 s32]{.sat}", "9.7.18.1.1", |w| arithmetic!(w, scalar::<false>);
    "vmax", ".[u32 s32].[u32 s32].[u32 s32]{.sat}", "9.7.18.1.1", |w| arithmetic!(w, scalar::<false>);
    "vshl", ".[u32 s32].[u32 s32].u32{.sat}.[clamp wrap]", "9.7.18.1.2", shift;
    "vshr", ".[u32 s32].[u32 s32].u32{.sat}.[clamp wrap]", "9.7.18.1.2", shift;
    "vset", ".[u32 s32].[u32 s32].[eq ne lt le gt ge]", "9.7.18.1.4", |w| comparison!(w, scalar::<true>);
};

pub(super) const MULTIPLY: &[Form] = &[
    form!(
        "vmad.[u32 s32].[u32 s32].[u32 s32]{.sat}{.[shr7 shr15]} d:u32, -a.part, -b.part, c:u32",
        "9.7.18.1.3",
        multiply
    ),
    form!(
        "vmad.[u32 s32].[u32 s32].[u32 s32]{.sat}{.[shr7 shr15]} d:u32, a.part, b.part, -c",
        "9.7.18.1.3",
        multiply
    ),
    form!(
        "vmad.[u32 s32].[u32 s32].[u32 s32].po{.sat}{.[shr7 shr15]} d:u32, a.part, b.part, c:u32",
        "9.7.18.1.3",
        multiply
    ),
];

pub(super) const PACKED: &[Form] = packed! {
    "vadd" 2, ".[u32 s32].[u32 s32].[u32 s32]", "{.sat}", "9.7.18.2.1", |w| arithmetic!(w, packed::<2, false>);
    "vsub" 2, ".[u32 s32].[u32 s32].[u32 s32]", "{.sat}", "9.7.18.2.1", |w| arithmetic!(w, packed::<2, false>);
    "vavrg" 2, ".[u32 s32].[u32 s32].[u32 s32]", "{.sat}", "9.7.18.2.1", |w| arithmetic!(w, packed::<2, false>);
    "vabsdiff" 2, ".[u32 s32].[u32 s32].[u32 s32]", "{.sat}", "9.7.18.2.1", |w| arithmetic!(w, packed::<2, false>);
    "vmin" 2, ".[u32 s32].[u32 s32].[u32 s32]", "{.sat}", "9.7.18.2.1", |w| arithmetic!(w, packed::<2, false>);
    "vmax" 2, ".[u32 s32].[u32 s32].[u32 s32]", "{.sat}", "9.7.18.2.1", |w| arithmetic!(w, packed::<2, false>);
    "vset" 2, ".[u32 s32].[u32 s32].[eq ne lt le gt ge]", "", "9.7.18.2.2", |w| comparison!(w, packed::<2, true>);
    "vadd" 4, ".[u32 s32].[u32 s32].[u32 s32]", "{.sat}", "9.7.18.2.3", |w| arithmetic!(w, packed::<4, false>);
    "vsub" 4, ".[u32 s32].[u32 s32].[u32 s32]", "{.sat}", "9.7.18.2.3", |w| arithmetic!(w, packed::<4, false>);
    "vavrg" 4, ".[u32 s32].[u32 s32].[u32 s32]", "{.sat}", "9.7.18.2.3", |w| arithmetic!(w, packed::<4, false>);
    "vabsdiff" 4, ".[u32 s32].[u32 s32].[u32 s32]", "{.sat}", "9.7.18.2.3", |w| arithmetic!(w, packed::<4, false>);
    "vmin" 4, ".[u32 s32].[u32 s32].[u32 s32]", "{.sat}", "9.7.18.2.3", |w| arithmetic!(w, packed::<4, false>);
    "vmax" 4, ".[u32 s32].[u32 s32].[u32 s32]", "{.sat}", "9.7.18.2.3", |w| arithmetic!(w, packed::<4, false>);
    "vset" 4, ".[u32 s32].[u32 s32].[eq ne lt le gt ge]", "", "9.7.18.2.4", |w| comparison!(w, packed::<4, true>);
};

fn shift(w: &Words<'_>) -> Option<Action> {
    match (w.word(0), w.has("wrap")) {
        ("vshl", false) => operation!(scalar::<false>, |a, b| a << b.min(32)),
        ("vshl", true) => operation!(scalar::<false>, |a, b| a << (b & 31)),
        (_, false) => operation!(scalar::<false>, |a, b| a >> b.min(32)),
        (_, true) => operation!(scalar::<false>, |a, b| a >> (b & 31)),
    }
}

/// Whether the types are signed: that of the result, of `a` and of `b`. A
/// comparison's result is not.
fn signs(i: &Instruction, compares: bool) -> [bool; 3] {
    let signs = i
        .modifiers
        .types
        .map(|ty| ty.class() == vgpu_ptx::Class::Signed);
    match compares {
        true => [false, signs[0], signs[1]],
        false => signs,
    }
}

/// `width` bits from `start` on, as a number.
fn number(bits: u64, start: u32, width: u32, signed: bool) -> i128 {
    let bits = i128::from(bits >> start) & ((1 << width) - 1);
    match signed && bits >> (width - 1) & 1 != 0 {
        true => bits - (1 << width),
        false => bits,
    }
}

fn clamped(value: i128, width: u32, signed: bool) -> i128 {
    match signed {
        true => value.clamp(-(1 << (width - 1)), (1 << (width - 1)) - 1),
        false => value.clamp(0, (1 << width) - 1),
    }
}

/// Where a part begins, and its width.
fn placed(selector: u64) -> (u32, u32) {
    (selector as u32 & 31, selector as u32 >> 8 & 63)
}

/// What a selector says: an operand that is a number.
fn selector(operand: Operand) -> u64 {
    match operand {
        Operand::Bits(bits) => bits,
        _ => 0,
    }
}

/// A register's part in each lane.
fn parts(s: &State, operands: &[Operand], signed: bool) -> [i128; LANES] {
    let bits: [u64; LANES] = s.read(operands[0]);
    let (start, width) = placed(selector(operands[1]));
    bits.map(|bits| number(bits & 0xffff_ffff, start, width, signed))
}

/// Operands `d, a.part, b.part`, and maybe `c`; or `d.part, a.part, b.part, c`.
fn scalar<const COMPARES: bool>(
    s: &mut State,
    i: &Instruction,
    mask: u32,
    f: impl Fn(i128, i128) -> i128,
) {
    let [signed, of_a, of_b] = signs(i, COMPARES);
    let (into, rest) = match &*i.operands {
        [_, into, rest @ ..] if rest.len() == 5 => (Some(placed(selector(*into))), rest),
        [_, rest @ ..] => (None, rest),
        [] => return,
    };
    let (a, b) = (parts(s, rest, of_a), parts(s, &rest[2..], of_b));
    let c: [u32; LANES] = s.read(rest.get(4).copied().unwrap_or(Operand::None));
    let mut results = [0u32; LANES];
    for lane in lanes(mask) {
        let mut value = f(a[lane], b[lane]);
        if i.modifiers.saturate {
            value = clamped(value, into.map_or(32, |(_, width)| width), signed);
        }
        // As wide as the pseudo code has it.
        let value = number(value as u64, 0, 33, true);
        let third = number(u64::from(c[lane]), 0, 32, signed);
        let value = match i.modifiers.combine {
            Combine::Add => value + third,
            Combine::Min => value.min(third),
            Combine::Max => value.max(third),
            _ => value,
        };
        results[lane] = match into {
            Some((start, width)) if width < 32 => {
                let bits = ((1 << width) - 1) << start;
                (value as u32) << start & bits | c[lane] & !bits
            }
            _ => value as u32,
        };
    }
    s.write(i.operands[0], &results, mask);
}

/// Operands `d.mask, a.pick, b.pick, c`.
fn packed<const COUNT: u32, const COMPARES: bool>(
    s: &mut State,
    i: &Instruction,
    mask: u32,
    f: impl Fn(i128, i128) -> i128,
) {
    let [signed, of_a, of_b] = signs(i, COMPARES);
    let width = 32 / COUNT;
    let [to, wanted, a, first, b, second, c] = *i.operands else {
        return;
    };
    let (a, b, c): ([u32; LANES], [u32; LANES], [u32; LANES]) = (s.read(a), s.read(b), s.read(c));
    let mut results = c;
    for lane in lanes(mask) {
        let both = u64::from(a[lane]) | u64::from(b[lane]) << 32;
        let pick = |of: Operand, element: u32, signed: bool| {
            let from = (selector(of) >> (4 * element)) as u32 & (2 * COUNT - 1);
            number(both, from * width, width, signed)
        };
        for element in (0..COUNT).filter(|element| selector(wanted) >> element & 1 != 0) {
            let mut value = f(pick(first, element, of_a), pick(second, element, of_b));
            if i.modifiers.saturate {
                value = clamped(value, width, signed);
            }
            let result = &mut results[lane];
            if i.modifiers.combine == Combine::Add {
                *result = result.wrapping_add(value as u32);
            } else {
                let bits = ((1 << width) - 1) << (element * width);
                *result = (value as u32) << (element * width) & bits | *result & !bits;
            }
        }
    }
    s.write(to, &results, mask);
}

fn multiply(w: &Words<'_>) -> Option<Action> {
    Some(Action::Lanes(
        match (w.has("po"), w.word(w.words.len() - 1)) {
            (false, "shr7") => |s, i, m| accumulate(s, i, m, false, 7),
            (false, "shr15") => |s, i, m| accumulate(s, i, m, false, 15),
            (false, _) => |s, i, m| accumulate(s, i, m, false, 0),
            (true, "shr7") => |s, i, m| accumulate(s, i, m, true, 7),
            (true, "shr15") => |s, i, m| accumulate(s, i, m, true, 15),
            (true, _) => |s, i, m| accumulate(s, i, m, true, 0),
        },
    ))
}

/// `a * b + c`, or one more, and shifted; operands `d, a.part, b.part, c`.
fn accumulate(s: &mut State, i: &Instruction, mask: u32, one_more: bool, shift: u32) {
    let [_, of_a, of_b] = signs(i, false);
    let negative = |index: usize| {
        let operand = i.operands.get(index).copied();
        operand.map_or(0, selector) & NEGATIVE != 0
    };
    let (product, subtracted) = (negative(2) != negative(4), negative(6));
    let signed = of_a || of_b || product || subtracted;
    let (a, b) = (
        parts(s, &i.operands[1..], of_a),
        parts(s, &i.operands[3..], of_b),
    );
    let c: [u32; LANES] = s.read(i.operands[5]);
    let mut results = [0u32; LANES];
    for lane in lanes(mask) {
        let third = |bits: u32| number(u64::from(bits), 0, 32, signed);
        let value = match (product, subtracted) {
            (true, _) => third(c[lane]) - a[lane] * b[lane],
            (_, true) => a[lane] * b[lane] + third(!c[lane]) + 1,
            _ => a[lane] * b[lane] + third(c[lane]) + i128::from(one_more),
        };
        let value = value >> shift;
        results[lane] = match i.modifiers.saturate {
            true => clamped(value, 32, signed) as u32,
            false => value as u32,
        };
    }
    s.write(i.operands[0], &results, mask);
}
