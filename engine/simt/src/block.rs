//! Blocks: their warps, their shared memory, their barriers.

use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

use crate::around::{Around, BARRIERS, Barrier, Found};
use crate::code::{Action, Flow, Reduction};
use crate::fault::{Cause, Failure, Fault};
use crate::grid::{Grid, PRINTED_MAX, Statistics};
use crate::halves;
use crate::lockstep;
use crate::program::Program;
use crate::shadow::Shadow;
use crate::shifts::Decided;
use crate::state::{Identity, State};
use crate::warp::{Group, Status, Warp};

/// How many instructions a warp executes before the next one has its turn.
const TURN: u32 = 1 << 16;

/// What one thread of the host executes blocks with, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Runner {
    /// Those of the first block, then those of the next.
    warps: Vec<Warp>,
    /// How many of them are in use: of the last blocks of a grid there may be fewer.
    active: usize,
    /// How many of them were in use for `launch` before.
    known: usize,
    /// Of each block: words, as most of what kernels keep there are.
    shared: Vec<Vec<u32>>,
    /// Of each block.
    barriers: Vec<[Barrier; BARRIERS]>,
    /// Of each block, where races are looked for; else there are none.
    shadows: Vec<Shadow>,
    /// What the launch decides of shifts.
    decided: Decided,
    /// A block's shifts.
    shifts: Vec<u64>,
    /// The launch before. Its blocks had the same threads; what they left in
    /// registers, none of another launch sees.
    launch: u64,
    pub(crate) statistics: Statistics,
    /// What kernels have printed, up to [`PRINTED_MAX`].
    pub(crate) printed: Vec<u8>,
}

