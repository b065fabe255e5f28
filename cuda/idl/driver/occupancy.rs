/// How many blocks a multiprocessor takes.
pub trait Occupancy {
    #[local]
    #[since(6050)]
    fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
        #[out] numBlocks: *mut c_int,
        func: CUfunction,
        blockSize: c_int,
        dynamicSMemSize: usize,
    );
    #[local]
    #[since(7000)]
    fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
        #[out] numBlocks: *mut c_int,
        func: CUfunction,
        blockSize: c_int,
        dynamicSMemSize: usize,
        flags: c_uint,
    );
    #[local]
    #[since(6050)]
    fn cuOccupancyMaxPotentialBlockSize(
        #[out] minGridSize: *mut c_int,
        #[out] blockSize: *mut c_int,
        func: CUfunction,
        blockSizeToDynamicSMemSize: CUoccupancyB2DSize,
        dynamicSMemSize: usize,
        blockSizeLimit: c_int,
    );
    #[local]
    #[since(7000)]
    fn cuOccupancyMaxPotentialBlockSizeWithFlags(
        #[out] minGridSize: *mut c_int,
        #[out] blockSize: *mut c_int,
        func: CUfunction,
        blockSizeToDynamicSMemSize: CUoccupancyB2DSize,
        dynamicSMemSize: usize,
        blockSizeLimit: c_int,
        flags: c_uint,
    );
    #[local]
    #[since(10020)]
    fn cuOccupancyAvailableDynamicSMemPerBlock(
        #[out] dynamicSmemSize: *mut usize,
        func: CUfunction,
        numBlocks: c_int,
        blockSize: c_int,
    );
}
