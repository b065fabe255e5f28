/// What functions, kernels and modules are.
pub trait Functions {
    #[local]
    #[since(12030)]
    fn cuFuncGetName(#[out] name: *mut *const c_char, hfunc: CUfunction);
    #[local]
    #[since(11000)]
    fn cuFuncGetModule(#[out] hmod: *mut CUmodule, hfunc: CUfunction);
    #[local]
    #[since(13020)]
    fn cuFuncGetParamCount(func: CUfunction, #[out] paramCount: *mut usize);
    #[local]
    #[since(12040)]
    fn cuFuncIsLoaded(#[out] state: *mut CUfunctionLoadingState, function: CUfunction);
    #[local]
    #[since(12040)]
    fn cuFuncLoad(function: CUfunction);
    #[local]
    #[since(3000)]
    fn cuFuncSetCacheConfig(hfunc: CUfunction, config: CUfunc_cache);
    #[local]
    #[since(4020)]
    fn cuFuncSetSharedMemConfig(hfunc: CUfunction, config: CUsharedconfig);
    #[local]
    #[since(12030)]
    fn cuKernelGetName(#[out] name: *mut *const c_char, hfunc: CUkernel);
    #[local]
    #[since(12050)]
    fn cuKernelGetLibrary(#[out] pLib: *mut CUlibrary, kernel: CUkernel);
    #[local]
    #[since(12040)]
    fn cuKernelGetParamInfo(
        kernel: CUkernel,
        paramIndex: usize,
        #[out] paramOffset: *mut usize,
        #[out]
        #[optional]
        paramSize: *mut usize,
    );
    #[local]
    #[since(13020)]
    fn cuKernelGetParamCount(kernel: CUkernel, #[out] paramCount: *mut usize);
    #[local]
    #[since(12000)]
    fn cuKernelSetCacheConfig(kernel: CUkernel, config: CUfunc_cache, dev: CUdevice);
    #[local]
    #[since(12040)]
    fn cuModuleGetFunctionCount(#[out] count: *mut c_uint, mod_: CUmodule);
    #[local]
    #[since(12040)]
    fn cuModuleEnumerateFunctions(
        #[list(numFunctions)] functions: *mut CUfunction,
        numFunctions: c_uint,
        mod_: CUmodule,
    );
    #[local]
    #[since(11070)]
    fn cuModuleGetLoadingMode(#[out] mode: *mut CUmoduleLoadingMode);
    #[local]
    #[since(12040)]
    fn cuLibraryGetKernelCount(#[out] count: *mut c_uint, lib: CUlibrary);
    #[local]
    #[since(12040)]
    fn cuLibraryEnumerateKernels(
        #[list(numKernels)] kernels: *mut CUkernel,
        numKernels: c_uint,
        lib: CUlibrary,
    );
    #[local]
    #[since(12000)]
    fn cuLibraryGetUnifiedFunction(
        fptr: *mut *mut c_void,
        library: CUlibrary,
        #[text] symbol: *const c_char,
    );
    #[local]
    #[since(9000)]
    #[per_thread(ptsz)]
    fn cuLaunchCooperativeKernel(
        f: CUfunction,
        gridDimX: c_uint,
        gridDimY: c_uint,
        gridDimZ: c_uint,
        blockDimX: c_uint,
        blockDimY: c_uint,
        blockDimZ: c_uint,
        sharedMemBytes: c_uint,
        hStream: CUstream,
        #[by(arguments)] kernelParams: *mut *mut c_void,
    );
}
