//! Configures and builds QEMU, in a folder of the cache.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};
use vgpu_bed::cache::{Cache, digest};
use vgpu_bed::host_packages::{self, Package};
use vgpu_bed::steps::{Step, Steps};
use vgpu_terminal::OrMend;

use super::apply::device_file;
use super::tree::{BuildSystem, Tree, Version};
use crate::pypi::{self, PYTHON};

/// What PyPI is asked for, at least, where Debian's Meson is older than QEMU needs.
const MESON: Version = Version(1, 9);

/// What QEMU is built with.
const PACKAGES: &[Package] = &[
    Package::program("build-essential", "cc"),
    Package::program("make", "make"),
    Package::program("pkg-config", "pkg-config"),
    Package::program("ninja-build", "ninja"),
    Package::program("python3", "python3"),
    Package::python_module("meson", "mesonbuild"),
    Package::python_module("python3-venv", "ensurepip"),
    Package::library("libglib2.0-dev", "glib-2.0"),
    Package::library("libpixman-1-dev", "pixman-1"),
    Package::library("zlib1g-dev", "zlib"),
    Package::file("libfdt-dev", "/usr/include/libfdt.h"),
];

const XEN_PACKAGES: &[Package] = &[
    Package::library("libxen-dev", "xencontrol"),
    Package::file("libaio-dev", "/usr/include/libaio.h"),
];

/// Flags of `configure`, and the versions they are for: from the first one to before the second.
struct Flags {
    from: Version,
    before: Version,
    flags: &'static [&'static str],
}

const ALWAYS: Version = Version(0, 0);
const NEVER: Version = Version(u32::MAX, 0);

const FLAGS: &[Flags] = &[
    Flags {
        from: ALWAYS,
        before: NEVER,
        flags: &[
            "--target-list=x86_64-softmmu",
            "--enable-tcg",
            "--disable-docs",
            "--disable-tools",
            "--disable-werror",
            "--disable-debug-info",
            "--audio-drv-list=",
            // Where Debian and Ubuntu have SeaBIOS, VGA BIOSes and keymaps, and boot ROMs of network cards.
            "--firmwarepath=/usr/share/seabios:/usr/share/qemu:/usr/lib/ipxe/qemu",
        ],
    },
    Flags {
        from: ALWAYS,
        before: Version(7, 1),
        flags: &["--disable-blobs"],
    },
    Flags {
        from: Version(7, 1),
        before: NEVER,
        flags: &["--disable-install-blobs"],
    },
    Flags {
        from: Version(6, 0),
        before: NEVER,
        flags: &["--without-default-features"],
    },
];

/// What xl asks of its device model, besides the devices that QEMU has by default.
const XEN_FLAGS: &[Flags] = &[
    Flags {
        from: ALWAYS,
        before: NEVER,
        flags: &[
            "--enable-xen",
            "--enable-xen-pci-passthrough",
            "--enable-vnc",
            "--enable-linux-aio",
        ],
    },
    // VNC needs it, and before it could not be left out.
    Flags {
        from: Version(8, 2),
        before: NEVER,
        flags: &["--enable-pixman"],
    },
];

/// AddressSanitizer and UndefinedBehaviorSanitizer.
const SANITIZE_FLAGS: &[Flags] = &[
    Flags {
        from: ALWAYS,
        before: Version(9, 1),
        // Its check for the second one fails with a GCC that warns of it, and it goes on without.
        flags: &[
            "--enable-sanitizers",
            "--extra-cflags=-fsanitize=undefined",
            "--extra-ldflags=-fsanitize=undefined",
        ],
    },
    Flags {
        from: Version(9, 1),
        before: NEVER,
        flags: &["--enable-asan", "--enable-ubsan"],
    },
];

/// What a QEMU is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// The device, in a QEMU without what it can do without.
    Plain,
    /// The same, which tells of undefined behaviour.
    Sanitized,
    /// A device model for xl.
    Xen,
}

impl Variant {
    /// What its folder ends in.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Sanitized => "-sanitized",
            Self::Xen => "-xen",
        }
    }

    fn flags(self) -> &'static [Flags] {
        match self {
            Self::Plain => &[],
            Self::Sanitized => SANITIZE_FLAGS,
            Self::Xen => XEN_FLAGS,
        }
    }
}

/// Installs what building needs.
pub(crate) fn install_packages(variant: Variant, steps: &Steps) -> Result<()> {
    let more = match variant {
        Variant::Xen => XEN_PACKAGES,
        Variant::Plain | Variant::Sanitized => &[],
    };
    host_packages::ensure(&[PACKAGES, more].concat(), steps)
}

