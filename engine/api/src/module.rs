/// A loaded module of one engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleId(pub u64);

/// A link of one engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// What an image is that is linked, with the number that CUDA has for it
/// (`CUjitInputType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LinkInput {
    Cubin = 0,
    Ptx = 1,
    FatBinary = 2,
    Object = 3,
    Library = 4,
    Nvvm = 5,
}

impl LinkInput {
    /// Of a number, where it is one.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        let all = [
            Self::Cubin,
            Self::Ptx,
            Self::FatBinary,
            Self::Object,
            Self::Library,
            Self::Nvvm,
        ];
        all.into_iter().find(|input| *input as u32 == number)
    }
}

/// What a worker has to know of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleInfo {
    /// Which module.
    pub id: ModuleId,
    /// Its kernels, in the image's order.
    pub functions: Vec<FunctionInfo>,
    /// Its variables in device memory.
    pub globals: Vec<GlobalInfo>,
}

/// A kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionInfo {
    /// Its name.
    pub name: String,
    /// Its parameters in order, as `cuFuncGetParamInfo` gives them.
    pub parameters: Vec<ParameterInfo>,
    /// Length of the block of parameters, in bytes.
    pub parameter_size: u32,
    /// Shared memory that it declares, in bytes.
    pub shared_size: u32,
    /// Local memory of a thread, in bytes.
    pub local_size: u32,
    /// Registers of a thread.
    pub registers: u32,
    /// The most threads of a block.
    pub max_threads: u32,
    /// The threads that a block has to have in each dimension, where it says so.
    pub required_threads: Option<[u32; 3]>,
    /// The PTX version of the image, as 10 * major + minor.
    pub ptx_version: u32,
}

/// A parameter's place in the block of parameters, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterInfo {
    /// Where it begins.
    pub offset: u32,
    /// Its length.
    pub size: u32,
}

/// A variable in device memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalInfo {
    /// Its name.
    pub name: String,
    /// Where it begins.
    pub address: u64,
    /// Its length in bytes.
    pub size: u64,
}

/// A kernel, and how to run it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Launch<'a> {
    /// The module.
    pub module: ModuleId,
    /// The kernel's name in it.
    pub function: &'a str,
    /// Blocks in each dimension.
    pub grid: [u32; 3],
    /// Threads of a block in each dimension.
    pub block: [u32; 3],
    /// Shared memory that the launch adds, in bytes.
    pub shared: u32,
    /// The block of parameters, each at its [`ParameterInfo::offset`]; what is
    /// behind [`FunctionInfo::parameter_size`] is not read.
    pub parameters: &'a [u8],
}
