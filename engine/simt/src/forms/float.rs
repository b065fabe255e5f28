//! Arithmetic on singles and doubles. Source: PTX ISA 9.7.3.

use crate::code::Action;
use crate::form::Form;
use crate::instruction::Modifiers;
use crate::round;
use crate::value::{NAN_32, NAN_64};
use crate::words::Words;

pub(super) const FORMS: &[Form] = &[
    form!(
        "add{.[rn rz rm rp]}{.ftz}{.sat}.f32 d, a, b",
        "9.7.3.3",
        |w| Some(match plain(w) {
            true => wide2!(f32, f32 => f32, |a, b| a + b),
            false =>
                lanes2!(m, f32, f32 => f32, |a, b| m.give(round::add_32(m.take(a), m.take(b), m.rounding))),
        })
    ),
    form!("add{.[rn rz rm rp]}.f64 d, a, b", "9.7.3.3", |w| Some(
        match plain(w) {
            true => wide2!(f64, f64 => f64, |a, b| a + b),
            false => lanes2!(m, f64, f64 => f64, |a, b| round::add_64(a, b, m.rounding)),
        }
    )),
    form!(
        "sub{.[rn rz rm rp]}{.ftz}{.sat}.f32 d, a, b",
        "9.7.3.4",
        |w| Some(match plain(w) {
            true => wide2!(f32, f32 => f32, |a, b| a - b),
            false =>
                lanes2!(m, f32, f32 => f32, |a, b| m.give(round::add_32(m.take(a), -m.take(b), m.rounding))),
        })
    ),
    form!("sub{.[rn rz rm rp]}.f64 d, a, b", "9.7.3.4", |w| Some(
        match plain(w) {
            true => wide2!(f64, f64 => f64, |a, b| a - b),
            false => lanes2!(m, f64, f64 => f64, |a, b| round::add_64(a, -b, m.rounding)),
        }
    )),
    form!(
        "mul{.[rn rz rm rp]}{.ftz}{.sat}.f32 d, a, b",
        "9.7.3.5",
        |w| Some(match plain(w) {
            true => wide2!(f32, f32 => f32, |a, b| a * b),
            false =>
                lanes2!(m, f32, f32 => f32, |a, b| m.give(round::mul_32(m.take(a), m.take(b), m.rounding))),
        })
    ),
    form!("mul{.[rn rz rm rp]}.f64 d, a, b", "9.7.3.5", |w| Some(
        match plain(w) {
            true => wide2!(f64, f64 => f64, |a, b| a * b),
            false => lanes2!(m, f64, f64 => f64, |a, b| round::mul_64(a, b, m.rounding)),
        }
    )),
    form!(
        "fma.[rn rz rm rp]{.ftz}{.sat}.f32 d, a, b, c",
        "9.7.3.6",
        fma
    ),
    form!("fma.[rn rz rm rp].f64 d, a, b, c", "9.7.3.6", fma_double),
    form!(
        "mad{.[rn rz rm rp]}{.ftz}{.sat}.f32 d, a, b, c",
        "9.7.3.7",
        fma
    ),
    form!("mad{.[rn rz rm rp]}.f64 d, a, b, c", "9.7.3.7", fma_double),
    form!("div.[rn rz rm rp]{.ftz}.f32 d, a, b", "9.7.3.8", |w| Some(
        match plain(w) {
            true => wide2!(f32, f32 => f32, |a, b| a / b),
            false =>
                lanes2!(m, f32, f32 => f32, |a, b| m.give(round::div_32(m.take(a), m.take(b), m.rounding))),
        }
    )),
    form!("div.[approx full]{.ftz}.f32 d, a, b", "9.7.3.8", |_| {
        Some(lanes2!(m, f32, f32 => f32, |a, b| m.give(m.take(a) / m.take(b))))
    }),
    form!("div.[rn rz rm rp].f64 d, a, b", "9.7.3.8", |w| Some(
        match plain(w) {
            true => wide2!(f64, f64 => f64, |a, b| a / b),
            false => lanes2!(m, f64, f64 => f64, |a, b| round::div_64(a, b, m.rounding)),
        }
    )),
    form!("abs{.ftz}.f32 d, a", "9.7.3.9", |w| Some(match plain(w) {
        true => wide1!(f32 => f32, f32::abs),
        false => lanes1!(m, f32 => f32, |a| m.take(a).abs()),
    })),
    form!("abs.f64 d, a", "9.7.3.9", |_| Some(
        wide1!(f64 => f64, f64::abs)
    )),
    form!("neg{.ftz}.f32 d, a", "9.7.3.10", |w| Some(match plain(w) {
        true => wide1!(f32 => f32, |a: f32| -a),
        false => lanes1!(m, f32 => f32, |a| -m.take(a)),
    })),
    form!("neg.f64 d, a", "9.7.3.10", |_| Some(
        wide1!(f64 => f64, |a: f64| -a)
    )),
    form!("min{.ftz}{.NaN}.f32 d, a, b", "9.7.3.11", |w| Some(
        match w.has("NaN") {
            true => lanes2!(m, f32, f32 => f32, |a, b| strict(m.take(a), m.take(b), min_32)),
            false if plain(w) => wide2!(f32, f32 => f32, min_32),
            false => lanes2!(m, f32, f32 => f32, |a, b| min_32(m.take(a), m.take(b))),
        }
    )),
    form!("max{.ftz}{.NaN}.f32 d, a, b", "9.7.3.12", |w| Some(
        match w.has("NaN") {
            true => lanes2!(m, f32, f32 => f32, |a, b| strict(m.take(a), m.take(b), max_32)),
            false if plain(w) => wide2!(f32, f32 => f32, max_32),
            false => lanes2!(m, f32, f32 => f32, |a, b| max_32(m.take(a), m.take(b))),
        }
    )),
    form!("min{.ftz}{.NaN}.xorsign.abs.f32 d, a, b", "9.7.3.11", |w| {
        Some(match w.has("NaN") {
            true => {
                lanes2!(m, f32, f32 => f32, |a, b| signed(m, a, b, |a, b| strict(a, b, min_32)))
            }
            false => lanes2!(m, f32, f32 => f32, |a, b| signed(m, a, b, min_32)),
        })
    }),
    form!("max{.ftz}{.NaN}.xorsign.abs.f32 d, a, b", "9.7.3.12", |w| {
        Some(match w.has("NaN") {
            true => {
                lanes2!(m, f32, f32 => f32, |a, b| signed(m, a, b, |a, b| strict(a, b, max_32)))
            }
            false => lanes2!(m, f32, f32 => f32, |a, b| signed(m, a, b, max_32)),
        })
    }),
    form!("min.f64 d, a, b", "9.7.3.11", |_| Some(
        lanes2!(_, f64, f64 => f64, min_64)
    )),
    form!("max.f64 d, a, b", "9.7.3.12", |_| Some(
        lanes2!(_, f64, f64 => f64, max_64)
    )),
    form!("rcp.[rn rz rm rp]{.ftz}.f32 d, a", "9.7.3.13", |w| {
        if plain(w) {
            return Some(wide1!(f32 => f32, |a| 1.0 / a));
        }
        Some(lanes1!(m, f32 => f32, |a| m.give(round::div_32(1.0, m.take(a), m.rounding))))
    }),
    form!("rcp.[rn rz rm rp].f64 d, a", "9.7.3.13", |_| {
        Some(lanes1!(m, f64 => f64, |a| round::div_64(1.0, a, m.rounding)))
    }),
    form!("sqrt.[rn rz rm rp]{.ftz}.f32 d, a", "9.7.3.15", |w| {
        if plain(w) {
            return Some(wide1!(f32 => f32, f32::sqrt));
        }
        Some(lanes1!(m, f32 => f32, |a| m.give(round::sqrt_32(m.take(a), m.rounding))))
    }),
    form!("sqrt.[rn rz rm rp].f64 d, a", "9.7.3.15", |_| {
        Some(lanes1!(m, f64 => f64, |a| round::sqrt_64(a, m.rounding)))
    }),
    form!("copysign.f32 d, a, b", "9.7.3.2", |_| {
        Some(lanes2!(_, f32, f32 => f32, |a, b| b.copysign(a)))
    }),
    form!("copysign.f64 d, a, b", "9.7.3.2", |_| {
        Some(lanes2!(_, f64, f64 => f64, |a, b| b.copysign(a)))
    }),
];

