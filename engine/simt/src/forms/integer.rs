//! Integer arithmetic. Source: PTX ISA 9.7.1.

use crate::code::Action;
use crate::form::Form;
use crate::value::Value;
use crate::words::Words;

/// The integers of PTX, with what Rust has for each of them.
pub(crate) trait Integer: Value + Ord + Default + 'static {
    const WIDTH: u32;
    fn wide(self) -> i128;
    /// The low bits.
    fn cut(value: i128) -> Self;
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    /// By zero: all bits set, as hardware has it; the ISA leaves it open.
    fn quotient(self, other: Self) -> Self;
    fn remainder(self, other: Self) -> Self;
}

macro_rules! integer {
    ($($ty:ty),*) => {$(
        impl Integer for $ty {
            const WIDTH: u32 = <$ty>::BITS;
            #[inline(always)]
            fn wide(self) -> i128 { i128::from(self) }
            #[inline(always)]
            fn cut(value: i128) -> Self { value as $ty }
            #[inline(always)]
            fn plus(self, other: Self) -> Self { self.wrapping_add(other) }
            #[inline(always)]
            fn minus(self, other: Self) -> Self { self.wrapping_sub(other) }
            #[inline(always)]
            fn times(self, other: Self) -> Self { self.wrapping_mul(other) }
            #[inline(always)]
            fn quotient(self, other: Self) -> Self {
                if other == 0 { !0 } else { self.wrapping_div(other) }
            }
            #[inline(always)]
            fn remainder(self, other: Self) -> Self {
                if other == 0 { self } else { self.wrapping_rem(other) }
            }
        }
    )*};
}

integer!(u16, i16, u32, i32, u64, i64);

pub(super) const FORMS: &[Form] = &[
    form!(
        "add.[u16 u32 u64 s16 s32 s64] d, a, b",
        "9.7.1.1",
        |w| by_integer!(w.ty(), add)
    ),
    form!("add.sat.s32 d, a, b", "9.7.1.1", |_| Some(add_saturating())),
    form!(
        "sub.[u16 u32 u64 s16 s32 s64] d, a, b",
        "9.7.1.2",
        |w| by_integer!(w.ty(), sub)
    ),
    form!("sub.sat.s32 d, a, b", "9.7.1.2", |_| Some(sub_saturating())),
    form!(
        "mul.lo.[u16 u32 u64 s16 s32 s64] d, a, b",
        "9.7.1.3",
        |w| by_integer!(w.ty(), mul_lo)
    ),
    form!(
        "mul.hi.[u16 u32 u64 s16 s32 s64] d, a, b",
        "9.7.1.3",
        |w| by_integer!(w.ty(), mul_hi)
    ),
    form!(
        "mul.wide.[u16 u32 s16 s32] d:wide, a, b",
        "9.7.1.3",
        mul_wide
    ),
    form!(
        "mad.lo.[u16 u32 u64 s16 s32 s64] d, a, b, c",
        "9.7.1.4",
        |w| by_integer!(w.ty(), mad_lo)
    ),
    form!(
        "mad.hi.[u16 u32 u64 s16 s32 s64] d, a, b, c",
        "9.7.1.4",
        |w| by_integer!(w.ty(), mad_hi)
    ),
    form!("mad.hi.sat.s32 d, a, b, c", "9.7.1.4", |_| Some(
        mad_hi_saturating()
    )),
    form!(
        "mad.wide.[u16 u32 s16 s32] d:wide, a, b, c:wide",
        "9.7.1.4",
        mad_wide
    ),
    form!("mul24.[lo hi].[u32 s32] d, a, b", "9.7.1.5", mul24),
    form!("mad24.[lo hi].[u32 s32] d, a, b, c", "9.7.1.6", mad24),
    form!(
        "sad.[u16 u32 u64 s16 s32 s64] d, a, b, c",
        "9.7.1.7",
        |w| by_integer!(w.ty(), sad)
    ),
    form!(
        "div.[u16 u32 u64 s16 s32 s64] d, a, b",
        "9.7.1.8",
        |w| by_integer!(w.ty(), div)
    ),
    form!(
        "rem.[u16 u32 u64 s16 s32 s64] d, a, b",
        "9.7.1.9",
        |w| by_integer!(w.ty(), rem)
    ),
    form!("abs.[s16 s32 s64] d, a", "9.7.1.10", |w| by_integer!(
        w.ty(),
        abs
    )),
    form!("neg.[s16 s32 s64] d, a", "9.7.1.11", |w| by_integer!(
        w.ty(),
        neg
    )),
    form!(
        "min.[u16 u32 u64 s16 s32 s64] d, a, b",
        "9.7.1.12",
        |w| by_integer!(w.ty(), min)
    ),
    form!(
        "max.[u16 u32 u64 s16 s32 s64] d, a, b",
        "9.7.1.13",
        |w| by_integer!(w.ty(), max)
    ),
    form!(
        "dp4a.[u32 s32].[u32 s32] d:u32, a:u32, b:u32, c:u32",
        "9.7.1.23",
        dp4a
    ),
    form!(
        "dp2a.[lo hi].[u32 s32].[u32 s32] d:u32, a:u32, b:u32, c:u32",
        "9.7.1.24",
        dp2a
    ),
];

