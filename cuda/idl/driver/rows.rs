/// Copies and fills of rows and slices.
pub trait Rows {
    #[sync]
    #[since(3020)]
    #[per_thread(ptds)]
    fn cuMemcpy2D_v2(#[by(copy_2d)] pCopy: *const CUDA_MEMCPY2D);
    #[sync]
    #[since(3020)]
    #[per_thread(ptds)]
    fn cuMemcpy2DUnaligned_v2(#[by(copy_2d)] pCopy: *const CUDA_MEMCPY2D);
    #[sync]
    #[since(3020)]
    #[per_thread(ptsz)]
    fn cuMemcpy2DAsync_v2(#[by(copy_2d)] pCopy: *const CUDA_MEMCPY2D, hStream: CUstream);
    #[sync]
    #[since(3020)]
    #[per_thread(ptds)]
    fn cuMemcpy3D_v2(#[by(copy_3d)] pCopy: *const CUDA_MEMCPY3D);
    #[sync]
    #[since(3020)]
    #[per_thread(ptsz)]
    fn cuMemcpy3DAsync_v2(#[by(copy_3d)] pCopy: *const CUDA_MEMCPY3D, hStream: CUstream);
    #[sync]
    #[since(4000)]
    #[per_thread(ptds)]
    fn cuMemcpy3DPeer(#[by(copy_3d)] pCopy: *const CUDA_MEMCPY3D_PEER);
    #[sync]
    #[since(4000)]
    #[per_thread(ptsz)]
    fn cuMemcpy3DPeerAsync(#[by(copy_3d)] pCopy: *const CUDA_MEMCPY3D_PEER, hStream: CUstream);
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptds)]
    fn cuMemsetD2D8_v2(
        dstDevice: CUdeviceptr,
        dstPitch: usize,
        uc: c_uchar,
        Width: usize,
        Height: usize,
    );
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptds)]
    fn cuMemsetD2D16_v2(
        dstDevice: CUdeviceptr,
        dstPitch: usize,
        us: c_ushort,
        Width: usize,
        Height: usize,
    );
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptds)]
    fn cuMemsetD2D32_v2(
        dstDevice: CUdeviceptr,
        dstPitch: usize,
        ui: c_uint,
        Width: usize,
        Height: usize,
    );
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptsz)]
    fn cuMemsetD2D8Async(
        dstDevice: CUdeviceptr,
        dstPitch: usize,
        uc: c_uchar,
        Width: usize,
        Height: usize,
        hStream: CUstream,
    );
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptsz)]
    fn cuMemsetD2D16Async(
        dstDevice: CUdeviceptr,
        dstPitch: usize,
        us: c_ushort,
        Width: usize,
        Height: usize,
        hStream: CUstream,
    );
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptsz)]
    fn cuMemsetD2D32Async(
        dstDevice: CUdeviceptr,
        dstPitch: usize,
        ui: c_uint,
        Width: usize,
        Height: usize,
        hStream: CUstream,
    );
}
