//! The exported symbols, as generated.
//!
//! Each unsafe block there makes a reference of one pointer. What makes that
//! sound is the program's promise, by the driver API: a pointer is null, or
//! valid for what the description says of its parameter, until the call returns.
#![allow(
    unsafe_code,
    non_snake_case,
    unreachable_pub,
    missing_docs,
    clippy::all,
    clippy::missing_safety_doc,
    clippy::undocumented_unsafe_blocks
)]

use std::ffi::{c_char, c_int, c_uchar, c_uint, c_ulonglong, c_ushort, c_void};

use vgpu_cuda_wire::*;

use crate::Symbol;

include!(concat!(env!("OUT_DIR"), "/exports.rs"));
