//! Logic, shifts, and fields of bits. Source: PTX ISA 9.7.1, 9.7.8.

use super::integer::Integer;
use crate::code::Action;
use crate::form::Form;
use crate::instruction::Instruction;
use crate::state::State;
use crate::value::Lane;
use crate::words::Words;

/// `p = f(a, b)`, of all lanes at once.
macro_rules! predicates {
    (|$a:ident, $b:ident| $f:expr) => {
        Action::Lanes(|s, i, m| {
            let ($a, $b) = (s.predicate(i.operands[1]), s.predicate(i.operands[2]));
            s.write_predicate(i.operands[0], $f, m);
        })
    };
}

pub(super) const FORMS: &[Form] = &[
    form!("and.[b16 b32 b64] d, a, b", "9.7.8.1", |w| by_bits(
        w, and::<u32>, and::<u64>
    )),
    form!("or.[b16 b32 b64] d, a, b", "9.7.8.2", |w| by_bits(
        w, or::<u32>, or::<u64>
    )),
    form!("xor.[b16 b32 b64] d, a, b", "9.7.8.3", |w| by_bits(
        w, xor::<u32>, xor::<u64>
    )),
    form!("not.[b16 b32 b64] d, a", "9.7.8.4", not),
    form!("cnot.[b16 b32 b64] d, a", "9.7.8.5", cnot),
    form!("and.pred p, !a, !b", "9.7.8.1", |_| Some(predicates!(
        |a, b| a & b
    ))),
    form!("or.pred p, !a, !b", "9.7.8.2", |_| Some(predicates!(
        |a, b| a | b
    ))),
    form!("xor.pred p, !a, !b", "9.7.8.3", |_| Some(predicates!(
        |a, b| a ^ b
    ))),
    form!("not.pred p, !a", "9.7.8.4", |_| Some(Action::Lanes(
        |s, i, m| {
            let value = !s.predicate(i.operands[1]);
            s.write_predicate(i.operands[0], value, m);
        }
    ))),
    form!("lop3.b32 d, a, b, c, e", "9.7.8.6", |_| Some(
        Action::Lanes(|s, i, m| {
            let table: [u32; 32] = s.read(i.operands[4]);
            s.map3::<u32, u32, u32, u32>(i, m, |a, b, c| lookup(a, b, c, table[0]));
        })
    )),
    form!("shl.[b16 b32 b64] d, a, b:u32", "9.7.8.8", |w| Some(
        match w.word(1) {
            "b16" => wide2!(u16, u32 => u16, |a, b| a.checked_shl(b).unwrap_or(0)),
            "b32" => wide2!(u32, u32 => u32, |a, b| a.checked_shl(b).unwrap_or(0)),
            _ => wide2!(u64, u32 => u64, |a, b| a.checked_shl(b).unwrap_or(0)),
        }
    )),
    form!(
        "shr.[b16 b32 b64 u16 u32 u64 s16 s32 s64] d, a, b:u32",
        "9.7.8.9",
        shr
    ),
    form!("shf.[l r].[wrap clamp].b32 d, a, b, c", "9.7.8.7", funnel),
    form!(
        "prmt.b32{.[f4e b4e rc8 ecl ecr rc16]} d, a, b, c",
        "9.7.9.7",
        permute
    ),
    form!("popc.[b32 b64] d:u32, a", "9.7.1.14", |w| Some(
        match w.word(1) {
            "b32" => lanes1!(_, u32 => u32, u32::count_ones),
            _ => lanes1!(_, u64 => u32, u64::count_ones),
        }
    )),
    form!("clz.[b32 b64] d:u32, a", "9.7.1.15", |w| Some(
        match w.word(1) {
            "b32" => lanes1!(_, u32 => u32, u32::leading_zeros),
            _ => lanes1!(_, u64 => u32, u64::leading_zeros),
        }
    )),
    form!(
        "bfind{.shiftamt}.[u32 u64 s32 s64] d:u32, a",
        "9.7.1.16",
        find
    ),
    form!("brev.[b32 b64] d, a", "9.7.1.18", |w| Some(
        match w.word(1) {
            "b32" => lanes1!(_, u32 => u32, u32::reverse_bits),
            _ => lanes1!(_, u64 => u64, u64::reverse_bits),
        }
    )),
    form!(
        "bfe.[u32 u64 s32 s64] d, a, b:u32, c:u32",
        "9.7.1.19",
        extract
    ),
    form!(
        "szext.[clamp wrap].[u32 s32] d, a, b:u32",
        "9.7.1.21",
        szext
    ),
    form!("bmsk.[clamp wrap].b32 d, a, b", "9.7.1.22", |w| Some(
        match w.word(1) {
            "clamp" => lanes2!(_, u32, u32 => u32, mask_of),
            _ => lanes2!(_, u32, u32 => u32, |a, b| mask_of(a & 31, b & 31)),
        }
    )),
    form!("fns.b32 d, a, b, c", "9.7.1.17", |_| Some(
        lanes3!(_, u32, u32, i32 => u32, nth_set)
    )),
    form!("bfi.[b32 b64] d, a, b, c:u32, e:u32", "9.7.1.20", |w| Some(
        match w.word(1) {
            "b32" => Action::Lanes(insert_lanes::<u32>),
            _ => Action::Lanes(insert_lanes::<u64>),
        }
    )),
];

