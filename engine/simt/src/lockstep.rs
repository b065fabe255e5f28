//! Several warps of a block, or of several blocks, that stand at the same place: each instruction is
//! done in all of them before the next one.
//!
//! Warps may go in any order, so this is one of those that they may go in. What
//! it saves is that an instruction is looked at, and its function is called,
//! once for all of them.

use crate::access;
use crate::around::Around;
use crate::code::{Action, Finish, Flow, Reduction, Step, Test};
use crate::fault::Failure;
use crate::instruction::{Instruction, Operand};
use crate::warp::{Status, Warp, missing};

/// The most warps that go together: what their registers take fits the fastest cache.
pub(crate) const WARPS: usize = 8;

/// How many of the first of `warps` stand at the same place, all of their lanes.
pub(crate) fn together(warps: &[Warp]) -> usize {
    let Some(at) = warps.first().and_then(Warp::straight) else {
        return 0;
    };
    let same = |warp: &&Warp| warp.straight() == Some(at);
    warps.iter().take(WARPS).take_while(same).count()
}

/// Executes `steps`, which are [the same in each block](crate::invariant), in warps that begin with a launch.
pub(crate) fn begin(warps: &mut [Warp], steps: &[Step], parameters: &[u8]) {
    for warps in warps.chunks_mut(WARPS) {
        let mut masks = [0; WARPS];
        for (warp, mask) in warps.iter().zip(&mut masks) {
            *mask = warp.state.alive;
        }
        for step in steps {
            let i = &step.instruction;
            match step.action {
                Action::Warps(f) => f(warps, i, &masks[..warps.len()]),
                Action::Tests(test, finish) => compare(warps, i, &masks, test, finish),
                // Of parameters: they are there.
                _ => _ = access::load_parameter(warps, i, &masks, parameters),
            }
        }
    }
}

/// Executes at least one instruction in `warps`, which stand [`together`], and
/// then goes on until they do not, or one waits, or their turn is over.
///
/// # Errors
///
/// What went wrong, in which of them, and where.
pub(crate) fn run(
    warps: &mut [Warp],
    around: &mut Around<'_, '_>,
) -> Result<(), (Failure, usize, u32)> {
    let Some(mut at) = warps.first().and_then(Warp::straight) else {
        return Ok(());
    };
    let program = around.program;
    let count = warps.len().min(WARPS);
    let warps = &mut warps[..count];
    let mut alive = [0; WARPS];
    let mut before = [0; WARPS];
    for (number, warp) in warps.iter_mut().enumerate() {
        alive[number] = warp.state.alive;
        before[number] = warp.state.identity.clock;
        warp.state.base = warp.groups[0].base;
    }
    let whole = alive.map(u32::count_ones).iter().sum::<u32>();
    let mut executed = 0u64;
    let mut lanes = 0u64;
    let mut guarded = [0; WARPS];
    // Whether the instruction at `at` is left to each warp by itself.
    let mut alone = false;
    let mut failed = None;
    while executed < u64::from(around.turn) {
        let step = &program.code[at as usize];
        let i = &step.instruction;
        let masks = match i.guard {
            Operand::None => &alive[..count],
            guard => {
                for (number, warp) in warps.iter().enumerate() {
                    guarded[number] = warp.state.predicate(guard) & alive[number];
                }
                &guarded[..count]
            }
        };
        let active = match i.guard {
            Operand::None => whole,
            _ => masks.iter().map(|mask| mask.count_ones()).sum(),
        };
        let all = active == whole;
        executed += 1;
        if step.clock {
            for (warp, before) in warps.iter_mut().zip(before) {
                warp.state.identity.clock = before + executed;
            }
        }
        let result = match step.action {
            Action::Warps(f) => {
                f(warps, i, masks);
                Ok(())
            }
            Action::Tests(test, finish) => {
                compare(warps, i, masks, test, finish);
                Ok(())
            }
            Action::Load => access::load(warps, i, masks, at, around),
            Action::Store => access::store(warps, i, masks, at, around),
            Action::Lanes(f) => {
                for (warp, mask) in warps.iter_mut().zip(masks) {
                    if *mask != 0 {
                        f(&mut warp.state, i, *mask);
                    }
                }
                Ok(())
            }
            Action::Memory(f) => each(warps, masks, |warp, mask| {
                f(&mut around.execution(warp), i, mask)
            }),
            Action::Together(_) | Action::WholeWarp(_) => {
                let ready = |(warp, mask): (&Warp, &u32)| {
                    *mask == 0 || missing(&warp.state, i, *mask, warp.state.alive) == 0
                };
                if !warps.iter().zip(masks).all(ready) {
                    alone = true;
                    break;
                }
                each(warps, masks, |warp, mask| around.join(warp, step, mask))
            }
            Action::Flow(Flow::Nothing) => {
                // They stand side by side where a launch had done them.
                let more = u64::from(i.target);
                executed += more;
                lanes += more * u64::from(active);
                at += i.target;
                Ok(())
            }
            Action::Flow(Flow::Branch) if all => {
                at = i.target;
                lanes += u64::from(active);
                continue;
            }
            Action::Flow(Flow::Branch) if active == 0 => Ok(()),
            Action::Flow(Flow::Barrier(Reduction::None)) if all => {
                let wait = |warp: &mut Warp, mask| {
                    let id = around.arrive(warp.slot, &warp.state, i, mask)?;
                    warp.groups[0].status = Status::Barrier(id);
                    Ok(())
                };
                let result = each(warps, masks, wait);
                lanes += u64::from(active);
                match result {
                    Ok(()) => at += 1,
                    Err((warp, failure)) => failed = Some((failure, warp, at)),
                }
                break;
            }
            Action::Flow(Flow::Return | Flow::Exit) if all => {
                for warp in warps.iter_mut() {
                    warp.state.alive = 0;
                    warp.groups.clear();
                }
                lanes += u64::from(active);
                break;
            }
            Action::Test(..) | Action::Flow(_) => {
                alone = true;
                break;
            }
        };
        lanes += u64::from(active);
        if let Err((warp, failure)) = result {
            failed = Some((failure, warp, at));
            break;
        }
        at += 1;
    }
    // What each warp does by itself is counted there.
    executed -= u64::from(alone);
    for (number, warp) in warps.iter_mut().enumerate() {
        warp.state.identity.clock = before[number] + executed;
        if let Some(group) = warp.groups.first_mut() {
            group.at = at;
        }
    }
    warps[0].lane_instructions += lanes;
    if let Some(failed) = failed {
        return Err(failed);
    }
    if alone {
        for (number, warp) in warps.iter_mut().enumerate() {
            let done = warp.run(around);
            done.map_err(|(failure, at)| (failure, number, at))?;
        }
    }
    Ok(())
}

#[inline(always)]
fn compare(warps: &mut [Warp], i: &Instruction, masks: &[u32], test: Test, finish: Finish) {
    let mut holds = [0; WARPS];
    test(warps, i, &mut holds);
    for ((warp, mask), holds) in warps.iter_mut().zip(masks).zip(holds) {
        finish(&mut warp.state, i, holds, *mask);
    }
}

/// `f` of each warp that has lanes in its mask, until one fails.
#[inline(always)]
fn each(
    warps: &mut [Warp],
    masks: &[u32],
    mut f: impl FnMut(&mut Warp, u32) -> Result<(), Failure>,
) -> Result<(), (usize, Failure)> {
    for (number, (warp, mask)) in warps.iter_mut().zip(masks).enumerate() {
        if *mask != 0 {
            f(warp, *mask).map_err(|failure| (number, failure))?;
        }
    }
    Ok(())
}
