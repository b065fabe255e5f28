//! Structures of programs are as cudarc has them.

use std::mem::offset_of;

use cudarc::driver::sys;
use vgpu_cuda_wire as own;

macro_rules! same {
    ($own:ty, $theirs:ty, $($field:tt = $their_field:tt),* $(,)?) => {
        assert_eq!(size_of::<$own>(), size_of::<$theirs>(), stringify!($own));
        $(assert_eq!(
            offset_of!($own, $field),
            offset_of!($theirs, $their_field),
            stringify!($field)
        );)*
    };
}

#[test]
fn structures_are_cudarcs() {
    same!(
        own::CUlaunchConfig,
        sys::CUlaunchConfig,
        grid = gridDimX,
        block = blockDimX,
        shared = sharedMemBytes,
        stream = hStream,
        attributes = attrs,
        attribute_count = numAttrs
    );
    same!(
        own::CUlaunchAttribute,
        sys::CUlaunchAttribute,
        id = id,
        pad = pad,
        value = value
    );
    same!(
        own::CUmemPoolProps,
        sys::CUmemPoolProps,
        kind = allocType,
        handles = handleTypes,
        location = location,
        security = win32SecurityAttributes,
        most = maxSize,
        reserved = usage
    );
    same!(
        own::CUDA_MEMCPY3D,
        sys::CUDA_MEMCPY3D,
        source = srcXInBytes,
        destination = dstXInBytes,
        width = WidthInBytes,
        height = Height,
        depth = Depth
    );
    same!(
        own::CUDA_MEMCPY2D,
        sys::CUDA_MEMCPY2D,
        source = srcXInBytes,
        destination = dstXInBytes,
        width = WidthInBytes,
        height = Height
    );
    // One side, by the source's fields, which come first.
    assert_eq!(
        size_of::<own::CopySide2D>(),
        offset_of!(sys::CUDA_MEMCPY2D, dstXInBytes)
    );
    assert_eq!(
        offset_of!(own::CopySide2D, kind),
        offset_of!(sys::CUDA_MEMCPY2D, srcMemoryType)
    );
    assert_eq!(
        offset_of!(own::CopySide2D, pitch),
        offset_of!(sys::CUDA_MEMCPY2D, srcPitch)
    );
    same!(
        own::CUDA_MEMCPY3D_PEER,
        sys::CUDA_MEMCPY3D_PEER,
        source = srcXInBytes,
        destination = dstXInBytes,
        width = WidthInBytes
    );
    same!(
        own::CUDA_MEMSET_NODE_PARAMS,
        sys::CUDA_MEMSET_NODE_PARAMS,
        destination = dst,
        pitch = pitch,
        value = value,
        element = elementSize,
        width = width,
        height = height
    );
    same!(
        own::CUDA_HOST_NODE_PARAMS,
        sys::CUDA_HOST_NODE_PARAMS,
        function = fn_,
        data = userData
    );
    same!(
        own::CUgraphNodeParams,
        sys::CUgraphNodeParams,
        kind = type_,
        parameters = __bindgen_anon_1,
        end = reserved2
    );
    same!(
        own::CUgraphExecUpdateResultInfo,
        sys::CUgraphExecUpdateResultInfo,
        result = result,
        node = errorNode,
        from = errorFromNode
    );
    same!(
        own::CUDA_GRAPH_INSTANTIATE_PARAMS,
        sys::CUDA_GRAPH_INSTANTIATE_PARAMS,
        flags = flags,
        stream = hUploadStream,
        node = hErrNode_out,
        result = result_out
    );
    same!(
        own::CUmemAccessDesc,
        sys::CUmemAccessDesc,
        location = location,
        flags = flags
    );
    same!(
        own::CUmemAllocationProp,
        sys::CUmemAllocationProp,
        kind = type_,
        handles = requestedHandleTypes,
        location = location,
        security = win32HandleMetaData,
        flags = allocFlags
    );
    same!(own::CUmemLocation, sys::CUmemLocation, kind = type_);
    same!(own::CUgraphEdgeData, sys::CUgraphEdgeData,);
    same!(own::CUstreamAttrValue, sys::CUstreamAttrValue,);
    same!(own::CUdevprop, sys::CUdevprop,);
    same!(
        own::CUexecAffinityParam,
        sys::CUexecAffinityParam,
        kind = type_
    );
    same!(own::CUstreamBatchMemOpParams, sys::CUstreamBatchMemOpParams,);
    same!(own::CUipcMemHandle, sys::CUipcMemHandle,);
    same!(own::CUipcEventHandle, sys::CUipcEventHandle,);
    // One side, by the source's fields, which come first.
    assert_eq!(
        size_of::<own::CopySide>(),
        offset_of!(sys::CUDA_MEMCPY3D, dstXInBytes)
    );
    assert_eq!(
        offset_of!(own::CopySide, kind),
        offset_of!(sys::CUDA_MEMCPY3D, srcMemoryType)
    );
    assert_eq!(
        offset_of!(own::CopySide, device),
        offset_of!(sys::CUDA_MEMCPY3D, srcDevice)
    );
    assert_eq!(
        offset_of!(own::CopySide, pitch),
        offset_of!(sys::CUDA_MEMCPY3D, srcPitch)
    );
    assert_eq!(
        offset_of!(own::CopySide, height),
        offset_of!(sys::CUDA_MEMCPY3D, srcHeight)
    );
    // Its first version is the beginning of the second.
    let first = size_of::<own::CUDA_KERNEL_NODE_PARAMS>();
    assert_eq!(first, size_of::<sys::CUDA_KERNEL_NODE_PARAMS_v1>());
    assert_eq!(
        offset_of!(own::CUDA_KERNEL_NODE_PARAMS, extra),
        offset_of!(sys::CUDA_KERNEL_NODE_PARAMS_v2, extra)
    );
}
