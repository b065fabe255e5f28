//! The packages: what each is, what is in it, and what its scripts do.

use Source::{File, Folder, Link, Program};

use crate::programs;

/// What an entry is made of.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A program of this name.
    Program(&'static str),
    /// A file of the checkout.
    File(&'static str),
    /// Text that is made of the command's definition.
    Text(Vec<u8>),
    /// A symbolic link to there.
    Link(&'static str),
    /// A folder that goes with the package.
    Folder,
}

/// What an entry of a package is: path, mode, source.
pub(super) type Row = (&'static str, u32, Source);

/// A package's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Deb,
    Rpm,
    Tarball,
}

/// How the programs of a package are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Of the device: static, for every Linux.
    Device,
    /// Of CUDA: for glibc 2.17 and later. They load libraries while they run, a program ours and a worker NVIDIA's driver,
    /// which a static program cannot.
    Cuda,
    /// The source of the guest's driver, which is built where it is installed. It has no programs.
    Driver,
}

/// What a package's scripts run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scripts {
    /// When it was installed, or another version of it was.
    pub(super) installed: &'static str,
    /// Before it goes for good.
    pub(super) removing: &'static str,
    /// When files of it are gone.
    pub(super) removed: &'static str,
}

/// A package.
#[derive(Debug)]
pub(super) struct Kit {
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) about: &'static str,
    pub(super) family: Family,
    pub(super) kinds: &'static [Kind],
    pub(super) files: &'static [&'static [Row]],
    /// Whose manual pages and completions are in it.
    pub(super) command: Option<&'static str>,
    /// What other programs' manual pages are.
    pub(super) documented: &'static [&'static str],
    /// What an administrator edits.
    pub(super) settings: &'static [&'static str],
    /// The RPM that it cannot be beside.
    pub(super) conflicts: Option<&'static str>,
    /// What it needs, as Debian says it and as RPM does.
    pub(super) needs: Option<[&'static str; 2]>,
    pub(super) scripts: Scripts,
}

const DEVICE: &str = "A virtual GPU PCI device for virtual machines";
const DEVICE_ABOUT: &str = "Static programs that emulate the device for guests of Xen and QEMU.";

/// Nothing running is stopped.
const RELOAD: &str = "[ ! -d /run/systemd/system ] || systemctl daemon-reload || :";
/// What an RPM does where the tarball was: its script would remove the RPM's files.
const FORGET_TARBALL_AND_RELOAD: &str =
    "cd /usr/lib/vgpu-stub && rm -rf installed uninstall.sh unfinished || :
[ ! -d /run/systemd/system ] || systemctl daemon-reload || :";

/// The C library that the programs of CUDA are linked for.
const GLIBC: [&str; 2] = ["libc6 (>= 2.17)", "glibc >= 2.17"];

pub(super) static KITS: [Kit; 5] = [
    Kit {
        name: "vgpu-stub",
        summary: DEVICE,
        about: DEVICE_ABOUT,
        family: Family::Device,
        kinds: &[Kind::Deb, Kind::Rpm],
        files: &[STUB, PLAIN],
        command: Some(programs::COMMAND),
        documented: &[],
        settings: &[],
        conflicts: Some("vgpu-stub-xcp-ng"),
        needs: None,
        scripts: Scripts {
            installed: RELOAD,
            removing: "",
            removed: RELOAD,
        },
    },
    Kit {
        name: "vgpu-stub-xcp-ng",
        summary: DEVICE,
        about: DEVICE_ABOUT,
        family: Family::Device,
        kinds: &[Kind::Rpm, Kind::Tarball],
        files: &[STUB, XCP_NG],
        command: Some(programs::COMMAND),
        documented: &[],
        settings: &[XCP_SETTINGS],
        conflicts: Some("vgpu-stub"),
        needs: None,
        scripts: Scripts {
            installed: FORGET_TARBALL_AND_RELOAD,
            removing: "",
            removed: RELOAD,
        },
    },
    Kit {
        name: "vgpu-guest",
        summary: "CUDA programs on a virtual GPU: the command vgpu and its libcuda.so.1",
        about: "It goes beside NVIDIA's driver, which programs go on finding unless they are told otherwise.",
        family: Family::Cuda,
        kinds: &[Kind::Deb, Kind::Rpm],
        files: &[GUEST],
        command: Some("vgpu"),
        documented: &["vgpu-ptxas"],
        settings: &[],
        conflicts: None,
        needs: Some(GLIBC),
        scripts: Scripts {
            installed: "/usr/bin/vgpu library enable --package || :",
            removing: "/usr/bin/vgpu library disable --package || :",
            removed: "",
        },
    },
    Kit {
        name: "vgpu-host",
        summary: "CUDA programs on a virtual GPU: the daemon vgpud, which executes their work",
        about: "A daemon of each user, who starts it: systemctl --user enable --now vgpud",
        family: Family::Cuda,
        kinds: &[Kind::Deb, Kind::Rpm],
        files: &[HOST],
        command: Some("vgpud"),
        documented: &[],
        settings: &[],
        conflicts: None,
        needs: Some(GLIBC),
        scripts: Scripts {
            installed: "",
            removing: "",
            removed: "",
        },
    },
    Kit {
        name: "vgpu-dkms",
        summary: "The driver of the virtual GPU for guests: vgpu.ko, built for each kernel",
        about: "Members of the group vgpu reach the device by it. It is built by DKMS.",
        family: Family::Driver,
        kinds: &[Kind::Deb],
        files: &[DRIVER],
        command: None,
        documented: &[],
        settings: &[],
        conflicts: None,
        needs: Some(["dkms, passwd", "dkms, shadow-utils"]),
        scripts: Scripts {
            installed: BUILD_DRIVER,
            removing: FORGET_DRIVER,
            removed: "",
        },
    },
];

