//! Why the device cannot be emulated.

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;
use thiserror::Error;
use vgpu_socket::BindError;
use xen_dm::DomainId;
use xen_dm::xenstore;

use crate::kept::KeptError;
use crate::placement::PlacementError;

/// Why the emulator did not start, or could not go on. The text is one line of
/// cause; [`Error::mend`] is one line of what to do.
#[derive(Debug, Error)]
pub enum Error {
    /// Xen's device files cannot be opened.
    #[error("cannot open Xen's /dev/xen/privcmd: {0}")]
    NoXen(io::Error),
    /// Xenstore cannot be reached.
    #[error("cannot reach xenstore: {0}")]
    NoXenstore(io::Error),
    /// Xenstore refused something.
    #[error("cannot {action} in xenstore: {source}")]
    Xenstore {
        /// What it was, as in "cannot … in xenstore".
        action: &'static str,
        /// What it said.
        source: xenstore::Error,
    },
    /// There is no such domain.
    #[error("there is no domain {0}")]
    NoDomain(DomainId),
    /// The domain has an emulator already.
    #[error("domain {0} has an emulator of this device already")]
    Busy(DomainId),
    /// Two devices in one place.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// Xen refused something.
    #[error("cannot {action} for domain {domain}: {source}")]
    Xen {
        /// What it was, as in "cannot … for domain".
        action: &'static str,
        /// The domain.
        domain: DomainId,
        /// What it said.
        source: Errno,
    },
    /// The system refused something.
    #[error("cannot {action}: {source}")]
    System {
        /// What it was, as in "cannot …".
        action: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// What the supervisor has made cannot be written down.
    #[error("cannot keep {path:?}: {source}")]
    Record {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder cannot be made.
    #[error("cannot make the folder {path:?}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The control socket cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The kept registers cannot be used.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// The sandbox cannot be entered.
    #[error("the process that answers the guest is not in its sandbox: {0}")]
    Sandbox(#[from] vgpu_sandbox::Error),
    /// The serving process did not become ready.
    #[error("the process that answers the guest did not start: {0}")]
    Serving(String),
    /// The serving process died again and again.
    #[error(
        "the process that answers the guest of domain {0} dies again and again; its device is gone"
    )]
    GaveUp(DomainId),
}

impl Error {
    /// What to do about it, in one line.
    #[must_use]
    pub fn mend(&self) -> &'static str {
        match self {
            Self::NoXen(_) => {
                "run this in dom0 of a Xen host, as root, with the module xen-privcmd loaded"
            }
            Self::NoXenstore(_) => "see that xenstored runs",
            Self::Xenstore { .. } => "see xenstored's log, and that its quotas are not reached",
            Self::NoDomain(_) => "give the number of a running domain, as xl list shows it",
            Self::Busy(_) => {
                "give all devices of a domain to one emulator, or end the other one: ps aux | grep 'vgpu-stub xen'"
            }
            Self::Placement(error) => error.mend(),
            Self::Xen { .. } => {
                "see xl dmesg; a domain has at most 8 ioreq servers, and only HVM domains have any"
            }
            Self::System { .. } | Self::Serving(_) => {
                "see the log above, and that limits on processes and memory leave room"
            }
            Self::Record { .. } => "run this as root, and make room on the file system of /run",
            Self::Folder { .. } => "run this as root, on a host that has /run",
            Self::Bind(error) => error.mend(),
            Self::Kept(_) => "end the domain's emulator and start the domain again",
            Self::Sandbox(_) => {
                "run this as root, on Linux 4.19 or later that has /proc and seccomp"
            }
            Self::GaveUp(_) => "see the log above; start the domain again to get the device back",
        }
    }
}

/// Says what the system refused.
pub(crate) fn cannot<E: Into<io::Error>>(action: &'static str) -> impl FnOnce(E) -> Error {
    move |source| Error::System {
        action,
        source: source.into(),
    }
}
