//! The program `vgpud`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    vgpud::cli::run()
}
