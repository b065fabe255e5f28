/// Memory that the device and the program share: there is none, and each says so.
pub trait Managed {
    #[local]
    #[since(6000)]
    fn cuMemAllocManaged(#[out] dptr: *mut CUdeviceptr, bytesize: usize, flags: c_uint);
    #[local]
    #[since(8000)]
    fn cuMemAdvise(devPtr: CUdeviceptr, count: usize, advice: CUmem_advise, device: CUdevice);
    #[local]
    #[since(12020)]
    fn cuMemAdvise_v2(
        devPtr: CUdeviceptr,
        count: usize,
        advice: CUmem_advise,
        location: CUmemLocation,
    );
    #[local]
    #[since(8000)]
    #[per_thread(ptsz)]
    fn cuMemPrefetchAsync(
        devPtr: CUdeviceptr,
        count: usize,
        dstDevice: CUdevice,
        hStream: CUstream,
    );
    #[local]
    #[since(12020)]
    #[per_thread(ptsz)]
    fn cuMemPrefetchAsync_v2(
        devPtr: CUdeviceptr,
        count: usize,
        location: CUmemLocation,
        flags: c_uint,
        hStream: CUstream,
    );
    #[local]
    #[since(8000)]
    fn cuMemRangeGetAttribute(
        data: *mut c_void,
        dataSize: usize,
        attribute: CUmem_range_attribute,
        devPtr: CUdeviceptr,
        count: usize,
    );
    #[local]
    #[since(8000)]
    fn cuMemRangeGetAttributes(
        data: *mut *mut c_void,
        dataSizes: *mut usize,
        attributes: *mut CUmem_range_attribute,
        numAttributes: usize,
        devPtr: CUdeviceptr,
        count: usize,
    );
    #[local]
    #[since(6000)]
    #[per_thread(ptsz)]
    fn cuStreamAttachMemAsync(hStream: CUstream, dptr: CUdeviceptr, length: usize, flags: c_uint);
    #[local]
    #[since(12000)]
    fn cuLibraryGetManaged(
        dptr: *mut CUdeviceptr,
        bytes: *mut usize,
        library: CUlibrary,
        #[text] name: *const c_char,
    );
}
