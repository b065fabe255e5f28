//! `cargo xtask sanitize`: the code with `unsafe`, under AddressSanitizer.

use anyhow::Result;
use clap::Args;
use vgpu_bed::process;
use vgpu_bed::steps::Steps;
use vgpu_terminal::OrMend;

use crate::checkout;

const EXAMPLES: &str = "\
Examples:
  cargo xtask sanitize              the tests of the code with `unsafe`
  cargo xtask qemu --sanitize       a QEMU whose C code, the device's too, is checked as it runs

Exit code: 0 if nothing was found, 1 otherwise.";

/// Run the tests of the code with `unsafe` under AddressSanitizer
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {}

/// Build scripts and macros are for the same machine, and the flag would be theirs too unless a target is named.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Where `unsafe` is, and the tests that call it: those of the loop above it, and all seeds of the fuzz targets.
const PACKAGES: [&str; 4] = ["xen-dm", "vgpu-qemu", "vgpu-xen", "vgpu-fuzz"];

/// Runs the command.
pub(crate) fn run(_: &Options, steps: &Steps) -> Result<()> {
    steps.step("Test under AddressSanitizer", |step| {
        let mut cargo = process::cargo();
        cargo
            .current_dir(checkout())
            .args(["test", "--tests", "--target", TARGET])
            // A folder of its own: the flag would have all that is in the usual one built again.
            .arg("--target-dir")
            .arg(process::target(checkout()).join("sanitize"))
            .args(PACKAGES.iter().flat_map(|package| ["--package", package]))
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            // Rust has the sanitizer's library in the stable toolchain, but not the flag.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", "-Zsanitizer=address");
        Ok(step
            .run(&mut cargo)
            .or_mend("Read its report in the log that is named above.")?)
    })
}
