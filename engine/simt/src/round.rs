//! IEEE operations in all four rounding modes.
//!
//! Nearest is the processor's. For a single, the others go through a double
//! that is *rounded to odd*: it keeps in its last bit whether anything was
//! lost, and with more than twice the bits it then rounds to a single as the
//! exact result would.

use half::{bf16, f16};
use rustc_apfloat::ieee::Double;
use rustc_apfloat::{Float, Round};

use crate::instruction::Rounding;

/// `value`, whose exact value differs from it by something of the sign of
/// `error`, rounded to odd. The error of an infinity or a NaN is a NaN.
#[inline(always)]
pub(crate) fn odd(value: f64, error: f64) -> f64 {
    let bits = value.to_bits();
    let inexact = (error > 0.0) | (error < 0.0);
    let away = (error > 0.0) == (value > 0.0);
    let step = if away { 1 } else { u64::MAX };
    let even = bits & 1 == 0;
    f64::from_bits(bits.wrapping_add(if inexact & even { step } else { 0 }))
}

/// What `a + b` loses. Source: Knuth, TAOCP 2, 4.2.2, theorem B.
#[inline(always)]
pub(crate) fn sum_error(a: f64, b: f64, sum: f64) -> f64 {
    let part = sum - a;
    (a - (sum - part)) + (b - part)
}

/// The single next to `x` in a direction.
#[inline(always)]
pub(crate) fn narrow(x: f64, rounding: Rounding) -> f32 {
    let near = x as f32;
    let wide = f64::from(near);
    if rounding == Rounding::Nearest || wide == x || x.is_nan() {
        return near;
    }
    match rounding {
        Rounding::Zero if wide.abs() > x.abs() => f32::from_bits(near.to_bits() - 1),
        Rounding::Down if wide > x => near.next_down(),
        Rounding::Up if wide < x => near.next_up(),
        _ => near,
    }
}

/// The sign of a sum that is exactly zero. Source: IEEE 754-2019, 6.3.
#[inline(always)]
fn zero_sum(sum: f64, a: f64, b: f64, rounding: Rounding) -> f64 {
    let opposite = a.is_sign_negative() != b.is_sign_negative();
    if sum == 0.0 && opposite && rounding == Rounding::Down {
        -0.0
    } else {
        sum
    }
}

pub(crate) fn add_32(a: f32, b: f32, rounding: Rounding) -> f32 {
    if rounding == Rounding::Nearest {
        return a + b;
    }
    let (a, b) = (f64::from(a), f64::from(b));
    let sum = a + b;
    let exact = zero_sum(odd(sum, sum_error(a, b, sum)), a, b, rounding);
    narrow(exact, rounding)
}

pub(crate) fn mul_32(a: f32, b: f32, rounding: Rounding) -> f32 {
    match rounding {
        Rounding::Nearest => a * b,
        _ => narrow(f64::from(a) * f64::from(b), rounding),
    }
}

/// The product is exact in a double, and the sum of two doubles rounds to odd.
#[inline(always)]
pub(crate) fn fma_32(a: f32, b: f32, c: f32, rounding: Rounding) -> f32 {
    if cfg!(target_feature = "fma") && rounding == Rounding::Nearest {
        return a.mul_add(b, c);
    }
    let (product, c) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = product + c;
    let exact = odd(sum, sum_error(product, c, sum));
    narrow(zero_sum(exact, product, c, rounding), rounding)
}

pub(crate) fn div_32(a: f32, b: f32, rounding: Rounding) -> f32 {
    if rounding == Rounding::Nearest {
        return a / b;
    }
    let (a, b) = (f64::from(a), f64::from(b));
    let quotient = a / b;
    if !quotient.is_finite() || b.is_infinite() {
        return quotient as f32;
    }
    let error = (-quotient).mul_add(b, a) * b.signum();
    narrow(odd(quotient, error), rounding)
}

pub(crate) fn sqrt_32(a: f32, rounding: Rounding) -> f32 {
    if rounding == Rounding::Nearest {
        return a.sqrt();
    }
    let a = f64::from(a);
    let root = a.sqrt();
    if !root.is_finite() {
        return root as f32;
    }
    narrow(odd(root, (-root).mul_add(root, a)), rounding)
}

fn soft(rounding: Rounding) -> Round {
    match rounding {
        Rounding::Nearest => Round::NearestTiesToEven,
        Rounding::Zero => Round::TowardZero,
        Rounding::Down => Round::TowardNegative,
        Rounding::Up => Round::TowardPositive,
    }
}

fn double(x: f64) -> Double {
    Double::from_bits(u128::from(x.to_bits()))
}

fn hard(x: Double) -> f64 {
    f64::from_bits(x.to_bits() as u64)
}

