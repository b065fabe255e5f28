//! What the usual instructions do in several warps at once.
//!
//! One call does an instruction in all of them, as vector instructions: each
//! function is compiled for what x86-64 processors have had since about 2009,
//! 2013 and 2017 (levels v2, v3 and v4 of the psABI), and for all; the processor
//! decides which one runs. All give the same.

use crate::instruction::{Instruction, Operand};
use crate::state::State;
use crate::value::{LANES, Lane, Value};
use crate::warp::Warp;

/// Compiles a function for several generations of processors.
macro_rules! versions {
    ($($function:tt)*) => {
        #[multiversion::multiversion(targets(
            "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl+avx2+fma+bmi1+bmi2+lzcnt+popcnt+f16c+movbe",
            "x86_64+avx2+fma+bmi1+bmi2+lzcnt+popcnt+f16c+movbe",
            "x86_64+sse4.2+ssse3+popcnt",
        ))]
        $($function)*
    };
}
pub(crate) use versions;

versions! {
fn level() -> u8 {
    multiversion::target::match_target! {
        "x86_64+avx512f" => 4,
        "x86_64+avx2" => 3,
        "x86_64+sse4.2" => 2,
        _ => 0,
    }
}
}

/// What the usual instructions are compiled for in this process: a level of the psABI of x86-64, `x86-64-v4` to
/// `x86-64-v2`, or `all` processors.
#[must_use]
pub fn generation() -> &'static str {
    match level() {
        4 => "x86-64-v4",
        3 => "x86-64-v3",
        2 => "x86-64-v2",
        _ => "all",
    }
}

/// Where the lanes of an operand come from.
struct Source<L> {
    operand: Operand,
    /// The register, where it is one of the lanes' width.
    register: Option<u32>,
    /// Whether it has to be looked up for each warp.
    varies: bool,
    /// The lanes, where it is no such register.
    value: [L; LANES],
}

impl<L: Lane> Source<L> {
    #[inline(always)]
    fn new(operand: Operand) -> Self {
        let mut source = Self {
            operand,
            register: L::register(operand),
            varies: false,
            value: [L::default(); LANES],
        };
        match operand {
            Operand::Bits(bits) => source.value = [L::of_wide(bits); LANES],
            _ => source.varies = source.register.is_none(),
        }
        source
    }

    #[inline(always)]
    fn lanes<'a>(&'a mut self, state: &'a State) -> &'a [L; LANES] {
        if let Some(register) = self.register {
            return L::row(state, register);
        }
        match self.operand {
            Operand::Shift(number) => self.value = [L::of_wide(state.shift(number)); LANES],
            operand if self.varies => look_up(state, operand, &mut self.value),
            _ => {}
        }
        &self.value
    }
}

#[inline(never)]
fn look_up<L: Lane>(state: &State, operand: Operand, to: &mut [L; LANES]) {
    *to = state.read(operand);
}

#[inline(never)]
fn write_some<L: Lane>(state: &mut State, to: Operand, values: &[L; LANES], mask: u32) {
    state.write(to, values, mask);
}

/// Writes the lanes of a mask.
#[inline(always)]
fn write<L: Lane>(state: &mut State, to: Operand, values: &[L; LANES], mask: u32) {
    match L::register(to) {
        Some(register) if mask | !state.alive == u32::MAX => {
            *L::row_mut(state, register) = *values;
        }
        _ => write_some(state, to, values, mask),
    }
}

versions! {
/// `d = f(a)`.
pub(crate) fn map1<A, R, F>(warps: &mut [Warp], i: &Instruction, masks: &[u32], f: F)
where
    A: Value,
    R: Value,
    F: Fn(A) -> R,
{
    let mut a = Source::<A::Bits>::new(i.operands[1]);
    for (warp, mask) in warps.iter_mut().zip(masks) {
        let a = a.lanes(&warp.state);
        let mut values = [R::Bits::default(); LANES];
        for lane in 0..LANES {
            values[lane] = f(A::of(a[lane])).bits();
        }
        write(&mut warp.state, i.operands[0], &values, *mask);
    }
}
}

