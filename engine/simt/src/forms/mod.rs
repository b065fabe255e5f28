//! The rows of the table, a file for each family.

/// A row: syntax, section of the PTX ISA, semantics by its words.
macro_rules! form {
    ($syntax:expr, $section:literal, $semantics:expr) => {
        $crate::form::Form {
            syntax: $syntax,
            section: $section,
            semantics: $semantics,
        }
    };
}

/// `d = f(a)`, with the modifiers by name.
macro_rules! lanes1 {
    ($m:pat, $a:ty => $r:ty, $f:expr) => {
        $crate::code::Action::Lanes(|state, i, mask| {
            let $m = i.modifiers;
            state.map1::<$a, $r>(i, mask, $f);
        })
    };
}

/// `d = f(a, b)`.
macro_rules! lanes2 {
    ($m:pat, $a:ty, $b:ty => $r:ty, $f:expr) => {
        $crate::code::Action::Lanes(|state, i, mask| {
            let $m = i.modifiers;
            state.map2::<$a, $b, $r>(i, mask, $f);
        })
    };
}

/// `d = f(a, b, c)`.
macro_rules! lanes3 {
    ($m:pat, $a:ty, $b:ty, $c:ty => $r:ty, $f:expr) => {
        $crate::code::Action::Lanes(|state, i, mask| {
            let $m = i.modifiers;
            state.map3::<$a, $b, $c, $r>(i, mask, $f);
        })
    };
}

/// As `lanes1!`, for what is used most: in several warps at once, as vector
/// instructions.
macro_rules! wide1 {
    ($a:ty => $r:ty, $f:expr) => {
        $crate::code::Action::Warps(|warps, i, masks| {
            $crate::wide::map1::<$a, $r, _>(warps, i, masks, $f);
        })
    };
}

/// As `lanes2!`, in the same way.
macro_rules! wide2 {
    ($a:ty, $b:ty => $r:ty, $f:expr) => {
        $crate::code::Action::Warps(|warps, i, masks| {
            $crate::wide::map2::<$a, $b, $r, _>(warps, i, masks, $f);
        })
    };
}

/// As `lanes3!`, in the same way.
macro_rules! wide3 {
    ($a:ty, $b:ty, $c:ty => $r:ty, $f:expr) => {
        $crate::code::Action::Warps(|warps, i, masks| {
            $crate::wide::map3::<$a, $b, $c, $r, _>(warps, i, masks, $f);
        })
    };
}

/// `f::<the Rust type of an integer type of PTX>()`.
macro_rules! by_integer {
    ($ty:expr, $f:ident) => {
        match $ty {
            vgpu_ptx::Type::U16 => Some($f::<u16>()),
            vgpu_ptx::Type::S16 => Some($f::<i16>()),
            vgpu_ptx::Type::U32 => Some($f::<u32>()),
            vgpu_ptx::Type::S32 => Some($f::<i32>()),
            vgpu_ptx::Type::U64 => Some($f::<u64>()),
            vgpu_ptx::Type::S64 => Some($f::<i64>()),
            _ => None,
        }
    };
}

mod atomic;
mod bits;
mod carry;
mod compare;
mod control;
mod convert;
mod copy;
mod float;
mod half;
mod integer;
mod matrix;
mod memory;
mod movement;
mod together;
mod transcendental;
mod video;

use crate::form::Form;
pub(crate) use convert::general as convert_general;
pub(crate) use integer::sum;

/// Not a constant: who names one in another crate has all its functions compiled there once more.
pub(crate) static TABLES: [&[Form]; 19] = [
    integer::FORMS,
    carry::FORMS,
    float::FORMS,
    transcendental::FORMS,
    half::FORMS,
    compare::FORMS,
    bits::FORMS,
    movement::FORMS,
    convert::FORMS,
    memory::FORMS,
    copy::FORMS,
    copy::GROUPS,
    atomic::FORMS,
    together::FORMS,
    matrix::FORMS,
    control::FORMS,
    video::SCALAR,
    video::MULTIPLY,
    video::PACKED,
];