/// Builds `tree`, and returns the binary in the cache. The next build of the same tree overwrites it.
pub(crate) fn build(
    cache: &Cache,
    tree: &Tree,
    variant: Variant,
    steps: &Steps,
) -> Result<PathBuf> {
    let flags = flags(tree.version, variant);
    let key = digest([tree.root.to_string_lossy().as_ref(), &flags.join(" ")].concat());
    let dir = cache.dir(&format!("builds/{}-{key}", tree.release))?;
    let name = format!("{}{}", tree.release, variant.suffix());

    // A killed `configure` leaves a folder that looks configured.
    let configured = dir.join("configured");
    if !configured.is_file() {
        steps.step(&format!("Configure QEMU {name}"), |step| {
            let mut configure = Command::new(tree.root.join("configure"));
            configure.current_dir(&dir).args(&flags);
            choose_python(&mut configure, cache, tree, step)?;
            step.run(&mut configure).or_mend(format!(
                "Look into meson-logs/meson-log.txt or config.log in {}.",
                dir.display()
            ))?;
            Ok(fs::write(&configured, "")?)
        })?;
    }
    steps.step(&format!("Build QEMU {name}"), |step| {
        match tree.build_system {
            BuildSystem::Meson => {
                step.run(
                    Command::new("ninja")
                        .arg("-C")
                        .arg(&dir)
                        .arg("qemu-system-x86_64"),
                )?;
                Ok(dir.join("qemu-system-x86_64"))
            }
            BuildSystem::Make => {
                let jobs = thread::available_parallelism().map_or(1, usize::from);
                let mut make = Command::new("make");
                step.run(
                    make.arg("-C")
                        .arg(&dir)
                        .arg(format!("-j{jobs}"))
                        .arg("x86_64-softmmu/all"),
                )?;
                Ok(dir.join("x86_64-softmmu/qemu-system-x86_64"))
            }
        }
    })
}

fn flags(version: Version, variant: Variant) -> Vec<String> {
    let mut flags: Vec<_> = FLAGS
        .iter()
        .chain(variant.flags())
        .filter(|flags| (flags.from..flags.before).contains(&version))
        .flat_map(|flags| flags.flags)
        .map(ToString::to_string)
        .collect();
    if variant != Variant::Xen
        && let Some(devices) = device_file(version)
    {
        flags.push("--without-default-devices".to_string());
        flags.push(format!("--with-devices-x86_64={devices}"));
    }
    flags
}

/// Tells `configure` of a Python whose Meson is new enough for `tree`: Debian's, or one with Meson from PyPI.
fn choose_python(configure: &mut Command, cache: &Cache, tree: &Tree, step: &Step) -> Result<()> {
    configure.env("PYTHON", PYTHON);
    if tree.build_system == BuildSystem::Make {
        return Ok(());
    }
    let needed = needed_meson(&fs::read_to_string(tree.root.join("meson.build"))?)
        .context("QEMU's meson.build states no meson_version")?;
    let print_version = "import mesonbuild.coredata as data; print(data.version)";
    let debian: Version = step
        .output(Command::new(PYTHON).args(["-c", print_version]))?
        .parse()?;
    let mut meson = PathBuf::from("/usr/bin/meson");
    if debian < needed {
        let version = needed.max(MESON);
        let (name, package) = (format!("meson-{version}"), format!("meson=={version}.0"));
        let venv = pypi::environment(cache, &name, &[package], "meson", step)?;
        configure.env("PYTHON", venv.join("bin/python3"));
        meson = venv.join("bin/meson");
    }
    // Since 8.1, `configure` takes the Meson of its Python.
    if tree.version < Version(8, 1) {
        configure.arg(format!("--meson={}", meson.display()));
    }
    Ok(())
}

/// The version in `meson_version: '>=1.5.0'`.
fn needed_meson(meson_build: &str) -> Option<Version> {
    let (_, version) = meson_build.split_once("meson_version: '>=")?;
    version.split_once('\'')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_gets_flags_that_it_knows() {
        let has = |version, flag: &str| {
            flags(version, Variant::Plain)
                .iter()
                .any(|found| found == flag)
        };
        for version in [Version(4, 2), Version(5, 2), Version(7, 0)] {
            assert!(has(version, "--disable-blobs"), "{version}");
            assert!(!has(version, "--without-default-devices"), "{version}");
        }
        for version in [Version(7, 2), Version(10, 0), Version(11, 1)] {
            assert!(has(version, "--disable-install-blobs"), "{version}");
            assert!(has(version, "--with-devices-x86_64=vgpu"), "{version}");
        }
        assert!(!has(Version(5, 2), "--without-default-features"));
        assert!(has(Version(6, 2), "--without-default-features"));
    }

    #[test]
    fn xl_gets_all_devices() {
        let pixman = "--enable-pixman".to_string();
        assert!(flags(Version(10, 0), Variant::Xen).contains(&pixman));
        let flags = flags(Version(7, 2), Variant::Xen);
        assert!(!flags.contains(&pixman));
        assert!(flags.contains(&"--enable-xen".to_string()));
        assert!(
            !flags.iter().any(|flag| flag.contains("devices")),
            "{flags:?}"
        );
    }

    #[test]
    fn the_sanitizers_are_asked_for_as_each_version_knows_them() {
        let has = |version, flag: &str| {
            let flags = flags(version, Variant::Sanitized);
            flags.iter().any(|found| found == flag)
        };
        assert!(has(Version(7, 2), "--enable-sanitizers"));
        assert!(has(Version(10, 0), "--enable-asan") && has(Version(10, 0), "--enable-ubsan"));
        assert!(!has(Version(10, 0), "--enable-sanitizers"));
    }

    #[test]
    fn the_meson_that_qemu_needs_is_read() {
        let text = "project('qemu', ['c'], meson_version: '>=1.5.0',\n";
        assert_eq!(needed_meson(text), Some(Version(1, 5)));
        assert_eq!(needed_meson("project('qemu')"), None);
    }
}