/// A driver of another version is not kept: its source is gone. One that does not build for a kernel is no reason to fail: there
/// may be no headers yet.
const BUILD_DRIVER: &str = concat!(
    "getent group vgpu >/dev/null || groupadd --system vgpu || :
for folder in /var/lib/dkms/vgpu/*/; do
    former=$(basename \"$folder\")
    case $former in
    '*' | kernel-*) ;;
    *) dkms remove -m vgpu -v \"$former\" --all || : ;;
    esac
done
dkms add -m vgpu -v ",
    env!("CARGO_PKG_VERSION"),
    " || :
for headers in /lib/modules/*/build; do
    kernel=$(basename \"$(dirname \"$headers\")\")
    [ ! -d \"$headers\" ] || dkms install -m vgpu -v ",
    env!("CARGO_PKG_VERSION"),
    " -k \"$kernel\" || :
done
[ ! -S /run/udev/control ] || udevadm control --reload || :"
);

const FORGET_DRIVER: &str = concat!(
    "dkms remove -m vgpu -v ",
    env!("CARGO_PKG_VERSION"),
    " --all || :"
);

const COMMAND: &str = "/usr/bin/vgpu-stub";

const STUB: &[Row] = &[
    (COMMAND, 0o755, Program(programs::COMMAND)),
    ("/usr/lib/vgpu-stub", 0o755, Folder),
    // It is not for people to run, so not in their search path.
    (
        "/usr/lib/vgpu-stub/vgpu-emulator",
        0o755,
        Program(programs::EMULATOR),
    ),
    ("/usr/share/doc/vgpu-stub", 0o755, Folder),
    (
        "/usr/share/doc/vgpu-stub/LICENSE-MIT",
        0o644,
        File("LICENSE-MIT"),
    ),
    (
        "/usr/share/doc/vgpu-stub/LICENSE-APACHE",
        0o644,
        File("LICENSE-APACHE"),
    ),
];

const PLAIN: &[Row] = &[
    // Debian's zsh looks here alone.
    (
        "/usr/share/zsh/vendor-completions/_vgpu-stub",
        0o777,
        Link("/usr/share/zsh/site-functions/_vgpu-stub"),
    ),
    (
        "/usr/lib/vgpu-stub/vgpu-stub-device-model",
        0o777,
        Link(COMMAND),
    ),
    (
        "/usr/lib/systemd/system/vgpu-stub-vfio-user@.service",
        0o644,
        File("operator/packaging/systemd/vgpu-stub-vfio-user@.service"),
    ),
];

const XCP_SETTINGS: &str = "/etc/vgpu-stub/xcp.conf";

const XCP_NG: &[Row] = &[
    ("/etc/vgpu-stub", 0o755, Folder),
    (
        XCP_SETTINGS,
        0o644,
        File("operator/packaging/xcp-ng/xcp.conf"),
    ),
    (
        "/usr/lib/systemd/system/vgpu-stub-xen@.service",
        0o644,
        File("operator/packaging/xcp-ng/vgpu-stub-xen@.service"),
    ),
    ("/usr/lib/xapi/alternatives", 0o755, Folder),
    ("/usr/lib/xapi/alternatives/xenguest", 0o755, Folder),
    (
        "/usr/lib/xapi/alternatives/xenguest/vgpu-stub",
        0o777,
        Link(COMMAND),
    ),
    ("/etc/xapi.d/plugins/vgpu-stub", 0o777, Link(COMMAND)),
    ("/usr/lib/xapi", 0o755, Folder),
    ("/etc/xapi.d/vm-pre-start", 0o755, Folder),
    ("/etc/xapi.d/vm-post-destroy", 0o755, Folder),
    (
        "/etc/xapi.d/vm-pre-start/50-vgpu-stub",
        0o755,
        File("operator/packaging/xcp-ng/vm-pre-start"),
    ),
    (
        "/etc/xapi.d/vm-post-destroy/50-vgpu-stub",
        0o755,
        File("operator/packaging/xcp-ng/vm-post-destroy"),
    ),
];

const GUEST: &[Row] = &[
    ("/usr/bin/vgpu", 0o755, Program("vgpu")),
    // In no folder that the linker looks into, so no other package has a file of its path.
    ("/usr/lib/vgpu", 0o755, Folder),
    ("/usr/lib/vgpu/libcuda.so.1", 0o644, Program("libcuda.so")),
    ("/usr/lib/vgpu/libcuda.so", 0o777, Link("libcuda.so.1")),
    // For programs to run, not for people.
    ("/usr/lib/vgpu/vgpu-ptxas", 0o755, Program("vgpu-ptxas")),
    ("/usr/share/doc/vgpu-guest", 0o755, Folder),
    (
        "/usr/share/doc/vgpu-guest/LICENSE-MIT",
        0o644,
        File("LICENSE-MIT"),
    ),
    (
        "/usr/share/doc/vgpu-guest/LICENSE-APACHE",
        0o644,
        File("LICENSE-APACHE"),
    ),
    (
        "/usr/share/zsh/vendor-completions/_vgpu",
        0o777,
        Link("/usr/share/zsh/site-functions/_vgpu"),
    ),
];

const HOST: &[Row] = &[
    ("/usr/bin/vgpud", 0o755, Program("vgpud")),
    (
        "/usr/lib/systemd/user/vgpud.service",
        0o644,
        File("daemon/packaging/vgpud.service"),
    ),
    (
        "/usr/lib/systemd/system/vgpud-link.service",
        0o644,
        File("daemon/packaging/vgpud-link.service"),
    ),
    ("/usr/share/doc/vgpu-host", 0o755, Folder),
    (
        "/usr/share/doc/vgpu-host/LICENSE-MIT",
        0o644,
        File("LICENSE-MIT"),
    ),
    (
        "/usr/share/doc/vgpu-host/LICENSE-APACHE",
        0o644,
        File("LICENSE-APACHE"),
    ),
    (
        "/usr/share/zsh/vendor-completions/_vgpud",
        0o777,
        Link("/usr/share/zsh/site-functions/_vgpud"),
    ),
];

const DRIVER: &[Row] = &[
    (
        concat!("/usr/src/vgpu-", env!("CARGO_PKG_VERSION")),
        0o755,
        Folder,
    ),
    (
        concat!("/usr/src/vgpu-", env!("CARGO_PKG_VERSION"), "/Kbuild"),
        0o644,
        File("guest/driver/Kbuild"),
    ),
    (
        concat!("/usr/src/vgpu-", env!("CARGO_PKG_VERSION"), "/vgpu.h"),
        0o644,
        File("guest/driver/vgpu.h"),
    ),
    (
        concat!(
            "/usr/src/vgpu-",
            env!("CARGO_PKG_VERSION"),
            "/vgpu_compat.h"
        ),
        0o644,
        File("guest/driver/vgpu_compat.h"),
    ),
    (
        concat!(
            "/usr/src/vgpu-",
            env!("CARGO_PKG_VERSION"),
            "/vgpu_mailbox.c"
        ),
        0o644,
        File("guest/driver/vgpu_mailbox.c"),
    ),
    (
        concat!(
            "/usr/src/vgpu-",
            env!("CARGO_PKG_VERSION"),
            "/vgpu_memory.c"
        ),
        0o644,
        File("guest/driver/vgpu_memory.c"),
    ),
    (
        concat!("/usr/src/vgpu-", env!("CARGO_PKG_VERSION"), "/vgpu_pci.c"),
        0o644,
        File("guest/driver/vgpu_pci.c"),
    ),
    (
        concat!(
            "/usr/src/vgpu-",
            env!("CARGO_PKG_VERSION"),
            "/vgpu_session.c"
        ),
        0o644,
        File("guest/driver/vgpu_session.c"),
    ),
    (
        concat!("/usr/src/vgpu-", env!("CARGO_PKG_VERSION"), "/vgpu_uapi.h"),
        0o644,
        File("abi/vgpu_uapi.h"),
    ),
    (
        concat!("/usr/src/vgpu-", env!("CARGO_PKG_VERSION"), "/dkms.conf"),
        0o644,
        File("guest/driver/packaging/dkms.conf"),
    ),
    (
        "/usr/lib/udev/rules.d/60-vgpu.rules",
        0o644,
        File("guest/driver/packaging/60-vgpu.rules"),
    ),
];
