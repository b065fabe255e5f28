//! What is at an address, and memory of the program that it registers.

use std::ffi::{c_uint, c_void};

use vgpu_cuda_wire::{CUdeviceptr, CUpointer_attribute, CUresult};
use vgpu_transport::Transport;

use super::current::in_context;
use super::memory::end_region;
use crate::Done;
use crate::allocations::{Backing, Device, Kind};
use crate::contexts::current;
use crate::pointers::{Untyped, lent};
use crate::session::Session;
use crate::worker::Worker;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

/// Memory that is registered is shared with the worker, as far as that can be: it is copied as any other otherwise, such as
/// where it shares a page with other such memory, or there is no driver.
pub(crate) fn cuMemHostRegister_v2(pointer: *mut c_void, size: usize, flags: c_uint) -> Done {
    // For all contexts, mapped, of a device, and only read.
    const ALL: c_uint = 15;
    const OF_DEVICE: c_uint = 4;
    let session = in_context()?;
    if pointer.is_null() || size == 0 || flags & !ALL != 0 {
        return Err(INVALID);
    }
    if flags & OF_DEVICE != 0 {
        return Err(CUresult::CUDA_ERROR_NOT_PERMITTED);
    }
    let (start, context) = (pointer.addr(), current().addr());
    let Worker {
        allocations,
        connection,
        ..
    } = &session.worker;
    allocations.pin(start, size, context, flags, Backing::Copied)?;
    if let Some((pages, before)) = lent(pointer, size)
        && let Ok(region) = connection.transport().lend(pages)
        && !allocations.lend(start, region, before)
    {
        end_region(session, region)?;
    }
    Ok(())
}

pub(crate) fn cuMemHostUnregister(pointer: *mut c_void) -> Done {
    let session = in_context()?;
    let region = session.worker.allocations.unregister(pointer.addr())?;
    region.map_or(Ok(()), |region| end_region(session, region))
}

/// Kernels reach no memory of the program, which an attribute of the device says.
pub(crate) fn cuMemHostGetDevicePointer_v2(
    _device: &mut CUdeviceptr,
    pointer: *mut c_void,
    flags: c_uint,
) -> Done {
    let session = in_context()?;
    if flags != 0
        || session
            .worker
            .allocations
            .pinned_at(pointer.addr())
            .is_none()
    {
        return Err(INVALID);
    }
    Err(crate::unsupported(
        "memory of the program that kernels reach",
    ))
}

pub(crate) fn cuMemHostGetFlags(flags: &mut c_uint, pointer: *mut c_void) -> Done {
    let found = in_context()?.worker.allocations.pinned_at(pointer.addr());
    *flags = found.ok_or(INVALID)?.2;
    Ok(())
}

/// What is at an address.
enum Found {
    Device(u64, Device),
    /// Pinned memory: its start and size.
    Host(usize, usize),
}

fn find(session: &'static Session, address: u64) -> Option<Found> {
    if let Ok((start, device)) = session.worker.allocations.find(address) {
        return Some(Found::Device(start, device));
    }
    let host = usize::try_from(address).ok()?;
    let (start, size, _) = session.worker.allocations.pinned_at(host)?;
    Some(Found::Host(start, size))
}

// The values of CUpointer_attribute.
const CONTEXT: u32 = 1;
const MEMORY_TYPE: u32 = 2;
const DEVICE_POINTER: u32 = 3;
const HOST_POINTER: u32 = 4;
const SYNC_MEMOPS: u32 = 6;
const BUFFER_ID: u32 = 7;
const IS_MANAGED: u32 = 8;
const DEVICE_ORDINAL: u32 = 9;
const FOR_OTHERS: u32 = 10;
const RANGE_START: u32 = 11;
const RANGE_SIZE: u32 = 12;
const MAPPED: u32 = 13;
const HANDLE_TYPES: u32 = 14;
const FOR_DEVICES: u32 = 15;
const ACCESS: u32 = 16;
const POOL: u32 = 17;
const LAST: u32 = 21;

/// An attribute's value, by its type.
enum Value {
    Address(u64),
    Number(c_uint),
    Bool(bool),
    Nothing,
}

