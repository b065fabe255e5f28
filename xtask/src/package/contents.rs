//! What is in the packages, and where it goes.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use crate::manual::Manual;
use crate::{checkout, programs};

/// The version of all packages.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whom a package is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kit {
    /// Hosts with xl or QEMU.
    Plain,
    /// Hosts of XCP-ng.
    XcpNg,
}

impl Kit {
    /// The package's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "vgpu-stub",
            Self::XcpNg => "vgpu-stub-xcp-ng",
        }
    }
}

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

/// A file, link or folder of a package.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its absolute path on the host.
    pub(super) path: String,
    pub(super) mode: u32,
    pub(super) source: Source,
    /// Whether an administrator edits it.
    pub(super) settings: bool,
}

const COMMAND: &str = "/usr/bin/vgpu-stub";

/// Path, mode, source: of both kits.
const COMMON: [(&str, u32, Source); 6] = [
    (COMMAND, 0o755, Source::Program(programs::COMMAND)),
    ("/usr/lib/vgpu-stub", 0o755, Source::Folder),
    // It is not for people to run, so not in their search path.
    (
        "/usr/lib/vgpu-stub/vgpu-emulator",
        0o755,
        Source::Program(programs::EMULATOR),
    ),
    ("/usr/share/doc/vgpu-stub", 0o755, Source::Folder),
    (
        "/usr/share/doc/vgpu-stub/LICENSE-MIT",
        0o644,
        Source::File("LICENSE-MIT"),
    ),
    (
        "/usr/share/doc/vgpu-stub/LICENSE-APACHE",
        0o644,
        Source::File("LICENSE-APACHE"),
    ),
];

const PLAIN: [(&str, u32, Source); 3] = [
    // Debian's zsh looks here alone.
    (
        "/usr/share/zsh/vendor-completions/_vgpu-stub",
        0o777,
        Source::Link("/usr/share/zsh/site-functions/_vgpu-stub"),
    ),
    (
        "/usr/lib/vgpu-stub/vgpu-stub-device-model",
        0o777,
        Source::Link(COMMAND),
    ),
    (
        "/usr/lib/systemd/system/vgpu-stub-vfio-user@.service",
        0o644,
        Source::File("operator/packaging/systemd/vgpu-stub-vfio-user@.service"),
    ),
];

const XCP_NG: [(&str, u32, Source); 12] = [
    ("/etc/vgpu-stub", 0o755, Source::Folder),
    (
        SETTINGS,
        0o644,
        Source::File("operator/packaging/xcp-ng/xcp.conf"),
    ),
    (
        "/usr/lib/systemd/system/vgpu-stub-xen@.service",
        0o644,
        Source::File("operator/packaging/xcp-ng/vgpu-stub-xen@.service"),
    ),
    ("/usr/lib/xapi/alternatives", 0o755, Source::Folder),
    ("/usr/lib/xapi/alternatives/xenguest", 0o755, Source::Folder),
    (
        "/usr/lib/xapi/alternatives/xenguest/vgpu-stub",
        0o777,
        Source::Link(COMMAND),
    ),
    (
        "/etc/xapi.d/plugins/vgpu-stub",
        0o777,
        Source::Link(COMMAND),
    ),
    ("/usr/lib/xapi", 0o755, Source::Folder),
    ("/etc/xapi.d/vm-pre-start", 0o755, Source::Folder),
    ("/etc/xapi.d/vm-post-destroy", 0o755, Source::Folder),
    (
        "/etc/xapi.d/vm-pre-start/50-vgpu-stub",
        0o755,
        Source::File("operator/packaging/xcp-ng/vm-pre-start"),
    ),
    (
        "/etc/xapi.d/vm-post-destroy/50-vgpu-stub",
        0o755,
        Source::File("operator/packaging/xcp-ng/vm-post-destroy"),
    ),
];

const SETTINGS: &str = "/etc/vgpu-stub/xcp.conf";

/// Where each shell looks for completions.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "/usr/share/bash-completion/completions/vgpu-stub"),
    ("zsh", "/usr/share/zsh/site-functions/_vgpu-stub"),
    (
        "fish",
        "/usr/share/fish/vendor_completions.d/vgpu-stub.fish",
    ),
];

/// All of a kit, sorted by path.
///
/// # Errors
///
/// A manual page cannot be made.
pub(super) fn entries(kit: Kit) -> Result<Vec<Entry>> {
    let own: &[(&str, u32, Source)] = match kit {
        Kit::Plain => &PLAIN,
        Kit::XcpNg => &XCP_NG,
    };
    let entry = |path: &str, mode, source| Entry {
        path: path.to_owned(),
        mode,
        source,
        settings: path == SETTINGS,
    };
    let mut entries: Vec<Entry> = COMMON
        .iter()
        .chain(own)
        .map(|(path, mode, source)| entry(path, *mode, source.clone()))
        .collect();
    let manual = Manual::of("vgpu-stub")?;
    for (shell, path) in COMPLETIONS {
        let text = manual.completions(shell)?;
        entries.push(entry(path, 0o644, Source::Text(text)));
    }
    for (name, page) in manual.pages()? {
        let path = format!("/usr/share/man/man1/{name}");
        entries.push(entry(&path, 0o644, Source::Text(page)));
    }
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(entries)
}

/// Lays a kit out below `root`, all as old as `epoch`.
///
/// # Errors
///
/// A file cannot be read or written.
pub(super) fn stage(entries: &[Entry], programs: &Path, root: &Path, epoch: u64) -> Result<()> {
    for entry in entries {
        let path = below(root, &entry.path);
        let parent = path.parent().context("an entry is a root folder")?;
        fs::create_dir_all(parent)?;
        match &entry.source {
            Source::Program(name) => drop(fs::copy(programs.join(name), &path)?),
            Source::File(name) => drop(fs::copy(checkout().join(name), &path)?),
            Source::Text(text) => fs::write(&path, text)?,
            Source::Link(to) => symlink(to, &path)?,
            Source::Folder => fs::create_dir_all(&path)?,
        }
        if !matches!(entry.source, Source::Link(_)) {
            fs::set_permissions(&path, Permissions::from_mode(entry.mode))?;
        }
        if !matches!(entry.source, Source::Link(_) | Source::Folder) {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(epoch);
            let times = FileTimes::new().set_modified(time);
            File::options().append(true).open(&path)?.set_times(times)?;
        }
    }
    Ok(())
}

fn below(root: &Path, absolute: &str) -> PathBuf {
    root.join(absolute.trim_start_matches('/'))
}
