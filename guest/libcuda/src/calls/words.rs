//! Single words that a stream writes, or waits for.
//!
//! The worker does all commands in the order of the calls, whatever their streams: a wait is over
//! when it begins, or never would be. So one that is not over is refused, and an attribute of the
//! device says that there are none.

use std::ffi::c_uint;

use vgpu_cuda_wire::{
    CUdeviceptr, CUresult, CUstream, CUstreamBatchMemOpParams, cuuint32_t, cuuint64_t,
};

use super::current::{in_context, run, stream};
use crate::Done;
use crate::transfers::Fill;
use crate::work::Work;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

/// A word's width in bytes.
#[derive(Clone, Copy)]
enum Width {
    Four = 4,
    Eight = 8,
}

/// Writes a word. The flag says that work before it need not be seen first.
fn write(of: CUstream, to: CUdeviceptr, value: u64, width: Width, flags: c_uint) -> Done {
    const NO_BARRIER: c_uint = 1;
    let session = in_context()?;
    let number = stream(session, of)?;
    if flags & !NO_BARRIER != 0 || !to.is_multiple_of(width as u64) {
        return Err(INVALID);
    }
    session.worker.allocations.check(to, width as usize)?;
    match width {
        Width::Four => run(session, of, || {
            Ok(Work::Fill(Fill {
                to,
                pitch: 0,
                value: value as u32,
                element: 4,
                width: 1,
                rows: 1,
            }))
        }),
        Width::Eight => {
            session.captures.refuse(of)?;
            let client = session.worker.connection.client();
            client.write(to, number, &value.to_le_bytes())
        }
    }
}

/// Waits for a word.
fn wait(of: CUstream, from: CUdeviceptr, value: u64, width: Width, flags: c_uint) -> Done {
    // At least, cyclically; equal; a bit in common; not all bits in either.
    const CONDITION: c_uint = 3;
    const FLUSH: c_uint = 1 << 30;
    let session = in_context()?;
    let number = stream(session, of)?;
    if flags & !(CONDITION | FLUSH) != 0 || !from.is_multiple_of(width as u64) {
        return Err(INVALID);
    }
    session.worker.allocations.check(from, width as usize)?;
    session.captures.refuse(of)?;
    let mut bytes = [0; 8];
    let read = &mut bytes[..width as usize];
    session.worker.connection.download(from, number, read)?;
    let found = u64::from_le_bytes(bytes);
    let bits = 8 * width as u32;
    let mask = u64::MAX >> (64 - bits);
    let over = match flags & CONDITION {
        0 => found.wrapping_sub(value) & mask < 1 << (bits - 1),
        1 => found == value,
        2 => found & value != 0,
        _ => !(found | value) & mask != 0,
    };
    match over {
        true => Ok(()),
        false => Err(crate::unsupported("a wait for what a later call writes")),
    }
}

pub(crate) fn cuStreamWriteValue32(
    of: CUstream,
    to: CUdeviceptr,
    value: cuuint32_t,
    flags: c_uint,
) -> Done {
    write(of, to, value.into(), Width::Four, flags)
}

pub(crate) fn cuStreamWriteValue32_v2(
    of: CUstream,
    to: CUdeviceptr,
    value: cuuint32_t,
    flags: c_uint,
) -> Done {
    write(of, to, value.into(), Width::Four, flags)
}

pub(crate) fn cuStreamWriteValue64(
    of: CUstream,
    to: CUdeviceptr,
    value: cuuint64_t,
    flags: c_uint,
) -> Done {
    write(of, to, value, Width::Eight, flags)
}

pub(crate) fn cuStreamWriteValue64_v2(
    of: CUstream,
    to: CUdeviceptr,
    value: cuuint64_t,
    flags: c_uint,
) -> Done {
    write(of, to, value, Width::Eight, flags)
}

pub(crate) fn cuStreamWaitValue32(
    of: CUstream,
    from: CUdeviceptr,
    value: cuuint32_t,
    flags: c_uint,
) -> Done {
    wait(of, from, value.into(), Width::Four, flags)
}

pub(crate) fn cuStreamWaitValue32_v2(
    of: CUstream,
    from: CUdeviceptr,
    value: cuuint32_t,
    flags: c_uint,
) -> Done {
    wait(of, from, value.into(), Width::Four, flags)
}

pub(crate) fn cuStreamWaitValue64(
    of: CUstream,
    from: CUdeviceptr,
    value: cuuint64_t,
    flags: c_uint,
) -> Done {
    wait(of, from, value, Width::Eight, flags)
}

pub(crate) fn cuStreamWaitValue64_v2(
    of: CUstream,
    from: CUdeviceptr,
    value: cuuint64_t,
    flags: c_uint,
) -> Done {
    wait(of, from, value, Width::Eight, flags)
}

pub(crate) fn cuStreamBatchMemOp(
    of: CUstream,
    count: c_uint,
    operations: &[CUstreamBatchMemOpParams],
    flags: c_uint,
) -> Done {
    cuStreamBatchMemOp_v2(of, count, operations, flags)
}

/// Waits and writes, in their order.
pub(crate) fn cuStreamBatchMemOp_v2(
    of: CUstream,
    _count: c_uint,
    operations: &[CUstreamBatchMemOpParams],
    flags: c_uint,
) -> Done {
    // CUstreamBatchMemOpType.
    const WAIT_32: u32 = 1;
    const WRITE_32: u32 = 2;
    const FLUSH: u32 = 3;
    const WAIT_64: u32 = 4;
    const WRITE_64: u32 = 5;
    const BARRIER: u32 = 6;
    const MOST: usize = 256;
    let session = in_context()?;
    stream(session, of)?;
    if flags != 0 || operations.len() > MOST {
        return Err(INVALID);
    }
    for operation in operations {
        let [kind, address, value, flags, ..] = operation.words;
        let (flags, low) = (flags as u32, value & u64::from(u32::MAX));
        match kind as u32 {
            WAIT_32 => wait(of, address, low, Width::Four, flags)?,
            WRITE_32 => write(of, address, low, Width::Four, flags)?,
            WAIT_64 => wait(of, address, value, Width::Eight, flags)?,
            WRITE_64 => write(of, address, value, Width::Eight, flags)?,
            // In order is one way to be flushed.
            FLUSH | BARRIER => {}
            _ => return Err(INVALID),
        }
    }
    Ok(())
}