impl Modifiers {
    /// An argument, flushed where the words say so.
    #[inline(always)]
    pub(crate) fn take(&self, x: f32) -> f32 {
        if self.flush { round::flush(x) } else { x }
    }

    /// A result, flushed and clamped to 0..1 where the words say so. Saturation
    /// makes a NaN 0.
    #[inline(always)]
    pub(crate) fn give(&self, x: f32) -> f32 {
        let x = if self.flush { round::flush(x) } else { x };
        match (self.saturate, x) {
            (false, x) => x,
            (true, x) if x > 0.0 => x.min(1.0),
            (true, _) => 0.0,
        }
    }
}

/// Whether the words ask for what the processor does by itself.
fn plain(w: &Words<'_>) -> bool {
    Modifiers::of(w).rounding == crate::instruction::Rounding::Nearest
        && !w.has("ftz")
        && !w.has("sat")
}

fn fma(w: &Words<'_>) -> Option<Action> {
    use crate::instruction::Rounding::Nearest;
    Some(match plain(w) {
        // Where the processor has none, a call of the platform's is slower.
        true if fused() => wide3!(f32, f32, f32 => f32, |a, b, c| a.mul_add(b, c)),
        true => wide3!(f32, f32, f32 => f32, |a, b, c| round::fma_32(a, b, c, Nearest)),
        false => lanes3!(m, f32, f32, f32 => f32, |a, b, c| {
            m.give(round::fma_32(m.take(a), m.take(b), m.take(c), m.rounding))
        }),
    })
}