pub(crate) fn add_64(a: f64, b: f64, rounding: Rounding) -> f64 {
    match rounding {
        Rounding::Nearest => a + b,
        _ => hard(double(a).add_r(double(b), soft(rounding)).value),
    }
}

pub(crate) fn mul_64(a: f64, b: f64, rounding: Rounding) -> f64 {
    match rounding {
        Rounding::Nearest => a * b,
        _ => hard(double(a).mul_r(double(b), soft(rounding)).value),
    }
}

pub(crate) fn fma_64(a: f64, b: f64, c: f64, rounding: Rounding) -> f64 {
    match rounding {
        Rounding::Nearest => a.mul_add(b, c),
        _ => hard(
            double(a)
                .mul_add_r(double(b), double(c), soft(rounding))
                .value,
        ),
    }
}

pub(crate) fn div_64(a: f64, b: f64, rounding: Rounding) -> f64 {
    match rounding {
        Rounding::Nearest => a / b,
        _ => hard(double(a).div_r(double(b), soft(rounding)).value),
    }
}

pub(crate) fn sqrt_64(a: f64, rounding: Rounding) -> f64 {
    let root = a.sqrt();
    if rounding == Rounding::Nearest || !root.is_finite() || root == 0.0 {
        return root;
    }
    // Scaled by an even power of two, so that no error is lost as a subnormal.
    let scale = 2f64.powi(if a < 1.0 { 600 } else { -600 });
    let half = scale.sqrt();
    let (a, scaled) = (a * scale, root * half);
    let error = (-scaled).mul_add(scaled, a);
    match rounding {
        Rounding::Up if error > 0.0 => root.next_up(),
        Rounding::Zero | Rounding::Down if error < 0.0 => root.next_down(),
        _ => root,
    }
}

/// An integer as the double that is its value rounded to odd.
pub(crate) fn odd_integer(value: i128) -> f64 {
    let near = value as f64;
    odd(near, integer_error(value, near))
}

/// An integer of up to 64 bits as a double.
pub(crate) fn integer_64(value: i128, rounding: Rounding) -> f64 {
    let near = value as f64;
    let error = integer_error(value, near);
    match rounding {
        Rounding::Up if error > 0.0 => near.next_up(),
        Rounding::Down if error < 0.0 => near.next_down(),
        Rounding::Zero if error * near < 0.0 => f64::from_bits(near.to_bits() - 1),
        _ => near,
    }
}

/// The sign of what a double leaves of an integer.
fn integer_error(value: i128, near: f64) -> f64 {
    value.wrapping_sub(near as i128).signum() as f64
}

/// A double, exact or rounded to odd, as a single that is rounded to odd.
fn odd_single(x: f64) -> f32 {
    let near = x as f32;
    let wide = f64::from(near);
    if wide == x || !near.is_finite() || near.to_bits() & 1 == 1 {
        near
    } else if (x > wide) == (near > 0.0) && near != 0.0 {
        f32::from_bits(near.to_bits() + 1)
    } else if near != 0.0 {
        f32::from_bits(near.to_bits() - 1)
    } else {
        f32::from_bits(1).copysign(x as f32)
    }
}

/// `near`, the bits of the float of 16 bits that is nearest to `x` and has the
/// value `wide`, or its neighbour in a direction.
fn directed(near: u16, wide: f64, x: f64, rounding: Rounding) -> u16 {
    if rounding == Rounding::Nearest || wide == x || x.is_nan() {
        return near;
    }
    let negative = match near & 0x7fff {
        0 => x < 0.0,
        _ => near & 0x8000 != 0,
    };
    let step = |toward_zero: bool| match (toward_zero, near & 0x7fff) {
        (false, 0) => u16::from(negative) << 15 | 1,
        (true, 0) => near,
        (true, _) => near - 1,
        (false, _) => near + 1,
    };
    match rounding {
        Rounding::Zero if wide.abs() > x.abs() => step(true),
        Rounding::Down if wide > x => step(!negative),
        Rounding::Up if wide < x => step(negative),
        _ => near,
    }
}

/// A double as a half.
pub(crate) fn half(x: f64, rounding: Rounding) -> f16 {
    let near = f16::from_f32(odd_single(x));
    f16::from_bits(directed(near.to_bits(), near.to_f64(), x, rounding))
}

/// A double as a bf16.
pub(crate) fn brain(x: f64, rounding: Rounding) -> bf16 {
    let near = bf16::from_f32(odd_single(x));
    bf16::from_bits(directed(near.to_bits(), near.to_f64(), x, rounding))
}

/// A subnormal as the zero of its sign.
#[inline(always)]
pub(crate) fn flush(x: f32) -> f32 {
    if x.is_subnormal() {
        0f32.copysign(x)
    } else {
        x
    }
}
