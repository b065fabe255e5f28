//! A QEMU as a distribution ships it, without code of this project: it reaches the device by vfio-user.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cache::Cache;
use crate::debian::Suite;
use crate::debian_qemu::{self, PROGRAM};
use crate::steps::Steps;
use vgpu_terminal::OrMend;

/// The release of Debian whose backports have a QEMU with [`DEVICE`], which came with 10.1.
const SUITE: &str = "trixie";
/// QEMU's name for a device that a vfio-user server provides.
pub(crate) const DEVICE: &str = "vfio-user-pci";

/// A QEMU that takes devices from vfio-user servers.
#[derive(Debug, Clone)]
pub struct StockQemu {
    /// The program, which takes QEMU's arguments.
    pub path: PathBuf,
    /// Its version, such as `11.1.3`.
    pub release: String,
}

impl StockQemu {
    /// Debian's, unpacked in the cache.
    ///
    /// # Errors
    /// When the packages cannot be fetched, or the program does not run.
    pub fn fetch(cache: &Cache, steps: &Steps) -> Result<Self> {
        let suite = Suite::debian(SUITE).with_backports();
        let path = debian_qemu::fetch(cache, &suite, steps)?;
        let packages = cache.path().join("packages");
        Ok(Self::at(&path)
            .with_context(|| format!("{} cannot be used", path.display()))
            .or_mend(format!(
                "Delete {}, which fetches it again.",
                packages.display()
            ))?)
    }

    /// The QEMU in `$PATH`, if it takes devices from vfio-user servers.
    #[must_use]
    pub fn system() -> Option<Self> {
        let path = env::var_os("PATH")?;
        env::split_paths(&path)
            .map(|dir| dir.join(PROGRAM))
            .find(|program| program.is_file())
            .and_then(|program| Self::at(&program).ok())
    }

    fn at(program: &Path) -> Result<Self> {
        if !lists_device(&output(program, &["-device", "help"])?) {
            bail!("its -device help does not list {DEVICE}");
        }
        let version = output(program, &["-version"])?;
        let release = release(&version).context("its -version says no version")?;
        Ok(Self {
            path: program.to_path_buf(),
            release: release.to_string(),
        })
    }
}

/// Whether what `-device help` prints has the device.
fn lists_device(devices: &str) -> bool {
    devices.contains(&format!("name \"{DEVICE}\""))
}

/// The number in `QEMU emulator version 11.1.3 (Debian 1:11.1.3+ds-1)`.
fn release(version: &str) -> Option<&str> {
    let (_, rest) = version.split_once(" version ")?;
    rest.split_whitespace().next()
}

fn output(program: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("it failed ({}): {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_read_from_the_version() {
        let debian = "QEMU emulator version 11.1.3 (Debian 1:11.1.3+ds-1~bpo13+1)\nCopyright (c)";
        assert_eq!(release(debian), Some("11.1.3"));
        assert_eq!(
            release("QEMU emulator version 10.2.0\nCopyright"),
            Some("10.2.0")
        );
        assert_eq!(release("something else"), None);
    }

    #[test]
    fn only_a_qemu_with_the_device_will_do() {
        assert!(lists_device("name \"vfio-user-pci\", bus PCI, desc \"VFIO"));
        assert!(!lists_device("name \"vfio-pci\", bus PCI, desc \"VFIO"));
    }
}
