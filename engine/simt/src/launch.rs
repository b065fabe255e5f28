//! A launch: a grid of blocks over threads of the host.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};

use vgpu_device_memory::View;

use crate::block::Runner;
use crate::fault::Fault;
use crate::grid::{Grid, Statistics};
use crate::layout::SHARED_MAX;
use crate::lockstep;
use crate::pool::Pool;
use crate::program::{Kernel, Program};

/// The most threads of a block. Source: CUDA C++ Programming Guide, compute capabilities.
pub const BLOCK_MAX: u32 = 1024;

/// What is launched, and how.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// The kernel's name.
    pub kernel: &'a str,
    /// Blocks in each dimension.
    pub blocks: [u32; 3],
    /// Threads of a block in each dimension.
    pub threads: [u32; 3],
    /// Shared memory that the launch adds, in bytes.
    pub shared: u32,
    /// The block of parameters, laid out as [`Kernel::parameters`] says.
    pub parameters: &'a [u8],
}

/// Why a kernel did not run to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// The module has no such kernel.
    #[error("no kernel `{0}`")]
    NoKernel(String),
    /// A grid or a block that the device does not take.
    #[error("{0}")]
    Shape(String),
    /// Fewer bytes of parameters than the kernel has.
    #[error("{given} bytes of parameters, {needed} needed")]
    Parameters {
        /// Bytes given.
        given: usize,
        /// Bytes that the kernel takes.
        needed: u32,
    },
    /// It ended before its end.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Executes launches, on one thread or on several.
#[derive(Debug)]
pub struct Executor {
    pool: Pool,
    runner: Runner,
    stop: Arc<AtomicBool>,
    instructions_max: u64,
    launches: u64,
    printed: Vec<u8>,
}

impl Executor {
    /// `threads` of the host execute blocks, the caller's among them. With one,
    /// blocks run in the order of their indices, and two runs do the same.
    ///
    /// A launch in which a block executes more than `instructions_max`
    /// instructions ends with [`Cause::Stopped`](crate::Cause::Stopped).
    #[must_use]
    pub fn new(threads: usize, instructions_max: u64) -> Self {
        Self {
            pool: Pool::new(threads.saturating_sub(1)),
            runner: Runner::default(),
            stop: Arc::default(),
            instructions_max,
            launches: 0,
            printed: Vec::new(),
        }
    }

    /// What ends the launch that runs, and every later one, once it is set.
    #[must_use]
    pub fn stop(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// What the last launch printed by `vprintf`, a megabyte at most, and the
    /// assertions of it that failed. Of each block it is in order.
    pub fn take_printed(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.printed)
    }

    /// Executes one kernel to its end.
    ///
    /// # Errors
    ///
    /// The kernel, the grid, or the parameters are wrong, or a thread did what it
    /// must not.
    pub fn launch(
        &mut self,
        program: &Arc<Program>,
        view: &View,
        launch: &Launch<'_>,
    ) -> Result<Statistics, LaunchError> {
        self.launches += 1;
        let mut grid = self.grid(program, view, launch)?;
        let [x, y, z] = grid.blocks.map(u64::from);
        let blocks = x * y * z;
        let helpers = usize::try_from(blocks - 1).unwrap_or(usize::MAX);
        // Small blocks go side by side, but not so many that a thread has none.
        let threads = self.pool.helpers() as u64 + 1;
        let fit = (lockstep::WARPS as u64) / u64::from(grid.warps());
        grid.at_once = fit.min(blocks / threads).max(1);
        let grid = Arc::new(grid);
        self.pool.run(&grid, helpers, &mut self.runner);
        let mut printed = grid.printed.lock().unwrap_or_else(PoisonError::into_inner);
        self.printed = std::mem::take(&mut printed);
        let mut result = grid.result.lock().unwrap_or_else(PoisonError::into_inner);
        match result.1.take() {
            Some((_, fault)) => Err(fault.into()),
            None => Ok(result.0),
        }
    }

    fn grid(
        &self,
        program: &Arc<Program>,
        view: &View,
        launch: &Launch<'_>,
    ) -> Result<Grid, LaunchError> {
        let kernels = program.kernels();
        let kernel = kernels
            .iter()
            .position(|kernel| kernel.name == launch.kernel);
        let kernel = kernel.ok_or_else(|| LaunchError::NoKernel(launch.kernel.into()))?;
        let found = &kernels[kernel];
        check_shape(found, launch)?;
        let needed = found.parameter_size;
        let parameters = launch.parameters.get(..needed as usize);
        let parameters = parameters.ok_or(LaunchError::Parameters {
            given: launch.parameters.len(),
            needed,
        })?;
        let asked = found.shared_size.saturating_add(launch.shared);
        if asked > SHARED_MAX {
            let text = format!("{asked} bytes of shared memory, {SHARED_MAX} at most");
            return Err(LaunchError::Shape(text));
        }
        // What the launch adds may hold anything: it begins at 16 bytes. Where it
        // adds nothing, what is declared has no bytes behind it.
        let dynamic_shared = match launch.shared {
            0 => found.shared_size,
            _ => found.shared_size.next_multiple_of(16),
        };
        let shared_size = dynamic_shared.saturating_add(launch.shared);
        Ok(Grid {
            program: program.clone(),
            view: view.clone(),
            kernel,
            id: self.launches,
            blocks: launch.blocks,
            threads: launch.threads,
            dynamic_shared,
            shared_size,
            parameters: parameters.to_vec(),
            instructions_max: self.instructions_max,
            stop: self.stop.clone(),
            next: AtomicU64::new(0),
            at_once: 1,
            failed: AtomicBool::new(false),
            printed: Mutex::default(),
            result: Mutex::default(),
        })
    }
}

fn check_shape(kernel: &Kernel, launch: &Launch<'_>) -> Result<(), LaunchError> {
    let refuse = |text: String| Err(LaunchError::Shape(text));
    let [x, y, z] = launch.threads;
    let product = u64::from(x)
        .saturating_mul(u64::from(y))
        .saturating_mul(u64::from(z));
    let threads = u32::try_from(product).unwrap_or(u32::MAX);
    if threads == 0 || threads > BLOCK_MAX || z > 64 {
        return refuse(format!(
            "a block of {x} x {y} x {z} threads, {BLOCK_MAX} at most"
        ));
    }
    let [bx, by, bz] = launch.blocks;
    if bx == 0 || by == 0 || bz == 0 || bx > i32::MAX as u32 || by > 65535 || bz > 65535 {
        return refuse(format!("a grid of {bx} x {by} x {bz} blocks"));
    }
    if let Some(max) = kernel.max_threads.filter(|max| threads > *max) {
        return refuse(format!(
            "{threads} threads, `.maxntid` or `.reqntid` says {max}"
        ));
    }
    match kernel.required_threads {
        Some(required) if required != launch.threads => refuse(format!(
            "a block of {:?}, `.reqntid` says {required:?}",
            launch.threads
        )),
        _ => Ok(()),
    }
}
