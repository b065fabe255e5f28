//! The types of the driver API, by the names of the crate cudarc. An
//! enumeration is a number here: a program may pass any.
#![allow(non_camel_case_types)]

use core::ffi::{c_int, c_uint, c_ulonglong, c_void};

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct CUresult(pub u32);

macro_rules! types {
    ($($name:ident = $type:ty),* $(,)?) => {
        $(#[doc = concat!("`", stringify!($name), "`.")] pub type $name = $type;)*
    };
}

types! {
    CUdevice = c_int,
    CUdeviceptr = c_ulonglong,
    CUcontext = *mut c_void,
    CUstream = *mut c_void,
    CUevent = *mut c_void,
    CUctxCreateParams = c_void,
    CUdevice_attribute = c_uint,
    CUpointer_attribute = c_uint,
    CUstreamCaptureStatus = c_uint,
    CUdriverProcAddressQueryResult = c_uint,
    CUmodule = *mut c_void,
    CUlibrary = *mut c_void,
    CUfunction = *mut c_void,
    CUkernel = *mut c_void,
    CUgraph = *mut c_void,
    CUgraphNode = *mut c_void,
    CUgraphExec = *mut c_void,
    CUuserObject = *mut c_void,
    CUmemGenericAllocationHandle = c_ulonglong,
    CUmemAllocationHandleType = c_uint,
    CUmemAllocationType = c_uint,
    CUmemAllocationGranularity_flags = c_uint,
    CUmemRangeHandleType = c_uint,
    CUmemAccess_flags = c_uint,
    CUmem_advise = c_uint,
    CUmem_range_attribute = c_uint,
    CUgraphMem_attribute = c_uint,
    CUgraphNodeType = c_uint,
    CUgraphExecUpdateResult = c_uint,
    CUfunc_cache = c_uint,
    CUsharedconfig = c_uint,
    CUexecAffinityType = c_uint,
    CUdevice_P2PAttribute = c_uint,
    CUfunctionLoadingState = c_uint,
    CUmoduleLoadingMode = c_uint,
    CUstreamAttrID = c_uint,
    CUstreamAttrValue = CUlaunchAttributeValue,
    CUkernelNodeAttrID = c_uint,
    CUkernelNodeAttrValue = CUlaunchAttributeValue,
    CUoutput_mode = c_uint,
    CUflushGPUDirectRDMAWritesTarget = c_uint,
    CUflushGPUDirectRDMAWritesScope = c_uint,
    CUgreenCtx = *mut c_void,
    CUDA_MEMCPY3D_PEER = CUDA_MEMCPY3D,
    CUhostFn = Option<unsafe extern "C" fn(*mut c_void)>,
    CUstreamCallback = Option<unsafe extern "C" fn(CUstream, CUresult, *mut c_void)>,
    CUoccupancyB2DSize = Option<unsafe extern "C" fn(c_int) -> usize>,
    cuuint32_t = u32,
    CUlinkState = *mut c_void,
    CUmemoryPool = *mut c_void,
    CUmemPool_attribute = c_uint,
    CUjitInputType = c_uint,
    CUlimit = c_uint,
    CUstreamCaptureMode = c_uint,
    CUfunction_attribute = c_uint,
    CUjit_option = c_uint,
    CUlibraryOption = c_uint,
    cuuint64_t = u64,
}

/// `CUuuid`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CUuuid {
    /// Its bytes.
    pub bytes: [u8; 16],
}

/// `CUDA_KERNEL_NODE_PARAMS`, as far as all versions of it are the same.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CUDA_KERNEL_NODE_PARAMS {
    /// `func`.
    pub function: CUfunction,
    /// `gridDimX` to `gridDimZ`.
    pub grid: [c_uint; 3],
    /// `blockDimX` to `blockDimZ`.
    pub block: [c_uint; 3],
    /// `sharedMemBytes`.
    pub shared: c_uint,
    /// `kernelParams`.
    pub parameters: *mut *mut c_void,
    /// `extra`.
    pub extra: *mut *mut c_void,
}

/// `CUlaunchConfig`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CUlaunchConfig {
    /// `gridDimX` to `gridDimZ`.
    pub grid: [c_uint; 3],
    /// `blockDimX` to `blockDimZ`.
    pub block: [c_uint; 3],
    /// `sharedMemBytes`.
    pub shared: c_uint,
    /// `hStream`.
    pub stream: CUstream,
    /// `attrs`: a cluster's shape and the like.
    pub attributes: *mut CUlaunchAttribute,
    /// `numAttrs`.
    pub attribute_count: c_uint,
}

/// `CUlaunchAttribute`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CUlaunchAttribute {
    /// `id`.
    pub id: c_uint,
    /// `pad`.
    pub pad: c_uint,
    /// `value`, a union: three numbers for a cluster, one for most others.
    pub value: [c_uint; 16],
}

/// `CUmemPoolProps`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CUmemPoolProps {
    /// `allocType`.
    pub kind: c_uint,
    /// `handleTypes`: how other processes could reach the pool.
    pub handles: c_uint,
    /// `location.type`.
    pub location: c_uint,
    /// `location.id`.
    pub device: c_int,
    /// `win32SecurityAttributes`.
    pub security: *mut c_void,
    /// `maxSize`; 0 is any.
    pub most: usize,
    /// `usage`, and what is reserved.
    pub reserved: [u8; 56],
}

