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
    CUgraphEdgeData = c_void,
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
