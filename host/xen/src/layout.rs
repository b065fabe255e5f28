//! What to emulate, and where the processes of a domain's emulator meet.

use std::fs;
use std::path::{Path, PathBuf};

use xen_dm::DomainId;

use crate::placement::PlacedDevice;

/// What to emulate, for whom.
#[derive(Debug, Clone)]
pub struct Options {
    /// The domain.
    pub domain: DomainId,
    /// The domain that the emulator runs in, whose backends xenstore has the devices among.
    pub backend: DomainId,
    /// Its devices, each in a slot of its own.
    pub devices: Vec<PlacedDevice>,
    /// Where the host's side connects.
    pub control: PathBuf,
    /// Whether accesses go to the log from the start.
    pub trace: bool,
    /// The serving process runs as this user id plus the domain's id. Not 0.
    pub uid_base: u32,
}

/// The folder below which each domain's emulator has one.
const RUN: &str = "/run/vgpu-stub";

/// Where the host's side of a domain's emulator is, unless [`Options::control`] says otherwise.
#[must_use]
pub fn control_path(domain: DomainId) -> PathBuf {
    Folder::of(domain).control()
}

/// The domains that have such a folder.
pub(crate) fn domains() -> Vec<DomainId> {
    let entries = fs::read_dir(RUN).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    names
        .filter_map(|name| name.to_str()?.strip_prefix("xen-")?.parse().ok())
        .map(DomainId)
        .collect()
}

/// The files of a domain's emulator.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(crate) fn of(domain: DomainId) -> Self {
        Self {
            path: Path::new(RUN).join(format!("xen-{domain}")),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the host's side connects, unless it is told otherwise.
    fn control(&self) -> PathBuf {
        self.path.join("control.sock")
    }

    /// What the supervisor has made outside of its process.
    pub(crate) fn record(&self) -> PathBuf {
        self.path.join("record")
    }

    /// Registers and mappings, which outlive a serving process.
    pub(crate) fn kept(&self) -> PathBuf {
        self.path.join("kept")
    }
}
