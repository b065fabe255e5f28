//! Races of a block's threads in shared memory, for a program that asks for that.
//!
//! Accesses of two threads to a byte, one of them a write, are a race where no
//! barrier of the block or of their warp is between them, and they are not both
//! atomic, `.volatile`, `.relaxed`, `.acquire` or `.release`. Source: PTX ISA 8.7.1.

use crate::code::Action;
use crate::execution::{Execution, SHARED_WINDOW, WINDOW, within};
use crate::fault::{Cause, Failure};
use crate::instruction::{Instruction, Space};
use crate::program::Program;
use crate::shadow::Access;
use crate::value::{LANES, lanes};

impl Program {
    /// The program, with each access to shared memory held against those of
    /// other threads of the block: a launch with a race ends with [`Cause::Race`].
    /// It is some times slower.
    #[must_use]
    pub fn with_race_check(mut self) -> Self {
        for step in &mut self.code {
            step.action = match step.action {
                Action::Load => Action::Memory(load),
                Action::Store => Action::Memory(store),
                other => other,
            };
        }
        self.race_check = true;
        self
    }
}

fn load(x: &mut Execution<'_>, i: &Instruction, mask: u32) -> Result<(), Failure> {
    let size = u64::from(i.modifiers.types[0].size()) * u64::from(i.modifiers.count);
    let addresses = x.addresses(i);
    for lane in lanes(mask) {
        if let Some(at) = x.shared_byte(i.modifiers.space, addresses[lane], size) {
            x.watch_read(i, lane, at, size as usize)?;
        }
    }
    x.load(i, mask)
}

fn store(x: &mut Execution<'_>, i: &Instruction, mask: u32) -> Result<(), Failure> {
    let size = usize::from(i.modifiers.types[0].size());
    let count = usize::from(i.modifiers.count);
    let addresses = x.addresses(i);
    for index in 0..count {
        let values: [u64; LANES] = x.state.read(i.operands[index]);
        for lane in lanes(mask) {
            let total = (size * count) as u64;
            if let Some(at) = x.shared_byte(i.modifiers.space, addresses[lane], total) {
                let bytes = values[lane].to_le_bytes();
                x.watch_write(i, lane, at + index * size, &bytes[..size])?;
            }
        }
    }
    x.store(i, mask)
}

impl Execution<'_> {
    /// Where an access is in shared memory, if it is there; one that must not be is
    /// found where it is done.
    fn shared_byte(&self, space: Space, address: u64, size: u64) -> Option<usize> {
        let address = match (space, address & WINDOW) {
            (Space::Shared, _) => address & 0xffff_ffff,
            (Space::Generic, SHARED_WINDOW) => address & !WINDOW,
            _ => return None,
        };
        within(address, size, self.shared.len())
    }

    /// Looks at a read of bytes of shared memory.
    pub(crate) fn watch_read(
        &mut self,
        i: &Instruction,
        lane: usize,
        at: usize,
        size: usize,
    ) -> Result<(), Failure> {
        let access = self.access(i, lane, i.modifiers.strong);
        let Some(shadow) = &mut self.shadow else {
            return Ok(());
        };
        for at in at..at + size {
            if let Err(other) = shadow.read(at, access) {
                return Err(self.race(lane, at, false, (other, true)));
            }
        }
        Ok(())
    }

    /// Looks at a write to shared memory.
    pub(crate) fn watch_write(
        &mut self,
        i: &Instruction,
        lane: usize,
        at: usize,
        bytes: &[u8],
    ) -> Result<(), Failure> {
        let access = self.access(i, lane, i.modifiers.strong);
        let Some(shadow) = &mut self.shadow else {
            return Ok(());
        };
        for (at, value) in (at..).zip(bytes) {
            let value = Some(*value);
            if let Err(other) = shadow.write(at, Access { value, ..access }) {
                return Err(self.race(lane, at, true, other));
            }
        }
        Ok(())
    }

    /// Looks at an atomic operation on shared memory.
    pub(crate) fn watch_atomic(
        &mut self,
        i: &Instruction,
        lane: usize,
        at: usize,
        size: usize,
    ) -> Result<(), Failure> {
        let access = self.access(i, lane, true);
        let Some(shadow) = &mut self.shadow else {
            return Ok(());
        };
        for at in at..at + size {
            if let Err(other) = shadow.write(at, access) {
                return Err(self.race(lane, at, true, other));
            }
        }
        Ok(())
    }

    fn access(&self, i: &Instruction, lane: usize, strong: bool) -> Access {
        Access {
            thread: (self.state.identity.warp * LANES as u32 + lane as u32) as u16,
            warp_barriers: self.state.warp_barriers,
            line: i.line,
            strong,
            ..Access::default()
        }
    }

    fn race(&self, lane: usize, at: usize, write: bool, other: (Access, bool)) -> Failure {
        let (other, other_write) = other;
        let [x, y, _] = self.state.identity.threads;
        let thread = u32::from(other.thread);
        let cause = Cause::Race {
            address: at as u64,
            write,
            other_write,
            thread: [thread % x, thread / x % y, thread / (x * y)],
            line: other.line,
        };
        Failure { cause, lane }
    }
}
