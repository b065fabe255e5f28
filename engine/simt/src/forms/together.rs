//! What the lanes of a warp do together. Source: PTX ISA 9.7.9.6, 9.7.13.2, 9.7.13.9 to 9.7.13.14.
//!
//! The last operand names the lanes. An instruction waits until all of them
//! are there that have not exited; `mask` is then who is there.

use vgpu_ptx::Type;

use crate::code::{Action, Flow};
use crate::form::Form;
use crate::instruction::Instruction;
use crate::state::State;
use crate::value::lanes;
use crate::words::Words;

pub(super) const FORMS: &[Form] = &[
    form!(
        "shfl.sync.[up down bfly idx].b32 d[|p], a, b:u32, c:u32, e:u32",
        "9.7.9.6",
        |w| Some(Action::Together(match w.word(2) {
            "up" => |s, i, m| shuffle(s, i, m, |lane, b, _, end| (
                lane.wrapping_sub(b),
                lane >= end + b
            )),
            "down" => |s, i, m| shuffle(s, i, m, |lane, b, _, end| (lane + b, lane + b <= end)),
            "bfly" => |s, i, m| shuffle(s, i, m, |lane, b, _, end| (lane ^ b, lane ^ b <= end)),
            _ => |s, i, m| shuffle(s, i, m, |lane, b, segment, end| {
                let from = lane & segment | b & !segment;
                (from, from <= end)
            }),
        }))
    ),
    form!(
        "vote.sync.[all any uni].pred p, !a, b:u32",
        "9.7.13.9",
        |w| Some(Action::Together(match w.word(2) {
            "all" => |s, i, m| vote(s, i, m, |yes, m| yes == m),
            "any" => |s, i, m| vote(s, i, m, |yes, _| yes != 0),
            _ => |s, i, m| vote(s, i, m, |yes, m| yes == m || yes == 0),
        }))
    ),
    form!("vote.sync.ballot.b32 d, !a, b:u32", "9.7.13.9", |_| Some(
        Action::Together(|s, i, m| {
            let yes = s.predicate(i.operands[1]) & m;
            s.write(i.operands[0], &[yes; 32], m);
        })
    )),
    form!(
        "match.any.sync.[b32 b64] d:u32, a, b:u32",
        "9.7.13.10",
        |_| Some(Action::Together(|s, i, m| {
            let a: [u64; 32] = s.read(i.operands[1]);
            let equal = |lane| {
                lanes(m)
                    .filter(|other| a[*other] == a[lane])
                    .fold(0, |all, other| all | 1u32 << other)
            };
            s.write(i.operands[0], &std::array::from_fn::<u32, 32, _>(equal), m);
        }))
    ),
    form!(
        "match.all.sync.[b32 b64] d[|p]:u32, a, b:u32",
        "9.7.13.10",
        |_| Some(Action::Together(|s, i, m| {
            let a: [u64; 32] = s.read(i.operands[2]);
            let first = m.trailing_zeros() as usize % 32;
            let all = lanes(m).all(|lane| a[lane] == a[first]);
            s.write(i.operands[0], &[if all { m } else { 0 }; 32], m);
            s.write_predicate(i.operands[1], if all { m } else { 0 }, m);
        }))
    ),
    form!("activemask.b32 d", "9.7.13.11", |_| Some(Action::Lanes(
        |s, i, m| s.write(i.operands[0], &[m; 32], m)
    ))),
    form!(
        "redux.sync.[add min max].[u32 s32] d, a, b:u32",
        "9.7.13.12",
        redux
    ),
    form!(
        "redux.sync.[and or xor].b32 d, a, b:u32",
        "9.7.13.12",
        redux
    ),
    form!("elect.sync d[|p]:u32, a:u32", "9.7.13.14", |_| Some(
        Action::Together(|s, i, m| {
            let leader = m.trailing_zeros();
            s.write(i.operands[0], &[leader; 32], m);
            s.write_predicate(i.operands[1], m & m.wrapping_neg(), m);
        })
    )),
    form!("bar.warp.sync a:u32", "9.7.13.2", |_| Some(
        Action::Together(|s, _, _| s.warp_barriers = s.warp_barriers.wrapping_add(1))
    )),
    form!("nanosleep.u32 a", "9.7.19.2", |_| Some(Action::Flow(
        Flow::Nothing
    ))),
];

/// Each lane takes `a` of the lane that `source` names by lane, `b`, the mask of
/// its segment, and the segment's end, where it lies inside; else its own.
#[inline(always)]
fn shuffle(
    s: &mut State,
    i: &Instruction,
    mask: u32,
    source: impl Fn(u32, u32, u32, u32) -> (u32, bool),
) {
    let a: [u32; 32] = s.read(i.operands[2]);
    let b: [u32; 32] = s.read(i.operands[3]);
    let c: [u32; 32] = s.read(i.operands[4]);
    let mut values = a;
    let mut found = 0;
    for lane in lanes(mask) {
        let (clamp, segment) = (c[lane] & 31, c[lane] >> 8 & 31);
        let end = lane as u32 & segment | clamp & !segment;
        let (from, inside) = source(lane as u32, b[lane] & 31, segment, end);
        let from = if inside { from & 31 } else { lane as u32 };
        values[lane] = a[from as usize];
        found |= u32::from(inside) << lane;
    }
    s.write(i.operands[0], &values, mask);
    s.write_predicate(i.operands[1], found, mask);
}

#[inline(always)]
fn vote(s: &mut State, i: &Instruction, mask: u32, f: impl Fn(u32, u32) -> bool) {
    let yes = s.predicate(i.operands[1]) & mask;
    let result = if f(yes, mask) { u32::MAX } else { 0 };
    s.write_predicate(i.operands[0], result, mask);
}

fn redux(w: &Words<'_>) -> Option<Action> {
    #[inline(always)]
    fn run(s: &mut State, i: &Instruction, mask: u32, f: fn(u32, u32) -> u32) {
        let a: [u32; 32] = s.read(i.operands[1]);
        let result = lanes(mask).map(|lane| a[lane]).reduce(f).unwrap_or(0);
        s.write(i.operands[0], &[result; 32], mask);
    }
    let signed = w.ty() == Type::S32;
    Some(Action::Together(match w.word(2) {
        "add" => |s, i, m| run(s, i, m, u32::wrapping_add),
        "and" => |s, i, m| run(s, i, m, |a, b| a & b),
        "or" => |s, i, m| run(s, i, m, |a, b| a | b),
        "xor" => |s, i, m| run(s, i, m, |a, b| a ^ b),
        "min" if signed => |s, i, m| run(s, i, m, |a, b| (a as i32).min(b as i32) as u32),
        "max" if signed => |s, i, m| run(s, i, m, |a, b| (a as i32).max(b as i32) as u32),
        "min" => |s, i, m| run(s, i, m, u32::min),
        _ => |s, i, m| run(s, i, m, u32::max),
    }))
}
