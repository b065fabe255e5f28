//! `libcuda.so.1`: the driver API that programs call, carried to a worker.
//!
//! Exported symbols are generated from `cuda/idl/driver/`: they turn pointers
//! into references, and call the function of the same name in `calls`. All
//! unsafe code is there and in `pointers`.

mod allocations;
mod callbacks;
mod calls;
mod captures;
mod connection;
mod contexts;
mod exports;
mod graphs;
mod handles;
mod launch;
mod lock;
mod mappings;
mod modules;
mod objects;
mod pointers;
mod pools;
mod printed;
mod session;
mod trace;
mod transfers;
mod work;
mod worker;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use vgpu_cuda_wire::CUresult;

/// What a call gives.
type Done = Result<(), CUresult>;

/// An error of a call that hardly any program makes. The compiler then takes the other way for the usual one: it puts that
/// into one function, and this elsewhere.
#[cold]
#[inline(never)]
fn rare(error: CUresult) -> CUresult {
    error
}

/// What an exported symbol gives, by its number in `vgpu_cuda_wire::SYMBOLS`.
#[inline]
fn answer(symbol: u16, traced: Option<trace::Begun>, done: Done) -> CUresult {
    let result = done.err().unwrap_or(CUresult::CUDA_SUCCESS);
    trace::end(symbol, traced, result);
    result
}

/// What a symbol gives that only resolves; says so once.
fn unsupported(name: &'static str) -> CUresult {
    static NAMED: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
    if named.insert(name) {
        eprintln!("vgpu: {name} is not supported");
    }
    CUresult::CUDA_ERROR_NOT_SUPPORTED
}

/// An exported symbol.
struct Symbol {
    /// Its name without a version.
    base: &'static str,
    /// Its name.
    name: &'static str,
    /// The CUDA version that brought it.
    since: u32,
    /// Whether it takes the stream 0 for the thread's own.
    per_thread: bool,
    /// Where it is.
    address: *mut std::ffi::c_void,
}
