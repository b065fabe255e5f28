//! What lanes hold: 32 or 64 bits, read as the type that an instruction names.

use half::{bf16, f16};
use vgpu_ptx::Type;

use crate::instruction::Operand;

/// Lanes of a warp.
pub(crate) const LANES: usize = 32;

/// Registers, by their number in the function that runs.
pub(crate) trait Rows {
    fn narrow_at(&self, index: u32) -> &[u32; LANES];
    fn narrow_at_mut(&mut self, index: u32) -> &mut [u32; LANES];
    fn wide_at(&self, index: u32) -> &[u64; LANES];
    fn wide_at_mut(&mut self, index: u32) -> &mut [u64; LANES];
}

/// The bits of one lane of a register.
pub(crate) trait Lane: Copy + Default + PartialEq {
    fn of_narrow(bits: u32) -> Self;
    fn of_wide(bits: u64) -> Self;
    fn narrow(self) -> u32;
    fn wide(self) -> u64;
    /// The register that an operand is, where it is one of this width.
    fn register(operand: Operand) -> Option<u32>;
    fn row<R: Rows>(rows: &R, index: u32) -> &[Self; LANES];
    fn row_mut<R: Rows>(rows: &mut R, index: u32) -> &mut [Self; LANES];
}

impl Lane for u32 {
    #[inline(always)]
    fn register(operand: Operand) -> Option<u32> {
        match operand {
            Operand::Narrow(index) => Some(index),
            _ => None,
        }
    }
    #[inline(always)]
    fn row<R: Rows>(rows: &R, index: u32) -> &[Self; LANES] {
        rows.narrow_at(index)
    }
    #[inline(always)]
    fn row_mut<R: Rows>(rows: &mut R, index: u32) -> &mut [Self; LANES] {
        rows.narrow_at_mut(index)
    }
    #[inline(always)]
    fn of_narrow(bits: u32) -> Self {
        bits
    }
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)]
    fn of_wide(bits: u64) -> Self {
        bits as u32
    }
    #[inline(always)]
    fn narrow(self) -> u32 {
        self
    }
    #[inline(always)]
    fn wide(self) -> u64 {
        u64::from(self)
    }
}

impl Lane for u64 {
    #[inline(always)]
    fn register(operand: Operand) -> Option<u32> {
        match operand {
            Operand::Wide(index) => Some(index),
            _ => None,
        }
    }
    #[inline(always)]
    fn row<R: Rows>(rows: &R, index: u32) -> &[Self; LANES] {
        rows.wide_at(index)
    }
    #[inline(always)]
    fn row_mut<R: Rows>(rows: &mut R, index: u32) -> &mut [Self; LANES] {
        rows.wide_at_mut(index)
    }
    #[inline(always)]
    fn of_narrow(bits: u32) -> Self {
        u64::from(bits)
    }
    #[inline(always)]
    fn of_wide(bits: u64) -> Self {
        bits
    }
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)]
    fn narrow(self) -> u32 {
        self as u32
    }
    #[inline(always)]
    fn wide(self) -> u64 {
        self
    }
}

/// The NaN of each width: a GPU gives singles no other one, and the ISA tells programs to rely on none.
pub(crate) const NAN_32: u32 = 0x7fff_ffff;
pub(crate) const NAN_64: u64 = 0x7fff_ffff_ffff_ffff;

/// A type of PTX as a type of Rust.
pub(crate) trait Value: Copy {
    /// The register that holds it.
    type Bits: Lane;
    fn of(bits: Self::Bits) -> Self;
    fn bits(self) -> Self::Bits;
}

macro_rules! value {
    ($($ty:ty: $lane:ty, |$bits:ident| $of:expr, |$value:ident| $to:expr;)*) => {$(
        impl Value for $ty {
            type Bits = $lane;
            #[inline(always)]
            fn of($bits: $lane) -> Self { $of }
            #[inline(always)]
            fn bits(self) -> $lane { let $value = self; $to }
        }
    )*};
}

value! {
    u8: u32, |b| b as u8, |v| u32::from(v);
    i8: u32, |b| b as i8, |v| u32::from(v as u8);
    u16: u32, |b| b as u16, |v| u32::from(v);
    i16: u32, |b| b as i16, |v| u32::from(v as u16);
    u32: u32, |b| b, |v| v;
    i32: u32, |b| b as i32, |v| v as u32;
    u64: u64, |b| b, |v| v;
    i64: u64, |b| b as i64, |v| v as u64;
    f16: u32, |b| f16::from_bits(b as u16), |v| u32::from(v.to_bits());
    bf16: u32, |b| bf16::from_bits(b as u16), |v| u32::from(v.to_bits());
    // Which NaN a sum of two gives is the processor's, and the compiler's, affair: here there is one.
    f32: u32, |b| f32::from_bits(b), |v| if v.is_nan() { NAN_32 } else { v.to_bits() };
    f64: u64, |b| f64::from_bits(b), |v| if v.is_nan() { NAN_64 } else { v.to_bits() };
    // A predicate that was read as lanes.
    bool: u32, |b| b != 0, |v| u32::from(v);
    // A pair of halves, the low one first.
    [f16; 2]: u32,
        |b| [f16::from_bits(b as u16), f16::from_bits((b >> 16) as u16)],
        |v| u32::from(v[0].to_bits()) | u32::from(v[1].to_bits()) << 16;
    [bf16; 2]: u32,
        |b| [bf16::from_bits(b as u16), bf16::from_bits((b >> 16) as u16)],
        |v| u32::from(v[0].to_bits()) | u32::from(v[1].to_bits()) << 16;
}

/// The low bits of `value` that `ty` has, sign-extended where it is signed.
#[inline]
pub(crate) fn extend(value: u64, ty: Type) -> u64 {
    match ty {
        Type::S8 => value as i8 as u64,
        Type::S16 => value as i16 as u64,
        Type::S32 => value as i32 as u64,
        _ => match ty.size() {
            1 => value & 0xff,
            2 => value & 0xffff,
            4 => value & 0xffff_ffff,
            _ => value,
        },
    }
}

/// The lanes of `mask`, lowest first.
#[inline(always)]
pub(crate) fn lanes(mask: u32) -> impl Iterator<Item = usize> {
    let mut rest = mask;
    std::iter::from_fn(move || {
        if rest == 0 {
            return None;
        }
        let lane = rest.trailing_zeros() as usize;
        rest &= rest - 1;
        Some(lane)
    })
}