/// One side of [`CUDA_MEMCPY3D`].
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CopySide {
    /// `XInBytes`.
    pub x: usize,
    /// `Y`.
    pub y: usize,
    /// `Z`.
    pub z: usize,
    /// `LOD`.
    pub level: usize,
    /// `MemoryType`.
    pub kind: c_uint,
    /// `Host`.
    pub host: *const c_void,
    /// `Device`.
    pub device: CUdeviceptr,
    /// `Array`.
    pub array: *mut c_void,
    /// `reserved`.
    pub reserved: *mut c_void,
    /// `Pitch`: bytes from a row to the next.
    pub pitch: usize,
    /// `Height`: rows from a slice to the next.
    pub height: usize,
}

/// `CUDA_MEMCPY3D`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CUDA_MEMCPY3D {
    /// `src…`.
    pub source: CopySide,
    /// `dst…`.
    pub destination: CopySide,
    /// `WidthInBytes`.
    pub width: usize,
    /// `Height`.
    pub height: usize,
    /// `Depth`.
    pub depth: usize,
}

/// `CUDA_MEMCPY2D`'s sides.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CopySide2D {
    /// `XInBytes`.
    pub x: usize,
    /// `Y`.
    pub y: usize,
    /// `MemoryType`.
    pub kind: c_uint,
    /// `Host`.
    pub host: *const c_void,
    /// `Device`.
    pub device: CUdeviceptr,
    /// `Array`.
    pub array: *mut c_void,
    /// `Pitch`: bytes from a row to the next.
    pub pitch: usize,
}

/// `CUDA_MEMCPY2D`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CUDA_MEMCPY2D {
    /// `src…`.
    pub source: CopySide2D,
    /// `dst…`.
    pub destination: CopySide2D,
    /// `WidthInBytes`.
    pub width: usize,
    /// `Height`.
    pub height: usize,
}

/// `CUDA_MEMSET_NODE_PARAMS`, as far as all versions of it are the same.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct CUDA_MEMSET_NODE_PARAMS {
    /// `dst`.
    pub destination: CUdeviceptr,
    /// `pitch`: bytes from a row to the next, where there is more than one.
    pub pitch: usize,
    /// `value`.
    pub value: c_uint,
    /// `elementSize`: 1, 2 or 4.
    pub element: c_uint,
    /// `width`, in elements.
    pub width: usize,
    /// `height`.
    pub height: usize,
}

/// `CUDA_HOST_NODE_PARAMS`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CUDA_HOST_NODE_PARAMS {
    /// `fn`.
    pub function: CUhostFn,
    /// `userData`.
    pub data: *mut c_void,
}

/// `CUgraphNodeParams`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CUgraphNodeParams {
    /// `type`.
    pub kind: CUgraphNodeType,
    /// `reserved0`.
    pub reserved: [c_int; 3],
    /// A union: the parameters of a node of that kind.
    pub parameters: [u64; 29],
    /// `reserved2`.
    pub end: i64,
}

/// `CUgraphEdgeData`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CUgraphEdgeData {
    /// All of it; 0 is a plain edge.
    pub bytes: [u8; 8],
}

/// `CUgraphExecUpdateResultInfo`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CUgraphExecUpdateResultInfo {
    /// `result`.
    pub result: CUgraphExecUpdateResult,
    /// `errorNode`.
    pub node: CUgraphNode,
    /// `errorFromNode`.
    pub from: CUgraphNode,
}

/// `CUDA_GRAPH_INSTANTIATE_PARAMS`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CUDA_GRAPH_INSTANTIATE_PARAMS {
    /// `flags`.
    pub flags: u64,
    /// `hUploadStream`.
    pub stream: CUstream,
    /// `hErrNode_out`.
    pub node: CUgraphNode,
    /// `result_out`.
    pub result: c_uint,
}

/// `CUmemLocation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct CUmemLocation {
    /// `type`.
    pub kind: c_uint,
    /// `id`.
    pub id: c_int,
}

/// `CUmemAccessDesc`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CUmemAccessDesc {
    /// `location`.
    pub location: CUmemLocation,
    /// `flags`.
    pub flags: CUmemAccess_flags,
}

/// `CUmemAllocationProp`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CUmemAllocationProp {
    /// `type`.
    pub kind: c_uint,
    /// `requestedHandleTypes`: how other processes could reach the memory.
    pub handles: c_uint,
    /// `location`.
    pub location: CUmemLocation,
    /// `win32HandleMetaData`.
    pub security: *mut c_void,
    /// `allocFlags`: compression, direct access of others, usage.
    pub flags: [u8; 8],
}

/// `CUlaunchAttributeValue`, and the values of streams and kernel nodes.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CUlaunchAttributeValue {
    /// A union: three numbers for a cluster, one for most others.
    pub words: [u64; 8],
}

/// `CUdevprop`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct CUdevprop {
    /// `maxThreadsPerBlock`, `maxThreadsDim`, `maxGridSize`, `sharedMemPerBlock`,
    /// `totalConstantMemory`, `SIMDWidth`, `memPitch`, `regsPerBlock`, `clockRate`, `textureAlign`.
    pub values: [c_int; 14],
}

/// `CUexecAffinityParam`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CUexecAffinityParam {
    /// `type`.
    pub kind: c_uint,
    /// `param`: how many multiprocessors.
    pub multiprocessors: c_uint,
}

/// `CUstreamBatchMemOpParams`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CUstreamBatchMemOpParams {
    /// A union: the operation in the low half of the first word, then address, value, flags.
    pub words: [u64; 6],
}

/// `CUipcMemHandle`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CUipcMemHandle {
    /// `reserved`.
    pub bytes: [u8; 64],
}

/// `CUipcEventHandle`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CUipcEventHandle {
    /// `reserved`.
    pub bytes: [u8; 64],
}

/// `CUmemcpyAttributes`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CUmemcpyAttributes {
    /// `srcAccessOrder`, and hints.
    pub words: [c_uint; 6],
}
