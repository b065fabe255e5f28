//! The command line of `vgpu-ptxas`: how it is read, and what is said of it, in its help and in its manual page.
#![forbid(unsafe_code)]

pub mod options;

use std::fmt::Write;

/// The program.
pub const NAME: &str = "vgpu-ptxas";

/// How it is called.
pub const USAGE: &str = "vgpu-ptxas [OPTIONS] INPUT.ptx -o OUTPUT";

/// What it does.
pub const ABOUT: &str = "Check PTX, and write it as an image that vgpu's libcuda loads";

/// What else there is to know: examples and exit codes.
pub const NOTES: &str = "\
It stands where programs call a ptxas on the PTX that they make, such as Triton. Options have one dash
or two; advice for a compiler is taken and does nothing, as there is nothing to compile.

Examples:
  vgpu-ptxas --gpu-name=sm_70 kernel.ptx -o kernel.cubin
  TRITON_PTXAS_PATH=/usr/lib/vgpu/vgpu-ptxas vgpu run -- python3 softmax.py

Exit code: 0 if the image was written, 255 otherwise.";

/// What `--help` prints.
#[must_use]
pub fn help() -> String {
    let mut text = format!("{ABOUT}\n\nUsage: {USAGE}\n\nOptions:\n");
    for known in options::OPTIONS {
        let value = known
            .value
            .map(|value| format!(" {value}"))
            .unwrap_or_default();
        let short = known
            .short
            .map(|short| format!(", -{short}"))
            .unwrap_or_default();
        let names = format!("--{}{short}{value}", known.long);
        // Written to a String, which takes all.
        let _ = writeln!(text, "  {names:36} {}", known.about);
    }
    text + "\n" + NOTES
}
