//! A kernel's launch.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use vgpu_cuda_wire::{Attribute, CUresult};

use crate::Done;
use crate::connection::Connection;
use crate::modules::Function;
use crate::pointers::KernelCall;

/// A launch, with all that it needs.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    function: Arc<Function>,
    grid: [u32; 3],
    block: [u32; 3],
    shared: u32,
    parameters: Vec<u8>,
}

impl Launch {
    /// Checks a launch, and takes its arguments.
    #[inline]
    pub(crate) fn new(
        connection: &Connection,
        function: Arc<Function>,
        call: KernelCall,
    ) -> Result<Self, CUresult> {
        let KernelCall {
            grid,
            block,
            shared,
            parameters,
            extra,
        } = call;
        let about = &function.about;
        let fits = |sides: [u32; 3], first: Attribute| {
            let most: [_; 3] = connection.attributes(first);
            sides
                .iter()
                .zip(most)
                .all(|(side, most)| (1..=most).contains(side))
        };
        let threads = block.iter().map(|&side| u64::from(side)).product::<u64>();
        let sides =
            fits(grid, Attribute::MAX_GRID_DIM_X) && fits(block, Attribute::MAX_BLOCK_DIM_X);
        if !sides || threads > u64::from(about.max_threads) {
            return Err(CUresult::CUDA_ERROR_INVALID_VALUE);
        }
        let limit = function.shared_limit.load(Ordering::Relaxed);
        if shared > limit.cast_unsigned() {
            return Err(CUresult::CUDA_ERROR_INVALID_VALUE);
        }
        let parameters = parameters.pack(extra, &about.parameters, about.parameter_size)?;
        Ok(Self {
            function,
            grid,
            block,
            shared,
            parameters,
        })
    }

    #[inline]
    pub(crate) fn send(&self, connection: &Connection, stream: u64) -> Done {
        let ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]) = (self.grid, self.block);
        connection.client().launch(
            self.function.module,
            self.function.index,
            grid_x,
            grid_y,
            grid_z,
            block_x,
            block_y,
            block_z,
            self.shared,
            stream,
            &self.parameters,
        )
    }
}
