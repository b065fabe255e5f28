//! A kernel's launch.

use std::sync::atomic::Ordering;

use vgpu_cuda_wire::{Attribute, CUresult};

use crate::connection::Connection;
use crate::modules::Function;
use crate::pointers::{KernelCall, Room};
use crate::{Done, rare};

/// A launch, but for its parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Launch {
    module: u64,
    /// Of the module's functions, which.
    index: u32,
    grid: [u32; 3],
    block: [u32; 3],
    shared: u32,
}

impl Launch {
    /// Checks a launch; gives its block of parameters as well, for which there is
    /// `room`.
    #[inline(always)]
    pub(crate) fn new<'a>(
        connection: &Connection,
        function: &Function,
        call: KernelCall,
        room: &'a mut Room,
    ) -> Result<(Self, &'a [u8]), CUresult> {
        let KernelCall {
            grid,
            block,
            shared,
            arguments,
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
        let required = [[0; 3], block].contains(&about.required_threads);
        let limit = function.shared_limit.load(Ordering::Relaxed);
        let fits = sides && required && threads <= u64::from(about.max_threads);
        if !fits || shared > limit.cast_unsigned() {
            return Err(rare(CUresult::CUDA_ERROR_INVALID_VALUE));
        }
        let parameters = arguments.block(extra, &about.parameters, about.parameter_size, room)?;
        let launch = Self {
            module: function.module,
            index: function.index,
            grid,
            block,
            shared,
        };
        Ok((launch, parameters))
    }

    pub(crate) const fn grid(&self) -> [u32; 3] {
        self.grid
    }

    pub(crate) const fn block(&self) -> [u32; 3] {
        self.block
    }

    pub(crate) const fn shared(&self) -> u32 {
        self.shared
    }

    #[inline(always)]
    pub(crate) fn send(&self, connection: &Connection, stream: u64, parameters: &[u8]) -> Done {
        let ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]) = (self.grid, self.block);
        connection.client().launch(
            self.module,
            self.index,
            grid_x,
            grid_y,
            grid_z,
            block_x,
            block_y,
            block_z,
            self.shared,
            stream,
            parameters,
        )
    }
}
