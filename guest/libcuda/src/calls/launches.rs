//! Functions, what they are, and launches of them.

use std::ffi::{c_int, c_uint};
use std::sync::atomic::Ordering;

use vgpu_cuda_wire::{
    Attribute, CUdevice, CUfunction, CUfunction_attribute, CUkernel, CUlaunchAttribute, CUresult,
    CUstream,
};

use super::current::{in_context, run, stream};
use super::devices::on;
use super::nodes::kernel;
use crate::Done;
use crate::launch::Launch;
use crate::modules::Function;
use crate::pointers::{Arguments, KernelCall, KernelNode, LaunchConfig, Room};
use crate::session::{Session, session};

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

/// `CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES`.
const SHARED_LIMIT: u32 = 8;

fn attribute(function: &Function, attribute: CUfunction_attribute) -> Option<c_int> {
    let about = &function.about;
    let number = match attribute {
        // MAX_THREADS_PER_BLOCK, SHARED_SIZE_BYTES, CONST_SIZE_BYTES.
        0 => about.max_threads,
        1 => about.shared_size,
        2 => 0,
        // LOCAL_SIZE_BYTES, NUM_REGS.
        3 => about.local_size,
        4 => about.registers,
        // PTX_VERSION, BINARY_VERSION, CACHE_MODE_CA.
        5 => about.ptx_version,
        6 => about.ptx_version,
        7 => 0,
        SHARED_LIMIT => return Some(function.shared_limit.load(Ordering::Relaxed)),
        // PREFERRED_SHARED_MEMORY_CARVEOUT: no preference.
        9 => return Some(-1),
        _ => return None,
    };
    c_int::try_from(number).ok()
}

pub(crate) fn cuFuncGetAttribute(
    value: &mut c_int,
    wanted: CUfunction_attribute,
    function: CUfunction,
) -> Done {
    let function = session()?.modules.functions.get(function)?;
    *value = attribute(&function, wanted).ok_or(INVALID)?;
    Ok(())
}

pub(crate) fn cuFuncSetAttribute(
    function: CUfunction,
    attribute: CUfunction_attribute,
    value: c_int,
) -> Done {
    let session = session()?;
    let function = session.modules.functions.get(function)?;
    match attribute {
        SHARED_LIMIT => {
            let [optin] = session
                .worker
                .connection
                .attributes(Attribute::MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
            let most = optin.saturating_sub(function.about.shared_size);
            if !u32::try_from(value).is_ok_and(|value| value <= most) {
                return Err(INVALID);
            }
            function.shared_limit.store(value, Ordering::Relaxed);
            Ok(())
        }
        // The carveout is a hint.
        9 if (-1..=100).contains(&value) => Ok(()),
        _ => Err(INVALID),
    }
}

pub(crate) fn cuKernelGetAttribute(
    value: &mut c_int,
    attribute: CUfunction_attribute,
    kernel: CUkernel,
    device: CUdevice,
) -> Done {
    on(device)?;
    cuFuncGetAttribute(value, attribute, kernel)
}

pub(crate) fn cuKernelSetAttribute(
    attribute: CUfunction_attribute,
    value: c_int,
    kernel: CUkernel,
    device: CUdevice,
) -> Done {
    on(device)?;
    cuFuncSetAttribute(kernel, attribute, value)
}

pub(crate) fn cuFuncGetParamInfo(
    function: CUfunction,
    index: usize,
    offset: &mut usize,
    size: Option<&mut usize>,
) -> Done {
    let function = session()?.modules.functions.get(function)?;
    let &(place, length) = function.about.parameters.get(index).ok_or(INVALID)?;
    *offset = place as usize;
    if let Some(size) = size {
        *size = length as usize;
    }
    Ok(())
}

#[inline(always)]
fn launch(session: &'static Session, function: CUfunction, call: KernelCall, of: CUstream) -> Done {
    let stream = stream(session, of)?;
    if session.captures.any() {
        return captured(session, function, call, of);
    }
    let connection = &session.worker.connection;
    let launched = session.modules.launched(function)?;
    let mut room = Room::new();
    let (launch, parameters) = Launch::new(connection, &launched.function, call, &mut room)?;
    let done = launch.send(connection, stream, parameters);
    launched.keep();
    done
}

/// A launch while streams capture.
#[cold]
fn captured(
    session: &'static Session,
    function: CUfunction,
    call: KernelCall,
    of: CUstream,
) -> Done {
    run(session, of, || {
        kernel(session, &KernelNode { function, call })
    })
}

// All of it is one function with the symbol: what there is to hand over would
// cost as much as what is done.
#[inline(always)]
pub(crate) fn cuLaunchKernel(
    function: CUfunction,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    shared: c_uint,
    of: CUstream,
    parameters: Arguments,
    extra: Arguments,
) -> Done {
    let session = in_context()?;
    let call = KernelCall {
        grid: [grid_x, grid_y, grid_z],
        block: [block_x, block_y, block_z],
        shared,
        arguments: parameters,
        extra,
    };
    launch(session, function, call, of)
}

/// What an attribute of a launch asks for, where it is more than advice.
fn attribute_of_launch(attribute: &CUlaunchAttribute) -> Done {
    let [first, second, third, ..] = attribute.value;
    match attribute.id {
        // Nothing, a window of the cache, how to wait, how clusters are spread,
        // no wait for the kernel before (in order is one way), a priority, domains
        // of memory and their synchronisation, shared memory's share of the
        // cache, how links are used.
        0 | 1 | 3 | 5 | 6 | 8 | 9 | 10 | 14 | 16 => Ok(()),
        // A launch whose blocks wait for each other.
        2 if first == 0 => Ok(()),
        2 => Err(crate::unsupported("a cooperative launch")),
        // A cluster of one block is none. 11 is what is preferred.
        4 | 11 if [first, second, third].iter().all(|&side| side <= 1) => Ok(()),
        4 | 11 => Err(crate::unsupported("a cluster of blocks")),
        7 | 12 => Err(crate::unsupported("an event that a kernel fires")),
        13 => Err(crate::unsupported("a node that kernels change")),
        _ => Err(INVALID),
    }
}

pub(crate) fn cuLaunchKernelEx(
    config: LaunchConfig<'_>,
    function: CUfunction,
    parameters: Arguments,
    extra: Arguments,
) -> Done {
    let session = in_context()?;
    config.attributes.iter().try_for_each(attribute_of_launch)?;
    let call = KernelCall {
        grid: config.grid,
        block: config.block,
        shared: config.shared,
        arguments: parameters,
        extra,
    };
    launch(session, function, call, config.stream)
}
