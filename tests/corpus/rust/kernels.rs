//! The kernels of `work.rs` for nvptx64: thread `i` of `count` reads three words, and writes one.
//! How it is compiled stands in `make.sh`.
#![no_std]
#![feature(abi_ptx, stdarch_nvptx)]

mod work;

use core::arch::nvptx::{_block_dim_x, _block_idx_x, _thread_idx_x};

macro_rules! kernels {
    ($($name:ident),*) => {$(
        /// # Safety
        ///
        /// The pointers are to `3 * count` and to `count` words.
        #[unsafe(no_mangle)]
        pub unsafe extern "ptx-kernel" fn $name(input: *const [u64; 3], output: *mut u64, count: u32) {
            // SAFETY: reads registers of the machine.
            let index = unsafe { _block_idx_x() * _block_dim_x() + _thread_idx_x() };
            if (index as u32) < count {
                // SAFETY: below the count, and each thread has its own.
                unsafe {
                    *output.add(index as usize) = work::$name(*input.add(index as usize));
                }
            }
        }
    )*};
}

work::each_kernel!(kernels);
