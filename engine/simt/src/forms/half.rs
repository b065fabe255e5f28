//! Arithmetic on `f16`, `bf16`, and pairs of them, each rounded once.
//! Source: PTX ISA 9.7.4.

use half::{bf16, f16};
use vgpu_ptx::Type;

use crate::code::Action;
use crate::form::Form;
use crate::instruction::{Modifiers, Rounding::Nearest};
use crate::round::{self, odd, sum_error};
use crate::value::Value;
use crate::words::Words;

/// A float of 16 bits, the sign above the others.
pub(super) trait Small: Value<Bits = u32> {
    /// The bits below the sign.
    const BELOW: u16 = 0x7fff;
    /// The bits of the exponent.
    const EXPONENT: u16;
    fn raw(self) -> u16;
    fn of_raw(bits: u16) -> Self;
    fn wide(self) -> f64;
    /// Of a double that is exact, or rounded to odd.
    fn near(x: f64) -> Self;
}

impl Small for f16 {
    const EXPONENT: u16 = 0x7c00;
    fn raw(self) -> u16 {
        self.to_bits()
    }
    fn of_raw(bits: u16) -> Self {
        Self::from_bits(bits)
    }
    fn wide(self) -> f64 {
        self.to_f64()
    }
    fn near(x: f64) -> Self {
        round::half(x, Nearest)
    }
}

impl Small for bf16 {
    const EXPONENT: u16 = 0x7f80;
    fn raw(self) -> u16 {
        self.to_bits()
    }
    fn of_raw(bits: u16) -> Self {
        Self::from_bits(bits)
    }
    fn wide(self) -> f64 {
        self.to_f64()
    }
    fn near(x: f64) -> Self {
        round::brain(x, Nearest)
    }
}

/// `f::<T>` of each lane, and of both parts of a pair, `T` being what the words name.
macro_rules! each {
    ($w:expr, $lanes:ident, [$($a:ident),*], $f:ident) => {
        match $w.ty() {
            Type::F16 => Some(each!(@one $lanes, f16, [$($a),*], $f)),
            Type::F16x2 => Some(each!(@pair $lanes, f16, [$($a),*], $f)),
            Type::Bf16 => Some(each!(@one $lanes, bf16, [$($a),*], $f)),
            Type::Bf16x2 => Some(each!(@pair $lanes, bf16, [$($a),*], $f)),
            _ => None,
        }
    };
    (@one $lanes:ident, $ty:ty, [$($a:ident),*], $f:ident) => {
        $lanes!(m, $(each!(@ty $ty, $a)),* => $ty, |$($a),*| {
            give(m, $f::<$ty>($(take(m, $a)),*))
        })
    };
    (@pair $lanes:ident, $ty:ty, [$($a:ident),*], $f:ident) => {
        $lanes!(m, $(each!(@ty [$ty; 2], $a)),* => [$ty; 2], |$($a),*| [
            give(m, $f::<$ty>($(take(m, $a[0])),*)),
            give(m, $f::<$ty>($(take(m, $a[1])),*)),
        ])
    };
    (@ty $ty:ty, $a:ident) => { $ty };
}

pub(super) const FORMS: &[Form] = &[
    form!("add{.rn}{.ftz}{.sat}.[f16 f16x2] d, a, b", "9.7.4.1", add),
    form!("add{.rn}.[bf16 bf16x2] d, a, b", "9.7.4.1", add),
    form!("sub{.rn}{.ftz}{.sat}.[f16 f16x2] d, a, b", "9.7.4.2", sub),
    form!("sub{.rn}.[bf16 bf16x2] d, a, b", "9.7.4.2", sub),
    form!("mul{.rn}{.ftz}{.sat}.[f16 f16x2] d, a, b", "9.7.4.3", mul),
    form!("mul{.rn}.[bf16 bf16x2] d, a, b", "9.7.4.3", mul),
    form!("fma.rn{.ftz}{.sat}.[f16 f16x2] d, a, b, c", "9.7.4.4", fma),
    form!("fma.rn{.ftz}.relu.[f16 f16x2] d, a, b, c", "9.7.4.4", fma),
    form!("fma.rn{.relu}.[bf16 bf16x2] d, a, b, c", "9.7.4.4", fma),
    form!("neg{.ftz}.[f16 f16x2] d, a", "9.7.4.5", neg),
    form!("neg.[bf16 bf16x2] d, a", "9.7.4.5", neg),
    form!("abs{.ftz}.[f16 f16x2] d, a", "9.7.4.6", abs),
    form!("abs.[bf16 bf16x2] d, a", "9.7.4.6", abs),
    form!("min{.ftz}{.NaN}.[f16 f16x2] d, a, b", "9.7.4.7", min),
    form!(
        "min{.ftz}{.NaN}.xorsign.abs.[f16 f16x2] d, a, b",
        "9.7.4.7",
        min
    ),
    form!("min{.NaN}.[bf16 bf16x2] d, a, b", "9.7.4.7", min),
    form!(
        "min{.NaN}.xorsign.abs.[bf16 bf16x2] d, a, b",
        "9.7.4.7",
        min
    ),
    form!("max{.ftz}{.NaN}.[f16 f16x2] d, a, b", "9.7.4.8", max),
    form!(
        "max{.ftz}{.NaN}.xorsign.abs.[f16 f16x2] d, a, b",
        "9.7.4.8",
        max
    ),
    form!("max{.NaN}.[bf16 bf16x2] d, a, b", "9.7.4.8", max),
    form!(
        "max{.NaN}.xorsign.abs.[bf16 bf16x2] d, a, b",
        "9.7.4.8",
        max
    ),
    form!(
        "tanh.approx.[f16 f16x2 bf16 bf16x2] d, a",
        "9.7.4.9",
        |w| each!(w, lanes1, [a], tangent)
    ),
    form!("ex2.approx.[f16 f16x2] d, a", "9.7.4.10", exp2),
    form!("ex2.approx.ftz.[bf16 bf16x2] d, a", "9.7.4.10", exp2),
];

