//! Atomic operations. Source: PTX ISA 9.7.13.5, 9.7.13.6.
//!
//! The lanes of a warp come one after the other, the lowest first.

use half::{bf16, f16};

use super::half::sum;
use crate::code::Action;
use crate::form::Form;
use crate::value::Value;
use crate::words::Words;

/// `atom` and `red` of one operation: the second keeps nothing.
macro_rules! atomics {
    ($($operation:literal, $operands:literal, $semantics:expr;)*) => {
        &[$(
            form!(concat!("atom{~[relaxed acquire release acq_rel]}{~[cta cluster gpu sys]}{.[global shared shared::cta shared::cluster]}.", $operation, " d, [a], ", $operands), "9.7.13.5", $semantics),
            form!(concat!("red{~[relaxed release]}{~[cta cluster gpu sys]}{.[global shared shared::cta shared::cluster]}.", $operation, " -, [a], ", $operands), "9.7.13.6", $semantics),
        )*]
    };
}

/// `old = f(old, b, c)`.
macro_rules! atomic {
    ($ty:ty, $f:expr) => {
        Action::Memory(|x, i, mask| {
            type Bits = <$ty as Value>::Bits;
            x.atomic::<Bits>(i, mask, |old: Bits, b: Bits, c: Bits| {
                lift::<$ty>(old, b, c, $f)
            })
        })
    };
}

#[inline(always)]
fn lift<T: Value>(old: T::Bits, b: T::Bits, c: T::Bits, f: impl Fn(T, T, T) -> T) -> T::Bits {
    f(T::of(old), T::of(b), T::of(c)).bits()
}

pub(super) const FORMS: &[Form] = atomics! {
    "add.[u32 s32 u64 f32 f64]", "b", add;
    "add.noftz.[f16 f16x2 bf16 bf16x2]", "b", add;
    "and.[b32 b64]", "b", |w| by_width(w, atomic!(u32, |old, b, _| old & b), atomic!(u64, |old, b, _| old & b));
    "or.[b32 b64]", "b", |w| by_width(w, atomic!(u32, |old, b, _| old | b), atomic!(u64, |old, b, _| old | b));
    "xor.[b32 b64]", "b", |w| by_width(w, atomic!(u32, |old, b, _| old ^ b), atomic!(u64, |old, b, _| old ^ b));
    "exch.[b32 b64]", "b", |w| by_width(w, atomic!(u32, |_, b, _| b), atomic!(u64, |_, b, _| b));
    "cas.[b16 b32 b64]", "b, c", |w| Some(match w.ty().size() {
        2 => atomic!(u16, |old, b, c| if old == b { c } else { old }),
        4 => atomic!(u32, |old, b, c| if old == b { c } else { old }),
        _ => atomic!(u64, |old, b, c| if old == b { c } else { old }),
    });
    "inc.u32", "b", |_| Some(atomic!(u32, |old, b, _| if old >= b { 0 } else { old + 1 }));
    "dec.u32", "b", |_| Some(atomic!(u32, |old, b, _| if old == 0 || old > b { b } else { old - 1 }));
    "min.[u32 s32 u64 s64]", "b", |w| extreme(w, true);
    "max.[u32 s32 u64 s64]", "b", |w| extreme(w, false);
};

fn by_width(w: &Words<'_>, narrow: Action, wide: Action) -> Option<Action> {
    Some(if w.ty().size() == 8 { wide } else { narrow })
}

fn add(w: &Words<'_>) -> Option<Action> {
    Some(match w.ty().name() {
        "f32" => atomic!(f32, |old, b, _| old + b),
        "f64" => atomic!(f64, |old, b, _| old + b),
        "f16" => atomic!(f16, |old, b, _| sum(old, b)),
        "f16x2" => atomic!([f16; 2], |old, b, _| {
            std::array::from_fn(|half| sum(old[half], b[half]))
        }),
        "bf16" => atomic!(bf16, |old, b, _| sum(old, b)),
        "bf16x2" => atomic!([bf16; 2], |old, b, _| {
            std::array::from_fn(|half| sum(old[half], b[half]))
        }),
        "u64" => atomic!(u64, |old, b, _| old.wrapping_add(b)),
        _ => atomic!(u32, |old, b, _| old.wrapping_add(b)),
    })
}

fn extreme(w: &Words<'_>, least: bool) -> Option<Action> {
    Some(match (w.ty().name(), least) {
        ("u32", true) => atomic!(u32, |old, b, _| old.min(b)),
        ("u32", false) => atomic!(u32, |old, b, _| old.max(b)),
        ("s32", true) => atomic!(i32, |old, b, _| old.min(b)),
        ("s32", false) => atomic!(i32, |old, b, _| old.max(b)),
        ("u64", true) => atomic!(u64, |old, b, _| old.min(b)),
        ("u64", false) => atomic!(u64, |old, b, _| old.max(b)),
        ("s64", true) => atomic!(i64, |old, b, _| old.min(b)),
        _ => atomic!(i64, |old, b, _| old.max(b)),
    })
}
