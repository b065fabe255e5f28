//! One block: its warps, its shared memory, its barriers.

use std::sync::atomic::Ordering::Relaxed;

use crate::around::{Around, BARRIERS, Barrier};
use crate::code::{Action, Flow, Reduction};
use crate::fault::{Cause, Failure, Fault};
use crate::grid::{Grid, PRINTED_MAX, Statistics};
use crate::program::Program;
use crate::state::{Identity, State};
use crate::warp::{Group, Status, Warp};

/// How many instructions a warp executes before the next one has its turn.
const TURN: u32 = 1 << 16;

/// What one thread of the host executes blocks with, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Runner {
    warps: Vec<Warp>,
    shared: Vec<u8>,
    pub(crate) statistics: Statistics,
    /// What kernels have printed, up to [`PRINTED_MAX`].
    pub(crate) printed: Vec<u8>,
}

impl Runner {
    /// Executes one block of a grid.
    pub(crate) fn block(&mut self, grid: &Grid, block: [u32; 3]) -> Result<(), Fault> {
        self.prepare(grid, block);
        let result = self.execute(grid);
        self.statistics.blocks += 1;
        for warp in &mut self.warps {
            self.statistics.instructions += warp.state.identity.clock;
            self.statistics.lane_instructions += std::mem::take(&mut warp.lane_instructions);
            self.printed.append(&mut warp.printed);
            self.printed.truncate(PRINTED_MAX);
        }
        result.map_err(|(failure, warp, at)| {
            let thread = self.warps[warp].state.identity.thread;
            Fault {
                cause: failure.cause,
                kernel: grid.kernel().name.clone(),
                block,
                thread: thread.map(|axis| axis[failure.lane]),
                line: grid
                    .program
                    .code
                    .get(at as usize)
                    .map_or(0, |step| step.instruction.line),
            }
        })
    }

    fn prepare(&mut self, grid: &Grid, block: [u32; 3]) {
        let [x, y, z] = grid.threads;
        let threads = x * y * z;
        let warps = threads.div_ceil(32);
        let kernel = grid.kernel();
        let body = &grid.program.bodies[kernel.body as usize];
        self.shared.clear();
        self.shared.resize(grid.shared_size as usize, 0);
        self.warps.resize_with(warps as usize, Warp::default);
        for (number, warp) in (0..).zip(&mut self.warps) {
            let first = number * 32;
            let count = (threads - first).min(32);
            warp.start(body, kernel.body, u32::MAX >> (32 - count));
            let thread = |lane: usize| first + lane as u32;
            warp.state.identity = Identity {
                thread: [
                    std::array::from_fn(|lane| thread(lane) % x),
                    std::array::from_fn(|lane| thread(lane) / x % y),
                    std::array::from_fn(|lane| thread(lane) / (x * y)),
                ],
                threads: grid.threads,
                block,
                blocks: grid.blocks,
                warp: number,
                warps,
                grid: grid.id,
                dynamic_shared: grid.dynamic_shared,
                shared_size: grid.shared_size,
                clock: 0,
            };
        }
    }

    fn execute(&mut self, grid: &Grid) -> Result<(), (Failure, usize, u32)> {
        let mut barriers = [Barrier::default(); BARRIERS];
        let mut executed = 0;
        let turn = u32::try_from(grid.instructions_max).map_or(TURN, |max| TURN.min(max.max(1)));
        loop {
            let mut around = Around {
                program: &grid.program,
                parameters: &grid.parameters,
                memory: &grid.view,
                shared: &mut self.shared,
                turn,
                barriers: &mut barriers,
            };
            let mut progress = false;
            for (number, warp) in self.warps.iter_mut().enumerate() {
                let before = warp.state.identity.clock;
                let done = warp.run(&mut around);
                progress |= done.map_err(|(failure, at)| (failure, number, at))?;
                executed += warp.state.identity.clock - before;
            }
            progress |= self.release(&mut barriers, &grid.program);
            if self.warps.iter().all(|warp| warp.state.alive == 0) {
                return Ok(());
            }
            let stopped = executed > grid.instructions_max || grid.stop.load(Relaxed);
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
        let groups = self.warps.iter().enumerate();
        let mut groups = groups.flat_map(|(warp, w)| w.groups.iter().map(move |g| (warp, g)));
        let (warp, lane, at) = groups.next().map_or((0, 0, 0), |(warp, group)| {
            let waits = matches!(group.status, Status::Barrier(_));
            let lane = group.lanes.trailing_zeros() as usize % 32;
            (warp, lane, group.at - u32::from(waits))
        });
        (Failure { cause, lane }, warp, at)
    }

    /// Lets those go on whose barrier is complete; whether there were any.
    fn release(&mut self, barriers: &mut [Barrier; BARRIERS], program: &Program) -> bool {
        let alive: u32 = self
            .warps
            .iter()
            .map(|warp| warp.state.alive.count_ones())
            .sum();
        let mut released = false;
        for (number, barrier) in (0..).zip(barriers.iter_mut()) {
            let needed = if barrier.expected == 0 {
                alive
            } else {
                barrier.expected
            };
            if barrier.arrived == 0 || barrier.arrived < needed {
                continue;
            }
            released = true;
            let complete = std::mem::take(barrier);
            for warp in &mut self.warps {
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
