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
    /// How many blocks go side by side.
    pub(crate) at_once: u64,
    pub(crate) failed: AtomicBool,
    pub(crate) printed: Mutex<Vec<u8>>,
    pub(crate) result: Mutex<(Statistics, Option<(u64, Fault)>)>,
}

impl Grid {
    /// Warps of a block.
    pub(crate) fn warps(&self) -> u32 {
        self.threads.iter().product::<u32>().div_ceil(32)
    }

    /// The place of the block at an index.
    pub(crate) fn block(&self, index: u64) -> [u32; 3] {
        let [x, y, _] = self.blocks.map(u64::from);
        [index % x, index / x % y, index / (x * y)].map(|axis| axis as u32)
    }

    pub(crate) fn kernel(&self) -> &Kernel {
        &self.program.kernels()[self.kernel]
    }
}
