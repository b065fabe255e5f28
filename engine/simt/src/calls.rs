//! Calls: a function's registers and local memory lie behind its caller's.
//! Lanes of other groups may have the same rows of registers in use: each
//! lane has its own of each row.

use crate::around::Around;
use crate::execution::CODE_WINDOW;
use crate::fault::{Cause, Failure};
use crate::grid::PRINTED_MAX;
use crate::layout::{LOCAL_MAX, REGISTERS_MAX};
use crate::print::{print, string};
use crate::program::{Body, Builtin, Call, Passed, Program};
use crate::state::Base;
use crate::value::{LANES, lanes};
use crate::warp::{Frame, Group, Warp};

/// What a called function's local memory begins at a multiple of, in bytes.
const LOCAL_ALIGN: u32 = 16;
/// How deep calls may be nested.
const CALLS_MAX: usize = 512;

impl Warp {
    /// Enters a function with the lanes of `mask` that call the same; the others
    /// go on by themselves.
    pub(crate) fn call(
        &mut self,
        group: &mut Group,
        around: &mut Around<'_, '_>,
        mask: u32,
    ) -> Result<(), Failure> {
        let program = around.program;
        let at = group.at;
        let index = program.code[at as usize].instruction.target;
        let call = &program.calls[index as usize];
        let lane = mask.trailing_zeros() as usize;
        let fail = |cause| Failure { cause, lane };
        let targets: [u64; LANES] = self.state.read(call.target);
        let same = lanes(mask).filter(|other| targets[*other] == targets[lane]);
        let same = same.fold(0, |all, lane| all | 1u32 << lane);
        if mask & !same != 0 {
            // Others of the mask come to this call once more.
            self.groups.push(group.part(at, mask & !same));
            group.lanes &= !(mask & !same);
        }
        let target = targets[lane];
        let function = target.wrapping_sub(CODE_WINDOW);
        let body = usize::try_from(function)
            .ok()
            .and_then(|f| program.bodies.get(f));
        let body = body.ok_or(fail(Cause::Call(target)))?;
        let fits = body.parameters.len() == call.arguments.len()
            && body.returns.len() == call.results.len()
            && !body.entry;
        let start = match (body.start, body.builtin) {
            (Some(start), None) if fits => start,
            (_, Some(builtin)) => {
                self.builtin(builtin, call, around, same)?;
                self.leave(group, same, at + 1);
                group.at += 1;
                return Ok(());
            }
            _ => return Err(fail(Cause::Call(target))),
        };
        let caller = &program.bodies[group.function as usize];
        let base = Base {
            narrow: group.base.narrow + caller.narrow,
            wide: group.base.wide + caller.wide,
            predicate: group.base.predicate + caller.predicates,
            // Where any variable may begin.
            local: (group.base.local + caller.local).next_multiple_of(LOCAL_ALIGN),
        };
        let local = base.local + body.local;
        let registers = base.narrow + body.narrow + base.wide + body.wide + base.predicate;
        let deep = group.frames.len() >= CALLS_MAX || registers > REGISTERS_MAX;
        if deep || local > LOCAL_MAX {
            return Err(fail(Cause::Stack(LOCAL_MAX)));
        }
        self.leave(group, same, at + 1);
        self.reserve(base, body);
        for (argument, slot) in call.arguments.iter().zip(&body.parameters) {
            let to = base.local + slot.offset;
            match *argument {
                Passed::Memory(from) => {
                    let size = from.size.min(slot.size);
                    self.move_local(group.base.local + from.offset, to, size, same);
                }
                Passed::Value(operand, size) => {
                    let values: [u64; LANES] = self.state.read(operand);
                    let size = size.min(slot.size) as usize;
                    for lane in lanes(same) {
                        let bytes = &values[lane].to_le_bytes()[..size];
                        self.local[lane][to as usize..][..size].copy_from_slice(bytes);
                    }
                }
            }
        }
        group.frames.push(Frame {
            call: index,
            function: group.function,
            back: at + 1,
            base: group.base,
        });
        group.function = function as u32;
        group.base = base;
        group.at = start;
        self.state.base = base;
        Ok(())
    }