fn add<T: Integer>() -> Action {
    wide2!(T, T => T, |a, b| a.plus(b))
}

/// A sum of 32 or of 64 bits.
pub(crate) fn sum(narrow: bool) -> Action {
    match narrow {
        true => add::<u32>(),
        false => add::<u64>(),
    }
}

fn add_saturating() -> Action {
    lanes2!(_, i32, i32 => i32, i32::saturating_add)
}

fn sub<T: Integer>() -> Action {
    wide2!(T, T => T, |a, b| a.minus(b))
}

fn sub_saturating() -> Action {
    lanes2!(_, i32, i32 => i32, i32::saturating_sub)
}

fn mul_lo<T: Integer>() -> Action {
    wide2!(T, T => T, |a, b| a.times(b))
}

/// The upper half of a product that has twice the bits.
fn high<T: Integer>(a: T, b: T) -> i128 {
    // A product of two u64 does not fit an i128; its bits do.
    a.wide().wrapping_mul(b.wide()) >> T::WIDTH
}

fn mul_hi<T: Integer>() -> Action {
    lanes2!(_, T, T => T, |a, b| T::cut(high(a, b)))
}

fn mul_wide(w: &Words<'_>) -> Option<Action> {
    Some(match w.word(2) {
        "u16" => wide2!(u16, u16 => u32, |a, b| u32::from(a) * u32::from(b)),
        "s16" => wide2!(i16, i16 => i32, |a, b| i32::from(a) * i32::from(b)),
        "u32" => wide2!(u32, u32 => u64, |a, b| u64::from(a) * u64::from(b)),
        _ => wide2!(i32, i32 => i64, |a, b| i64::from(a) * i64::from(b)),
    })
}

fn mad_lo<T: Integer>() -> Action {
    wide3!(T, T, T => T, |a, b, c| a.times(b).plus(c))
}

fn mad_hi<T: Integer>() -> Action {
    lanes3!(_, T, T, T => T, |a, b, c| T::cut(high(a, b)).plus(c))
}

fn mad_hi_saturating() -> Action {
    lanes3!(_, i32, i32, i32 => i32, |a, b, c| {
        let sum = high(a, b) + i128::from(c);
        sum.clamp(i128::from(i32::MIN), i128::from(i32::MAX)) as i32
    })
}

#[rustfmt::skip]
fn mad_wide(w: &Words<'_>) -> Option<Action> {
    Some(match w.word(2) {
        "u16" => wide3!(u16, u16, u32 => u32, |a, b, c| (u32::from(a) * u32::from(b)).wrapping_add(c)),
        "s16" => wide3!(i16, i16, i32 => i32, |a, b, c| (i32::from(a) * i32::from(b)).wrapping_add(c)),
        "u32" => wide3!(u32, u32, u64 => u64, |a, b, c| (u64::from(a) * u64::from(b)).wrapping_add(c)),
        _ => wide3!(i32, i32, i64 => i64, |a, b, c| (i64::from(a) * i64::from(b)).wrapping_add(c)),
    })
}

/// The product of the low 24 bits, as 48 bits.
fn product24(a: u32, b: u32, signed: bool) -> i64 {
    let part = |x: u32| match signed {
        true => i64::from((x << 8) as i32 >> 8),
        false => i64::from(x & 0xff_ffff),
    };
    part(a) * part(b)
}

fn mul24(w: &Words<'_>) -> Option<Action> {
    Some(match (w.word(1), w.word(2)) {
        ("lo", "u32") => lanes2!(_, u32, u32 => u32, |a, b| product24(a, b, false) as u32),
        ("lo", _) => lanes2!(_, u32, u32 => u32, |a, b| product24(a, b, true) as u32),
        (_, "u32") => lanes2!(_, u32, u32 => u32, |a, b| (product24(a, b, false) >> 16) as u32),
        _ => lanes2!(_, u32, u32 => u32, |a, b| (product24(a, b, true) >> 16) as u32),
    })
}

