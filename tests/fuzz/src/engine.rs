//! libFuzzer's side: it calls a function of C's.
#![allow(
    unsafe_code,
    reason = "libFuzzer finds its functions by their bare names"
)]

use std::sync::LazyLock;

use vgpu_fuzz::Target;

/// The target, by the environment: libFuzzer has the arguments.
static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("VGPU_STUB_FUZZ_TARGET").unwrap_or_default();
    Target::find(&name).expect("VGPU_STUB_FUZZ_TARGET names a target")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vgpu_fuzz::execute(&TARGET, bytes));
