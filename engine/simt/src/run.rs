//! Runs one warp by itself.
//!
//! Of the groups that can go on, the one deepest in calls and, among those, at
//! the lowest instruction goes first: it is behind, and where it meets another
//! the two become one. As a group may wait in a loop for what another does, one
//! that went around often enough makes way for the next.

use crate::access;
use crate::around::Around;
use crate::code::{Action, Flow};
use crate::fault::{Cause, Failure};
use crate::instruction::{Instruction, Operand};
use crate::program::{Body, Program};
use crate::state::Base;
use crate::value::{LANES, lanes};
use crate::warp::{Group, Status, Warp, missing};

/// How often a group may go around before another that waits has its turn.
const PATIENCE: u32 = 1024;

/// Why a group stopped.
enum Stop {
    /// Its lanes are done, or parked.
    Gone,
    /// Another is to go on.
    Switch,
    /// The warp's turn is over.
    Turn,
    /// All lanes of the warp are together again.
    Whole,
}

/// Makes a file of registers as long as a kernel wants it; what is new in it is 0.
fn fit<T: Clone + Default>(file: &mut Vec<T>, length: u32, fresh: bool) {
    if fresh {
        file.clear();
    }
    if file.len() != length as usize {
        file.resize(length as usize, T::default());
    }
}

impl Warp {
    /// Puts `lanes` at the start of a kernel. The registers of a warp that is
    /// `fresh` are 0; others have what the launch's block before left there.
    pub(crate) fn start(&mut self, body: &Body, function: u32, lanes: u32, fresh: bool) {
        let state = &mut self.state;
        state.carry = 0;
        state.base = Base::default();
        state.alive = lanes;
        fit(&mut state.narrow, body.narrow, fresh);
        fit(&mut state.wide, body.wide, fresh);
        fit(&mut state.predicates, body.predicates, fresh);
        // Most kernels have none, nor had the one before.
        let lanes_of = self.local.first().map(Vec::len);
        if lanes_of != Some(0) || body.local > 0 {
            self.local.resize_with(LANES, Vec::new);
            for local in &mut self.local {
                local.clear();
                local.resize(body.local as usize, 0);
            }
        }
        self.groups.clear();
        self.groups.push(Group {
            at: body.start.unwrap_or(0),
            lanes,
            status: Status::Ready,
            base: Base::default(),
            frames: Vec::new(),
            function,
        });
    }

    /// Takes the group that goes first. One that waits for lanes of which the
    /// rest has exited goes as well.
    fn pick(&mut self, program: &Program) -> Option<Group> {
        let ready = |group: &Group| group.status == Status::Ready;
        if !self.groups.iter().any(ready) {
            for index in 0..self.groups.len() {
                let group = &self.groups[index];
                if group.status == Status::Lanes {
                    let i = &program.code[group.at as usize].instruction;
                    let (lanes, base) = (group.lanes, group.base);
                    self.state.base = base;
                    if missing(&self.state, i, lanes, self.state.alive) == 0 {
                        self.groups[index].status = Status::Ready;
                    }
                }
            }
        }
        let first = (0..self.groups.len())
            .filter(|index| ready(&self.groups[*index]))
            .min_by_key(|index| self.groups[*index].order())?;
        Some(self.groups.swap_remove(first))
    }

    /// Executes until no group can go on, or for a turn. Whether anything was done.
    pub(crate) fn run(&mut self, around: &mut Around<'_, '_>) -> Result<bool, (Failure, u32)> {
        let mut turn = around.turn;
        let mut done = false;
        let mut in_order = true;
        while turn > 0 {
            let next = match in_order {
                true => self.pick(around.program),
                false => self.longest_waiting(),
            };
            let Some(mut group) = next else {
                break;
            };
            done = true;
            let stop = self.execute(&mut group, around, &mut turn, in_order)?;
            in_order = !matches!(stop, Stop::Switch);
            if !matches!(stop, Stop::Gone) {
                self.groups.push(group);
            }
            if matches!(stop, Stop::Whole) {
                break;
            }
        }
        Ok(done)
    }

    /// Whether `group`, which was taken out, is all that is left, in no call.
    fn is_whole(&self, group: &Group) -> bool {
        self.groups.is_empty() && group.lanes == self.state.alive && group.frames.is_empty()
    }