fn take<T: Small>(m: Modifiers, x: T) -> T {
    match m.flush && x.raw() & T::EXPONENT == 0 {
        true => T::of_raw(x.raw() & !T::BELOW),
        false => x,
    }
}

fn give<T: Small>(m: Modifiers, x: T) -> T {
    let x = take(m, x);
    match m.saturate {
        false => x,
        true if x.wide() > 1.0 => T::near(1.0),
        true if x.wide() > 0.0 => x,
        true => T::of_raw(0),
    }
}

fn is_nan<T: Small>(x: T) -> bool {
    x.raw() & T::BELOW > T::EXPONENT
}

/// `a * b + c`: the product is exact in a double, the sum is rounded to odd.
fn fused<T: Small>(a: T, b: T, c: T) -> T {
    let (product, c) = (a.wide() * b.wide(), c.wide());
    let sum = product + c;
    T::near(odd(sum, sum_error(product, c, sum)))
}

/// The same; below zero it is zero.
fn fused_relu<T: Small>(a: T, b: T, c: T) -> T {
    let result = fused(a, b, c);
    match is_nan(result) {
        true => T::of_raw(T::BELOW),
        false if result.raw() > T::BELOW => T::of_raw(0),
        false => result,
    }
}

/// `a + b`, rounded once.
pub(super) fn sum<T: Small>(a: T, b: T) -> T {
    let (a, b) = (a.wide(), b.wide());
    let sum = a + b;
    T::near(odd(sum, sum_error(a, b, sum)))
}

fn difference<T: Small>(a: T, b: T) -> T {
    sum(a, negative(b))
}

fn product<T: Small>(a: T, b: T) -> T {
    T::near(a.wide() * b.wide())
}

fn negative<T: Small>(a: T) -> T {
    T::of_raw(a.raw() ^ !T::BELOW)
}

fn positive<T: Small>(a: T) -> T {
    T::of_raw(a.raw() & T::BELOW)
}

fn tangent<T: Small>(a: T) -> T {
    T::near(a.wide().tanh())
}

fn power<T: Small>(a: T) -> T {
    T::near(a.wide().exp2())
}

/// Source: the pseudo code of PTX ISA 9.7.4.7.
fn chosen<T: Small, const LEAST: bool, const STRICT: bool, const SIGN: bool>(a: T, b: T) -> T {
    let sign = (a.raw() ^ b.raw()) & !T::BELOW;
    let (a, b) = match SIGN {
        true => (positive(a), positive(b)),
        false => (a, b),
    };
    let result = match (is_nan(a), is_nan(b)) {
        (true, true) => return T::of_raw(T::BELOW),
        (true, _) | (_, true) if STRICT => return T::of_raw(T::BELOW),
        (true, _) => b,
        (_, true) => a,
        // By the bits, -0 is less than +0.
        _ if (order(a) < order(b)) == LEAST => a,
        _ => b,
    };
    match SIGN {
        true => T::of_raw(result.raw() | sign),
        false => result,
    }
}

/// Bits in the order of their values.
fn order<T: Small>(a: T) -> i32 {
    let below = i32::from(a.raw() & T::BELOW);
    if a.raw() > T::BELOW { !below } else { below }
}

/// The choices of `chosen` by their names.
macro_rules! choices {
    ($($name:ident: $least:literal, $strict:literal, $sign:literal;)*) => {$(
        fn $name<T: Small>(a: T, b: T) -> T {
            chosen::<T, $least, $strict, $sign>(a, b)
        }
    )*};
}

choices! {
    least: true, false, false;
    least_strict: true, true, false;
    least_sign: true, false, true;
    least_strict_sign: true, true, true;
    most: false, false, false;
    most_strict: false, true, false;
    most_sign: false, false, true;
    most_strict_sign: false, true, true;
}

fn add(w: &Words<'_>) -> Option<Action> {
    each!(w, lanes2, [a, b], sum)
}

fn sub(w: &Words<'_>) -> Option<Action> {
    each!(w, lanes2, [a, b], difference)
}

fn mul(w: &Words<'_>) -> Option<Action> {
    each!(w, lanes2, [a, b], product)
}

fn fma(w: &Words<'_>) -> Option<Action> {
    match w.has("relu") {
        true => each!(w, lanes3, [a, b, c], fused_relu),
        false => each!(w, lanes3, [a, b, c], fused),
    }
}

fn neg(w: &Words<'_>) -> Option<Action> {
    each!(w, lanes1, [a], negative)
}

fn abs(w: &Words<'_>) -> Option<Action> {
    each!(w, lanes1, [a], positive)
}

fn exp2(w: &Words<'_>) -> Option<Action> {
    each!(w, lanes1, [a], power)
}

fn min(w: &Words<'_>) -> Option<Action> {
    match (w.has("NaN"), w.has("xorsign")) {
        (false, false) => each!(w, lanes2, [a, b], least),
        (true, false) => each!(w, lanes2, [a, b], least_strict),
        (false, true) => each!(w, lanes2, [a, b], least_sign),
        (true, true) => each!(w, lanes2, [a, b], least_strict_sign),
    }
}

fn max(w: &Words<'_>) -> Option<Action> {
    match (w.has("NaN"), w.has("xorsign")) {
        (false, false) => each!(w, lanes2, [a, b], most),
        (true, false) => each!(w, lanes2, [a, b], most_strict),
        (false, true) => each!(w, lanes2, [a, b], most_sign),
        (true, true) => each!(w, lanes2, [a, b], most_strict_sign),
    }
}
