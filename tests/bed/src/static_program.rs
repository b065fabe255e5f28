//! The project's programs without shared libraries, for guests and other machines that have none.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::host_packages::{self, Package};
use crate::process;
use crate::steps::Steps;

/// Its C library can be linked statically, and Rust's usual toolchain has it.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Flags of the compiler, in cargo's own encoding.
fn flags() -> String {
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_string()];
    flags.extend(remapped());
    flags.join("\u{1f}")
}

/// Flags of the compiler for what is the same wherever it is built. Panics name source files: without the paths of this machine
/// the program is smaller, too. Those of the checkout are relative already; were it named here, another one would have all
/// dependencies built again.
#[must_use]
pub fn remapped() -> Vec<String> {
    let cargo = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
        .unwrap_or_default();
    let index = fs::read_dir(cargo.join("registry/src"))
        .into_iter()
        .flatten()
        .flatten();
    index
        .map(|entry| format!("--remap-path-prefix={}/=", entry.path().display()))
        .collect()
}

/// How programs are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// As operators get them.
    Release,
    /// For a test that waits for them.
    Quick,
}

impl Profile {
    /// Cargo's name for it, and for its folder.
    fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Quick => "quick",
        }
    }
}

/// Builds the program `name` of `package` in the workspace `checkout`, as operators get it, and returns its path.
///
/// # Errors
/// When it does not build.
pub fn build(checkout: &Path, package: &str, name: &str, steps: &Steps) -> Result<PathBuf> {
    let folder = build_all(checkout, &[(package, name)], Profile::Release, steps)?;
    Ok(folder.join(name))
}

/// Builds `programs`, each a package of the workspace `checkout` and a program of it, and returns the folder with them.
///
/// # Errors
/// When they do not build.
pub fn build_all(
    checkout: &Path,
    programs: &[(&str, &str)],
    profile: Profile,
    steps: &Steps,
) -> Result<PathBuf> {
    host_packages::ensure(&[Package::program("build-essential", "cc")], steps)?;
    // A folder of its own: the flags below would have all that is in the usual one built again.
    let target = process::target(checkout).join("static");
    let names: Vec<_> = programs.iter().map(|(_, name)| *name).collect();
    steps.step(&format!("Build {}", names.join(", ")), |step| {
        let mut cargo = process::cargo();
        cargo
            .current_dir(checkout)
            .args(["build", "--profile", profile.name(), "--target", TARGET])
            .arg("--target-dir")
            .arg(&target)
            .env("CARGO_ENCODED_RUSTFLAGS", flags());
        for (package, name) in programs {
            cargo.args(["--package", package, "--bin", name]);
        }
        step.run(&mut cargo)
    })?;
    Ok(target.join(TARGET).join(profile.name()))
}