fn by_bits(w: &Words<'_>, narrow: fn() -> Action, wide: fn() -> Action) -> Option<Action> {
    Some(if w.ty().size() == 8 { wide() } else { narrow() })
}

fn and<T: Integer + std::ops::BitAnd<Output = T>>() -> Action {
    wide2!(T, T => T, |a, b| a & b)
}

fn or<T: Integer + std::ops::BitOr<Output = T>>() -> Action {
    wide2!(T, T => T, |a, b| a | b)
}

fn xor<T: Integer + std::ops::BitXor<Output = T>>() -> Action {
    wide2!(T, T => T, |a, b| a ^ b)
}

fn not(w: &Words<'_>) -> Option<Action> {
    Some(match w.word(1) {
        "b16" => wide1!(u16 => u16, |a| !a),
        "b32" => wide1!(u32 => u32, |a| !a),
        _ => wide1!(u64 => u64, |a| !a),
    })
}

fn cnot(w: &Words<'_>) -> Option<Action> {
    Some(match w.word(1) {
        "b16" => lanes1!(_, u16 => u16, |a| u16::from(a == 0)),
        "b32" => lanes1!(_, u32 => u32, |a| u32::from(a == 0)),
        _ => lanes1!(_, u64 => u64, |a| u64::from(a == 0)),
    })
}

/// Each bit of the three chooses a bit of the table.
fn lookup(a: u32, b: u32, c: u32, table: u32) -> u32 {
    (0..8)
        .filter(|index| table >> index & 1 != 0)
        .fold(0, |result, index| {
            let pick = |x: u32, bit: u32| if index >> bit & 1 != 0 { x } else { !x };
            result | pick(a, 2) & pick(b, 1) & pick(c, 0)
        })
}

/// A shift by more than the width leaves zeros, or copies of the sign.
fn shr(w: &Words<'_>) -> Option<Action> {
    Some(match w.word(1) {
        "u16" | "b16" => wide2!(u16, u32 => u16, |a, b| a.checked_shr(b).unwrap_or(0)),
        "u32" | "b32" => wide2!(u32, u32 => u32, |a, b| a.checked_shr(b).unwrap_or(0)),
        "u64" | "b64" => wide2!(u64, u32 => u64, |a, b| a.checked_shr(b).unwrap_or(0)),
        "s16" => wide2!(i16, u32 => i16, |a, b| a >> b.min(15)),
        "s32" => wide2!(i32, u32 => i32, |a, b| a >> b.min(31)),
        _ => wide2!(i64, u32 => i64, |a, b| a >> b.min(63)),
    })
}

