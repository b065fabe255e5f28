/// Initialisation, versions, errors, and how functions are found.
pub trait Start {
    #[local]
    #[since(2000)]
    fn cuInit(Flags: c_uint);
    #[local]
    #[since(2020)]
    fn cuDriverGetVersion(#[out] driverVersion: *mut c_int);
    #[local]
    #[since(6000)]
    fn cuGetErrorName(error: CUresult, #[out] pStr: *mut *const c_char);
    #[local]
    #[since(6000)]
    fn cuGetErrorString(error: CUresult, #[out] pStr: *mut *const c_char);
    #[local]
    #[since(12000)]
    fn cuGetProcAddress_v2(
        #[text] symbol: *const c_char,
        #[out] pfn: *mut *mut c_void,
        cudaVersion: c_int,
        flags: cuuint64_t,
        #[out]
        #[optional]
        symbolStatus: *mut CUdriverProcAddressQueryResult,
    );
    #[local]
    #[since(11030)]
    fn cuGetProcAddress(
        #[text] symbol: *const c_char,
        #[out] pfn: *mut *mut c_void,
        cudaVersion: c_int,
        flags: cuuint64_t,
    );
    #[local]
    #[since(3000)]
    fn cuGetExportTable(
        #[out] ppExportTable: *mut *const c_void,
        #[input] pExportTableId: *const CUuuid,
    );
}
