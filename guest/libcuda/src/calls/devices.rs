//! The device and its contexts. All is answered here, from what the worker said
//! at the session's start.

use std::ffi::{c_int, c_uint};

use vgpu_cuda_wire::{
    Attribute, CUcontext, CUctxCreateParams, CUdevice, CUdevice_attribute, CUresult, CUuuid,
};

use super::in_context;
use crate::Done;
use crate::contexts::{current, pop, push};
use crate::session::{Session, session};

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

/// The session, for a device that there is.
fn on(device: CUdevice) -> Result<&'static Session, CUresult> {
    let session = session()?;
    match device {
        0 => Ok(session),
        _ => Err(CUresult::CUDA_ERROR_INVALID_DEVICE),
    }
}

pub(crate) fn cuDeviceGet(device: &mut CUdevice, ordinal: c_int) -> Done {
    on(ordinal)?;
    *device = ordinal;
    Ok(())
}

pub(crate) fn cuDeviceGetCount(count: &mut c_int) -> Done {
    session()?;
    *count = 1;
    Ok(())
}

pub(crate) fn cuDeviceGetName(name: &mut [u8], _length: c_int, device: CUdevice) -> Done {
    let own = &on(device)?.hello().name;
    let length = own.iter().position(|&byte| byte == 0).unwrap_or(own.len());
    let Some((last, room)) = name.split_last_mut() else {
        return Err(INVALID);
    };
    let length = length.min(room.len());
    room[..length].copy_from_slice(&own[..length]);
    room[length..].fill(0);
    *last = 0;
    Ok(())
}

pub(crate) fn cuDeviceGetUuid(uuid: &mut CUuuid, device: CUdevice) -> Done {
    uuid.bytes = on(device)?.hello().uuid;
    Ok(())
}

pub(crate) fn cuDeviceGetUuid_v2(uuid: &mut CUuuid, device: CUdevice) -> Done {
    cuDeviceGetUuid(uuid, device)
}

pub(crate) fn cuDeviceTotalMem_v2(bytes: &mut usize, device: CUdevice) -> Done {
    let memory = on(device)?.hello().memory;
    *bytes = usize::try_from(memory).unwrap_or(usize::MAX);
    Ok(())
}

pub(crate) fn cuDeviceGetAttribute(
    value: &mut c_int,
    attribute: CUdevice_attribute,
    device: CUdevice,
) -> Done {
    let attributes = &on(device)?.hello().attributes;
    let attribute = attributes.get(attribute as usize).filter(|_| attribute > 0);
    *value = *attribute.ok_or(INVALID)?;
    Ok(())
}

pub(crate) fn cuDeviceComputeCapability(
    major: &mut c_int,
    minor: &mut c_int,
    device: CUdevice,
) -> Done {
    cuDeviceGetAttribute(major, Attribute::COMPUTE_CAPABILITY_MAJOR.0, device)?;
    cuDeviceGetAttribute(minor, Attribute::COMPUTE_CAPABILITY_MINOR.0, device)
}

pub(crate) fn cuDevicePrimaryCtxRetain(context: &mut CUcontext, device: CUdevice) -> Done {
    *context = on(device)?.contexts.retain();
    Ok(())
}

pub(crate) fn cuDevicePrimaryCtxRelease_v2(device: CUdevice) -> Done {
    on(device)?.contexts.release()
}

pub(crate) fn cuDevicePrimaryCtxGetState(
    device: CUdevice,
    flags: &mut c_uint,
    active: &mut c_int,
) -> Done {
    let (own, used) = on(device)?.contexts.primary();
    (*flags, *active) = (own, c_int::from(used));
    Ok(())
}

pub(crate) fn cuDevicePrimaryCtxSetFlags_v2(device: CUdevice, flags: c_uint) -> Done {
    on(device)?.contexts.set_primary_flags(flags);
    Ok(())
}

/// What is in the context stays: its memory is the program's until it ends.
pub(crate) fn cuDevicePrimaryCtxReset_v2(device: CUdevice) -> Done {
    on(device)?;
    Err(crate::unsupported("cuDevicePrimaryCtxReset_v2"))
}

pub(crate) fn cuCtxCreate_v2(context: &mut CUcontext, flags: c_uint, device: CUdevice) -> Done {
    *context = on(device)?.contexts.create(flags);
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

pub(crate) fn cuCtxDestroy_v2(context: CUcontext) -> Done {
    session()?.contexts.destroy(context)
}

pub(crate) fn cuCtxGetCurrent(context: &mut CUcontext) -> Done {
    session()?;
    *context = current();
    Ok(())
}

pub(crate) fn cuCtxSetCurrent(context: CUcontext) -> Done {
    session()?.contexts.set_current(context)
}

pub(crate) fn cuCtxPushCurrent_v2(context: CUcontext) -> Done {
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
    in_context()?.client().synchronize()
}

pub(crate) fn cuCtxSynchronize_v2(context: CUcontext) -> Done {
    if context.is_null() {
        return cuCtxSynchronize();
    }
    let session = session()?;
    session.contexts.check(context)?;
    session.client().synchronize()
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
    *flags = in_context()?.contexts.flags(current());
    Ok(())
}
