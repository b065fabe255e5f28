//! Contexts. They live here: to the worker, all are one.

use std::ffi::{c_int, c_uint, c_ulonglong};

use vgpu_cuda_wire::{
    CUcontext, CUctxCreateParams, CUdevice, CUevent, CUexecAffinityParam, CUexecAffinityType,
    CUfunc_cache, CUlimit, CUresult, CUsharedconfig,
};

use super::current::{in_context, not_in_callback};
use super::devices::{check_flags, on};
use super::events::cuEventRecord;
use super::functions::{check_banks, check_cache};
use super::streams::cuStreamWaitEvent;
use crate::Done;
use crate::contexts::{LIMITS, current, pop, push};
use crate::session::session;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

pub(crate) fn cuCtxCreate_v2(context: &mut CUcontext, flags: c_uint, device: CUdevice) -> Done {
    let session = on(device)?;
    check_flags(flags)?;
    *context = session.contexts.create(flags);
    push(*context);
    Ok(())
}

pub(crate) fn cuCtxCreate_v4(
    context: &mut CUcontext,
    parameters: *mut CUctxCreateParams,
    flags: c_uint,
    device: CUdevice,
) -> Done {
    match parameters.is_null() {
        true => cuCtxCreate_v2(context, flags, device),
        false => Err(crate::unsupported("cuCtxCreate_v4 with parameters")),
    }
}

/// A context of all multiprocessors: there are none of fewer.
pub(crate) fn cuCtxCreate_v3(
    context: &mut CUcontext,
    parameters: &[CUexecAffinityParam],
    _count: c_int,
    flags: c_uint,
    device: CUdevice,
) -> Done {
    match parameters.is_empty() {
        true => cuCtxCreate_v2(context, flags, device),
        false => Err(CUresult::CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY),
    }
}

/// The context's handle is its number.
pub(crate) fn cuCtxGetId(context: CUcontext, id: &mut c_ulonglong) -> Done {
    let session = session()?;
    let context = match context.is_null() {
        true => current(),
        false => context,
    };
    session.contexts.check(context)?;
    *id = context.addr() as u64;
    Ok(())
}

pub(crate) fn cuCtxSetFlags(flags: c_uint) -> Done {
    let session = in_context()?;
    check_flags(flags)?;
    let set = |context: &mut crate::contexts::Context| context.flags = flags;
    session.contexts.update(current(), set)
}

/// Kept and given back, as [`cuCtxSetLimit`].
fn set_hint(which: usize, value: u32) -> Done {
    let session = in_context()?;
    let set = |context: &mut crate::contexts::Context| context.hints[which] = value;
    session.contexts.update(current(), set)
}

pub(crate) fn cuCtxGetCacheConfig(config: &mut CUfunc_cache) -> Done {
    *config = session()?.contexts.get(current())?.hints[0];
    Ok(())
}

pub(crate) fn cuCtxSetCacheConfig(config: CUfunc_cache) -> Done {
    in_context()?;
    check_cache(config)?;
    set_hint(0, config)
}

pub(crate) fn cuCtxGetSharedMemConfig(config: &mut CUsharedconfig) -> Done {
    // Four bytes, where nothing is said.
    let said = session()?.contexts.get(current())?.hints[1];
    *config = said.max(1);
    Ok(())
}

pub(crate) fn cuCtxSetSharedMemConfig(config: CUsharedconfig) -> Done {
    in_context()?;
    check_banks(config)?;
    set_hint(1, config)
}

/// Nothing persists.
pub(crate) fn cuCtxResetPersistingL2Cache() -> Done {
    in_context().map(|_| ())
}

/// There are no contexts of fewer multiprocessors.
pub(crate) fn cuCtxGetExecAffinity(
    _affinity: &mut CUexecAffinityParam,
    _kind: CUexecAffinityType,
) -> Done {
    in_context()?;
    Err(CUresult::CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY)
}

/// One use more of the current context.
pub(crate) fn cuCtxAttach(context: &mut CUcontext, flags: c_uint) -> Done {
    let session = in_context()?;
    if flags != 0 {
        return Err(INVALID);
    }
    let more = |context: &mut crate::contexts::Context| context.uses += 1;
    session.contexts.update(current(), more)?;
    *context = current();
    Ok(())
}

/// One use less of the current context, which ends with the last.
pub(crate) fn cuCtxDetach(context: CUcontext) -> Done {
    let session = in_context()?;
    session.contexts.check(context)?;
    if context != current() {
        return Err(CUresult::CUDA_ERROR_INVALID_CONTEXT);
    }
    let mut left = 0;
    session.contexts.update(context, |context| {
        left = context.uses.saturating_sub(1);
        context.uses = left.max(1);
    })?;
    match left {
        0 => cuCtxDestroy_v2(context),
        _ => Ok(()),
    }
}