/// The bits of `b` above those of `a`, shifted; the upper word, or the lower.
fn funnel(w: &Words<'_>) -> Option<Action> {
    fn joined(a: u32, b: u32) -> u64 {
        u64::from(b) << 32 | u64::from(a)
    }
    Some(match (w.word(1), w.word(2)) {
        ("l", "wrap") => lanes3!(_, u32, u32, u32 => u32, |a, b, c| {
            (joined(a, b) << (c & 31) >> 32) as u32
        }),
        ("l", _) => lanes3!(_, u32, u32, u32 => u32, |a, b, c| {
            (joined(a, b) << c.min(32) >> 32) as u32
        }),
        (_, "wrap") => lanes3!(_, u32, u32, u32 => u32, |a, b, c| {
            (joined(a, b) >> (c & 31)) as u32
        }),
        _ => lanes3!(_, u32, u32, u32 => u32, |a, b, c| (joined(a, b) >> c.min(32)) as u32),
    })
}

/// Four bytes of the eight in `b` and `a`, each by four bits of `c`.
fn pick(a: u32, b: u32, selectors: [u32; 4]) -> u32 {
    let joined = u64::from(b) << 32 | u64::from(a);
    let bytes = selectors.map(|selector| {
        let byte = (joined >> ((selector & 7) * 8)) as u8;
        if selector & 8 != 0 {
            (byte.cast_signed() >> 7).cast_unsigned()
        } else {
            byte
        }
    });
    u32::from_le_bytes(bytes)
}

#[rustfmt::skip]
fn permute(w: &Words<'_>) -> Option<Action> {
    Some(match w.word(2) {
        "" => lanes3!(_, u32, u32, u32 => u32, |a, b, c| pick(a, b, [c & 15, c >> 4 & 15, c >> 8 & 15, c >> 12 & 15])),
        "f4e" => lanes3!(_, u32, u32, u32 => u32, |a, b, c| { let c = c & 3; pick(a, b, [c, c + 1, c + 2, c + 3]) }),
        "b4e" => lanes3!(_, u32, u32, u32 => u32, |a, b, c| { let c = c & 3; pick(a, b, [c, (c + 7) & 7, (c + 6) & 7, (c + 5) & 7]) }),
        "rc8" => lanes3!(_, u32, u32, u32 => u32, |a, b, c| pick(a, b, [c & 3; 4])),
        "ecl" => lanes3!(_, u32, u32, u32 => u32, |a, b, c| { let c = c & 3; pick(a, b, [c, c.max(1), c.max(2), 3]) }),
        "ecr" => lanes3!(_, u32, u32, u32 => u32, |a, b, c| { let c = c & 3; pick(a, b, [0, c.min(1), c.min(2), c]) }),
        _ => lanes3!(_, u32, u32, u32 => u32, |a, b, c| { let c = (c & 1) * 2; pick(a, b, [c, c + 1, c, c + 1]) }),
    })
}

/// The place of the highest bit that differs from the sign, or all bits set.
#[rustfmt::skip]
fn find(w: &Words<'_>) -> Option<Action> {
    fn place(value: u64, width: u32, shift: bool) -> u32 {
        match value {
            0 => u32::MAX,
            _ if shift => width - 1 - value.ilog2(),
            _ => value.ilog2(),
        }
    }
    fn same(value: i64) -> u64 {
        (if value < 0 { !value } else { value }).cast_unsigned()
    }
    Some(match (w.ty().name(), w.has("shiftamt")) {
        ("u32", false) => lanes1!(_, u32 => u32, |a| place(u64::from(a), 32, false)),
        ("u32", true) => lanes1!(_, u32 => u32, |a| place(u64::from(a), 32, true)),
        ("u64", false) => lanes1!(_, u64 => u32, |a| place(a, 64, false)),
        ("u64", true) => lanes1!(_, u64 => u32, |a| place(a, 64, true)),
        ("s32", false) => lanes1!(_, i32 => u32, |a| place(same(i64::from(a)), 32, false)),
        ("s32", true) => lanes1!(_, i32 => u32, |a| place(same(i64::from(a)), 32, true)),
        ("s64", false) => lanes1!(_, i64 => u32, |a| place(same(a), 64, false)),
        _ => lanes1!(_, i64 => u32, |a| place(same(a), 64, true)),
    })
}

