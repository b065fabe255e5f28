//! What a launch brings: arguments, and what a graph's node or a configuration
//! says.

use std::ffi::c_void;

use vgpu_cuda_wire::{
    CUDA_KERNEL_NODE_PARAMS, CUfunction, CUlaunchAttribute, CUlaunchConfig, CUresult, CUstream,
};

use super::references::{bytes, input, list, per_thread};
use crate::rare;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

/// A kernel's arguments: a list of pointers to them, or a list of options
/// (`extra`), of which one is a block of parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arguments(*mut *mut c_void);

/// A kernel's arguments.
///
/// # Safety
/// The pointer is null, or a list as the driver API states it for the kernel,
/// until the call returns.
#[allow(clippy::unnecessary_wraps)]
pub(crate) unsafe fn arguments(list: *mut *mut c_void) -> Result<Arguments, CUresult> {
    Ok(Arguments(list))
}

impl Arguments {
    /// An entry of the list.
    ///
    /// # Safety
    /// The list is that long.
    unsafe fn at(self, index: usize) -> *mut c_void {
        // SAFETY: the caller's promise.
        let entry = unsafe { self.0.add(index) };
        // SAFETY: the caller's promise.
        unsafe { *entry }
    }

    /// The block of parameters. `self` lists pointers, which are gathered in `room`;
    /// `extra` lists options, of which one is the block itself. `places` are the
    /// parameters' offsets and sizes in a block of `size`.
    #[inline(always)]
    pub(crate) fn block<'a>(
        self,
        extra: Self,
        places: &[(u32, u32)],
        size: u32,
        room: &'a mut Room,
    ) -> Result<&'a [u8], CUresult> {
        match (self.0.is_null(), extra.0.is_null()) {
            (false, true) => {
                let block = room.of(size as usize);
                // SAFETY: the promise of `arguments`: one pointer for each
                // parameter of the kernel.
                let arguments = unsafe { list(self.0.cast_const(), places.len()) }?;
                for (argument, &(offset, size)) in arguments.iter().zip(places) {
                    let (offset, size) = (offset as usize, size as usize);
                    let into = block.get_mut(offset..offset + size);
                    let into = into.ok_or_else(|| rare(INVALID))?;
                    // SAFETY: as above, to as many bytes as the parameter has.
                    unsafe { copy(argument.cast(), into) }?;
                }
                Ok(block)
            }
            // What is behind the last parameter is no argument.
            (true, false) => extra.option()?.get(..size as usize).ok_or(INVALID),
            (true, true) if places.is_empty() => Ok(&[]),
            _ => Err(rare(INVALID)),
        }
    }

    /// The block of parameters in a list of options.
    fn option<'a>(self) -> Result<&'a [u8], CUresult> {
        const END: usize = 0;
        const POINTER: usize = 1;
        const SIZE: usize = 2;
        let (mut pointer, mut size) = (std::ptr::null(), std::ptr::null());
        // There are two options: more are no list.
        for pair in 0..3 {
            // SAFETY: the promise of `arguments`: pairs of an option and its
            // value, up to END.
            let option = unsafe { self.at(2 * pair) };
            if option.addr() == END {
                break;
            }
            // SAFETY: as above.
            let value = unsafe { self.at(2 * pair + 1) };
            match option.addr() {
                POINTER => pointer = value.cast_const(),
                SIZE => size = value.cast_const(),
                _ => return Err(INVALID),
            }
        }
        // SAFETY: as above: the size's value points to a size_t.
        let size: usize = *unsafe { input(size.cast()) }?;
        // SAFETY: as above: the block has so many bytes.
        unsafe { bytes(pointer.cast(), size) }
    }
}

/// Room for one block of parameters.
#[derive(Debug)]
pub(crate) struct Room {
    /// Most are no longer.
    short: [u8; 128],
    long: Vec<u8>,
}

impl Room {
    pub(crate) const fn new() -> Self {
        Self {
            short: [0; 128],
            long: Vec::new(),
        }
    }

    /// So many bytes.
    #[inline]
    fn of(&mut self, size: usize) -> &mut [u8] {
        match self.short.get_mut(..size) {
            Some(short) => short,
            None => {
                self.long.resize(size, 0);
                &mut self.long
            }
        }
    }
}

/// Copies an argument. Most are a word or half of one, for which a call would cost
/// more than the copy.
///
/// # Safety
/// The pointer is null, or valid for reads of as many bytes.
#[inline(always)]
unsafe fn copy(from: *const u8, into: &mut [u8]) -> Result<(), CUresult> {
    let length = into.len();
    if let Some(word) = into.first_chunk_mut::<8>().filter(|_| length == 8) {
        // SAFETY: the caller's promise.
        *word = *unsafe { input(from.cast()) }?;
    } else if let Some(half) = into.first_chunk_mut::<4>().filter(|_| length == 4) {
        // SAFETY: the caller's promise.
        *half = *unsafe { input(from.cast()) }?;
    } else {
        // SAFETY: the caller's promise.
        unsafe { copy_any(from, into) }?;
    }
    Ok(())
}

/// Copies an argument of another length.
///
/// # Safety
/// As [`copy`].
#[cold]
unsafe fn copy_any(from: *const u8, into: &mut [u8]) -> Result<(), CUresult> {
    // SAFETY: the caller's promise.
    into.copy_from_slice(unsafe { bytes(from, into.len()) }?);
    Ok(())
}

/// How a kernel is called, whoever calls it: threads, dynamic shared memory in
/// bytes, and arguments in one of two forms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KernelCall {
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) shared: u32,
    pub(crate) arguments: Arguments,
    pub(crate) extra: Arguments,
}

/// A kernel node of a graph.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KernelNode {
    pub(crate) function: CUfunction,
    pub(crate) call: KernelCall,
}

/// A kernel node of a graph.
///
/// # Safety
/// The pointer is null, or valid for reads, and so are its lists of arguments.
pub(crate) unsafe fn kernel_node(
    pointer: *const CUDA_KERNEL_NODE_PARAMS,
) -> Result<KernelNode, CUresult> {
    // SAFETY: the caller's promise.
    let node = unsafe { input(pointer) }?;
    Ok(KernelNode {
        function: node.function,
        call: KernelCall {
            grid: node.grid,
            block: node.block,
            shared: node.shared,
            arguments: Arguments(node.parameters),
            extra: Arguments(node.extra),
        },
    })
}

/// How a kernel is launched, with attributes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaunchConfig<'a> {
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) shared: u32,
    pub(crate) stream: CUstream,
    pub(crate) attributes: &'a [CUlaunchAttribute],
}

/// How a kernel is launched.
///
/// # Safety
/// The pointer is null, or valid for reads, and so is its list of attributes.
pub(crate) unsafe fn launch_config<'a>(
    pointer: *const CUlaunchConfig,
) -> Result<LaunchConfig<'a>, CUresult> {
    // SAFETY: the caller's promise.
    let config = unsafe { input(pointer) }?;
    let (first, count) = (config.attributes, config.attribute_count);
    Ok(LaunchConfig {
        grid: config.grid,
        block: config.block,
        shared: config.shared,
        stream: config.stream,
        // SAFETY: the caller's promise.
        attributes: unsafe { list(first.cast_const(), count) }?,
    })
}

impl LaunchConfig<'_> {
    /// In a variant for per-thread default streams.
    pub(crate) fn per_thread(self) -> Self {
        let stream = per_thread(self.stream);
        Self { stream, ..self }
    }
}
