//! Programs in Python, with packages that pip put into the cache.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use vgpu_bed::cache::{Cache, digest};
use vgpu_bed::host_packages::{self, Package};
use vgpu_bed::steps::Steps;
use vgpu_terminal::OrMend;

use super::Installed;
use crate::checkout;

/// This machine's Python, with a package.
#[derive(Debug)]
pub(crate) struct Python {
    /// The folder of the package and of what it needs.
    site: PathBuf,
    /// The C compiler that tinygrad's CPU backend runs.
    clang: Option<String>,
    /// What tinygrad has compiled before.
    compiled: PathBuf,
}

/// Folder of scripts, and of the list of packages by name.
fn scripts() -> PathBuf {
    checkout().join("tests/programs")
}

fn works(python: &mut Command) -> bool {
    python.output().is_ok_and(|output| output.status.success())
}

impl Python {
    /// Python with the packages that `tests/programs/NAME.txt` lists. pip installs
    /// these and no others, each of the hash that is written there, if one is.
    ///
    /// # Errors
    ///
    /// There is no pip, or it cannot install them.
    pub(crate) fn with(name: &str, cache: &Cache, steps: &Steps) -> Result<Self> {
        if !works(Command::new("python3").args(["-m", "pip", "--version"])) {
            let packages = [
                Package::program("python3", "python3"),
                Package::python_module("python3-pip", "pip"),
            ];
            host_packages::ensure(&packages, steps)?;
        }
        let list = scripts().join(format!("{name}.txt"));
        let text = fs::read_to_string(&list).with_context(|| list.display().to_string())?;
        let version = Command::new("python3").arg("--version").output()?.stdout;
        let key = digest([text.as_bytes(), &version].concat());
        let site = cache.entry("python", &format!("{name}-{key}"), |folder| {
            Ok(steps
                .step(&format!("Fetch {name} by pip"), |step| {
                    let mut pip = Command::new("python3");
                    pip.args(["-m", "pip", "install", "--disable-pip-version-check"])
                        .args(["--no-deps", "--only-binary", ":all:"])
                        .args(text.contains("--hash").then_some("--require-hashes"))
                        .arg("--requirement")
                        .arg(&list)
                        .arg("--target")
                        .arg(folder);
                    step.run(&mut pip)
                })
                .or_mend("See that this machine reaches pip's registry, and that its Python is 3.11 or newer.")?)
        })?;
        Ok(Self {
            site,
            clang: None,
            compiled: cache.dir("tinygrad")?.join("compiled.db"),
        })
    }

    /// tinygrad, and clang for its CPU backend.
    ///
    /// # Errors
    ///
    /// One of them cannot be had.
    pub(crate) fn tinygrad(cache: &Cache, steps: &Steps) -> Result<Self> {
        Ok(Self {
            clang: Some(clang(steps)?),
            ..Self::with("tinygrad", cache, steps)?
        })
    }

    /// The folder of the package.
    pub(crate) fn site(&self) -> &Path {
        &self.site
    }

    /// A script of tests/programs, without a device.
    pub(crate) fn script(&self, name: &str) -> Command {
        let mut python = Command::new("python3");
        python.arg(scripts().join(name));
        self.settle(&mut python);
        python
    }

    /// The same with a device; `options` are those of vgpu run.
    pub(crate) fn script_on(&self, vgpu: &Installed, options: &[&str], name: &str) -> Command {
        let mut command = Command::new(vgpu.vgpu());
        command.arg("run").args(options).args(["--", "python3"]);
        command.arg(scripts().join(name));
        self.settle(&mut command);
        command
    }

    fn settle(&self, command: &mut Command) {
        command
            .env("PYTHONPATH", &self.site)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("CACHEDB", &self.compiled);
        if let Some(clang) = &self.clang {
            command.env("CC", clang);
        }
    }
}

/// The folder of the scripts, for a Python of another kind.
pub(super) fn script(name: &str) -> PathBuf {
    scripts().join(name)
}

/// The clang of this machine: under its name alone, or the newest.
pub(super) fn clang(steps: &Steps) -> Result<String> {
    let versions = (14..30).rev().map(|version| format!("clang-{version}"));
    let names = std::iter::once("clang".to_owned()).chain(versions);
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = env::split_paths(&path).collect();
    let here = |name: &String| folders.iter().any(|folder| folder.join(name).is_file());
    if let Some(name) = names.into_iter().find(here) {
        return Ok(name);
    }
    host_packages::ensure(&[Package::program("clang", "clang")], steps)?;
    Ok("clang".to_owned())
}