/// A field of bits; what lies above the value reads as its sign, or as 0.
fn field(value: i128, position: u32, length: u32) -> i128 {
    let (position, length) = (position & 0xff, length & 0xff);
    if length == 0 {
        return 0;
    }
    let shifted = value >> position.min(127);
    let unused = 128 - length.min(127);
    shifted << unused >> unused
}

fn extract(w: &Words<'_>) -> Option<Action> {
    Some(match w.word(1) {
        "u32" => lanes3!(_, u32, u32, u32 => u32, |a, b, c| {
            let mask = 1u64.checked_shl(c & 0xff).unwrap_or(0).wrapping_sub(1);
            (u64::from(a).checked_shr(b & 0xff).unwrap_or(0) & mask) as u32
        }),
        "u64" => lanes3!(_, u64, u32, u32 => u64, |a, b, c| {
            let mask = 1u64.checked_shl(c & 0xff).unwrap_or(0).wrapping_sub(1);
            a.checked_shr(b & 0xff).unwrap_or(0) & mask
        }),
        "s32" => lanes3!(_, i32, u32, u32 => i32, |a, b, c| field(i128::from(a), b, c) as i32),
        _ => lanes3!(_, i64, u32, u32 => i64, |a, b, c| field(i128::from(a), b, c) as i64),
    })
}

/// `a`'s low `length` bits in place of those of `b` from `position` on.
fn insert(a: u64, b: u64, position: u32, length: u32) -> u64 {
    let mask = 1u64.checked_shl(length & 0xff).unwrap_or(0).wrapping_sub(1);
    let at = |x: u64| x.checked_shl(position & 0xff).unwrap_or(0);
    b & !at(mask) | at(a & mask)
}

fn insert_lanes<L: Lane>(s: &mut State, i: &Instruction, mask: u32) {
    let a: [L; 32] = s.read(i.operands[1]);
    let b: [L; 32] = s.read(i.operands[2]);
    let position: [u32; 32] = s.read(i.operands[3]);
    let length: [u32; 32] = s.read(i.operands[4]);
    let values: [L; 32] = std::array::from_fn(|lane| {
        L::of_wide(insert(
            a[lane].wide(),
            b[lane].wide(),
            position[lane],
            length[lane],
        ))
    });
    s.write(i.operands[0], &values, mask);
}

/// The low `length` bits; what lies above them reads as their sign, or as 0.
fn szext(w: &Words<'_>) -> Option<Action> {
    fn low(a: u32, length: u32, signed: bool) -> u32 {
        match (length, signed) {
            (0, _) => 0,
            (32.., _) => a,
            (_, true) => ((a << (32 - length)) as i32 >> (32 - length)) as u32,
            (_, false) => a << (32 - length) >> (32 - length),
        }
    }
    Some(match (w.word(1), w.word(2)) {
        ("clamp", "u32") => lanes2!(_, u32, u32 => u32, |a, b| low(a, b, false)),
        ("clamp", _) => lanes2!(_, u32, u32 => u32, |a, b| low(a, b, true)),
        (_, "u32") => lanes2!(_, u32, u32 => u32, |a, b| low(a, b & 31, false)),
        _ => lanes2!(_, u32, u32 => u32, |a, b| low(a, b & 31, true)),
    })
}

/// `length` bits set, from `position` on.
fn mask_of(position: u32, length: u32) -> u32 {
    let ones = 1u64
        .checked_shl(length.min(32))
        .unwrap_or(0)
        .wrapping_sub(1);
    (ones as u32).checked_shl(position).unwrap_or(0)
}

/// Where the `offset`-th set bit is from `base` on, upwards, or downwards where
/// it is below zero; all bits set where there is none. 0 asks for `base` itself.
/// Source: the pseudo code of PTX ISA 9.7.1.17.
fn nth_set(mask: u32, base: u32, offset: i32) -> u32 {
    if base > 31 {
        return u32::MAX;
    }
    let set = |place: &u32| mask >> place & 1 != 0;
    let nth = (offset.unsigned_abs() as usize).saturating_sub(1);
    let found = match offset {
        0 => Some(base).filter(set),
        1.. => (base..32).filter(set).nth(nth),
        _ => (0..=base).rev().filter(set).nth(nth),
    };
    found.unwrap_or(u32::MAX)
}
