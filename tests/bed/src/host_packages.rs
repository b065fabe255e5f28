//! Debian packages that this machine needs, installed by apt where they are missing.

use std::env;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::cache::Cache;
use crate::steps::{Step, Steps};
use vgpu_terminal::{Failure, OrMend};

/// A Debian package, and how to tell that what it brings is here, whoever installed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package {
    name: &'static str,
    brings: Brings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Brings {
    /// A program in `$PATH`.
    Program(&'static str),
    /// A library that pkg-config knows.
    Library(&'static str),
    /// A module of Debian's Python.
    PythonModule(&'static str),
    /// A file.
    File(&'static str),
}

impl Package {
    /// The package `name`, which brings `program`.
    #[must_use]
    pub const fn program(name: &'static str, program: &'static str) -> Self {
        Self {
            name,
            brings: Brings::Program(program),
        }
    }

    /// The package `name`, which brings a library that pkg-config calls `library`.
    #[must_use]
    pub const fn library(name: &'static str, library: &'static str) -> Self {
        Self {
            name,
            brings: Brings::Library(library),
        }
    }

    /// The package `name`, which brings `module` to `/usr/bin/python3`.
    #[must_use]
    pub const fn python_module(name: &'static str, module: &'static str) -> Self {
        Self {
            name,
            brings: Brings::PythonModule(module),
        }
    }

    /// The package `name`, which brings the file `path`.
    #[must_use]
    pub const fn file(name: &'static str, path: &'static str) -> Self {
        Self {
            name,
            brings: Brings::File(path),
        }
    }

    fn is_here(&self) -> bool {
        match self.brings {
            Brings::Program(program) => in_path(program),
            Brings::Library(library) => succeeds("pkg-config", &["--exists", library]),
            Brings::PythonModule(module) => {
                succeeds("/usr/bin/python3", &["-c", &format!("import {module}")])
            }
            Brings::File(path) => Path::new(path).exists(),
        }
    }
}

/// Installs those of `packages` that are missing: as root, or by sudo.
///
/// # Errors
/// When this machine has no apt, or its user may not install, or apt fails. The error names the command to run.
pub fn ensure(packages: &[Package], steps: &Steps) -> Result<()> {
    if missing(packages).is_empty() {
        return Ok(());
    }
    let _lock = Cache::open()?.lock("host-packages")?;
    let names = missing(packages);
    if names.is_empty() {
        return Ok(());
    }
    let list = names.join(" ");
    if !in_path("apt-get") {
        return Err(Failure::new(
            format!("missing on this machine, which has no apt: {list}"),
            "Install what these Debian packages bring by this system's package manager.",
        )
        .into());
    }
    let by_hand = format!("Run: sudo apt-get install {list}");
    let sudo = match privilege() {
        Privilege::Root => false,
        Privilege::Sudo => true,
        Privilege::None => {
            return Err(Failure::new(format!("missing on this machine: {list}"), by_hand).into());
        }
    };
    Ok(steps
        .step(&format!("Install {}", names.join(", ")), |step| {
            // A broken third-party source must not matter, if apt can install all the same.
            if let Err(error) = apt_get(step, sudo, &["update"]) {
                step.say(&format!("{error:#}"));
            }
            let mut install = vec!["install", "--yes", "--no-install-recommends"];
            install.extend(&names);
            apt_get(step, sudo, &install)?;
            let missing = missing(packages);
            if !missing.is_empty() {
                bail!(
                    "installed, yet what they bring is not found: {}",
                    missing.join(" ")
                );
            }
            Ok(())
        })
        .or_mend(by_hand)?)
}

fn missing(packages: &[Package]) -> Vec<&'static str> {
    packages
        .iter()
        .filter(|package| !package.is_here())
        .map(|package| package.name)
        .collect()
}

enum Privilege {
    Root,
    Sudo,
    None,
}

/// How this process may install packages. Asks for sudo's password where there is a terminal.
fn privilege() -> Privilege {
    if rustix::process::geteuid().is_root() {
        return Privilege::Root;
    }
    let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    let allowed = in_path("sudo")
        && (succeeds("sudo", &["--non-interactive", "true"])
            || terminal
                && Command::new("sudo")
                    .arg("--validate")
                    .status()
                    .is_ok_and(|status| status.success()));
    if allowed {
        Privilege::Sudo
    } else {
        Privilege::None
    }
}

fn apt_get(step: &Step, sudo: bool, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(if sudo { "sudo" } else { "env" });
    if sudo {
        command.args(["--non-interactive", "env"]);
    }
    command.args([
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "--option=DPkg::Lock::Timeout=300",
    ]);
    step.run(command.args(arguments))
}

fn in_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_here_is_missing() {
        let packages = [
            Package::program("dash", "sh"),
            Package::file("base-files", "/etc/os-release"),
            Package::program("lost-program", "no-such-program"),
            Package::file("lost-file", "/no/such/file"),
            Package::library("lost-library", "no-such-library"),
            Package::python_module("lost-module", "no_such_module"),
        ];
        let lost = ["lost-program", "lost-file", "lost-library", "lost-module"];
        assert_eq!(missing(&packages), lost);
    }
}
