//! The command `vgpu` and its library, laid out as they are installed.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use vgpu_bed::host_packages::{self, Package};
use vgpu_bed::process;
use vgpu_bed::steps::Steps;
use vgpu_terminal::OrMend;

use crate::checkout;
use crate::cuda::glibc;
use crate::manual::Manual;

/// How it is built.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Profile {
    /// For use.
    Release,
    /// For a demonstration or a test that waits for it.
    Quick,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Quick => "quick",
        }
    }
}

/// A folder with the command.
#[derive(Debug)]
pub(crate) struct Installed(PathBuf);

impl Installed {
    /// The command.
    pub(crate) fn vgpu(&self) -> PathBuf {
        self.0.join("bin/vgpu")
    }
}

/// Where each shell looks for completions, below the folder.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/vgpu"),
    ("zsh", "share/zsh/site-functions/_vgpu"),
    ("fish", "share/fish/vendor_completions.d/vgpu.fish"),
];

/// Builds all, and lays it out in a folder.
///
/// # Errors
///
/// It does not build, or the folder cannot be written.
pub(super) fn build(profile: Profile, folder: &Path, steps: &Steps) -> Result<Installed> {
    // Before minutes of work for it.
    ensure_writable(folder)?;
    host_packages::ensure(&[Package::program("build-essential", "cc")], steps)?;
    steps.step("Build vgpu and its library", |step| {
        let mut cargo = process::cargo();
        cargo
            .current_dir(checkout())
            .args(["build", "--profile", profile.name()])
            .args(["--package", "vgpu-command", "--package", "vgpu-libcuda"]);
        step.run(&mut cargo)
    })?;
    let built = process::target(checkout()).join(profile.name());
    let library = match profile {
        Profile::Release => glibc::library(steps)?,
        Profile::Quick => built.join("libcuda.so"),
    };
    lay_out(&built.join("vgpu"), &library, folder)
}

/// Lays out in a folder what the workspace's tests had built: nothing is optimised, and everything is checked.
///
/// # Errors
///
/// They have not run, or the folder cannot be written.
pub(super) fn of_tests(folder: &Path) -> Result<Installed> {
    let built = process::target(checkout()).join("debug");
    Ok(
        lay_out(&built.join("vgpu"), &built.join("deps/libcuda.so"), folder)
            .or_mend("Run the tests without machines first: cargo xtask test --quick.")?,
    )
}

/// What is in packages, of what the workspace's tests had built, without what debuggers want; and programs that use it. They run
/// where glibc is as new as here.
///
/// # Errors
///
/// They have not run.
pub(crate) fn programs_of_tests(folder: &Path, steps: &Steps) -> Result<()> {
    let built = process::target(checkout()).join("debug");
    host_packages::ensure(&[Package::program("binutils", "strip")], steps)?;
    steps.step("Gather what the tests had built", |step| {
        fs::create_dir_all(folder)?;
        for path in [
            "vgpu",
            "vgpud",
            "vgpu-ptxas",
            "deps/libcuda.so",
            "examples/cuda-add",
            "examples/cuda-canaries",
        ] {
            let path = built.join(path);
            let to = folder.join(path.file_name().unwrap_or_default());
            remove(&to)?;
            let mut strip = Command::new("strip");
            strip.arg("--strip-unneeded").arg("-o").arg(&to).arg(&path);
            step.run(&mut strip)
                .or_mend("Run the tests without machines first: cargo xtask test --quick.")?;
        }
        Ok(())
    })
}

/// Builds what [`programs_of_tests`] gathers, where no test of the workspace has run before.
///
/// # Errors
///
/// It does not build.
pub(crate) fn build_for_tests(steps: &Steps) -> Result<()> {
    steps.step("Build vgpu, vgpud and the library", |step| {
        let mut cargo = process::cargo();
        cargo.current_dir(checkout()).arg("build");
        for package in ["vgpu-command", "vgpud", "vgpu-ptxas", "vgpu-libcuda"] {
            cargo.args(["--package", package]);
        }
        cargo.args(["--lib", "--bins"]);
        cargo.args(["--example", "cuda-add", "--example", "cuda-canaries"]);
        step.run(&mut cargo)
    })
}

/// Builds a program of `guest/libcuda/examples/`, and returns its path.
///
/// # Errors
///
/// It does not build.
pub(crate) fn example(name: &str, steps: &Steps) -> Result<PathBuf> {
    steps.step(&format!("Build {name}"), |step| {
        let mut cargo = process::cargo();
        cargo.current_dir(checkout()).args([
            "build",
            "--package",
            "vgpu-libcuda",
            "--example",
            name,
        ]);
        step.run(&mut cargo)
    })?;
    let examples = process::target(checkout()).join("debug/examples");
    Ok(examples.join(name))
}

fn lay_out(vgpu: &Path, library: &Path, folder: &Path) -> Result<Installed> {
    copy(vgpu, &folder.join("bin/vgpu"))?;
    copy(library, &folder.join("lib/vgpu/libcuda.so"))?;
    let link = folder.join("lib/vgpu/libcuda.so.1");
    remove(&link)?;
    symlink("libcuda.so", &link).with_context(|| link.display().to_string())?;
    Ok(Installed(folder.to_path_buf()))
}

/// Adds manual pages and completions. They are written by a program of its own, which takes as long to build as half of the
/// rest: for those who install it, not for those who wait for a demo.
///
/// # Errors
///
/// That does not build, or the folder cannot be written.
pub(super) fn document(folder: &Path) -> Result<()> {
    let manual = Manual::of("vgpu")?;
    for (shell, path) in COMPLETIONS {
        write(&folder.join(path), &manual.completions(shell)?)?;
    }
    for (name, page) in manual.pages()? {
        write(&folder.join("share/man/man1").join(name), &page)?;
    }
    Ok(())
}

/// The command and its library, soon.
///
/// # Errors
///
/// They do not build.
pub(crate) fn quick(steps: &Steps) -> Result<Installed> {
    build(Profile::Quick, &checkout().join("target/cuda-quick"), steps)
}

/// Sees that files can be made in a folder, which is made where it is missing.
fn ensure_writable(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)
        .and_then(|()| tempfile::tempfile_in(folder))
        .with_context(|| format!("cannot write to {}", folder.display()))
        .or_mend("Name a folder that this user may write to.")?;
    Ok(())
}

/// Takes a file away that may be in use.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| path.display().to_string())
        }
        _ => Ok(()),
    }
}

fn parent(path: &Path) -> Result<()> {
    let parent = path.parent().context("a file without a folder")?;
    fs::create_dir_all(parent).with_context(|| parent.display().to_string())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    parent(to)?;
    remove(to)?;
    fs::copy(from, to).with_context(|| to.display().to_string())?;
    Ok(())
}

fn write(to: &Path, content: &[u8]) -> Result<()> {
    parent(to)?;
    fs::write(to, content).with_context(|| to.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_written_is_seen_before_anything_is_built() {
        let logs = tempfile::tempdir().unwrap();
        let steps = Steps::new(logs.path()).unwrap();
        for folder in ["/proc/x", "/dev/null/x", "/proc/self"] {
            let error = build(Profile::Release, Path::new(folder), &steps).unwrap_err();
            let text = vgpu_terminal::describe(&error);
            assert!(text.starts_with(&format!("error: cannot write to {folder}: ")));
            assert!(text.contains("\nmend:  "), "{text}");
        }
        let begun = fs::read_dir(logs.path()).unwrap().count();
        assert_eq!(begun, 0, "a step was begun");
    }
}
