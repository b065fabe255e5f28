//! A grid of blocks, and what became of it.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};

use vgpu_device_memory::View;

use crate::fault::Fault;
use crate::program::{Kernel, Program};

/// The most bytes that a launch prints; what is above is lost.
/// Source: CUDA driver API, `CU_LIMIT_PRINTF_FIFO_SIZE`, whose default it is.
pub(crate) const PRINTED_MAX: usize = 1 << 20;

/// What was executed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Blocks.
    pub blocks: u64,
    /// Instructions of warps.
    pub instructions: u64,
    /// Instructions of lanes: of each warp's, those for which it was.
    pub lane_instructions: u64,
}

/// A grid in work.
#[derive(Debug)]
pub(crate) struct Grid {
    pub(crate) program: Arc<Program>,
    pub(crate) view: View,
    pub(crate) kernel: usize,
    pub(crate) id: u64,
    pub(crate) blocks: [u32; 3],
    pub(crate) threads: [u32; 3],
    pub(crate) dynamic_shared: u32,
    pub(crate) shared_size: u32,
    pub(crate) parameters: Vec<u8>,
    pub(crate) instructions_max: u64,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) next: AtomicU64,
    pub(crate) failed: AtomicBool,
    pub(crate) printed: Mutex<Vec<u8>>,
    pub(crate) result: Mutex<(Statistics, Option<(u64, Fault)>)>,
}

impl Grid {
    pub(crate) fn kernel(&self) -> &Kernel {
        &self.program.kernels()[self.kernel]
    }
}
