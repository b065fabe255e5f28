//! The initramfs of dom0: the toolstack, the device model, and what runs scenarios.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use vgpu_bed::initramfs::Initramfs;

use crate::library_closure::libraries;
use crate::packages::Packages;

const INIT: &str = include_str!("../dom0/init");

const LINKER: &str = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";

/// Programs by their paths; `VERSION` is Xen's.
const PROGRAMS: &[&str] = &[
    "usr/bin/busybox",
    "usr/bin/xenstore",
    "usr/lib/xen-VERSION/bin/libxl-save-helper",
    "usr/lib/xen-VERSION/bin/lsevtchn",
    "usr/lib/xen-VERSION/bin/xen-diag",
    "usr/lib/xen-VERSION/bin/xen-hvmctx",
    "usr/lib/xen-VERSION/bin/xen-init-dom0",
    "usr/lib/xen-VERSION/bin/xenconsole",
    "usr/lib/xen-VERSION/bin/xenconsoled",
    "usr/lib/xen-VERSION/bin/xenctx",
    "usr/lib/xen-VERSION/bin/xenstored",
    "usr/lib/xen-VERSION/bin/xl",
    // The device model.
    "usr/libexec/xen-qemu-system-i386",
];

/// What these read.
const FILES: &[&str] = &[
    "usr/lib/xen-VERSION/boot/hvmloader",
    "usr/share/qemu/keymaps/en-us",
    "usr/share/qemu/kvmvapic.bin",
    "usr/share/qemu/linuxboot.bin",
    "usr/share/qemu/linuxboot_dma.bin",
    "usr/share/seabios/bios-256k.bin",
];

/// Modules of the kernel, in the order of loading: Xen's interfaces, then the way to the host's folder.
const MODULES: &[&str] = &[
    "drivers/xen/xen-privcmd.ko",
    "drivers/xen/xen-evtchn.ko",
    "drivers/xen/xen-gntdev.ko",
    "drivers/xen/xen-gntalloc.ko",
    "drivers/xen/xenfs/xenfs.ko",
    "drivers/virtio/virtio_ring.ko",
    "drivers/virtio/virtio.ko",
    "drivers/virtio/virtio_pci_modern_dev.ko",
    "drivers/virtio/virtio_pci_legacy_dev.ko",
    "drivers/virtio/virtio_pci.ko",
    "fs/netfs/netfs.ko",
    "fs/fscache/fscache.ko",
    "net/9p/9pnet.ko",
    "net/9p/9pnet_virtio.ko",
    "fs/9p/9p.ko",
];

const FOLDERS: &[&str] = &[
    "dev",
    "etc/xen",
    "host",
    "proc",
    "run/bed",
    "run/xen",
    "run/xenstored",
    "sys",
    "tmp",
    "var/lib/xen",
    "var/log",
];

const LINKS: &[(&str, &str)] = &[
    ("bin/busybox", "../usr/bin/busybox"),
    ("bin/sh", "busybox"),
    // What may change without another snapshot.
    ("bed", "/host/bed"),
    (
        "lib64/ld-linux-x86-64.so.2",
        "../usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    ),
    ("usr/bin/xenstore-chmod", "xenstore"),
    ("usr/bin/xenstore-exists", "xenstore"),
    ("usr/bin/xenstore-list", "xenstore"),
    ("usr/bin/xenstore-ls", "xenstore"),
    ("usr/bin/xenstore-read", "xenstore"),
    ("usr/bin/xenstore-rm", "xenstore"),
    ("usr/bin/xenstore-watch", "xenstore"),
    ("usr/bin/xenstore-write", "xenstore"),
    ("usr/sbin/xl", "../lib/xen-VERSION/bin/xl"),
    ("var/log/xen", "/host/out/log"),
    ("var/run", "/run"),
    ("xen", "usr/lib/xen-VERSION"),
];

/// What an image is made from, besides packages: another text, another image.
pub(crate) fn recipe() -> String {
    format!("{INIT}{PROGRAMS:?}{FILES:?}{MODULES:?}{FOLDERS:?}{LINKS:?}")
}

/// Writes the initramfs to `path`.
pub(crate) fn write(packages: &Packages, path: &Path) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    // It is unpacked once, so what counts is the time here.
    let compressed = GzEncoder::new(file, Compression::fast());
    initramfs(packages)?.write(compressed)?.finish()?;
    Ok(())
}

fn initramfs(packages: &Packages) -> Result<Initramfs> {
    let named = |path: &str| packages.version.named(path);
    let mut initramfs = Initramfs::default();
    for folder in FOLDERS {
        initramfs.folder(folder);
    }
    initramfs.program("init", INIT.into());
    for (path, target) in LINKS {
        initramfs.link(&named(path), &named(target));
    }
    // Without this xl complains at every call.
    initramfs.file("etc/xen/xl.conf", Vec::new());

    let linker = packages.find(LINKER)?;
    let folders = packages.libraries();
    initramfs.program(LINKER, read(&linker)?);
    for path in PROGRAMS.iter().copied().map(named) {
        let program = packages.find(&path)?;
        initramfs.program(&path, read(&program)?);
        if is_static(&path) {
            continue;
        }
        for (name, file) in libraries(&linker, &folders, &program)? {
            initramfs.program(&format!("usr/lib/x86_64-linux-gnu/{name}"), read(&file)?);
        }
    }
    for path in FILES.iter().copied().map(named) {
        initramfs.file(&path, read(&packages.find(&path)?)?);
    }

    let mut order = String::new();
    for path in MODULES {
        let module = packages.kernel_module(path)?;
        let name = module.file_stem().unwrap_or_default().to_string_lossy();
        initramfs.file(&format!("lib/modules/{name}.ko"), read(&module)?);
        order += &format!("{name}\n");
    }
    initramfs.file("lib/modules/load-order", order.into());
    Ok(initramfs)
}

/// Debian's package is `busybox-static`.
fn is_static(program: &str) -> bool {
    program.ends_with("/busybox")
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
