//! The image of the test guest: Debian's kernel for virtual machines, and an initramfs with real pciutils.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use crate::cache::Cache;
use crate::debian::{self, Kernel, Suite};
use crate::initramfs::Initramfs;
use crate::steps::Steps;

/// The same guest on every host.
const SUITE: &str = "bookworm";
/// The file in the cache's entry.
const SYSTEM: &str = "system.cpio.gz";
const INIT: &str = include_str!("../guest/init");

/// Packages with the guest's programs and the libraries that these need.
const PACKAGES: &[&str] = &[
    "busybox-static",
    "kmod",
    "libc6",
    "libkmod2",
    "liblzma5",
    "libpci3",
    "libssl3",
    "libudev1",
    "libzstd1",
    "pci.ids",
    "pciutils",
    "zlib1g",
];

/// Programs, by their paths in the guest and in the packages.
const PROGRAMS: &[(&str, &str)] = &[
    ("bin/busybox", "bin/busybox"),
    ("bin/kmod", "bin/kmod"),
    ("bin/lspci", "usr/bin/lspci"),
    ("bin/setpci", "usr/bin/setpci"),
    (
        "lib64/ld-linux-x86-64.so.2",
        "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    ),
];

/// Libraries of these programs, and of libraries, by their paths in the guest and in the packages.
const FILES: &[(&str, &str)] = &[
    ("lib/libc.so.6", "lib/x86_64-linux-gnu/libc.so.6"),
    (
        "lib/libcrypto.so.3",
        "usr/lib/x86_64-linux-gnu/libcrypto.so.3",
    ),
    ("lib/libkmod.so.2", "usr/lib/x86_64-linux-gnu/libkmod.so.2"),
    ("lib/liblzma.so.5", "lib/x86_64-linux-gnu/liblzma.so.5"),
    ("lib/libpci.so.3", "usr/lib/x86_64-linux-gnu/libpci.so.3"),
    ("lib/libudev.so.1", "usr/lib/x86_64-linux-gnu/libudev.so.1"),
    ("lib/libz.so.1", "lib/x86_64-linux-gnu/libz.so.1"),
    ("lib/libzstd.so.1", "usr/lib/x86_64-linux-gnu/libzstd.so.1"),
    ("usr/share/misc/pci.ids", "usr/share/misc/pci.ids"),
];

const LINKS: &[(&str, &str)] = &[
    ("bin/sh", "busybox"),
    // /sbin/modprobe is made by init: the kernel would call it as it boots, for a second or more, and find nothing.
    ("sbin/depmod", "../bin/kmod"),
];

/// Kernel modules, by their paths below the kernel's folder of modules.
///
/// Debian's kernel for virtual machines has no `pci-stub`; `pci-pf-stub` is the driver in it that takes a device and
/// leaves it alone.
const MODULES: &[&str] = &["kernel/drivers/pci/pci-pf-stub.ko"];
/// What the kernel has built in, for lspci.
const MODULE_LISTS: &[&str] = &[
    "modules.builtin",
    "modules.builtin.modinfo",
    "modules.order",
];

/// A kernel and an initramfs for it, which boot to a guest that runs commands.
#[derive(Debug, Clone)]
pub struct GuestImage {
    kernel: PathBuf,
    /// The part of the initramfs that comes from Debian.
    system: PathBuf,
    /// The part with the project's own programs, which change all the time.
    programs: Vec<u8>,
}

/// A program of the project's own in the guest. It must be static.
#[derive(Debug, Clone, Copy)]
pub struct GuestProgram<'a> {
    /// Its name in the guest's `PATH`.
    pub name: &'a str,
    /// The file on this machine.
    pub file: &'a Path,
}

impl GuestImage {
    /// The image with these `programs`. What it has of Debian is fetched once, and then comes from the cache.
    ///
    /// # Errors
    /// When Debian's packages cannot be fetched, lack what the guest needs, or a file cannot be read or written.
    pub fn assemble(cache: &Cache, programs: &[GuestProgram<'_>], steps: &Steps) -> Result<Self> {
        let suite = Suite::debian(SUITE);
        let kernel_root = debian::kernel(cache, &suite, Kernel::Cloud, steps)?;
        let root = debian::unpacked(cache, &suite, PACKAGES, steps)?;
        let kernel = find(&kernel_root.join("boot"), "vmlinuz-")?;
        let modules = find(&kernel_root.join("lib/modules"), "")?;

        let mut key = Sha256::new();
        key.update(INIT);
        key.update(format!(
            "{PROGRAMS:?}{FILES:?}{LINKS:?}{MODULES:?}{MODULE_LISTS:?}"
        ));
        for root in [&kernel_root, &root] {
            key.update(read(&root.with_file_name("VERSIONS"))?);
        }
        let key = format!("{:x}", key.finalize());
        let entry = cache.entry("guests", &key[..16], |dir| {
            steps.step("Make the guest image", |_| {
                let file = File::create(dir.join(SYSTEM))?;
                let compressed = GzEncoder::new(file, Compression::default());
                system(&root, &modules)?.write(compressed)?.finish()?;
                Ok(())
            })
        })?;

        let mut archive = Initramfs::default();
        for program in programs {
            archive.program(&format!("bin/{}", program.name), read(program.file)?);
        }
        Ok(Self {
            kernel,
            system: entry.join(SYSTEM),
            programs: archive.write(Vec::new())?,
        })
    }

    /// This kernel with another system: the initramfs `system`, and `own` over it. It runs no commands of
    /// [`Machine::guest`](crate::machine::Machine::guest).
    ///
    /// # Errors
    /// When a file of `own` is too large.
    pub fn with_system(&self, system: &Path, own: &Initramfs) -> Result<Self> {
        Ok(Self {
            kernel: self.kernel.clone(),
            system: system.to_path_buf(),
            programs: own.write(Vec::new())?,
        })
    }

    /// The kernel, a `bzImage`.
    #[must_use]
    pub fn kernel(&self) -> &Path {
        &self.kernel
    }

    /// Writes the initramfs to `path`.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn write_initramfs(&self, path: &Path) -> Result<()> {
        // The kernel takes several archives in a row; those that are not compressed start at multiples of 4.
        let mut bytes = read(&self.system)?;
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend_from_slice(&self.programs);
        fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// All but the project's own programs.
fn system(root: &Path, modules: &Path) -> Result<Initramfs> {
    let mut initramfs = Initramfs::default();
    for folder in ["dev", "proc", "run", "sys", "tmp"] {
        initramfs.folder(folder);
    }
    initramfs.program("init", INIT.into());
    for (path, file) in PROGRAMS {
        initramfs.program(path, read(&root.join(file))?);
    }
    for (path, file) in FILES {
        initramfs.file(path, read(&root.join(file))?);
    }
    for (path, target) in LINKS {
        initramfs.link(path, target);
    }
    let release = modules.file_name().unwrap_or_default().to_string_lossy();
    for file in MODULES.iter().chain(MODULE_LISTS) {
        initramfs.file(
            &format!("lib/modules/{release}/{file}"),
            read(&modules.join(file))?,
        );
    }
    Ok(initramfs)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The entry of `folder` whose name starts with `prefix`; the kernel's package has one of each.
fn find(folder: &Path, prefix: &str) -> Result<PathBuf> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            return Ok(entry.path());
        }
    }
    bail!(
        "the kernel's package has no {prefix}* in {}",
        folder.display()
    )
}
