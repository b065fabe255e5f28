//! The device and its primary context. All is answered here, from what the worker
//! said at the session's start.

use std::ffi::{CStr, c_int, c_uint};

use vgpu_cuda_wire::{
    Attribute, CUcontext, CUdevice, CUdevice_attribute, CUdevprop, CUexecAffinityType,
    CUgraphMem_attribute, CUresult, CUuuid,
};

use crate::Done;
use crate::pointers::Untyped;
use crate::session::{Session, session};

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

/// The session, for a device that there is.
pub(super) fn on(device: CUdevice) -> Result<&'static Session, CUresult> {
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
    let own = &on(device)?.worker.connection.hello().name;
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
    uuid.bytes = on(device)?.worker.connection.hello().uuid;
    Ok(())
}

pub(crate) fn cuDeviceGetUuid_v2(uuid: &mut CUuuid, device: CUdevice) -> Done {
    cuDeviceGetUuid(uuid, device)
}

pub(crate) fn cuDeviceTotalMem_v2(bytes: &mut usize, device: CUdevice) -> Done {
    let memory = on(device)?.worker.connection.hello().memory;
    *bytes = usize::try_from(memory).unwrap_or(usize::MAX);
    Ok(())
}

pub(crate) fn cuDeviceGetAttribute(
    value: &mut c_int,
    attribute: CUdevice_attribute,
    device: CUdevice,
) -> Done {
    let attributes = &on(device)?.worker.connection.hello().attributes;
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

/// With the last use ends what belongs to the context.
pub(crate) fn cuDevicePrimaryCtxRelease_v2(device: CUdevice) -> Done {
    let session = on(device)?;
    match session.contexts.release()? {
        Some(context) => session.clear(context),
        None => Ok(()),
    }
}

pub(crate) fn cuDevicePrimaryCtxGetState(
    device: CUdevice,
    flags: &mut c_uint,
    active: &mut c_int,
) -> Done {
    let contexts = &on(device)?.contexts;
    *flags = contexts.primary_flags();
    *active = c_int::from(contexts.active_primary().is_some());
    Ok(())
}

pub(crate) fn cuDevicePrimaryCtxSetFlags_v2(device: CUdevice, flags: c_uint) -> Done {
    let session = on(device)?;
    check_flags(flags)?;
    session.contexts.set_primary_flags(flags);
    Ok(())
}

/// Ends what belongs to the context; the context stays in use.
pub(crate) fn cuDevicePrimaryCtxReset_v2(device: CUdevice) -> Done {
    let session = on(device)?;
    match session.contexts.active_primary() {
        Some(context) => session.clear(context),
        None => Ok(()),
    }
}

/// There is one device, which is no peer of itself.
pub(crate) fn cuDeviceCanAccessPeer(can: &mut c_int, device: CUdevice, peer: CUdevice) -> Done {
    on(device)?;
    on(peer)?;
    *can = 0;
    Ok(())
}

/// Checks flags of a context: how to wait, of which there is one way here, and
/// what is allowed besides.
pub(super) fn check_flags(flags: c_uint) -> Done {
    const WAIT: c_uint = 7;
    const ALL: c_uint = 0x3f | WAIT;
    match flags & !ALL == 0 && matches!(flags & WAIT, 0 | 1 | 2 | 4) {
        true => Ok(()),
        false => Err(INVALID),
    }
}

/// The device is none of a bus: it has the place that its attributes say.
const BUS_ID: &CStr = c"0000:00:00.0";

pub(crate) fn cuDeviceGetPCIBusId(id: &mut [u8], _length: c_int, device: CUdevice) -> Done {
    on(device)?;
    let own = BUS_ID.to_bytes_with_nul();
    let place = id.get_mut(..own.len()).ok_or(INVALID)?;
    place.copy_from_slice(own);
    Ok(())
}

/// The function, and the domain of a place, need not be said.
pub(crate) fn cuDeviceGetByPCIBusId(device: &mut CUdevice, id: &CStr) -> Done {
    session()?;
    let id = id.to_str().map_err(|_| INVALID)?;
    let (place, function) = id.split_once('.').unwrap_or((id, "0"));
    let parts = place.split(':').chain([function]);
    let numbers = parts.map(|part| u32::from_str_radix(part, 16).map_err(|_| INVALID));
    let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
    match numbers[..] {
        [0, 0, 0, 0] | [0, 0, 0] => *device = 0,
        [_, _, _, _] | [_, _, _] => return Err(CUresult::CUDA_ERROR_INVALID_DEVICE),
        _ => return Err(INVALID),
    }
    Ok(())
}

pub(crate) fn cuDeviceGetProperties(properties: &mut CUdevprop, device: CUdevice) -> Done {
    // In the order of the structure's fields; no texture is aligned to less than a byte.
    const ATTRIBUTES: [Attribute; 13] = [
        Attribute::MAX_THREADS_PER_BLOCK,
        Attribute::MAX_BLOCK_DIM_X,
        Attribute::MAX_BLOCK_DIM_Y,
        Attribute::MAX_BLOCK_DIM_Z,
        Attribute::MAX_GRID_DIM_X,
        Attribute::MAX_GRID_DIM_Y,
        Attribute::MAX_GRID_DIM_Z,
        Attribute::MAX_SHARED_MEMORY_PER_BLOCK,
        Attribute::TOTAL_CONSTANT_MEMORY,
        Attribute::WARP_SIZE,
        Attribute::MAX_PITCH,
        Attribute::MAX_REGISTERS_PER_BLOCK,
        Attribute::CLOCK_RATE,
    ];
    *properties = CUdevprop::default();
    for (value, attribute) in properties.values.iter_mut().zip(ATTRIBUTES) {
        cuDeviceGetAttribute(value, attribute.0, device)?;
    }
    Ok(())
}

/// There are no contexts of fewer multiprocessors.
pub(crate) fn cuDeviceGetExecAffinitySupport(
    supported: &mut c_int,
    kind: CUexecAffinityType,
    device: CUdevice,
) -> Done {
    on(device)?;
    match kind {
        0 => *supported = 0,
        _ => return Err(INVALID),
    }
    Ok(())
}

/// Graphs allocate nothing: what is used and reserved, now and at most, is 0.
pub(crate) fn cuDeviceGetGraphMemAttribute(
    device: CUdevice,
    attribute: CUgraphMem_attribute,
    value: Untyped,
) -> Done {
    on(device)?;
    match attribute {
        0..=3 => value.put(0_u64),
        _ => return Err(INVALID),
    }
    Ok(())
}

/// The highest sizes can be set to 0 alone.
pub(crate) fn cuDeviceSetGraphMemAttribute(
    device: CUdevice,
    attribute: CUgraphMem_attribute,
    value: Untyped,
) -> Done {
    on(device)?;
    match attribute {
        1 | 3 if value.take::<u64>() == 0 => Ok(()),
        _ => Err(INVALID),
    }
}

pub(crate) fn cuDeviceGraphMemTrim(device: CUdevice) -> Done {
    on(device).map(|_| ())
}
