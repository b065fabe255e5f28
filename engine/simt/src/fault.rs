//! Why a kernel ends before its end.

use vgpu_device_memory::AccessError;

/// What went wrong, without the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// An access that no allocation holds, or that is not aligned.
    #[error("illegal global access: {0}")]
    Global(AccessError),
    /// An access past a block's shared memory, or not aligned.
    #[error("illegal shared access: {size} bytes at {address:#x} of {length}")]
    Shared {
        /// The address within shared memory.
        address: u64,
        /// Bytes accessed.
        size: u64,
        /// Bytes there are.
        length: u64,
    },
    /// An access past a thread's local memory, or not aligned.
    #[error("illegal local access: {size} bytes at {address:#x} of {length}")]
    Local {
        /// The address within local memory.
        address: u64,
        /// Bytes accessed.
        size: u64,
        /// Bytes there are.
        length: u64,
    },
    /// An access past the kernel's parameters, a write to them, or not aligned.
    #[error("illegal parameter access: {size} bytes at {address:#x} of {length}")]
    Parameter {
        /// The address within the parameters.
        address: u64,
        /// Bytes accessed.
        size: u64,
        /// Bytes there are.
        length: u64,
    },
    /// A call through a value that is no function's address.
    #[error("call of {0:#x}, which is no function that takes these arguments")]
    Call(u64),
    /// A branch by a number that its list of labels does not have.
    #[error("a branch to label {0} of {1}")]
    Branch(u64, usize),
    /// Calls nested too deep.
    #[error("calls nested too deep, or more than {0} bytes of local memory")]
    Stack(u32),
    /// `trap`, or an assertion that failed.
    #[error("trap")]
    Trap,
    /// An assertion that failed.
    #[error("assertion failed")]
    Assertion,
    /// A thread waits for one that does not come.
    #[error("threads wait at a barrier, or for lanes of their warp, that the others never reach")]
    Deadlock,
    /// A barrier that does not exist.
    #[error("no such barrier: {0}")]
    Barrier(u64),
    /// A barrier for a number of threads that is no multiple of a warp's.
    #[error("a barrier for {0} threads, which is no multiple of 32")]
    BarrierCount(u64),
    /// Two threads of a block access a byte of shared memory with nothing that orders them.
    #[error(
        "race in shared memory at {address:#x}: {} here, {} by thread ({}, {}, {}) at PTX line {line}, and no barrier between them",
        access(*write), access(*other_write), thread[0], thread[1], thread[2]
    )]
    Race {
        /// The address within shared memory.
        address: u64,
        /// Whether it is written here.
        write: bool,
        /// Whether the other thread has written it.
        other_write: bool,
        /// The other thread.
        thread: [u32; 3],
        /// The line of the other access.
        line: u32,
    },
    /// More instructions than the launch may execute, or it was stopped.
    #[error("stopped after {0} instructions")]
    Stopped(u64),
}

fn access(write: bool) -> &'static str {
    if write { "a write" } else { "a read" }
}

/// What went wrong, and in which lane of the warp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    pub(crate) lane: usize,
}

/// A kernel that ended before its end: what, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{cause}; kernel {kernel}, block ({}, {}, {}), thread ({}, {}, {}), PTX line {line}",
    block[0], block[1], block[2], thread[0], thread[1], thread[2]
)]
pub struct Fault {
    /// What went wrong.
    pub cause: Cause,
    /// The kernel.
    pub kernel: String,
    /// The block.
    pub block: [u32; 3],
    /// The first thread of those to which it happened.
    pub thread: [u32; 3],
    /// The line of the module's text.
    pub line: u32,
}
