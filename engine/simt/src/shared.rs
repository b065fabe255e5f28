//! What is copied to and from shared memory in pieces of up to 16 bytes.

use crate::execution::{Execution, Place};
use crate::fault::{Cause, Failure};
use crate::instruction::{Instruction, Operand, Space};
use crate::value::LANES;

/// The most bytes of a piece.
pub(crate) const PIECE_MAX: usize = 16;

impl Execution<'_> {
    /// The addresses of an operand that is not the last; what is added to it follows it.
    pub(crate) fn other_addresses(&self, i: &Instruction, operand: usize) -> [u64; LANES] {
        let base: [u64; LANES] = self.state.read(i.operands[operand]);
        let added = match i.operands[operand + 1] {
            Operand::Bits(bits) => bits,
            _ => 0,
        };
        base.map(|base| base.wrapping_add(added))
    }

    /// Where the `size` bytes at an address of shared memory are, or at a generic one that lies there.
    pub(crate) fn in_shared(
        &self,
        space: Space,
        address: u64,
        size: u64,
        lane: usize,
    ) -> Result<usize, Failure> {
        match self.look_up(space, address, size, lane)? {
            Place::Shared(at) => Ok(at),
            _ => {
                let length = self.shared.len() as u64;
                let cause = Cause::Shared {
                    address,
                    size,
                    length,
                };
                Err(Failure { cause, lane })
            }
        }
    }

    /// The first bytes of a piece of global memory, which begins at a multiple of its `size`.
    pub(crate) fn read_global(
        &self,
        address: u64,
        size: u64,
        to: &mut [u8],
        lane: usize,
    ) -> Result<(), Failure> {
        let length = to.len() as u64;
        if length == 0 {
            return Ok(());
        }
        let found = match address & (size - 1) {
            0 => self.memory.range(address, length),
            _ => self.memory.find(address, size),
        };
        let from = found.map_err(|error| Failure {
            cause: Cause::Global(error),
            lane,
        })?;
        from.read(address - from.base(), to);
        Ok(())
    }
}
