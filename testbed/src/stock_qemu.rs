//! A QEMU as a distribution ships it, without code of this project: it reaches the device by vfio-user.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cache::{Cache, digest};
use crate::debian::{self, Suite};
use crate::failure::Mend;
use crate::steps::Steps;

/// The release of Debian whose backports have a QEMU with [`DEVICE`], which came with 10.1.
const SUITE: &str = "trixie";
const PACKAGE: &str = "qemu-system-x86";
const PROGRAM: &str = "qemu-system-x86_64";
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
    /// Debian's, unpacked in the cache with all its libraries, so that it runs on hosts with older or newer ones.
    /// Nothing is installed. It brings its own firmware.
    ///
    /// # Errors
    /// When the packages cannot be fetched, or the program does not run.
    pub fn fetch(cache: &Cache, steps: &Steps) -> Result<Self> {
        let suite = Suite::debian(SUITE).with_backports();
        let root = debian::unpacked_with_dependencies(cache, &suite, PACKAGE, steps)?;
        let script = launcher(&root);
        let entry = cache.entry("stock-qemu", &digest(&script), |dir| {
            let path = dir.join(PROGRAM);
            fs::write(&path, &script)?;
            Ok(fs::set_permissions(&path, Permissions::from_mode(0o755))?)
        })?;
        let path = entry.join(PROGRAM);
        let packages = root.parent().unwrap_or(&root).display();
        Self::at(&path)
            .with_context(|| format!("{} cannot be used", path.display()))
            .mend(format!("Delete {packages}, which fetches it again."))
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

/// A script that becomes the QEMU in `root`: signals, the exit status and the process id are QEMU's own.
fn launcher(root: &Path) -> String {
    let root = root.display().to_string().replace('\'', r"'\''");
    format!(
        r#"#!/bin/sh
# Debian's QEMU with its own dynamic linker, libraries, modules and firmware, none of the host's.
root='{root}'
libraries="$root/usr/lib/x86_64-linux-gnu"
export QEMU_MODULE_DIR="$libraries/qemu"
exec "$libraries/ld-linux-x86-64.so.2" --argv0 {PROGRAM} --inhibit-cache \
    --library-path "$libraries" "$root/usr/bin/{PROGRAM}" \
    -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" "$@"
"#
    )
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
    use std::os::unix::fs::symlink;

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

    #[test]
    fn the_launcher_finds_its_packages_wherever_they_lie() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("it's here");
        let libraries = root.join("usr/lib/x86_64-linux-gnu");
        fs::create_dir_all(&libraries).unwrap();
        // In place of the dynamic linker, what prints its arguments.
        symlink("/bin/echo", libraries.join("ld-linux-x86-64.so.2")).unwrap();
        let output = Command::new("sh")
            .args(["-c", &launcher(&root), PROGRAM, "-m", "64M"])
            .output()
            .unwrap();
        let (root, libraries) = (root.display(), libraries.display());
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            format!(
                "--argv0 {PROGRAM} --inhibit-cache --library-path {libraries} \
                 {root}/usr/bin/{PROGRAM} -L {root}/usr/share/qemu -L {root}/usr/share/seabios \
                 -m 64M\n"
            )
        );
    }
}