/// All streams are done in the order of the calls: what one records, all have.
pub(crate) fn cuCtxRecordEvent(context: CUcontext, event: CUevent) -> Done {
    session()?.contexts.check(context)?;
    cuEventRecord(event, std::ptr::null_mut())
}

pub(crate) fn cuCtxWaitEvent(context: CUcontext, event: CUevent) -> Done {
    session()?.contexts.check(context)?;
    cuStreamWaitEvent(std::ptr::null_mut(), event, 0)
}

pub(crate) fn cuCtxDestroy_v2(context: CUcontext) -> Done {
    let session = session()?;
    session.contexts.destroy(context)?;
    session.clear(context)
}

pub(crate) fn cuCtxGetCurrent(context: &mut CUcontext) -> Done {
    session()?;
    *context = current();
    Ok(())
}

pub(crate) fn cuCtxSetCurrent(context: CUcontext) -> Done {
    not_in_callback()?;
    session()?.contexts.set_current(context)
}

pub(crate) fn cuCtxPushCurrent_v2(context: CUcontext) -> Done {
    not_in_callback()?;
    session()?.contexts.check(context)?;
    push(context);
    Ok(())
}

pub(crate) fn cuCtxPopCurrent_v2(context: Option<&mut CUcontext>) -> Done {
    session()?;
    let popped = pop()?;
    if let Some(context) = context {
        *context = popped;
    }
    Ok(())
}

pub(crate) fn cuCtxGetDevice(device: &mut CUdevice) -> Done {
    in_context()?;
    *device = 0;
    Ok(())
}

pub(crate) fn cuCtxGetDevice_v2(device: &mut CUdevice, context: CUcontext) -> Done {
    if context.is_null() {
        return cuCtxGetDevice(device);
    }
    session()?.contexts.check(context)?;
    *device = 0;
    Ok(())
}

pub(crate) fn cuCtxSynchronize() -> Done {
    let session = in_context()?;
    session.captures.refuse_unsafe()?;
    session.worker.connection.client().synchronize()
}

pub(crate) fn cuCtxSynchronize_v2(context: CUcontext) -> Done {
    if context.is_null() {
        return cuCtxSynchronize();
    }
    let session = session()?;
    session.contexts.check(context)?;
    session.captures.refuse_unsafe()?;
    session.worker.connection.client().synchronize()
}

/// There is one priority.
pub(crate) fn cuCtxGetStreamPriorityRange(
    least: Option<&mut c_int>,
    greatest: Option<&mut c_int>,
) -> Done {
    in_context()?;
    for bound in [least, greatest].into_iter().flatten() {
        *bound = 0;
    }
    Ok(())
}

pub(crate) fn cuCtxGetApiVersion(context: CUcontext, version: &mut c_uint) -> Done {
    let session = session()?;
    match context.is_null() {
        true => session.contexts.check_current()?,
        false => session.contexts.check(context)?,
    }
    *version = 3020;
    Ok(())
}

pub(crate) fn cuCtxGetFlags(flags: &mut c_uint) -> Done {
    *flags = session()?.contexts.get(current())?.flags;
    Ok(())
}

/// The place of a limit that there is.
fn limit(limit: CUlimit) -> Result<usize, CUresult> {
    // Those behind are the device runtime's, and the second-level cache's.
    const KNOWN: usize = 7;
    match limit as usize {
        limit @ 0..LIMITS => Ok(limit),
        LIMITS..KNOWN => Err(CUresult::CUDA_ERROR_UNSUPPORTED_LIMIT),
        _ => Err(INVALID),
    }
}

pub(crate) fn cuCtxGetLimit(value: &mut usize, which: CUlimit) -> Done {
    let context = session()?.contexts.get(current())?;
    *value = context.limits[limit(which)?];
    Ok(())
}

/// Kept and given back: no kernel here has a stack, a heap or a buffer for
/// `printf` of that size.
pub(crate) fn cuCtxSetLimit(which: CUlimit, value: usize) -> Done {
    let session = in_context()?;
    let limit = limit(which)?;
    let set = |context: &mut crate::contexts::Context| context.limits[limit] = value;
    session.contexts.update(current(), set)
}

/// The other context of a peer: there is none, as there is one device.
fn peer(context: CUcontext) -> Result<(), CUresult> {
    let session = in_context()?;
    session.contexts.check(context)?;
    match context == current() {
        true => Err(CUresult::CUDA_ERROR_INVALID_CONTEXT),
        false => Ok(()),
    }
}

pub(crate) fn cuCtxEnablePeerAccess(context: CUcontext, flags: c_uint) -> Done {
    if flags != 0 {
        return Err(INVALID);
    }
    peer(context)?;
    Err(CUresult::CUDA_ERROR_PEER_ACCESS_UNSUPPORTED)
}

pub(crate) fn cuCtxDisablePeerAccess(context: CUcontext) -> Done {
    peer(context)?;
    Err(CUresult::CUDA_ERROR_PEER_ACCESS_NOT_ENABLED)
}
