/// Copies and fills.
pub trait Copies {
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptds)]
    fn cuMemcpyHtoD_v2(
        dstDevice: CUdeviceptr,
        #[bytes(ByteCount)] srcHost: *const c_void,
        ByteCount: usize,
    );
    #[sync]
    #[since(3020)]
    #[per_thread(ptds)]
    fn cuMemcpyDtoH_v2(
        #[bytes(ByteCount)] dstHost: *mut c_void,
        srcDevice: CUdeviceptr,
        ByteCount: usize,
    );
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptds)]
    fn cuMemcpyDtoD_v2(dstDevice: CUdeviceptr, srcDevice: CUdeviceptr, ByteCount: usize);
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptsz)]
    fn cuMemcpyHtoDAsync_v2(
        dstDevice: CUdeviceptr,
        #[bytes(ByteCount)] srcHost: *const c_void,
        ByteCount: usize,
        hStream: CUstream,
    );
    #[sync]
    #[since(3020)]
    #[per_thread(ptsz)]
    fn cuMemcpyDtoHAsync_v2(
        #[bytes(ByteCount)] dstHost: *mut c_void,
        srcDevice: CUdeviceptr,
        ByteCount: usize,
        hStream: CUstream,
    );
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptsz)]
    fn cuMemcpyDtoDAsync_v2(
        dstDevice: CUdeviceptr,
        srcDevice: CUdeviceptr,
        ByteCount: usize,
        hStream: CUstream,
    );
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptds)]
    fn cuMemsetD8_v2(dstDevice: CUdeviceptr, uc: c_uchar, N: usize);
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptds)]
    fn cuMemsetD16_v2(dstDevice: CUdeviceptr, us: c_ushort, N: usize);
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptds)]
    fn cuMemsetD32_v2(dstDevice: CUdeviceptr, ui: c_uint, N: usize);
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptsz)]
    fn cuMemsetD8Async(dstDevice: CUdeviceptr, uc: c_uchar, N: usize, hStream: CUstream);
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptsz)]
    fn cuMemsetD16Async(dstDevice: CUdeviceptr, us: c_ushort, N: usize, hStream: CUstream);
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptsz)]
    fn cuMemsetD32Async(dstDevice: CUdeviceptr, ui: c_uint, N: usize, hStream: CUstream);
}
