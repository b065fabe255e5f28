//! Files of Debian packages that were unpacked and not installed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use vgpu_bed::cache::Cache;
use vgpu_bed::debian::{self, Kernel, Suite};
use vgpu_bed::steps::Steps;

use crate::version::XenVersion;

/// dom0's kernel, whatever the version of Xen.
const KERNEL_SUITE: &str = "bookworm";

/// What else is in dom0, whatever the version of Xen. Bookworm's device model hands guests their kernel byte by byte, for
/// minutes: its machines for Xen have no DMA in QEMU's firmware interface. This one asks Xen for nothing that depends on
/// Xen's version, and brings the newest C library, on which all programs here run.
const DOM0_SUITE: &str = "trixie";
const DOM0: [&str; 3] = ["qemu-system-xen", "busybox-static", "seabios"];

/// Xen's own libraries and clients, which need more.
const XEN: [&str; 2] = ["libxenmiscVERSION", "xenstore-utils"];

/// These depend on Python, systemd and the like, which dom0 here has no use for.
const XEN_ALONE: [&str; 3] = [
    "xen-hypervisor-VERSION-amd64",
    "xen-utils-VERSION",
    "xen-utils-common",
];

/// What the machine is made of.
#[derive(Debug)]
pub(crate) struct Packages {
    pub(crate) version: XenVersion,
    /// The folders that packages were unpacked to, the newest C library first.
    roots: Vec<PathBuf>,
    kernel: PathBuf,
}

impl Packages {
    pub(crate) fn fetch(cache: &Cache, version: XenVersion, steps: &Steps) -> Result<Self> {
        let suite = Suite::debian(version.suite());
        let xen = XEN.map(|name| version.named(name));
        let alone = XEN_ALONE.map(|name| version.named(name));
        let dom0 = Suite::debian(DOM0_SUITE);
        Ok(Self {
            version,
            // The first that has a file is where it comes from.
            roots: vec![
                debian::unpacked_with_dependencies(cache, &dom0, &DOM0, steps)?,
                debian::unpacked_with_dependencies(
                    cache,
                    &suite,
                    &xen.each_ref().map(String::as_str),
                    steps,
                )?,
                debian::unpacked(cache, &suite, &alone.each_ref().map(String::as_str), steps)?,
            ],
            kernel: debian::kernel(cache, &Suite::debian(KERNEL_SUITE), Kernel::Generic, steps)?,
        })
    }

    /// Which packages these are, with their versions.
    pub(crate) fn versions(&self) -> Result<String> {
        let mut text = String::new();
        for root in self.roots.iter().chain([&self.kernel]) {
            let path = root.with_file_name("VERSIONS");
            text += &fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
        }
        Ok(text)
    }

    /// A file or folder by its path in the running system, where `/bin` is `/usr/bin` and so on.
    pub(crate) fn find(&self, path: &str) -> Result<PathBuf> {
        let apart = path.strip_prefix("usr/").unwrap_or(path);
        self.roots
            .iter()
            .flat_map(|root| [root.join(path), root.join(apart)])
            .find(|found| found.exists())
            .ok_or_else(|| anyhow!("no package of Xen {} has {path}", self.version))
    }

    /// The folders with libraries.
    pub(crate) fn libraries(&self) -> Vec<PathBuf> {
        self.roots
            .iter()
            .flat_map(|root| {
                ["usr/lib", "lib"].map(|folder| root.join(folder).join("x86_64-linux-gnu"))
            })
            .filter(|folder| folder.is_dir())
            .collect()
    }

    /// dom0's kernel, a `bzImage`.
    pub(crate) fn kernel_image(&self) -> Result<PathBuf> {
        only_entry(&self.kernel.join("boot"), "vmlinuz-")
    }

    /// A module of dom0's kernel, by its path below `kernel`.
    pub(crate) fn kernel_module(&self, path: &str) -> Result<PathBuf> {
        Ok(only_entry(&self.kernel.join("lib/modules"), "")?
            .join("kernel")
            .join(path))
    }
}

/// The entry of `folder` whose name starts with `prefix`; the kernel's package has one of each.
fn only_entry(folder: &Path, prefix: &str) -> Result<PathBuf> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            return Ok(entry.path());
        }
    }
    Err(anyhow!(
        "the kernel's package has no {prefix}* in {}",
        folder.display()
    ))
}