fn fma_double(w: &Words<'_>) -> Option<Action> {
    Some(match plain(w) {
        true => wide3!(f64, f64, f64 => f64, |a, b, c| a.mul_add(b, c)),
        false => lanes3!(m, f64, f64, f64 => f64, |a, b, c| round::fma_64(a, b, c, m.rounding)),
    })
}

/// Whether the processor has an instruction for it.
fn fused() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    return cfg!(target_arch = "aarch64");
}

/// The smaller or the larger of two; -0 is less than +0, a number wins over a NaN.
macro_rules! extremes {
    ($least:ident, $greatest:ident, $ty:ty, $nan:ident) => {
        #[inline(always)]
        pub(super) fn $least(a: $ty, b: $ty) -> $ty {
            match (a.is_nan(), b.is_nan()) {
                (true, true) => <$ty>::from_bits($nan),
                (true, false) => b,
                (false, true) => a,
                _ if a < b || a == b && a.is_sign_negative() => a,
                _ => b,
            }
        }

        #[inline(always)]
        pub(super) fn $greatest(a: $ty, b: $ty) -> $ty {
            match (a.is_nan(), b.is_nan()) {
                (true, true) => <$ty>::from_bits($nan),
                (true, false) => b,
                (false, true) => a,
                _ if a > b || a == b && a.is_sign_positive() => a,
                _ => b,
            }
        }
    };
}

extremes!(min_32, max_32, f32, NAN_32);
extremes!(min_64, max_64, f64, NAN_64);

/// `.xorsign.abs`: of the values without their signs, with both signs together.
#[inline(always)]
fn signed(m: Modifiers, a: f32, b: f32, f: fn(f32, f32) -> f32) -> f32 {
    let sign = (a.to_bits() ^ b.to_bits()) & 0x8000_0000;
    let result = f(m.take(a).abs(), m.take(b).abs());
    match result.is_nan() {
        true => result,
        false => f32::from_bits(result.to_bits() | sign),
    }
}

/// `.NaN`: a NaN wins over a number.
#[inline(always)]
fn strict(a: f32, b: f32, f: fn(f32, f32) -> f32) -> f32 {
    if a.is_nan() || b.is_nan() {
        f32::from_bits(NAN_32)
    } else {
        f(a, b)
    }
}