    /// What the machine's own functions do: they print, and end the kernel.
    fn builtin(
        &mut self,
        builtin: Builtin,
        call: &Call,
        around: &mut Around<'_, '_>,
        mask: u32,
    ) -> Result<(), Failure> {
        let given: Vec<_> = call.arguments.iter().map(|a| self.passed(*a)).collect();
        let argument = |index: usize, lane: usize| given.get(index).map_or(0, |all| all[lane]);
        let mut printed = std::mem::take(&mut self.printed);
        let execution = around.execution(self);
        let mut counts = [0u64; LANES];
        for lane in lanes(mask) {
            if builtin == Builtin::AssertFail {
                // Where they are nowhere, the assertion has failed all the same.
                let text =
                    |index| string(&execution, lane, argument(index, lane)).unwrap_or_default();
                let parts = [text(1), text(3), text(0)];
                let [file, function, message] =
                    parts.map(|p| String::from_utf8_lossy(&p).into_owned());
                let line = argument(2, lane) as u32;
                let text = format!("{file}:{line}: {function}: assertion `{message}` failed\n");
                printed.extend(text.into_bytes());
                self.printed = printed;
                let cause = Cause::Assertion;
                return Err(Failure { cause, lane });
            }
            if printed.len() < PRINTED_MAX {
                let [format, arguments] = [0, 1].map(|index| argument(index, lane));
                let count = print(&execution, lane, format, arguments, &mut printed)?;
                counts[lane] = u64::from(count);
            }
        }
        self.printed = printed;
        for result in &call.results {
            self.set_passed(*result, counts, mask);
        }
        Ok(())
    }

    /// What each lane hands over, its first 8 bytes.
    fn passed(&self, from: Passed) -> [u64; LANES] {
        match from {
            Passed::Value(operand, _) => self.state.read(operand),
            Passed::Memory(slot) => {
                let (at, size) = (self.state.base.local + slot.offset, slot.size.min(8));
                std::array::from_fn(|lane| {
                    let mut bytes = [0; 8];
                    let from = &self.local[lane][at as usize..][..size as usize];
                    bytes[..size as usize].copy_from_slice(from);
                    u64::from_le_bytes(bytes)
                })
            }
        }
    }

    /// Makes room for a function's registers and local memory.
    fn reserve(&mut self, base: Base, body: &Body) {
        fn grow<T: Copy>(all: &mut Vec<T>, to: u32, value: T) {
            if all.len() < to as usize {
                all.resize(to as usize, value);
            }
        }
        grow(
            &mut self.state.narrow,
            base.narrow + body.narrow,
            [0; LANES],
        );
        grow(&mut self.state.wide, base.wide + body.wide, [0; LANES]);
        grow(
            &mut self.state.predicates,
            base.predicate + body.predicates,
            0,
        );
        for local in &mut self.local {
            grow(local, base.local + body.local, 0);
        }
    }

    /// Returns from a function with all lanes of `group`.
    pub(crate) fn give_back(&mut self, group: &mut Group, program: &Program) {
        let Some(frame) = group.frames.pop() else {
            return;
        };
        let body = &program.bodies[group.function as usize];
        let call = &program.calls[frame.call as usize];
        let from = group.base.local;
        group.base = frame.base;
        group.function = frame.function;
        group.at = frame.back;
        self.state.base = frame.base;
        for (result, slot) in call.results.iter().zip(&body.returns) {
            match *result {
                Passed::Memory(to) => {
                    let size = to.size.min(slot.size);
                    let to = frame.base.local + to.offset;
                    self.move_local(from + slot.offset, to, size, group.lanes);
                }
                Passed::Value(operand, size) => {
                    let size = size.min(slot.size) as usize;
                    let at = (from + slot.offset) as usize;
                    let mut values = [0u64; LANES];
                    for lane in lanes(group.lanes) {
                        let mut bytes = [0; 8];
                        bytes[..size].copy_from_slice(&self.local[lane][at..at + size]);
                        values[lane] = u64::from_le_bytes(bytes);
                    }
                    self.state.write(operand, &values, group.lanes);
                }
            }
        }
    }

    fn set_passed(&mut self, to: Passed, values: [u64; LANES], mask: u32) {
        match to {
            Passed::Memory(slot) => {
                let size = slot.size.min(8) as usize;
                let at = (self.state.base.local + slot.offset) as usize;
                for lane in lanes(mask) {
                    let bytes = &values[lane].to_le_bytes()[..size];
                    self.local[lane][at..at + size].copy_from_slice(bytes);
                }
            }
            Passed::Value(operand, _) => self.state.write(operand, &values, mask),
        }
    }

    fn move_local(&mut self, from: u32, to: u32, size: u32, mask: u32) {
        let from = from as usize..(from + size) as usize;
        for lane in lanes(mask) {
            self.local[lane].copy_within(from.clone(), to as usize);
        }
    }
}
