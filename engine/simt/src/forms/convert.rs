//! Conversion of numbers. Source: PTX ISA 9.7.9.21.

use half::{bf16, f16};
use vgpu_ptx::{Class, Type};

use crate::code::Action;
use crate::form::Form;
use crate::instruction::{Instruction, Modifiers, Rounding};
use crate::round;
use crate::state::State;
use crate::value::{extend, lanes};
use crate::words::Words;

pub(super) const FORMS: &[Form] = &[
    form!(
        "cvt{.sat}.[u8 u16 u32 u64 s8 s16 s32 s64].[u8 u16 u32 u64 s8 s16 s32 s64] d:any, a:any1",
        "9.7.9.21",
        cvt
    ),
    form!(
        "cvt.[rni rzi rmi rpi]{.ftz}{.sat}.[u8 u16 u32 u64 s8 s16 s32 s64].[f16 f32 f64] d:any, a:1",
        "9.7.9.21",
        cvt
    ),
    form!(
        "cvt.[rn rz rm rp]{.sat}.[f16 f32 f64].[u8 u16 u32 u64 s8 s16 s32 s64] d, a:any1",
        "9.7.9.21",
        cvt
    ),
    form!(
        "cvt.[rn rz rm rp]{.ftz}{.sat}.f16.[f32 f64] d, a:1",
        "9.7.9.21",
        cvt
    ),
    form!(
        "cvt.[rn rz rm rp]{.ftz}{.sat}.f32.f64 d, a:1",
        "9.7.9.21",
        cvt
    ),
    form!("cvt{.ftz}{.sat}.f32.f16 d, a:1", "9.7.9.21", cvt),
    form!("cvt{.ftz}{.sat}.f64.[f16 f32] d, a:1", "9.7.9.21", cvt),
    form!("cvt{.ftz}{.sat}.f32.f32 d, a", "9.7.9.21", |_| Some(
        lanes1!(m, f32 => f32, |a| m.give(m.take(a)))
    )),
    form!(
        "cvt.[rni rzi rmi rpi]{.ftz}{.sat}.f16.f16 d, a:1",
        "9.7.9.21",
        cvt
    ),
    form!(
        "cvt.[rni rzi rmi rpi]{.ftz}{.sat}.f32.f32 d, a:1",
        "9.7.9.21",
        cvt
    ),
    form!(
        "cvt.[rni rzi rmi rpi]{.sat}.f64.f64 d, a:1",
        "9.7.9.21",
        cvt
    ),
    form!("cvt.[rn rz]{.relu}.[f16 bf16].f32 d, a:1", "9.7.9.21", relu),
    form!("cvt{.ftz}.[f32 f64].bf16 d, a:1", "9.7.9.21", cvt),
    form!("cvt.[rn rz rm rp].bf16.[f16 f64] d, a:1", "9.7.9.21", cvt),
    form!("cvt.[rn rz rm rp].f16.bf16 d, a:1", "9.7.9.21", cvt),
    form!(
        "cvt.[rn rz rm rp].bf16.[u8 u16 u32 u64 s8 s16 s32 s64] d, a:any1",
        "9.7.9.21",
        cvt
    ),
    form!(
        "cvt.[rni rzi rmi rpi].[u8 u16 u32 u64 s8 s16 s32 s64].bf16 d:any, a:1",
        "9.7.9.21",
        cvt
    ),
    form!("cvt.[rni rzi rmi rpi].bf16.bf16 d, a:1", "9.7.9.21", cvt),
    form!(
        "cvt.[rn rz]{.relu}.[f16x2 bf16x2].f32 d, a:1, b:1",
        "9.7.9.21",
        pairs
    ),
    form!("cvt.rna.tf32.f32 d, a", "9.7.9.21", |_| Some(
        lanes1!(_, u32 => u32, |a| tf32(a, 0x1000))
    )),
    form!("cvt.[rn rz]{.relu}.tf32.f32 d, a", "9.7.9.21", |w| Some(
        match (w.word(1), w.has("relu")) {
            ("rn", false) => lanes1!(_, u32 => u32, |a| tf32(a, to_even(a))),
            ("rn", true) => lanes1!(_, u32 => u32, |a| above_zero_32(tf32(a, to_even(a)))),
            (_, false) => lanes1!(_, u32 => u32, |a| tf32(a, 0)),
            (_, true) => lanes1!(_, u32 => u32, |a| above_zero_32(tf32(a, 0))),
        }
    )),
];

