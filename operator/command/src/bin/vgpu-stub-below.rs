//! For tests alone, and in no package: the `vgpu-stub` command on a host of
//! XCP-ng whose files are below the folder that `VGPU_STUB_ROOT` names.
#![forbid(unsafe_code)]

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    match env::var_os("VGPU_STUB_ROOT") {
        Some(root) => vgpu_stub::run_below(root.into()),
        None => vgpu_stub::run(),
    }
}
