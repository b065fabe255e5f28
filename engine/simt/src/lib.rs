//! Executes PTX on processors.
//!
//! A [`Program`] is a module that is loaded: its instructions decoded by
//! [the table of forms](forms), its variables placed in device memory. An
//! [`Executor`] runs a grid of it: blocks one after the other on each thread of
//! the host, the warps of a block in turns, the 32 lanes of a warp at once, as
//! arrays that the compiler makes vector instructions of.
//!
//! Every access is checked: one that no allocation holds ends the launch with a
//! [`Fault`] that names kernel, block, thread, and line of the text. Kernels
//! that race do so over relaxed atomics, and stay defined.
//!
//! ```
//! use std::sync::Arc;
//! use vgpu_device_memory::Memory;
//! use vgpu_simt::{Executor, Launch, Program};
//!
//! let text = ".version 7.0\n.target sm_70\n.address_size 64\n
//!     .visible .entry fill(.param .u64 to) {
//!         .reg .b32 %r<2>; .reg .b64 %rd<4>;
//!         ld.param.u64 %rd1, [to];
//!         mov.u32 %r1, %tid.x;
//!         mul.wide.u32 %rd2, %r1, 4;
//!         add.u64 %rd3, %rd1, %rd2;
//!         st.global.u32 [%rd3], %r1;
//!         ret;
//!     }";
//! let mut memory = Memory::new(1 << 32, 1 << 40, 1 << 20);
//! let program = Arc::new(Program::load(&vgpu_ptx::parse(text)?, &mut memory)?);
//! let buffer = memory.alloc(64 * 4)?;
//! let launch = Launch {
//!     kernel: "fill",
//!     blocks: [1, 1, 1],
//!     threads: [64, 1, 1],
//!     shared: 0,
//!     parameters: &buffer.to_le_bytes(),
//! };
//! Executor::new(1, u64::MAX).launch(&program, &memory.view(), &launch)?;
//! let mut last = [0; 4];
//! memory.read(buffer + 63 * 4, &mut last)?;
//! assert_eq!(last, [63, 0, 0, 0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
// Bits are cut, and looked at as another type, all over; what a guest gives is
// checked as it is decoded, and as its addresses are used.
#![allow(
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::precedence,
    // Rows of the table read alike.
    clippy::redundant_closure_for_method_calls
)]

mod access;
mod arguments;
mod around;
mod block;
mod calls;
mod code;
mod decode;
mod decoded;
mod execution;
mod expected;
mod fault;
mod form;
mod forms;
mod grid;
mod halves;
mod instruction;
mod invariant;
mod launch;
mod layout;
mod linear;
mod load;
mod lockstep;
mod operands;
mod pattern;
mod pool;
mod print;
mod program;
mod races;
mod registers;
mod round;
mod run;
mod selection;
mod shadow;
mod shared;
mod shifting;
mod shifts;
mod state;
mod table;
mod value;
mod vectors;
mod warp;
mod wide;
mod words;
mod work;

pub use fault::{Cause, Fault};
pub use form::Form;
pub use grid::Statistics;
pub use launch::{BLOCK_MAX, Executor, Launch, LaunchError};
pub use program::{Global, Kernel, LoadError, Parameter, Program};
pub use table::{all as forms, counts, coverage};
pub use wide::generation;
