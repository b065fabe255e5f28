/// What a device is: where `cuDeviceGetAttribute` and its like take their
/// answers from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Properties {
    /// `cuDeviceGetName`.
    pub name: String,
    /// Compute capability: major and minor.
    pub compute_capability: (u32, u32),
    /// Device memory in bytes.
    pub total_memory: u64,
    /// The most threads of a block.
    pub max_threads_per_block: u32,
    /// The most threads of a block in each dimension.
    pub max_block: [u32; 3],
    /// The most blocks of a grid in each dimension.
    pub max_grid: [u32; 3],
    /// The most shared memory of a block without asking, in bytes.
    pub shared_memory_per_block: u32,
    /// The most shared memory of a block, in bytes.
    pub shared_memory_per_block_optin: u32,
    /// Memory for constants, in bytes.
    pub constant_memory: u32,
    /// Threads that go together.
    pub warp_size: u32,
    /// What stands for multiprocessors: threads of the host that execute blocks.
    pub multiprocessors: u32,
}
