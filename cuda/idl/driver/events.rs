/// Events.
pub trait Events {
    #[shadow]
    #[since(2000)]
    fn cuEventCreate(#[out] phEvent: *mut CUevent, Flags: c_uint);
    #[asynchronous]
    #[since(4000)]
    #[first(2000)]
    fn cuEventDestroy_v2(hEvent: CUevent);
    #[asynchronous]
    #[since(2000)]
    #[per_thread(ptsz)]
    fn cuEventRecord(hEvent: CUevent, hStream: CUstream);
    #[sync]
    #[since(2000)]
    fn cuEventQuery(hEvent: CUevent);
    #[sync]
    #[since(2000)]
    fn cuEventSynchronize(hEvent: CUevent);
    #[sync]
    #[since(2000)]
    fn cuEventElapsedTime(#[out] pMilliseconds: *mut f32, hStart: CUevent, hEnd: CUevent);
    #[sync]
    #[since(12080)]
    fn cuEventElapsedTime_v2(#[out] pMilliseconds: *mut f32, hStart: CUevent, hEnd: CUevent);
    #[asynchronous]
    #[since(11010)]
    #[per_thread(ptsz)]
    fn cuEventRecordWithFlags(hEvent: CUevent, hStream: CUstream, flags: c_uint);
}
