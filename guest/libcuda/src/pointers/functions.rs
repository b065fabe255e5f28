//! Functions of the program that are called back.

use std::ffi::{c_int, c_void};
use std::ptr;

use vgpu_cuda_wire::{
    CUDA_HOST_NODE_PARAMS, CUhostFn, CUoccupancyB2DSize, CUresult, CUstream, CUstreamCallback,
};

use super::references::INVALID;

/// A function of the program, and what it gets. By the driver API it may be called from any thread
/// once the work before it is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostFunction {
    function: unsafe extern "C" fn(*mut c_void),
    data: usize,
}

impl HostFunction {
    pub(crate) fn new(function: CUhostFn, data: *mut c_void) -> Result<Self, CUresult> {
        Ok(Self {
            function: function.ok_or(INVALID)?,
            data: data.expose_provenance(),
        })
    }

    pub(crate) fn call(self) {
        // SAFETY: by the driver API the function takes what was stated with it.
        unsafe { (self.function)(ptr::with_exposed_provenance_mut(self.data)) };
    }

    /// As a program would state it.
    pub(crate) fn stated(self) -> CUDA_HOST_NODE_PARAMS {
        CUDA_HOST_NODE_PARAMS {
            function: Some(self.function),
            data: ptr::with_exposed_provenance_mut(self.data),
        }
    }
}

/// A function of the program that gets its stream and the status too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamFunction {
    function: unsafe extern "C" fn(CUstream, CUresult, *mut c_void),
    stream: usize,
    data: usize,
}

impl StreamFunction {
    pub(crate) fn new(
        function: CUstreamCallback,
        stream: CUstream,
        data: *mut c_void,
    ) -> Result<Self, CUresult> {
        Ok(Self {
            function: function.ok_or(INVALID)?,
            stream: stream.addr(),
            data: data.expose_provenance(),
        })
    }

    pub(crate) fn call(self, status: CUresult) {
        let stream = ptr::without_provenance_mut(self.stream);
        let data = ptr::with_exposed_provenance_mut(self.data);
        // SAFETY: as for `HostFunction`.
        unsafe { (self.function)(stream, status, data) };
    }
}

/// Dynamic shared memory, in bytes, that a block of so many threads needs, by the program's own
/// function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SharedOfBlock(CUoccupancyB2DSize);

impl SharedOfBlock {
    pub(crate) const fn new(function: CUoccupancyB2DSize) -> Self {
        Self(function)
    }

    /// `other` where the program gave no function.
    pub(crate) fn of(self, threads: c_int, other: usize) -> usize {
        match self.0 {
            // SAFETY: by the driver API the function may be called during the call that it is for.
            Some(function) => unsafe { function(threads) },
            None => other,
        }
    }
}