    fn longest_waiting(&mut self) -> Option<Group> {
        let ready = |group: &Group| group.status == Status::Ready;
        let first = self.groups.iter().position(ready)?;
        Some(self.groups.remove(first))
    }

    /// The instruction from which on `group` has to look at the others; none
    /// where it has its turn out of order.
    fn horizon(&self, group: &Group, in_order: bool) -> u32 {
        if !in_order {
            return u32::MAX;
        }
        let ready = self.groups.iter().filter(|g| g.status == Status::Ready);
        ready
            .filter_map(|other| match other.frames.len().cmp(&group.frames.len()) {
                std::cmp::Ordering::Greater => Some(0),
                std::cmp::Ordering::Equal => Some(other.at),
                std::cmp::Ordering::Less => None,
            })
            .min()
            .unwrap_or(u32::MAX)
    }

    /// Makes those that `group` meets a part of it.
    fn merge(&mut self, group: &mut Group, status: Status) -> bool {
        let before = group.lanes;
        self.groups.retain(|other| {
            let joins = other.status == status && group.meets(other);
            if joins {
                group.lanes |= other.lanes;
            }
            !joins
        });
        group.lanes != before
    }

    fn execute(
        &mut self,
        group: &mut Group,
        around: &mut Around<'_, '_>,
        turn: &mut u32,
        in_order: bool,
    ) -> Result<Stop, (Failure, u32)> {
        let program = around.program;
        self.state.base = group.base;
        let mut rounds = 0u32;
        let mut horizon = self.horizon(group, in_order);
        loop {
            if group.at >= horizon {
                if self.merge(group, Status::Ready) {
                    if self.is_whole(group) {
                        return Ok(Stop::Whole);
                    }
                    horizon = self.horizon(group, in_order);
                    continue;
                }
                let behind = |g: &Group| g.status == Status::Ready && g.order() < group.order();
                if self.groups.iter().any(behind) {
                    self.groups.push(group.clone());
                    return Ok(Stop::Gone);
                }
            }
            if *turn == 0 {
                return Ok(Stop::Turn);
            }
            *turn -= 1;
            self.state.identity.clock += 1;
            let at = group.at;
            let step = &program.code[at as usize];
            let i = &step.instruction;
            let mask = match i.guard {
                Operand::None => group.lanes,
                guard => self.state.predicate(guard) & group.lanes,
            };
            self.lane_instructions += u64::from(mask.count_ones());
            let place = |failure| (failure, at);
            match step.action {
                Action::Warps(f) => {
                    if mask != 0 {
                        f(std::slice::from_mut(self), i, &[mask]);
                    }
                    group.at += 1;
                }
                Action::Lanes(f) => {
                    if mask != 0 {
                        f(&mut self.state, i, mask);
                    }
                    group.at += 1;
                }
                Action::Tests(test, finish) => {
                    if mask != 0 {
                        let mut holds = [0];
                        test(std::slice::from_ref(self), i, &mut holds);
                        finish(&mut self.state, i, holds[0], mask);
                    }
                    group.at += 1;
                }
                Action::Load | Action::Store => {
                    if mask != 0 {
                        let access = match step.action {
                            Action::Load => access::load,
                            _ => access::store,
                        };
                        let one = std::slice::from_mut(self);
                        access(one, i, &[mask], at, around).map_err(|(_, f)| place(f))?;
                    }
                    group.at += 1;
                }
                Action::Test(test, finish) => {
                    if mask != 0 {
                        let result = test(&self.state, i);
                        finish(&mut self.state, i, result, mask);
                    }
                    group.at += 1;
                }
                Action::Memory(f) => {
                    if mask != 0 {
                        f(&mut around.execution(self), i, mask).map_err(place)?;
                    }
                    group.at += 1;
                }
                Action::Together(_) | Action::WholeWarp(_) => {
                    if mask == 0 {
                        group.at += 1;
                        continue;
                    }
                    if missing(&self.state, i, mask, self.state.alive) != 0 {
                        if self.merge(group, Status::Lanes) {
                            // Those that waited here run it with this group.
                            *turn += 1;
                            continue;
                        }
                        self.leave(group, mask, at + 1);
                        self.groups.push(Group {
                            status: Status::Lanes,
                            ..group.part(at, mask)
                        });
                        return Ok(Stop::Gone);
                    }
                    around.join(self, step, mask).map_err(place)?;
                    group.at += 1;
                }
                Action::Flow(flow) => match flow {
                    Flow::Nothing => group.at += 1,
                    Flow::Branch => {
                        if mask == group.lanes {
                            group.at = i.target;
                        } else if mask == 0 {
                            group.at += 1;
                            continue;
                        } else {
                            let stay = group.lanes & !mask;
                            let (first, second) = match i.target <= at {
                                true => ((i.target, mask), (at + 1, stay)),
                                false => ((at + 1, stay), (i.target, mask)),
                            };
                            self.groups.push(group.part(second.0, second.1));
                            (group.at, group.lanes) = first;
                            horizon = self.horizon(group, in_order);
                        }
                        if i.target <= at && self.waits_long(&mut rounds) {
                            return Ok(Stop::Switch);
                        }
                    }
                    Flow::Choose => {
                        if mask == 0 {
                            group.at += 1;
                            continue;
                        }
                        self.leave(group, mask, at + 1);
                        let target = self.choose(group, program, i).map_err(place)?;
                        group.at = target;
                        horizon = self.horizon(group, in_order);
                        if target <= at && self.waits_long(&mut rounds) {
                            return Ok(Stop::Switch);
                        }
                    }
                    Flow::Call => {
                        if mask == 0 {
                            group.at += 1;
                            continue;
                        }
                        self.call(group, around, mask).map_err(place)?;
                        horizon = self.horizon(group, in_order);
                    }
                    Flow::Return if !group.frames.is_empty() => {
                        if mask == 0 {
                            group.at += 1;
                            continue;
                        }
                        self.leave(group, mask, at + 1);
                        self.give_back(group, program);
                        if self.is_whole(group) {
                            return Ok(Stop::Whole);
                        }
                        horizon = self.horizon(group, in_order);
                    }
                    Flow::Return | Flow::Exit => {
                        self.state.alive &= !mask;
                        group.lanes &= !mask;
                        if group.lanes == 0 {
                            return Ok(Stop::Gone);
                        }
                        group.at += 1;
                    }
                    Flow::Trap => {
                        if mask != 0 {
                            let lane = mask.trailing_zeros() as usize;
                            let cause = Cause::Trap;
                            return Err(place(Failure { cause, lane }));
                        }
                        group.at += 1;
                    }
                    Flow::Barrier(_) | Flow::Arrive => {
                        if mask == 0 {
                            group.at += 1;
                            continue;
                        }
                        let id = around
                            .arrive(self.slot, &self.state, i, mask)
                            .map_err(place)?;
                        if flow == Flow::Arrive {
                            group.at += 1;
                            continue;
                        }
                        self.leave(group, mask, at + 1);
                        self.groups.push(Group {
                            status: Status::Barrier(id),
                            ..group.part(at + 1, mask)
                        });
                        return Ok(Stop::Gone);
                    }
                },
            }
        }
    }

    /// Whether others have been ready for as many rounds of a loop as they wait at most.
    fn waits_long(&self, rounds: &mut u32) -> bool {
        *rounds = rounds.wrapping_add(1);
        let ready = |g: &Group| g.status == Status::Ready;
        rounds.is_multiple_of(PATIENCE) && self.groups.iter().any(ready)
    }

    /// Where the first lane of `group` goes by its number. Those with another
    /// number leave it, and come to this branch once more.
    fn choose(
        &mut self,
        group: &mut Group,
        program: &Program,
        i: &Instruction,
    ) -> Result<u32, Failure> {
        let numbers: [u32; LANES] = self.state.read(i.operands[0]);
        let lane = group.lanes.trailing_zeros() as usize % LANES;
        let same = lanes(group.lanes).filter(|other| numbers[*other] == numbers[lane]);
        let same = same.fold(0, |all, lane| all | 1u32 << lane);
        self.leave(group, same, group.at);
        let targets = &program.branches[i.target as usize];
        let target = targets.get(numbers[lane] as usize).copied();
        target.ok_or(Failure {
            cause: Cause::Branch(u64::from(numbers[lane]), targets.len()),
            lane,
        })
    }
}