fn attribute(
    found: &Found,
    attribute: CUpointer_attribute,
    address: u64,
) -> Result<Value, CUresult> {
    const READ_WRITE: u32 = 3;
    Ok(match (attribute, found) {
        (CONTEXT, Found::Device(_, device)) => Value::Address(device.context as u64),
        (CONTEXT, Found::Host(..)) => Value::Address(current().addr() as u64),
        (MEMORY_TYPE, Found::Device(..)) => Value::Number(2),
        (MEMORY_TYPE, Found::Host(..)) => Value::Number(1),
        (DEVICE_POINTER, Found::Device(..)) | (HOST_POINTER, Found::Host(..)) => {
            Value::Address(address)
        }
        (SYNC_MEMOPS | IS_MANAGED | FOR_OTHERS | FOR_DEVICES, _) => Value::Bool(false),
        // An address is never given twice.
        (BUFFER_ID | RANGE_START, Found::Device(start, _)) => Value::Address(*start),
        (BUFFER_ID | RANGE_START, Found::Host(start, _)) => Value::Address(*start as u64),
        (DEVICE_ORDINAL, _) => Value::Number(0),
        (RANGE_SIZE, Found::Device(_, device)) => Value::Address(device.size),
        (RANGE_SIZE, Found::Host(_, size)) => Value::Address(*size as u64),
        (MAPPED, found) => Value::Bool(matches!(found, Found::Device(..))),
        (HANDLE_TYPES, _) => Value::Address(0),
        (ACCESS, Found::Device(..)) => Value::Number(READ_WRITE),
        (POOL, Found::Device(_, device)) => Value::Address(device.pool as u64),
        (POOL, Found::Host(..)) => Value::Nothing,
        _ => return Err(INVALID),
    })
}

fn put(data: Untyped, value: &Value) {
    match value {
        Value::Address(value) => data.put(*value),
        Value::Number(value) => data.put(*value),
        Value::Bool(value) => data.put(u8::from(*value)),
        Value::Nothing => data.put(0_u64),
    }
}

pub(crate) fn cuPointerGetAttribute(
    data: Untyped,
    wanted: CUpointer_attribute,
    pointer: CUdeviceptr,
) -> Done {
    let session = in_context()?;
    let found = find(session, pointer).ok_or(INVALID)?;
    put(data, &attribute(&found, wanted, pointer)?);
    Ok(())
}

/// What is not known, of an address or of an attribute, is 0: that is no error here. The device is
/// -2 where there is none.
pub(crate) fn cuPointerGetAttributes(
    _count: c_uint,
    wanted: &[CUpointer_attribute],
    data: &[*mut c_void],
    pointer: CUdeviceptr,
) -> Done {
    const NO_DEVICE: i32 = -2;
    let session = in_context()?;
    let found = find(session, pointer);
    for (wanted, data) in wanted.iter().zip(data) {
        if !(1..=LAST).contains(wanted) {
            return Err(INVALID);
        }
        let data = Untyped::listed(*data)?;
        let value = found
            .as_ref()
            .map(|found| attribute(found, *wanted, pointer));
        match (value, *wanted) {
            (Some(Ok(value)), _) => put(data, &value),
            (_, DEVICE_ORDINAL) => data.put(NO_DEVICE),
            (_, MEMORY_TYPE | ACCESS) => data.put::<c_uint>(0),
            (_, SYNC_MEMOPS | IS_MANAGED | FOR_OTHERS | MAPPED | FOR_DEVICES) => data.put(0_u8),
            _ => data.put(0_u64),
        }
    }
    Ok(())
}

/// Copies wait where they have to, whatever a program asks for.
pub(crate) fn cuPointerSetAttribute(
    value: *const c_void,
    attribute: CUpointer_attribute,
    pointer: CUdeviceptr,
) -> Done {
    let session = in_context()?;
    let found = session.worker.allocations.find(pointer)?.1;
    match attribute {
        SYNC_MEMOPS if !value.is_null() && found.kind == Kind::Allocation => Ok(()),
        _ => Err(INVALID),
    }
}
