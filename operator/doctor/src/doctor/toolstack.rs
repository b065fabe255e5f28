//! Who starts the VMs of this host, and what it says of one.

use std::path::{Path, PathBuf};

use vgpu_terminal::Failure;
use vgpu_xcp_ng::{Uuid, Xe};

use super::host::Host;
use super::no_domain::no_domain;
use super::xapi::{self, INVENTORY};

/// Who manages a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Toolstack {
    /// Nobody that is known: QEMU was started somehow.
    None,
    Xl {
        name: String,
        /// None where it does not run.
        domain: Option<u16>,
        /// The file that it is started from.
        file: PathBuf,
    },
    XcpNg {
        uuid: Uuid,
        /// None where it does not run.
        domain: Option<u16>,
    },
}

/// The toolstack of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    None,
    Xl,
    XcpNg,
}

/// How a VM is named by the user.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted<'a> {
    Name(&'a str),
    Domain(u16),
}

impl Kind {
    pub(super) fn of(host: &Host) -> Self {
        // dom0 alone has this word there.
        let capabilities = host.text("/proc/xen/capabilities").unwrap_or_default();
        if !capabilities.contains("control_d") {
            Self::None
        } else if host.exists(INVENTORY) {
            Self::XcpNg
        } else {
            Self::Xl
        }
    }
}

impl Toolstack {
    /// The number of the running domain, on Xen.
    pub(super) fn domain(&self) -> Option<u16> {
        match self {
            Self::None => None,
            Self::Xl { domain, .. } | Self::XcpNg { domain, .. } => *domain,
        }
    }

    /// Finds a VM of xl's. `file` is its configuration, if the user names it.
    pub(super) fn find_xl(
        host: &Host,
        wanted: Wanted<'_>,
        file: Option<&Path>,
    ) -> Result<Self, Failure> {
        let default = |name: &str| PathBuf::from(format!("/etc/xen/{name}.cfg"));
        let file_of = |name: &str| file.map_or_else(|| default(name), Path::to_owned);
        match wanted {
            Wanted::Domain(domain) => {
                let name = host.run("xl", &["domname", &domain.to_string()]);
                let name = name.map_err(|error| no_domain(&format!("domain {domain}"), &error))?;
                Ok(Self::Xl {
                    file: file_of(name.trim()),
                    name: name.trim().to_owned(),
                    domain: Some(domain),
                })
            }
            Wanted::Name(name) => {
                let domain = match host.run("xl", &["domid", name]) {
                    Ok(domain) => domain.trim().parse().ok(),
                    Err(_) if host.exists(file_of(name)) => None,
                    Err(error) => return Err(no_domain(&format!("VM {name:?}"), &error)),
                };
                Ok(Self::Xl {
                    name: name.to_owned(),
                    domain,
                    file: file_of(name),
                })
            }
        }
    }

    /// Finds a VM of XAPI's, by its name or its uuid.
    pub(super) fn find_xcp_ng(host: &Host, wanted: Wanted<'_>) -> Result<Self, Failure> {
        match wanted {
            Wanted::Domain(domain) => {
                let path = format!("/local/domain/{domain}/vm");
                let vm = host.run("xenstore-read", &[&path]);
                let vm = vm.map_err(|error| no_domain(&format!("domain {domain}"), &error))?;
                let uuid = vm.trim().trim_start_matches("/vm/").parse();
                let uuid = uuid.map_err(|cause: String| {
                    Failure::new(
                        format!("domain {domain} is no VM of XAPI's: {cause}"),
                        "see xe vm-list params=uuid,dom-id",
                    )
                })?;
                Ok(Self::XcpNg {
                    uuid,
                    domain: Some(domain),
                })
            }
            Wanted::Name(name) => {
                let uuid = Xe::within(host.limit).find(name)?;
                let domain = xapi::domain_here(host, name, &uuid)?;
                Ok(Self::XcpNg { uuid, domain })
            }
        }
    }
}
