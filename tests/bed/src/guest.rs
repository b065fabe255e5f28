//! The image of the test guest: Debian's kernel for virtual machines, and an initramfs with real pciutils.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::cache::Cache;
use crate::debian::{self, Kernel, Suite};
use crate::initramfs::Initramfs;
use crate::kernel::elf;
use crate::steps::Steps;

/// The same guest on every host.
const SUITE: &str = "bookworm";
/// The files in the cache's entry. Neither is compressed: an emulated processor takes longer for that than this machine to read.
const SYSTEM: &str = "system.cpio";
const ELF: &str = "vmlinux";
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

/// /sbin/modprobe is made by init: the kernel would call it as it boots, for a second or more, and find nothing.
const LINKS: &[(&str, &str)] = &[("bin/sh", "busybox")];
/// Where Debian's libraries are in the packages.
const LIBRARIES: [&str; 2] = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];

/// Kernel modules, by their paths below the kernel's folder of modules.
///
/// Debian's kernel for virtual machines has no `pci-stub`; `pci-pf-stub` is the driver in it that takes a device and
/// leaves it alone.
const MODULES: &[&str] = &["kernel/drivers/pci/pci-pf-stub.ko"];
/// Where kernels of older and of newer releases have their modules.
const MODULE_FOLDERS: [&str; 2] = ["lib/modules", "usr/lib/modules"];
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
    elf: PathBuf,
    release: String,
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
        let kernel = debian::kernel(cache, &Self::suite(), Kernel::Cloud, steps)?;
        let mut image = Self::of(cache, &kernel, steps)?;
        image.programs = archive(programs)?;
        Ok(image)
    }

    /// The same guest with the kernel of another release.
    ///
    /// # Errors
    /// As [`GuestImage::assemble`].
    pub fn with_kernel_of(&self, cache: &Cache, release: &Suite, steps: &Steps) -> Result<Self> {
        let kernel = debian::kernel(cache, release, Kernel::Cloud, steps)?;
        self.with_kernel_in(cache, &kernel, steps)
    }

    /// The same guest with another kernel: `root` holds its `boot` and `lib/modules`, and a file VERSIONS beside it tells it from
    /// others.
    ///
    /// # Errors
    /// As [`GuestImage::assemble`].
    pub fn with_kernel_in(&self, cache: &Cache, root: &Path, steps: &Steps) -> Result<Self> {
        let mut image = Self::of(cache, root, steps)?;
        image.programs.clone_from(&self.programs);
        Ok(image)
    }

    /// The same, whose kernel is a `bzImage` to whatever starts it: the entry that an ELF file has (PVH) does not run with KASAN in
    /// Linux 6.1, which has no shadow memory yet there.
    #[must_use]
    pub fn as_bz_image(mut self) -> Self {
        self.elf.clone_from(&self.kernel);
        self
    }

    /// All but the project's own programs.
    fn of(cache: &Cache, kernel_root: &Path, steps: &Steps) -> Result<Self> {
        let root = debian::unpacked(cache, &Self::suite(), PACKAGES, steps)?;
        let kernel = find(&kernel_root.join("boot"), "vmlinuz-")?;
        let modules = MODULE_FOLDERS.map(|folder| kernel_root.join(folder));
        let modules = modules.iter().find(|folder| folder.is_dir());
        let modules = find(modules.context("the kernel's package has no modules")?, "")?;

        let mut key = Sha256::new();
        key.update(INIT);
        key.update(format!(
            "{PROGRAMS:?}{FILES:?}{LINKS:?}{MODULES:?}{MODULE_LISTS:?}{SYSTEM}{ELF}{LIBRARIES:?}"
        ));
        for root in [kernel_root, &root] {
            key.update(read(&root.with_file_name("VERSIONS"))?);
        }
        let key = format!("{:x}", key.finalize());
        let entry = cache.entry("guests", &key[..16], |dir| {
            steps.step("Make the guest image", |_| {
                system(&root, &modules)?.write(File::create(dir.join(SYSTEM))?)?;
                // One that is compressed otherwise takes longer to start.
                let kernel = read(&kernel)?;
                fs::write(dir.join(ELF), elf(&kernel).unwrap_or(kernel))?;
                Ok(())
            })
        })?;

        let release = modules.file_name().unwrap_or_default();
        Ok(Self {
            kernel,
            release: release.to_string_lossy().into_owned(),
            elf: entry.join(ELF),
            system: entry.join(SYSTEM),
            programs: Vec::new(),
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
            elf: self.elf.clone(),
            release: self.release.clone(),
            system: system.to_path_buf(),
            programs: own.write(Vec::new())?,
        })
    }

    /// The same guest with another kernel, an ELF file of that release. Its modules are not in there.
    #[must_use]
    pub(crate) fn with_kernel(&self, elf: &Path, release: &str) -> Self {
        Self {
            kernel: elf.to_path_buf(),
            elf: elf.to_path_buf(),
            release: release.to_owned(),
            ..self.clone()
        }
    }

    /// The kernel, a `bzImage`.
    #[must_use]
    pub fn kernel(&self) -> &Path {
        &self.kernel
    }

    /// The kernel's release, as `uname -r` prints it.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.release
    }

    /// The release of Debian that the guest is of.
    #[must_use]
    pub fn suite() -> Suite {
        Suite::debian(SUITE)
    }

    /// This image with more programs.
    ///
    /// # Errors
    /// When a file cannot be read, or is too large.
    pub fn with_programs(&self, programs: &[GuestProgram<'_>]) -> Result<Self> {
        Ok(self.and(&archive(programs)?))
    }

    /// This image with more files, which replace those of their paths.
    ///
    /// # Errors
    /// When a file is too large.
    pub fn with_files(&self, files: &Initramfs) -> Result<Self> {
        Ok(self.and(&files.write(Vec::new())?))
    }

    /// This image with one more archive.
    pub(crate) fn and(&self, archive: &[u8]) -> Self {
        let mut image = self.clone();
        let programs = &mut image.programs;
        programs.resize(programs.len().next_multiple_of(4), 0);
        programs.extend_from_slice(archive);
        image
    }

    /// The same kernel as an ELF file, for what starts those.
    #[must_use]
    pub fn elf(&self) -> &Path {
        &self.elf
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

/// An archive of the project's own programs.
fn archive(programs: &[GuestProgram<'_>]) -> Result<Vec<u8>> {
    let mut archive = Initramfs::default();
    for program in programs {
        archive.program(&format!("bin/{}", program.name), read(program.file)?);
    }
    archive.write(Vec::new())
}

/// All but the project's own programs.
fn system(root: &Path, modules: &Path) -> Result<Initramfs> {
    let mut initramfs = Initramfs::default();
    for folder in ["dev", "proc", "run", "sbin", "sys", "tmp"] {
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
    let release = modules
        .file_name()
        .context("the modules are in no folder")?;
    let folder = tempfile::tempdir()?;
    let own = folder.path().join("lib/modules").join(release);
    // Some releases have theirs compressed.
    let own_modules = MODULES.iter().filter(|file| modules.join(file).exists());
    for file in own_modules.clone().chain(MODULE_LISTS) {
        let path = own.join(file);
        fs::create_dir_all(path.parent().unwrap_or(&own))?;
        fs::copy(modules.join(file), path)?;
    }
    index_modules(root, folder.path(), release)?;
    let mut files: Vec<_> = own_modules.map(|module| own.join(module)).collect();
    for entry in fs::read_dir(&own)? {
        files.push(entry?.path());
    }
    for path in files.iter().filter(|path| path.is_file()) {
        let name = path.strip_prefix(folder.path())?.display().to_string();
        initramfs.file(&name, read(path)?);
    }
    Ok(initramfs)
}

/// Has the depmod of Debian's kmod write what modprobe and lspci look into. In the guest it would do so at every start.
fn index_modules(root: &Path, base: &Path, release: &OsStr) -> Result<()> {
    let libraries = std::env::join_paths(LIBRARIES.map(|folder| root.join(folder)))?;
    let mut loader = Command::new(root.join("lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"));
    let output = loader
        .arg("--library-path")
        .arg(libraries)
        .args(["--argv0", "depmod"])
        .arg(root.join("bin/kmod"))
        .arg("--basedir")
        .arg(base)
        .arg(release)
        .output()
        .context("cannot run Debian's depmod")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "depmod failed: {said}");
    Ok(())
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