versions! {
/// `d = f(a, b)`.
pub(crate) fn map2<A, B, R, F>(warps: &mut [Warp], i: &Instruction, masks: &[u32], f: F)
where
    A: Value,
    B: Value,
    R: Value,
    F: Fn(A, B) -> R,
{
    let mut a = Source::<A::Bits>::new(i.operands[1]);
    let mut b = Source::<B::Bits>::new(i.operands[2]);
    for (warp, mask) in warps.iter_mut().zip(masks) {
        let (a, b) = (a.lanes(&warp.state), b.lanes(&warp.state));
        let mut values = [R::Bits::default(); LANES];
        for lane in 0..LANES {
            values[lane] = f(A::of(a[lane]), B::of(b[lane])).bits();
        }
        write(&mut warp.state, i.operands[0], &values, *mask);
    }
}
}

versions! {
/// `d = f(a, b, c)`.
pub(crate) fn map3<A, B, C, R, F>(warps: &mut [Warp], i: &Instruction, masks: &[u32], f: F)
where
    A: Value,
    B: Value,
    C: Value,
    R: Value,
    F: Fn(A, B, C) -> R,
{
    let mut a = Source::<A::Bits>::new(i.operands[1]);
    let mut b = Source::<B::Bits>::new(i.operands[2]);
    let mut c = Source::<C::Bits>::new(i.operands[3]);
    for (warp, mask) in warps.iter_mut().zip(masks) {
        let state = &warp.state;
        let (a, b, c) = (a.lanes(state), b.lanes(state), c.lanes(state));
        let mut values = [R::Bits::default(); LANES];
        for lane in 0..LANES {
            values[lane] = f(A::of(a[lane]), B::of(b[lane]), C::of(c[lane])).bits();
        }
        write(&mut warp.state, i.operands[0], &values, *mask);
    }
}
}

/// How a comparison is compiled.
pub(crate) trait Compiled {
    /// The lanes of each warp where `f(a, b)` holds.
    fn test2<A, F>(warps: &[Warp], a: Operand, b: Operand, holds: &mut [u32], f: F)
    where
        A: Value,
        F: Fn(A, A) -> bool;
}

/// For each generation of processors: what kernels are full of.
pub(crate) struct ForEach;
/// Once, as it takes long to compile: the others.
pub(crate) struct Once;

impl Compiled for ForEach {
    #[inline(always)]
    fn test2<A, F>(warps: &[Warp], a: Operand, b: Operand, holds: &mut [u32], f: F)
    where
        A: Value,
        F: Fn(A, A) -> bool,
    {
        test2_for_each(warps, a, b, holds, f);
    }
}

impl Compiled for Once {
    #[inline(always)]
    fn test2<A, F>(warps: &[Warp], a: Operand, b: Operand, holds: &mut [u32], f: F)
    where
        A: Value,
        F: Fn(A, A) -> bool,
    {
        test2(warps, a, b, holds, f);
    }
}

#[inline(always)]
fn test2<A, F>(warps: &[Warp], a: Operand, b: Operand, holds: &mut [u32], f: F)
where
    A: Value,
    F: Fn(A, A) -> bool,
{
    let (mut a, mut b) = (Source::<A::Bits>::new(a), Source::<A::Bits>::new(b));
    for (warp, holds) in warps.iter().zip(holds) {
        let (a, b) = (a.lanes(&warp.state), b.lanes(&warp.state));
        let mut result = 0;
        for lane in 0..LANES {
            result |= u32::from(f(A::of(a[lane]), A::of(b[lane]))) << lane;
        }
        *holds = result;
    }
}

versions! {
fn test2_for_each<A, F>(warps: &[Warp], a: Operand, b: Operand, holds: &mut [u32], f: F)
where
    A: Value,
    F: Fn(A, A) -> bool,
{
    test2(warps, a, b, holds, f);
}
}

versions! {
/// `d = predicate ? a : b`.
pub(crate) fn select<L>(warps: &mut [Warp], i: &Instruction, masks: &[u32])
where
    L: Lane,
{
    let mut a = Source::<L>::new(i.operands[1]);
    let mut b = Source::<L>::new(i.operands[2]);
    for (warp, mask) in warps.iter_mut().zip(masks) {
        let choice = warp.state.predicate(i.operands[3]);
        let (a, b) = (a.lanes(&warp.state), b.lanes(&warp.state));
        let mut values = [L::default(); LANES];
        for lane in 0..LANES {
            values[lane] = if choice & (1 << lane) != 0 { a[lane] } else { b[lane] };
        }
        write(&mut warp.state, i.operands[0], &values, *mask);
    }
}
}
