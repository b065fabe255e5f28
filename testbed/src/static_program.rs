//! The project's programs without shared libraries, for guests and other machines that have none.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::host_packages::{self, Package};
use crate::steps::Steps;

/// Its C library can be linked statically, and Rust's usual toolchain has it.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds the program `name` of `package` in the workspace `checkout`, optimised, and returns its path.
///
/// # Errors
/// When it does not build.
pub fn build(checkout: &Path, package: &str, name: &str, steps: &Steps) -> Result<PathBuf> {
    host_packages::ensure(&[Package::program("build-essential", "cc")], steps)?;
    // A folder of its own: the flags below would have all that is in the usual one built again.
    let target = checkout.join("target/static");
    steps.step(&format!("Build {name}"), |step| {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .current_dir(checkout)
            .args(["build", "--release", "--target", TARGET])
            .args(["--package", package, "--bin", name])
            .arg("--target-dir")
            .arg(&target)
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("RUSTFLAGS", "-C target-feature=+crt-static");
        step.run(&mut cargo)
    })?;
    Ok(target.join(TARGET).join("release").join(name))
}