/// The usual ones by a cast of Rust, all others by [`general`].
fn cvt(w: &Words<'_>) -> Option<Action> {
    use Type::{Bf16, F16, F32, F64, S32, S64, U32, U64};
    let (to, from) = (w.ty(), w.second());
    let plain = !w.has("sat") && !w.has("ftz");
    Some(match (w.word(1), to, from) {
        ("s64" | "u64", S64 | U64, S32) => wide1!(i32 => i64, i64::from),
        ("s64" | "u64", S64 | U64, U32) => wide1!(u32 => u64, u64::from),
        ("s32" | "u32", S32 | U32, S64 | U64) => wide1!(u64 => u32, |a| a as u32),
        ("s32" | "u32", S32 | U32, S32 | U32) => wide1!(u32 => u32, |a| a),
        ("rn", F32, S32) if plain => wide1!(i32 => f32, |a| a as f32),
        ("rn", F32, U32) if plain => wide1!(u32 => f32, |a| a as f32),
        ("rn", F64, S32) if plain => wide1!(i32 => f64, f64::from),
        ("rn", F64, U32) if plain => wide1!(u32 => f64, f64::from),
        ("rzi", S32, F32) if plain => wide1!(f32 => i32, |a| a as i32),
        ("rzi", U32, F32) if plain => wide1!(f32 => u32, |a| a as u32),
        ("rn", F16, F32) if plain => lanes1!(_, f32 => f16, f16::from_f32),
        ("rn", Bf16, F32) => lanes1!(_, f32 => bf16, bf16::from_f32),
        ("f32", F32, Bf16) => lanes1!(_, bf16 => f32, bf16::to_f32),
        ("rn", F32, F64) if plain => wide1!(f64 => f32, |a| a as f32),
        ("f32", F32, F16) => lanes1!(_, f16 => f32, f16::to_f32),
        ("f64", F64, F32) => wide1!(f32 => f64, f64::from),
        ("rzi", F32, F32) if plain => wide1!(f32 => f32, f32::trunc),
        ("rni", F32, F32) if plain => wide1!(f32 => f32, f32::round_ties_even),
        _ => Action::Lanes(general),
    })
}

/// Any conversion; also where the result's register is wider than its type.
pub(crate) fn general(s: &mut State, i: &Instruction, mask: u32) {
    let a: [u64; 32] = s.read(i.operands[1]);
    let mut values = [0u64; 32];
    for lane in lanes(mask) {
        values[lane] = extend(convert(&i.modifiers, a[lane]), i.modifiers.types[0]);
    }
    s.write(i.operands[0], &values, mask);
}

fn convert(m: &Modifiers, bits: u64) -> u64 {
    let [to, from, _] = m.types;
    if from.class() != Class::Float {
        let value = match from.class() {
            Class::Signed => i128::from(extend(bits, from).cast_signed()),
            _ => i128::from(extend(bits, from)),
        };
        if to.class() == Class::Float {
            return match to {
                Type::F64 => number(m, round::integer_64(value, m.rounding), to),
                _ => number(m, round::odd_integer(value), to),
            };
        }
        return match m.saturate {
            true => clamped(value, to),
            false => value as u64,
        };
    }
    let value = match from {
        Type::F16 => f16::from_bits(bits as u16).to_f64(),
        Type::Bf16 => bf16::from_bits(bits as u16).to_f64(),
        Type::F32 => f64::from(m.take(f32::from_bits(bits as u32))),
        _ => f64::from_bits(bits),
    };
    if to.class() == Class::Float {
        let value = if to == from {
            integral(value, m.rounding)
        } else {
            value
        };
        return number(m, value, to);
    }
    if value.is_nan() {
        let zero = from != Type::F64 && to.size() < 8;
        return if zero {
            0
        } else {
            1 << (u32::from(to.size()) * 8 - 1)
        };
    }
    clamped(integral(value, m.rounding) as i128, to)
}

