//! What calls of the driver API cost a program, on whatever `libcuda.so.1` the
//! linker finds: ours, or NVIDIA's for the comparison. A line of JSON.
//!
//!     vgpu run --engine nvidia -- target/release/examples/call-cost
//!     target/release/examples/call-cost        NVIDIA's own
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::time::Instant;

use libloading::Library;

/// Calls of a burst: their records fit the ring.
const BURST: u32 = 200;
/// Bursts; the median of them counts.
const BURSTS: usize = 51;

const KERNEL: &CStr = c".version 6.0\n.target sm_50\n.address_size 64\n\
    .visible .entry nothing(.param .u64 p, .param .u32 n) { ret; }\n";

/// A function of the library.
macro_rules! get {
    ($cuda:expr, $name:literal, ($($argument:ty),*)) => {{
        // SAFETY: the driver API states these types for the name.
        let found = unsafe {
            $cuda.get::<unsafe extern "C" fn($($argument),*) -> u32>($name.to_bytes_with_nul())
        };
        *found.expect("a function of the driver")
    }};
}

/// Calls one, which succeeds. Pointers are to variables of the types that the
/// driver API states, or to as many bytes as said.
macro_rules! call {
    ($function:expr $(, $argument:expr)*) => {{
        // SAFETY: as the rule of this macro says.
        let code = unsafe { $function($($argument),*) };
        assert_eq!(code, 0, "CUresult");
    }};
}

/// Nanoseconds of a call: the median of the bursts. `after` waits for a burst,
/// and is not counted.
fn cost(mut call: impl FnMut(), mut after: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..BURSTS)
        .map(|_| {
            let start = Instant::now();
            (0..BURST).for_each(|_| call());
            let elapsed = start.elapsed().as_nanos() as f64 / f64::from(BURST);
            after();
            elapsed
        })
        .collect();
    times.sort_unstable_by(f64::total_cmp);
    times[BURSTS / 2]
}

fn main() {
    // SAFETY: the library is the program's driver.
    let cuda = unsafe { Library::new("libcuda.so.1") }.expect("a driver");
    type Handle = *mut c_void;
    let init = get!(cuda, c"cuInit", (u32));
    let name = get!(cuda, c"cuDeviceGetName", (*mut u8, c_int, c_int));
    let retain = get!(cuda, c"cuDevicePrimaryCtxRetain", (*mut Handle, c_int));
    let set = get!(cuda, c"cuCtxSetCurrent", (Handle));
    let synchronize = get!(cuda, c"cuCtxSynchronize", ());
    let load = get!(cuda, c"cuModuleLoadData", (*mut Handle, *const c_char));
    let find = get!(
        cuda,
        c"cuModuleGetFunction",
        (*mut Handle, Handle, *const c_char)
    );
    let alloc = get!(cuda, c"cuMemAlloc_v2", (*mut u64, usize));
    let free = get!(cuda, c"cuMemFree_v2", (u64));
    let upload = get!(cuda, c"cuMemcpyHtoD_v2", (u64, *const u8, usize));
    let download = get!(cuda, c"cuMemcpyDtoH_v2", (*mut u8, u64, usize));
    let launch = get!(
        cuda,
        c"cuLaunchKernel",
        (
            Handle,
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            Handle,
            *mut Handle,
            *mut Handle
        )
    );

    let null = std::ptr::null_mut();
    let (mut context, mut module, mut function): (Handle, Handle, Handle) = (null, null, null);
    let mut pointer = 0;
    let mut device = [0; 256];
    call!(init, 0);
    call!(name, device.as_mut_ptr(), 256, 0);
    call!(retain, &raw mut context, 0);
    call!(set, context);
    call!(load, &raw mut module, KERNEL.as_ptr());
    call!(find, &raw mut function, module, c"nothing".as_ptr());
    call!(alloc, &raw mut pointer, 1 << 20);
    let (mut address, mut number) = (pointer, 7_u32);
    let mut arguments: [Handle; 2] = [(&raw mut address).cast(), (&raw mut number).cast()];
    let list = arguments.as_mut_ptr();
    let nothing = || ();
    let wait = || call!(synchronize);
    let launch = || {
        call!(
            launch,
            function,
            1,
            1,
            1,
            32,
            1,
            1,
            0,
            null,
            list,
            null.cast()
        );
    };
    let both = || {
        launch();
        wait();
    };
    let mut bytes = vec![0_u8; 1 << 20];
    let start = bytes.as_mut_ptr();
    launch();
    wait();
    let allocate = || {
        let mut small = 0;
        call!(alloc, &raw mut small, 4096);
        call!(free, small);
    };
    let rows = [
        ("launch", cost(launch, wait)),
        ("launch and wait", cost(both, nothing)),
        ("wait", cost(wait, nothing)),
        (
            "4 KiB to the device",
            cost(|| call!(upload, pointer, start, 4096), wait),
        ),
        (
            "4 KiB from the device",
            cost(|| call!(download, start, pointer, 4096), nothing),
        ),
        ("allocate and free 4 KiB", cost(allocate, wait)),
    ];
    let device = CStr::from_bytes_until_nul(&device).unwrap_or_default();
    let rows: Vec<_> = rows
        .iter()
        .map(|(name, ns)| format!("\"{name}\": {ns:.1}"))
        .collect();
    println!(
        "{{\"device\": {:?}, \"ns\": {{{}}}}}",
        device.to_string_lossy(),
        rows.join(", ")
    );
}
