//! How many blocks of a function a multiprocessor takes, by what the device and the function are:
//! the CUDA C++ Programming Guide, "Multiprocessor Level".

use std::ffi::{c_int, c_uint};

use vgpu_cuda_wire::{Attribute, CUfunction, CUoccupancyB2DSize, CUresult};

use super::current::in_context;
use crate::Done;
use crate::modules::Function;
use crate::pointers::SharedOfBlock;
use crate::session::Session;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

/// Registers are given to warps in pieces of so many.
const REGISTERS: u32 = 256;

/// What a multiprocessor has.
struct Multiprocessor {
    warp: u32,
    threads: u32,
    blocks: u32,
    registers: u32,
    shared: u32,
}

fn multiprocessor(session: &'static Session) -> Multiprocessor {
    let one = |attribute| session.worker.connection.attributes::<1>(attribute)[0];
    Multiprocessor {
        warp: one(Attribute::WARP_SIZE).max(1),
        threads: one(Attribute::MAX_THREADS_PER_MULTIPROCESSOR),
        blocks: one(Attribute::MAX_BLOCKS_PER_MULTIPROCESSOR),
        registers: one(Attribute::MAX_REGISTERS_PER_MULTIPROCESSOR),
        shared: one(Attribute::MAX_SHARED_MEMORY_PER_MULTIPROCESSOR),
    }
}

/// Blocks of so many threads and so much dynamic shared memory that are there at a time.
fn blocks(of: &Multiprocessor, function: &Function, threads: u32, shared: usize) -> u32 {
    let about = &function.about;
    if threads == 0 || threads > about.max_threads {
        return 0;
    }
    let warps = threads.div_ceil(of.warp);
    let by_threads = of.threads / warps.saturating_mul(of.warp);
    let of_warp = about.registers.saturating_mul(of.warp);
    let of_warp = of_warp.next_multiple_of(REGISTERS);
    let by_registers = of.registers.checked_div(of_warp);
    let by_registers = by_registers.map_or(u32::MAX, |found| found / warps);
    let shared = u32::try_from(shared).unwrap_or(u32::MAX);
    let shared = shared.saturating_add(about.shared_size);
    let by_shared = of.shared.checked_div(shared).unwrap_or(u32::MAX);
    let all = [of.blocks, by_threads, by_registers, by_shared];
    all.into_iter().min().unwrap_or(0)
}

fn check_flags(flags: c_uint) -> Done {
    // That caches are as they are by default, or not to be considered.
    match flags {
        0 | 1 => Ok(()),
        _ => Err(INVALID),
    }
}

pub(crate) fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
    count: &mut c_int,
    function: CUfunction,
    block: c_int,
    shared: usize,
) -> Done {
    cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(count, function, block, shared, 0)
}

pub(crate) fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    count: &mut c_int,
    function: CUfunction,
    block: c_int,
    shared: usize,
    flags: c_uint,
) -> Done {
    let session = in_context()?;
    let function = session.modules.functions.get(function)?;
    check_flags(flags)?;
    let threads = u32::try_from(block).map_err(|_| INVALID)?;
    if threads == 0 {
        return Err(INVALID);
    }
    *count = blocks(&multiprocessor(session), &function, threads, shared).cast_signed();
    Ok(())
}

pub(crate) fn cuOccupancyMaxPotentialBlockSize(
    grid: &mut c_int,
    block: &mut c_int,
    function: CUfunction,
    shared_of: CUoccupancyB2DSize,
    shared: usize,
    limit: c_int,
) -> Done {
    cuOccupancyMaxPotentialBlockSizeWithFlags(grid, block, function, shared_of, shared, limit, 0)
}

/// The largest block by which a multiprocessor has most threads, and as many blocks as fill the
/// device.
pub(crate) fn cuOccupancyMaxPotentialBlockSizeWithFlags(
    grid: &mut c_int,
    block: &mut c_int,
    function: CUfunction,
    shared_of: CUoccupancyB2DSize,
    shared: usize,
    limit: c_int,
    flags: c_uint,
) -> Done {
    let session = in_context()?;
    let function = session.modules.functions.get(function)?;
    check_flags(flags)?;
    let limit = u32::try_from(limit).map_err(|_| INVALID)?;
    let shared_of = SharedOfBlock::new(shared_of);
    let of = multiprocessor(session);
    let most = function.about.max_threads;
    let most = if limit == 0 { most } else { most.min(limit) };
    let (mut best, mut threads) = ((0, 0, 0), most);
    while threads > 0 {
        let shared = shared_of.of(threads.cast_signed(), shared);
        let count = blocks(&of, &function, threads, shared);
        if count * threads > best.0 {
            best = (count * threads, threads, count);
        }
        // The next lower number of whole warps.
        threads = (threads - 1) / of.warp * of.warp;
    }
    let [processors] = session
        .worker
        .connection
        .attributes(Attribute::MULTIPROCESSOR_COUNT);
    *grid = best.2.saturating_mul(processors).cast_signed();
    *block = best.1.cast_signed();
    Ok(())
}

pub(crate) fn cuOccupancyAvailableDynamicSMemPerBlock(
    size: &mut usize,
    function: CUfunction,
    count: c_int,
    block: c_int,
) -> Done {
    let session = in_context()?;
    let function = session.modules.functions.get(function)?;
    let number = |value: c_int| u32::try_from(value).ok().filter(|&value| value > 0);
    let count = number(count).ok_or(INVALID)?;
    let threads = number(block).ok_or(INVALID)?;
    let of = multiprocessor(session);
    if blocks(&of, &function, threads, 0) < count {
        return Err(INVALID);
    }
    let [optin] = session
        .worker
        .connection
        .attributes(Attribute::MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
    let each = (of.shared / count).min(optin);
    *size = each.saturating_sub(function.about.shared_size) as usize;
    Ok(())
}