fn integral(value: f64, rounding: Rounding) -> f64 {
    match rounding {
        Rounding::Nearest => value.round_ties_even(),
        Rounding::Zero => value.trunc(),
        Rounding::Down => value.floor(),
        Rounding::Up => value.ceil(),
    }
}

fn clamped(value: i128, to: Type) -> u64 {
    let width = u32::from(to.size()) * 8;
    let (low, high) = match to.class() {
        Class::Signed => (-(1i128 << (width - 1)), (1i128 << (width - 1)) - 1),
        _ => (0, (1i128 << width) - 1),
    };
    value.clamp(low, high) as u64
}

/// A double, exact or rounded to odd, as a float of a type.
fn number(m: &Modifiers, value: f64, to: Type) -> u64 {
    let value = match (m.saturate, value) {
        (false, value) => value,
        (true, value) if value > 0.0 => value.min(1.0),
        (true, _) => 0.0,
    };
    match to {
        Type::F16 => u64::from(round::half(value, m.rounding).to_bits()),
        Type::Bf16 => u64::from(round::brain(value, m.rounding).to_bits()),
        Type::F32 => {
            let single = round::narrow(value, m.rounding);
            u64::from(
                if m.flush {
                    round::flush(single)
                } else {
                    single
                }
                .to_bits(),
            )
        }
        _ => value.to_bits(),
    }
}

/// `.relu`: below zero it is zero.
fn above_zero(value: f32) -> f64 {
    match value {
        value if value.is_nan() => f64::NAN,
        value if value.is_sign_negative() => 0.0,
        value => f64::from(value),
    }
}

fn above_zero_32(bits: u32) -> u32 {
    (above_zero(f32::from_bits(bits)) as f32).to_bits()
}

/// A single with the 10 bits of a tf32 behind its point, after `more` was added
/// below them. Source: PTX ISA 5.2.3, 9.7.9.21.
fn tf32(bits: u32, more: u32) -> u32 {
    match f32::from_bits(bits).is_finite() {
        true => bits.wrapping_add(more) & !0x1fff,
        // A NaN keeps a bit.
        false if f32::from_bits(bits).is_nan() => 0x7fff_ffff,
        false => bits,
    }
}

/// What rounds to nearest, ties to even.
fn to_even(bits: u32) -> u32 {
    0xfff + (bits >> 13 & 1)
}

fn relu(w: &Words<'_>) -> Option<Action> {
    Some(match (w.ty(), w.has("relu")) {
        (_, false) => return cvt(w),
        (Type::F16, true) => {
            lanes1!(m, f32 => f16, |a| round::half(above_zero(a), m.rounding))
        }
        (_, true) => lanes1!(m, f32 => bf16, |a| round::brain(above_zero(a), m.rounding)),
    })
}

/// The first is the upper half.
fn pairs(w: &Words<'_>) -> Option<Action> {
    use round::{brain, half};
    Some(match (w.ty(), w.has("relu")) {
        (Type::F16x2, false) => lanes2!(m, f32, f32 => [f16; 2], |a, b| {
            [b, a].map(|x| half(f64::from(x), m.rounding))
        }),
        (Type::F16x2, true) => lanes2!(m, f32, f32 => [f16; 2], |a, b| {
            [b, a].map(|x| half(above_zero(x), m.rounding))
        }),
        (_, false) => lanes2!(m, f32, f32 => [bf16; 2], |a, b| {
            [b, a].map(|x| brain(f64::from(x), m.rounding))
        }),
        (_, true) => lanes2!(m, f32, f32 => [bf16; 2], |a, b| {
            [b, a].map(|x| brain(above_zero(x), m.rounding))
        }),
    })
}
