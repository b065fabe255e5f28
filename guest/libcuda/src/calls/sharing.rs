//! Memory and events of other processes and devices. There are none: nothing can be handed out, and
//! what another process handed out cannot be taken.

use std::ffi::{c_int, c_uint, c_ulonglong, c_void};

use vgpu_cuda_wire::{
    CUdevice, CUdevice_P2PAttribute, CUdeviceptr, CUevent, CUipcEventHandle, CUipcMemHandle,
    CUmemAllocationHandleType, CUmemGenericAllocationHandle, CUmemRangeHandleType, CUmemoryPool,
    CUresult,
};

use super::current::in_context;
use super::devices::on;
use crate::Done;
use crate::session::session;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

/// No event was made for other processes.
pub(crate) fn cuIpcGetEventHandle(_handle: &mut CUipcEventHandle, event: CUevent) -> Done {
    in_context()?.contexts.events.get(event)?;
    Err(CUresult::CUDA_ERROR_INVALID_HANDLE)
}

pub(crate) fn cuIpcOpenEventHandle(_event: &mut CUevent, _handle: CUipcEventHandle) -> Done {
    in_context()?;
    Err(crate::unsupported("an event of another process"))
}

pub(crate) fn cuIpcGetMemHandle(_handle: &mut CUipcMemHandle, pointer: CUdeviceptr) -> Done {
    in_context()?.worker.allocations.find(pointer)?;
    Err(crate::unsupported("memory for other processes"))
}

pub(crate) fn cuIpcOpenMemHandle_v2(
    _pointer: &mut CUdeviceptr,
    _handle: CUipcMemHandle,
    flags: c_uint,
) -> Done {
    // CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS: the one flag.
    const PEERS: c_uint = 1;
    in_context()?;
    match flags {
        PEERS => Err(crate::unsupported("memory of another process")),
        _ => Err(INVALID),
    }
}

/// None was opened.
pub(crate) fn cuIpcCloseMemHandle(_pointer: CUdeviceptr) -> Done {
    in_context()?;
    Err(INVALID)
}

/// No memory was made for other processes.
pub(crate) fn cuMemExportToShareableHandle(
    _shared: *mut c_void,
    handle: CUmemGenericAllocationHandle,
    _kind: CUmemAllocationHandleType,
    _flags: c_ulonglong,
) -> Done {
    session()?.mappings.properties(handle)?;
    Err(INVALID)
}

pub(crate) fn cuMemImportFromShareableHandle(
    _handle: &mut CUmemGenericAllocationHandle,
    _shared: *mut c_void,
    _kind: CUmemAllocationHandleType,
) -> Done {
    session()?;
    Err(crate::unsupported("memory of another process"))
}

pub(crate) fn cuMemGetHandleForAddressRange(
    _handle: *mut c_void,
    pointer: CUdeviceptr,
    size: usize,
    _kind: CUmemRangeHandleType,
    _flags: c_ulonglong,
) -> Done {
    in_context()?.worker.allocations.check(pointer, size)?;
    Err(crate::unsupported("memory for other devices"))
}

/// No pool was made for other processes.
pub(crate) fn cuMemPoolExportToShareableHandle(
    _handle: *mut c_void,
    pool: CUmemoryPool,
    _kind: CUmemAllocationHandleType,
    _flags: c_ulonglong,
) -> Done {
    session()?.pools.get(pool)?;
    Err(INVALID)
}

pub(crate) fn cuMemPoolImportFromShareableHandle(
    _pool: &mut CUmemoryPool,
    _handle: *mut c_void,
    _kind: CUmemAllocationHandleType,
    _flags: c_ulonglong,
) -> Done {
    session()?;
    Err(crate::unsupported("a pool of another process"))
}

/// There is one device, which has no other beside it.
pub(crate) fn cuDeviceGetP2PAttribute(
    _value: &mut c_int,
    _attribute: CUdevice_P2PAttribute,
    from: CUdevice,
    to: CUdevice,
) -> Done {
    on(from)?;
    on(to)?;
    Err(CUresult::CUDA_ERROR_INVALID_DEVICE)
}
