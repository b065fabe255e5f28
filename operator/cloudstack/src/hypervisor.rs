//! What CloudStack calls its hypervisors.

use serde::Serialize;

/// What a host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Hypervisor {
    /// XCP-ng and XenServer
    #[value(alias = "xcp-ng")]
    Xenserver,
    /// libvirt and QEMU
    Kvm,
}

impl Hypervisor {
    /// The end of the names of its settings.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Xenserver => "xenserver",
            Self::Kvm => "kvm",
        }
    }
}