impl Runner {
    /// Executes blocks of a grid side by side.
    ///
    /// # Errors
    ///
    /// What went wrong first.
    pub(crate) fn blocks<'g>(
        &mut self,
        grid: &'g Grid,
        blocks: &Range<u64>,
        found: &mut Found<'g>,
    ) -> Result<(), Fault> {
        self.prepare(grid, blocks);
        let result = self.execute(grid, found);
        self.statistics.blocks += blocks.end - blocks.start;
        for warp in &mut self.warps[..self.active] {
            self.statistics.instructions += warp.state.identity.clock;
            self.statistics.lane_instructions += std::mem::take(&mut warp.lane_instructions);
            if !warp.printed.is_empty() {
                self.printed.append(&mut warp.printed);
                self.printed.truncate(PRINTED_MAX);
            }
        }
        result.map_err(|(failure, warp, at)| {
            let identity = &self.warps[warp].state.identity;
            Fault {
                cause: failure.cause,
                kernel: grid.kernel().name.clone(),
                block: identity.block,
                thread: identity.thread.map(|axis| axis[failure.lane]),
                line: grid
                    .program
                    .code
                    .get(at as usize)
                    .map_or(0, |step| step.instruction.line),
            }
        })
    }

    fn prepare(&mut self, grid: &Grid, blocks: &Range<u64>) {
        let [x, y, z] = grid.threads;
        let threads = x * y * z;
        let warps = grid.warps();
        let count = (blocks.end - blocks.start) as usize;
        let kernel = grid.kernel();
        let body = &grid.program.bodies[kernel.body as usize];
        if std::mem::replace(&mut self.launch, grid.id) != grid.id {
            self.known = 0;
        }
        self.shared.resize_with(count, Vec::new);
        for shared in &mut self.shared {
            shared.clear();
            shared.resize(grid.shared_size.div_ceil(4) as usize, 0);
        }
        self.barriers.clear();
        self.barriers.resize(count, [Barrier::default(); BARRIERS]);
        let shadows = if grid.program.race_check { count } else { 0 };
        self.shadows.resize_with(shadows, Shadow::default);
        for shadow in &mut self.shadows {
            shadow.start(grid.shared_size as usize);
        }
        let all = count * warps as usize;
        if self.warps.len() < all {
            self.warps.resize_with(all, Warp::default);
        }
        let known = self.known;
        self.known = known.max(all);
        self.active = all;
        let of_blocks = self.warps[..all].chunks_mut(warps as usize);
        for (slot, warps_of) in of_blocks.enumerate() {
            for (number, warp) in (0..).zip(warps_of) {
                let fresh = slot * warps as usize + number as usize >= known;
                let first = number * 32;
                let count = (threads - first).min(32);
                warp.start(body, kernel.body, u32::MAX >> (32 - count), fresh);
                if fresh {
                    let thread = |lane: usize| first + lane as u32;
                    warp.slot = slot;
                    warp.apart = false;
                    warp.state.identity = Identity {
                        thread: [
                            std::array::from_fn(|lane| thread(lane) % x),
                            std::array::from_fn(|lane| thread(lane) / x % y),
                            std::array::from_fn(|lane| thread(lane) / (x * y)),
                        ],
                        threads: grid.threads,
                        // Rows are those of this one, until it is another's turn.
                        block: [0; 3],
                        blocks: grid.blocks,
                        warp: number,
                        warps,
                        grid: grid.id,
                        dynamic_shared: grid.dynamic_shared,
                        shared_size: grid.shared_size,
                        clock: 0,
                    };
                }
                warp.state.identity.clock = 0;
            }
        }
        let begin = |warps: &mut [Warp]| {
            lockstep::begin(warps, &body.invariant, &grid.parameters);
            for warp in warps {
                halves::look(&mut warp.state, &body.rows);
            }
        };
        if let Some(fresh) = self.warps[..all].get_mut(known..) {
            begin(fresh);
        }
        if known == 0 {
            self.decided = Decided::by(&body.shifts, &self.warps[..warps as usize]);
        }
        let of_blocks = self.warps[..all].chunks_mut(warps as usize);
        for (warps_of, index) in of_blocks.zip(blocks.clone()) {
            let block = grid.block(index);
            let fits = self.decided.of_block(&body.shifts, block, &mut self.shifts);
            if !fits {
                self.shifts.clear();
            }
            for warp in &mut *warps_of {
                let before = std::mem::replace(&mut warp.apart, !fits);
                if before && fits {
                    warp.state.identity.block = [0; 3];
                    begin(std::slice::from_mut(warp));
                }
                warp.state.identity.block = block;
                warp.state.shifts.clone_from(&self.shifts);
            }
            if !fits {
                begin(warps_of);
            }
        }
    }

    fn execute<'g>(
        &mut self,
        grid: &'g Grid,
        found: &mut Found<'g>,
    ) -> Result<(), (Failure, usize, u32)> {
        let mut executed = 0;
        let turn = u32::try_from(grid.instructions_max).map_or(TURN, |max| TURN.min(max.max(1)));
        loop {
            let warps = &mut self.warps[..self.active];
            let mut around = Around {
                program: &grid.program,
                parameters: &grid.parameters,
                memory: &grid.view,
                shared: &mut self.shared,
                shared_size: grid.shared_size as usize,
                turn,
                barriers: &mut self.barriers,
                found,
                shadows: &mut self.shadows,
            };
            let mut progress = false;
            let mut first = 0;
            while first < warps.len() {
                let together = lockstep::together(&warps[first..]);
                let warps = &mut warps[first..first + together.max(1)];
                let clocks = |warps: &[Warp]| -> u64 {
                    warps.iter().map(|warp| warp.state.identity.clock).sum()
                };
                let before = clocks(warps);
                if together > 0 {
                    let done = lockstep::run(warps, &mut around);
                    done.map_err(|(failure, warp, at)| (failure, first + warp, at))?;
                    progress = true;
                } else {
                    let done = warps[0].run(&mut around);
                    progress |= done.map_err(|(failure, at)| (failure, first, at))?;
                }
                executed += clocks(warps) - before;
                first += warps.len();
            }
            let each = warps.chunks_mut(grid.warps() as usize);
            for (slot, (warps, barriers)) in each.zip(&mut self.barriers).enumerate() {
                let released = release(warps, barriers, &grid.program);
                progress |= released;
                if let Some(shadow) = self.shadows.get_mut(slot).filter(|_| released) {
                    shadow.barrier();
                }
            }
            if warps.iter().all(|warp| warp.state.alive == 0) {
                return Ok(());
            }
            let most = grid
                .instructions_max
                .saturating_mul(self.barriers.len() as u64);
            let stopped = executed > most || grid.stop.load(Relaxed);
            let cause = match (progress, stopped) {
                (false, _) => Cause::Deadlock,
                (true, true) => Cause::Stopped(executed),
                (true, false) => continue,
            };
            return Err(self.somewhere(cause));
        }
    }

    /// A failure at the first group that is left.
    fn somewhere(&self, cause: Cause) -> (Failure, usize, u32) {
        let groups = self.warps[..self.active].iter().enumerate();
        let mut groups = groups.flat_map(|(warp, w)| w.groups.iter().map(move |g| (warp, g)));
        let (warp, lane, at) = groups.next().map_or((0, 0, 0), |(warp, group)| {
            let waits = matches!(group.status, Status::Barrier(_));
            let lane = group.lanes.trailing_zeros() as usize % 32;
            (warp, lane, group.at - u32::from(waits))
        });
        (Failure { cause, lane }, warp, at)
    }
}

/// Lets those of a block go on whose barrier is complete; whether there were any.
fn release(warps: &mut [Warp], barriers: &mut [Barrier; BARRIERS], program: &Program) -> bool {
    let mut released = false;
    for (number, barrier) in (0..).zip(barriers.iter_mut()) {
        if barrier.arrived == 0 {
            continue;
        }
        let needed = match barrier.expected {
            0 => warps.iter().map(|w| w.state.alive.count_ones()).sum(),
            expected => expected,
        };
        if barrier.arrived < needed {
            continue;
        }
        released = true;
        let complete = std::mem::take(barrier);
        for warp in &mut *warps {
            for group in &mut warp.groups {
                if group.status == Status::Barrier(number) {
                    group.status = Status::Ready;
                    reduce(&mut warp.state, program, group, complete);
                }
            }
        }
    }
    released
}

/// Writes what a barrier gives to those that waited.
fn reduce(state: &mut State, program: &Program, group: &Group, barrier: Barrier) {
    let step = &program.code[group.at as usize - 1];
    let i = &step.instruction;
    let Action::Flow(Flow::Barrier(reduction)) = step.action else {
        return;
    };
    state.base = group.base;
    let all = |holds: bool| if holds { u32::MAX } else { 0 };
    match reduction {
        Reduction::None => {}
        Reduction::And => state.write_predicate(i.operands[0], all(barrier.no == 0), group.lanes),
        Reduction::Or => state.write_predicate(i.operands[0], all(barrier.yes > 0), group.lanes),
        Reduction::Count => state.write(i.operands[0], &[barrier.yes; 32], group.lanes),
    }
}
