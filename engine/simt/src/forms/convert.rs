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
    form!("cvt.rn.bf16.f32 d, a:1", "9.7.9.21", |_| Some(
        lanes1!(_, f32 => u16, |a| bf16::from_f32(a).to_bits())
    )),
    form!("cvt.f32.bf16 d, a:1", "9.7.9.21", |_| Some(
        lanes1!(_, u16 => f32, |a| bf16::from_bits(a).to_f32())
    )),
    form!("cvt.rn.f16x2.f32 d, a:1, b:1", "9.7.9.21", |_| {
        // The first is the upper half.
        Some(lanes2!(_, f32, f32 => [f16; 2], |a, b| [f16::from_f32(b), f16::from_f32(a)]))
    }),
    form!("cvt.rn.bf16x2.f32 d, a:1, b:1", "9.7.9.21", |_| {
        Some(lanes2!(_, f32, f32 => u32, |a, b| {
            u32::from(bf16::from_f32(b).to_bits()) | u32::from(bf16::from_f32(a).to_bits()) << 16
        }))
    }),
];

/// The usual ones by a cast of Rust, all others by [`general`].
fn cvt(w: &Words<'_>) -> Option<Action> {
    use Type::{F16, F32, F64, S32, S64, U32, U64};
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
    let [to, from] = m.types;
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
