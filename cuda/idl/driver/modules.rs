/// Modules, libraries, functions, and launches.
pub trait Modules {
    #[sync]
    #[since(2000)]
    fn cuModuleLoadData(#[out] module: *mut CUmodule, #[by(image)] image: *const c_void);
    #[sync]
    #[since(2010)]
    fn cuModuleLoadDataEx(
        #[out] module: *mut CUmodule,
        #[by(image)] image: *const c_void,
        numOptions: c_uint,
        #[input]
        #[list(numOptions)]
        options: *mut CUjit_option,
        #[list(numOptions)] optionValues: *mut *mut c_void,
    );
    #[asynchronous]
    #[since(2000)]
    fn cuModuleUnload(hmod: CUmodule);
    #[local]
    #[since(2000)]
    fn cuModuleGetFunction(
        #[out] hfunc: *mut CUfunction,
        hmod: CUmodule,
        #[text] name: *const c_char,
    );
    #[local]
    #[since(3020)]
    fn cuModuleGetGlobal_v2(
        #[out]
        #[optional]
        dptr: *mut CUdeviceptr,
        #[out]
        #[optional]
        bytes: *mut usize,
        hmod: CUmodule,
        #[text] name: *const c_char,
    );
    #[sync]
    #[since(12000)]
    fn cuLibraryLoadData(
        #[out] library: *mut CUlibrary,
        #[by(image)] code: *const c_void,
        #[input]
        #[list(numJitOptions)]
        jitOptions: *mut CUjit_option,
        #[list(numJitOptions)] jitOptionsValues: *mut *mut c_void,
        numJitOptions: c_uint,
        #[input]
        #[list(numLibraryOptions)]
        libraryOptions: *mut CUlibraryOption,
        #[input]
        #[list(numLibraryOptions)]
        libraryOptionValues: *mut *mut c_void,
        numLibraryOptions: c_uint,
    );
    #[asynchronous]
    #[since(12000)]
    fn cuLibraryUnload(library: CUlibrary);
    #[local]
    #[since(12000)]
    fn cuLibraryGetKernel(
        #[out] pKernel: *mut CUkernel,
        library: CUlibrary,
        #[text] name: *const c_char,
    );
    #[local]
    #[since(12000)]
    fn cuKernelGetFunction(#[out] pFunc: *mut CUfunction, kernel: CUkernel);
    #[local]
    #[since(12000)]
    fn cuKernelGetAttribute(
        #[out] pi: *mut c_int,
        attrib: CUfunction_attribute,
        kernel: CUkernel,
        dev: CUdevice,
    );
    #[local]
    #[since(2020)]
    fn cuFuncGetAttribute(#[out] pi: *mut c_int, attrib: CUfunction_attribute, hfunc: CUfunction);
    #[local]
    #[since(9000)]
    fn cuFuncSetAttribute(hfunc: CUfunction, attrib: CUfunction_attribute, value: c_int);
    #[local]
    #[since(12040)]
    fn cuFuncGetParamInfo(
        func: CUfunction,
        paramIndex: usize,
        #[out] paramOffset: *mut usize,
        #[out]
        #[optional]
        paramSize: *mut usize,
    );
    #[asynchronous]
    #[since(4000)]
    #[per_thread(ptsz)]
    fn cuLaunchKernel(
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
        #[by(arguments)] extra: *mut *mut c_void,
    );
    #[asynchronous]
    #[since(11060)]
    #[per_thread(ptsz)]
    fn cuLaunchKernelEx(
        #[by(launch_config)] config: *const CUlaunchConfig,
        f: CUfunction,
        #[by(arguments)] kernelParams: *mut *mut c_void,
        #[by(arguments)] extra: *mut *mut c_void,
    );
    #[sync]
    #[since(2000)]
    fn cuModuleLoad(#[out] module: *mut CUmodule, #[text] fname: *const c_char);
    #[sync]
    #[since(2000)]
    fn cuModuleLoadFatBinary(#[out] module: *mut CUmodule, #[by(image)] fatCubin: *const c_void);
    #[sync]
    #[since(12000)]
    fn cuLibraryLoadFromFile(
        #[out] library: *mut CUlibrary,
        #[text] fileName: *const c_char,
        #[input]
        #[list(numJitOptions)]
        jitOptions: *mut CUjit_option,
        #[list(numJitOptions)] jitOptionsValues: *mut *mut c_void,
        numJitOptions: c_uint,
        #[input]
        #[list(numLibraryOptions)]
        libraryOptions: *mut CUlibraryOption,
        #[input]
        #[list(numLibraryOptions)]
        libraryOptionValues: *mut *mut c_void,
        numLibraryOptions: c_uint,
    );
    #[local]
    #[since(12000)]
    fn cuLibraryGetModule(#[out] pMod: *mut CUmodule, library: CUlibrary);
    #[local]
    #[since(12000)]
    fn cuLibraryGetGlobal(
        #[out]
        #[optional]
        dptr: *mut CUdeviceptr,
        #[out]
        #[optional]
        bytes: *mut usize,
        library: CUlibrary,
        #[text] name: *const c_char,
    );
    #[local]
    #[since(12000)]
    fn cuKernelSetAttribute(
        attrib: CUfunction_attribute,
        val: c_int,
        kernel: CUkernel,
        dev: CUdevice,
    );
}
