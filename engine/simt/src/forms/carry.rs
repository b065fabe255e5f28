//! Arithmetic with the carry flag. Source: PTX ISA 9.7.2.

use super::integer::Integer;
use crate::code::Action;
use crate::form::Form;
use crate::instruction::Instruction;
use crate::state::State;
use crate::value::lanes;
use crate::words::Words;

pub(super) const FORMS: &[Form] = &[
    form!("add.cc.[u32 s32 u64 s64] d, a, b", "9.7.2.1", |w| act(
        w, sum_32, sum_64
    )),
    form!("addc{.cc}.[u32 s32 u64 s64] d, a, b", "9.7.2.2", |w| act(
        w, sum_32, sum_64
    )),
    form!("sub.cc.[u32 s32 u64 s64] d, a, b", "9.7.2.3", |w| act(
        w,
        difference_32,
        difference_64
    )),
    form!("subc{.cc}.[u32 s32 u64 s64] d, a, b", "9.7.2.4", |w| act(
        w,
        difference_32,
        difference_64
    )),
    form!(
        "mad.[lo hi].cc.[u32 s32 u64 s64] d, a, b, c",
        "9.7.2.5",
        mad
    ),
    form!(
        "madc.[lo hi]{.cc}.[u32 s32 u64 s64] d, a, b, c",
        "9.7.2.6",
        mad
    ),
];

type Handler = fn(&mut State, &Instruction, u32);

/// The handler for a width, in the variant for what it does with the flag.
fn act(w: &Words<'_>, narrow: [Handler; 3], wide: [Handler; 3]) -> Option<Action> {
    let takes = w.word(0).ends_with('c');
    let variant = match (takes, w.has("cc")) {
        (false, _) => 0,
        (true, true) => 1,
        (true, false) => 2,
    };
    let handlers = if w.ty().size() == 4 { narrow } else { wide };
    Some(Action::Lanes(handlers[variant]))
}

/// `f(a, b, c, carry)`, whose result has the carry above the bits of `T`.
#[inline(always)]
fn run<T: Integer, const TAKES: bool, const GIVES: bool>(
    state: &mut State,
    i: &Instruction,
    mask: u32,
    f: impl Fn(i128, i128, i128, i128) -> i128,
) {
    let read = |index: usize| {
        let operand = i.operands.get(index).copied();
        operand.map_or([T::Bits::default(); 32], |o| state.read::<T::Bits>(o))
    };
    let (a, b, c) = (read(1), read(2), read(3));
    let mut values = [T::Bits::default(); 32];
    let mut carry = state.carry;
    for lane in lanes(mask) {
        let flag = i128::from(TAKES && carry >> lane & 1 != 0);
        let wide = |x: T::Bits| T::of(x).wide();
        let result = f(wide(a[lane]), wide(b[lane]), wide(c[lane]), flag);
        values[lane] = T::cut(result).bits();
        let out = u32::from(result >> T::WIDTH != 0);
        carry = carry & !(1 << lane) | out << lane;
    }
    if GIVES {
        state.carry = carry;
    }
    state.write(i.operands[0], &values, mask);
}

const fn sum<T: Integer>() -> [Handler; 3] {
    [
        |s, i, m| run::<T, false, true>(s, i, m, |a, b, _, c| a + b + c),
        |s, i, m| run::<T, true, true>(s, i, m, |a, b, _, c| a + b + c),
        |s, i, m| run::<T, true, false>(s, i, m, |a, b, _, c| a + b + c),
    ]
}

const fn difference<T: Integer>() -> [Handler; 3] {
    [
        |s, i, m| run::<T, false, true>(s, i, m, |a, b, _, c| a - b - c),
        |s, i, m| run::<T, true, true>(s, i, m, |a, b, _, c| a - b - c),
        |s, i, m| run::<T, true, false>(s, i, m, |a, b, _, c| a - b - c),
    ]
}

#[allow(non_upper_case_globals)]
const sum_32: [Handler; 3] = sum::<u32>();
#[allow(non_upper_case_globals)]
const sum_64: [Handler; 3] = sum::<u64>();
#[allow(non_upper_case_globals)]
const difference_32: [Handler; 3] = difference::<u32>();
#[allow(non_upper_case_globals)]
const difference_64: [Handler; 3] = difference::<u64>();

/// The part of a product, by its signs, as bits without a sign.
fn part<T: Integer>(a: i128, b: i128, high: bool) -> i128 {
    let product = a.wrapping_mul(b);
    let part = if high { product >> T::WIDTH } else { product };
    part & ((1 << T::WIDTH) - 1)
}

const fn mads<T: Integer, const HIGH: bool>() -> [Handler; 3] {
    [
        |s, i, m| run::<T, false, true>(s, i, m, |a, b, c, f| step::<T, HIGH>(a, b, c, f)),
        |s, i, m| run::<T, true, true>(s, i, m, |a, b, c, f| step::<T, HIGH>(a, b, c, f)),
        |s, i, m| run::<T, true, false>(s, i, m, |a, b, c, f| step::<T, HIGH>(a, b, c, f)),
    ]
}

fn step<T: Integer, const HIGH: bool>(a: i128, b: i128, c: i128, flag: i128) -> i128 {
    part::<T>(a, b, HIGH) + (c & ((1 << T::WIDTH) - 1)) + flag
}

fn mad(w: &Words<'_>) -> Option<Action> {
    match (w.has("hi"), w.has("s32") || w.has("s64")) {
        (false, _) => act(w, mads::<u32, false>(), mads::<u64, false>()),
        (true, false) => act(w, mads::<u32, true>(), mads::<u64, true>()),
        (true, true) => act(w, mads::<i32, true>(), mads::<i64, true>()),
    }
}