#[rustfmt::skip]
fn mad24(w: &Words<'_>) -> Option<Action> {
    Some(match (w.word(1), w.word(2)) {
        ("lo", "u32") => lanes3!(_, u32, u32, u32 => u32, |a, b, c| (product24(a, b, false) as u32).wrapping_add(c)),
        ("lo", _) => lanes3!(_, u32, u32, u32 => u32, |a, b, c| (product24(a, b, true) as u32).wrapping_add(c)),
        (_, "u32") => lanes3!(_, u32, u32, u32 => u32, |a, b, c| ((product24(a, b, false) >> 16) as u32).wrapping_add(c)),
        _ => lanes3!(_, u32, u32, u32 => u32, |a, b, c| ((product24(a, b, true) >> 16) as u32).wrapping_add(c)),
    })
}

fn sad<T: Integer>() -> Action {
    lanes3!(_, T, T, T => T, |a, b, c| if a < b { b.minus(a) } else { a.minus(b) }.plus(c))
}

fn div<T: Integer>() -> Action {
    lanes2!(_, T, T => T, |a, b| a.quotient(b))
}

fn rem<T: Integer>() -> Action {
    lanes2!(_, T, T => T, |a, b| a.remainder(b))
}

fn abs<T: Integer>() -> Action {
    lanes1!(_, T => T, |a| if a < T::default() { T::default().minus(a) } else { a })
}

fn neg<T: Integer>() -> Action {
    wide1!(T => T, |a| T::default().minus(a))
}

fn min<T: Integer>() -> Action {
    wide2!(T, T => T, |a, b| a.min(b))
}

fn max<T: Integer>() -> Action {
    wide2!(T, T => T, |a, b| a.max(b))
}

/// Four products of bytes, and a sum.
fn dot(a: u32, b: u32, c: u32, signed: [bool; 2]) -> u32 {
    let part = |byte: u8, signed: bool| match signed {
        true => i32::from(byte.cast_signed()),
        false => i32::from(byte),
    };
    let products = a.to_le_bytes().into_iter().zip(b.to_le_bytes());
    products.fold(c, |sum, (a, b)| {
        sum.wrapping_add((part(a, signed[0]) * part(b, signed[1])) as u32)
    })
}

#[rustfmt::skip]
fn dp4a(w: &Words<'_>) -> Option<Action> {
    Some(match (w.word(1), w.word(2)) {
        ("u32", "u32") => lanes3!(_, u32, u32, u32 => u32, |a, b, c| dot(a, b, c, [false, false])),
        ("u32", _) => lanes3!(_, u32, u32, u32 => u32, |a, b, c| dot(a, b, c, [false, true])),
        (_, "u32") => lanes3!(_, u32, u32, u32 => u32, |a, b, c| dot(a, b, c, [true, false])),
        _ => lanes3!(_, u32, u32, u32 => u32, |a, b, c| dot(a, b, c, [true, true])),
    })
}

/// Two products of a half of `a` and a byte of `b`, from its `first` byte on, and a sum.
fn dot_halves(a: u32, b: u32, c: u32, first: usize, signed: [bool; 2]) -> u32 {
    let half = |bits: u16| match signed[0] {
        true => i64::from(bits.cast_signed()),
        false => i64::from(bits),
    };
    let byte = |bits: u8| match signed[1] {
        true => i64::from(bits.cast_signed()),
        false => i64::from(bits),
    };
    let bytes = b.to_le_bytes();
    let low = half(a as u16) * byte(bytes[first]);
    let high = half((a >> 16) as u16) * byte(bytes[first + 1]);
    c.wrapping_add((low + high) as u32)
}

#[rustfmt::skip]
fn dp2a(w: &Words<'_>) -> Option<Action> {
    Some(match (w.word(1), w.word(2), w.word(3)) {
        ("lo", "u32", "u32") => lanes3!(_, u32, u32, u32 => u32, |a, b, c| dot_halves(a, b, c, 0, [false, false])),
        ("lo", "u32", _) => lanes3!(_, u32, u32, u32 => u32, |a, b, c| dot_halves(a, b, c, 0, [false, true])),
        ("lo", _, "u32") => lanes3!(_, u32, u32, u32 => u32, |a, b, c| dot_halves(a, b, c, 0, [true, false])),
        ("lo", ..) => lanes3!(_, u32, u32, u32 => u32, |a, b, c| dot_halves(a, b, c, 0, [true, true])),
        (_, "u32", "u32") => lanes3!(_, u32, u32, u32 => u32, |a, b, c| dot_halves(a, b, c, 2, [false, false])),
        (_, "u32", _) => lanes3!(_, u32, u32, u32 => u32, |a, b, c| dot_halves(a, b, c, 2, [false, true])),
        (_, _, "u32") => lanes3!(_, u32, u32, u32 => u32, |a, b, c| dot_halves(a, b, c, 2, [true, false])),
        _ => lanes3!(_, u32, u32, u32 => u32, |a, b, c| dot_halves(a, b, c, 2, [true, true])),
    })
}
