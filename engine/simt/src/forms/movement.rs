//! Moves and addresses. Source: PTX ISA 9.7.9.

use crate::code::Action;
use crate::execution::{LOCAL_WINDOW, PARAMETER_WINDOW, SHARED_WINDOW};
use crate::form::Form;
use crate::instruction::Instruction;
use crate::state::State;
use crate::words::Words;

pub(super) const FORMS: &[Form] = &[
    form!(
        "mov.[b16 b32 b64 u16 u32 u64 s16 s32 s64 f16 f32 f64] d, a",
        "9.7.9.3",
        |w| Some(match w.ty().size() {
            8 => wide1!(u64 => u64, |a| a),
            _ => wide1!(u32 => u32, |a| a),
        })
    ),
    form!("mov.pred p, !a", "9.7.9.3", |_| Some(Action::Lanes(
        |s, i, m| {
            let value = s.predicate(i.operands[1]);
            s.write_predicate(i.operands[0], value, m);
        }
    ))),
    form!("mov.[b32 b64] d, <a>", "9.7.9.4", |_| Some(Action::Lanes(
        pack
    ))),
    form!("mov.[b32 b64] <d>, a", "9.7.9.4", |_| Some(Action::Lanes(
        unpack
    ))),
    form!(
        "cvta.[global const shared shared::cta local param param::entry].u64 d, a",
        "9.7.9.20",
        |w| Some(match window(w) {
            SHARED_WINDOW => wide1!(u64 => u64, |a| a | SHARED_WINDOW),
            LOCAL_WINDOW => wide1!(u64 => u64, |a| a | LOCAL_WINDOW),
            PARAMETER_WINDOW => wide1!(u64 => u64, |a| a | PARAMETER_WINDOW),
            _ => wide1!(u64 => u64, |a| a),
        })
    ),
    form!(
        "cvta.to.[global const shared shared::cta local param param::entry].u64 d, a",
        "9.7.9.20",
        |w| Some(match window(w) {
            0 => wide1!(u64 => u64, |a| a),
            _ => wide1!(u64 => u64, |a| a & !(0xffff << 48)),
        })
    ),
    form!(
        "isspacep.[global const shared shared::cta local param] p, a:u64",
        "9.7.9.19",
        |w| {
            Some(Action::Test(
                match window(w) {
                    SHARED_WINDOW => |s, i| in_window(s, i, SHARED_WINDOW),
                    LOCAL_WINDOW => |s, i| in_window(s, i, LOCAL_WINDOW),
                    PARAMETER_WINDOW => |s, i| in_window(s, i, PARAMETER_WINDOW),
                    // Constants are global here, and are not told apart.
                    _ if w.has("const") => |_, _| 0,
                    _ => |s, i| in_window(s, i, 0),
                },
                |s, i, result, mask| s.write_predicate(i.operands[0], result, mask),
            ))
        }
    ),
];

/// Where the generic addresses of a space begin.
fn window(w: &Words<'_>) -> u64 {
    match w.words.iter().rev().find(|word| !word.starts_with('u')) {
        Some(word) if word.starts_with("shared") => SHARED_WINDOW,
        Some(&"local") => LOCAL_WINDOW,
        Some(word) if word.starts_with("param") => PARAMETER_WINDOW,
        _ => 0,
    }
}

fn in_window(s: &State, i: &Instruction, window: u64) -> u32 {
    s.test2::<u64>(i.operands[1], i.operands[1], |a, _| match window {
        0 => a >> 56 != 0xff,
        _ => a >> 48 == window >> 48,
    })
}

/// One value of the parts that follow it, the lowest first.
fn pack(s: &mut State, i: &Instruction, mask: u32) {
    let parts = &i.operands[1..];
    let width = u32::from(i.modifiers.types[0].size()) * 8 / parts.len() as u32;
    let mut values = [0u64; 32];
    for (index, part) in parts.iter().enumerate() {
        let part: [u64; 32] = s.read(*part);
        for (value, part) in values.iter_mut().zip(part) {
            *value |= (part & ((1 << width) - 1)) << (index as u32 * width);
        }
    }
    s.write(i.operands[0], &values, mask);
}

/// The parts of the value that follows them.
fn unpack(s: &mut State, i: &Instruction, mask: u32) {
    let last = i.operands.len() - 1;
    let width = u32::from(i.modifiers.types[0].size()) * 8 / last as u32;
    let whole: [u64; 32] = s.read(i.operands[last]);
    for index in 0..last {
        let part = whole.map(|whole| whole >> (index as u32 * width) & ((1 << width) - 1));
        s.write(i.operands[index], &part, mask);
    }
}
