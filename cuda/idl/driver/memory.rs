/// Device memory, and pinned memory of the host.
pub trait Memory {
    #[sync]
    #[since(3020)]
    fn cuMemAlloc_v2(#[out] dptr: *mut CUdeviceptr, bytesize: usize);
    #[asynchronous]
    #[since(3020)]
    fn cuMemFree_v2(dptr: CUdeviceptr);
    #[sync]
    #[since(3020)]
    fn cuMemGetInfo_v2(
        #[out]
        #[optional]
        free: *mut usize,
        #[out]
        #[optional]
        total: *mut usize,
    );
    #[sync]
    #[since(2020)]
    fn cuMemHostAlloc(#[out] pp: *mut *mut c_void, bytesize: usize, Flags: c_uint);
    #[sync]
    #[since(3020)]
    fn cuMemAllocHost_v2(#[out] pp: *mut *mut c_void, bytesize: usize);
    #[sync]
    #[since(2000)]
    fn cuMemFreeHost(p: *mut c_void);
    #[local]
    #[since(4000)]
    fn cuPointerGetAttribute(
        #[by(untyped)] data: *mut c_void,
        attribute: CUpointer_attribute,
        ptr: CUdeviceptr,
    );
    #[local]
    #[since(3020)]
    fn cuMemGetAddressRange_v2(
        #[out]
        #[optional]
        pbase: *mut CUdeviceptr,
        #[out]
        #[optional]
        psize: *mut usize,
        dptr: CUdeviceptr,
    );
    #[sync]
    #[since(3020)]
    fn cuMemAllocPitch_v2(
        #[out] dptr: *mut CUdeviceptr,
        #[out] pPitch: *mut usize,
        WidthInBytes: usize,
        Height: usize,
        ElementSizeBytes: c_uint,
    );
    #[local]
    #[since(6050)]
    #[first(4000)]
    fn cuMemHostRegister_v2(p: *mut c_void, bytesize: usize, Flags: c_uint);
    #[local]
    #[since(4000)]
    fn cuMemHostUnregister(p: *mut c_void);
    #[local]
    #[since(3020)]
    fn cuMemHostGetDevicePointer_v2(#[out] pdptr: *mut CUdeviceptr, p: *mut c_void, Flags: c_uint);
    #[local]
    #[since(2030)]
    fn cuMemHostGetFlags(#[out] pFlags: *mut c_uint, p: *mut c_void);
    #[local]
    #[since(7000)]
    fn cuPointerGetAttributes(
        numAttributes: c_uint,
        #[input]
        #[list(numAttributes)]
        attributes: *mut CUpointer_attribute,
        #[input]
        #[list(numAttributes)]
        data: *mut *mut c_void,
        ptr: CUdeviceptr,
    );
    #[local]
    #[since(6000)]
    fn cuPointerSetAttribute(
        value: *const c_void,
        attribute: CUpointer_attribute,
        ptr: CUdeviceptr,
    );
}
