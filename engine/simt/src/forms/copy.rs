//! Asynchronous copies from global to shared memory. Source: PTX ISA 9.7.9.18, 9.7.9.25.
//!
//! A copy is done at once: nothing says when it has to be done but that it is
//! where a thread has waited for it, so waiting and the groups to wait for are
//! nothing. What the ISA leaves open is then always the same.

use crate::code::{Action, Flow};
use crate::execution::Execution;
use crate::fault::Failure;
use crate::form::Form;
use crate::instruction::{Instruction, Operand};
use crate::shared::PIECE_MAX;
use crate::value::{LANES, lanes};

/// A copy with each kind of last operands: bytes that there are, or whether there are none; and
/// a policy for a cache.
macro_rules! copies {
    ($($cache:literal, $sizes:literal;)*) => {
        &[$(
            form!(concat!("cp.async.", $cache, ".[shared shared::cta].global{~[L2::64B L2::128B L2::256B]} [a], [g], n:", $sizes, ", b:u32?"), "9.7.9.25.3.1", |_| Some(Action::Memory(copy))),
            form!(concat!("cp.async.", $cache, ".[shared shared::cta].global{~[L2::64B L2::128B L2::256B]} [a], [g], n:", $sizes, ", !c"), "9.7.9.25.3.1", |_| Some(Action::Memory(copy))),
            form!(concat!("cp.async.", $cache, ".[shared shared::cta].global.L2::cache_hint{~[L2::64B L2::128B L2::256B]} [a], [g], n:", $sizes, ", -, e:u64"), "9.7.9.25.3.1", |_| Some(Action::Memory(copy))),
            form!(concat!("cp.async.", $cache, ".[shared shared::cta].global.L2::cache_hint{~[L2::64B L2::128B L2::256B]} [a], [g], n:", $sizes, ", b:u32, e:u64"), "9.7.9.25.3.1", |_| Some(Action::Memory(copy))),
            form!(concat!("cp.async.", $cache, ".[shared shared::cta].global.L2::cache_hint{~[L2::64B L2::128B L2::256B]} [a], [g], n:", $sizes, ", !c, e:u64"), "9.7.9.25.3.1", |_| Some(Action::Memory(copy))),
        )*]
    };
}

pub(super) const FORMS: &[Form] = copies! {
    "ca", "4|8|16";
    "cg", "16";
};

pub(super) const GROUPS: &[Form] = &[
    form!("cp.async.commit_group", "9.7.9.25.3.2", |_| Some(
        Action::Flow(Flow::Nothing)
    )),
    form!("cp.async.wait_group n", "9.7.9.25.3.3", |_| Some(
        Action::Flow(Flow::Nothing)
    )),
    form!("cp.async.wait_all", "9.7.9.25.3.3", |_| Some(Action::Flow(
        Flow::Nothing
    ))),
    // A policy only advises a cache: there is one.
    form!(
        "createpolicy.fractional.[L2::evict_last L2::evict_normal L2::evict_first L2::evict_unchanged]{.[L2::evict_first L2::evict_unchanged]}.b64 d, a:f32?",
        "9.7.9.18",
        |_| Some(Action::Lanes(|s, i, m| s.write(
            i.operands[0],
            &[0u64; LANES],
            m
        )))
    ),
];

/// Operands: source with what is added to it, size, what is there of it, target last.
fn copy(x: &mut Execution<'_>, i: &Instruction, mask: u32) -> Result<(), Failure> {
    let (from, to) = (x.other_addresses(i, 0), x.addresses(i));
    let [size, ..]: [u64; LANES] = x.state.read(i.operands[2]);
    let there: [u64; LANES] = match i.operands[3] {
        Operand::None => [size; LANES],
        ignored @ (Operand::Predicate(_) | Operand::NotPredicate(_)) => {
            let ignored = x.state.predicate(ignored);
            std::array::from_fn(|lane| if ignored >> lane & 1 == 0 { size } else { 0 })
        }
        // More than the size is left open.
        there => x.state.read(there).map(|there: u64| there.min(size)),
    };
    for lane in lanes(mask) {
        let mut piece = [0; PIECE_MAX];
        x.read_global(from[lane], size, &mut piece[..there[lane] as usize], lane)?;
        let at = x.in_shared(i.modifiers.space, to[lane], size, lane)?;
        let piece = &piece[..size as usize];
        x.watch_write(i, lane, at, piece)?;
        x.shared[at..][..piece.len()].copy_from_slice(piece);
    }
    Ok(())
}
