/// Devices, and their primary contexts.
pub trait Devices {
    #[local]
    #[since(2000)]
    fn cuDeviceGet(#[out] device: *mut CUdevice, ordinal: c_int);
    #[local]
    #[since(2000)]
    fn cuDeviceGetCount(#[out] count: *mut c_int);
    #[local]
    #[since(2000)]
    fn cuDeviceGetName(#[bytes(len)] name: *mut c_char, len: c_int, dev: CUdevice);
    #[local]
    #[since(9020)]
    fn cuDeviceGetUuid(#[out] uuid: *mut CUuuid, dev: CUdevice);
    #[local]
    #[since(11040)]
    fn cuDeviceGetUuid_v2(#[out] uuid: *mut CUuuid, dev: CUdevice);
    #[local]
    #[since(3020)]
    fn cuDeviceTotalMem_v2(#[out] bytes: *mut usize, dev: CUdevice);
    #[local]
    #[since(2000)]
    fn cuDeviceGetAttribute(#[out] pi: *mut c_int, attrib: CUdevice_attribute, dev: CUdevice);
    #[local]
    #[since(2000)]
    fn cuDeviceComputeCapability(#[out] major: *mut c_int, #[out] minor: *mut c_int, dev: CUdevice);
    #[local]
    #[since(7000)]
    fn cuDevicePrimaryCtxRetain(#[out] pctx: *mut CUcontext, dev: CUdevice);
    #[sync]
    #[since(11000)]
    #[first(7000)]
    fn cuDevicePrimaryCtxRelease_v2(dev: CUdevice);
    #[local]
    #[since(7000)]
    fn cuDevicePrimaryCtxGetState(
        dev: CUdevice,
        #[out] flags: *mut c_uint,
        #[out] active: *mut c_int,
    );
    #[local]
    #[since(11000)]
    #[first(7000)]
    fn cuDevicePrimaryCtxSetFlags_v2(dev: CUdevice, flags: c_uint);
    #[sync]
    #[since(11000)]
    #[first(7000)]
    fn cuDevicePrimaryCtxReset_v2(dev: CUdevice);
    #[local]
    #[since(4000)]
    fn cuDeviceCanAccessPeer(#[out] canAccessPeer: *mut c_int, dev: CUdevice, peerDev: CUdevice);
    #[local]
    #[since(4010)]
    fn cuDeviceGetPCIBusId(#[bytes(len)] pciBusId: *mut c_char, len: c_int, dev: CUdevice);
    #[local]
    #[since(4010)]
    fn cuDeviceGetByPCIBusId(#[out] dev: *mut CUdevice, #[text] pciBusId: *const c_char);
    #[local]
    #[since(2000)]
    fn cuDeviceGetProperties(#[out] prop: *mut CUdevprop, dev: CUdevice);
    #[local]
    #[since(11040)]
    fn cuDeviceGetExecAffinitySupport(
        #[out] pi: *mut c_int,
        type_: CUexecAffinityType,
        dev: CUdevice,
    );
    #[local]
    #[since(11040)]
    fn cuDeviceGetGraphMemAttribute(
        device: CUdevice,
        attr: CUgraphMem_attribute,
        #[by(untyped)] value: *mut c_void,
    );
    #[local]
    #[since(11040)]
    fn cuDeviceSetGraphMemAttribute(
        device: CUdevice,
        attr: CUgraphMem_attribute,
        #[by(untyped)] value: *mut c_void,
    );
    #[local]
    #[since(11040)]
    fn cuDeviceGraphMemTrim(device: CUdevice);
}
