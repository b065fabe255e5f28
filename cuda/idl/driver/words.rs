/// Single words that a stream writes, or waits for.
pub trait Words {
    #[asynchronous]
    #[since(8000)]
    #[per_thread(ptsz)]
    fn cuStreamWriteValue32(stream: CUstream, addr: CUdeviceptr, value: cuuint32_t, flags: c_uint);
    #[asynchronous]
    #[since(11070)]
    #[per_thread(ptsz)]
    fn cuStreamWriteValue32_v2(
        stream: CUstream,
        addr: CUdeviceptr,
        value: cuuint32_t,
        flags: c_uint,
    );
    #[asynchronous]
    #[since(9000)]
    #[per_thread(ptsz)]
    fn cuStreamWriteValue64(stream: CUstream, addr: CUdeviceptr, value: cuuint64_t, flags: c_uint);
    #[asynchronous]
    #[since(11070)]
    #[per_thread(ptsz)]
    fn cuStreamWriteValue64_v2(
        stream: CUstream,
        addr: CUdeviceptr,
        value: cuuint64_t,
        flags: c_uint,
    );
    #[sync]
    #[since(8000)]
    #[per_thread(ptsz)]
    fn cuStreamWaitValue32(stream: CUstream, addr: CUdeviceptr, value: cuuint32_t, flags: c_uint);
    #[sync]
    #[since(11070)]
    #[per_thread(ptsz)]
    fn cuStreamWaitValue32_v2(
        stream: CUstream,
        addr: CUdeviceptr,
        value: cuuint32_t,
        flags: c_uint,
    );
    #[sync]
    #[since(9000)]
    #[per_thread(ptsz)]
    fn cuStreamWaitValue64(stream: CUstream, addr: CUdeviceptr, value: cuuint64_t, flags: c_uint);
    #[sync]
    #[since(11070)]
    #[per_thread(ptsz)]
    fn cuStreamWaitValue64_v2(
        stream: CUstream,
        addr: CUdeviceptr,
        value: cuuint64_t,
        flags: c_uint,
    );
    #[sync]
    #[since(8000)]
    #[per_thread(ptsz)]
    fn cuStreamBatchMemOp(
        stream: CUstream,
        count: c_uint,
        #[input]
        #[list(count)]
        paramArray: *mut CUstreamBatchMemOpParams,
        flags: c_uint,
    );
    #[sync]
    #[since(11070)]
    #[per_thread(ptsz)]
    fn cuStreamBatchMemOp_v2(
        stream: CUstream,
        count: c_uint,
        #[input]
        #[list(count)]
        paramArray: *mut CUstreamBatchMemOpParams,
        flags: c_uint,
    );
}
