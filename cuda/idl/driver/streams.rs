/// Streams.
pub trait Streams {
    #[shadow]
    #[since(2000)]
    fn cuStreamCreate(#[out] phStream: *mut CUstream, Flags: c_uint);
    #[shadow]
    #[since(5050)]
    fn cuStreamCreateWithPriority(#[out] phStream: *mut CUstream, flags: c_uint, priority: c_int);
    #[asynchronous]
    #[since(4000)]
    fn cuStreamDestroy_v2(hStream: CUstream);
    #[sync]
    #[since(2000)]
    #[per_thread(ptsz)]
    fn cuStreamSynchronize(hStream: CUstream);
    #[sync]
    #[since(2000)]
    #[per_thread(ptsz)]
    fn cuStreamQuery(hStream: CUstream);
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptsz)]
    fn cuStreamWaitEvent(hStream: CUstream, hEvent: CUevent, Flags: c_uint);
    #[local]
    #[since(10000)]
    #[per_thread(ptsz)]
    fn cuStreamIsCapturing(hStream: CUstream, #[out] captureStatus: *mut CUstreamCaptureStatus);
}
