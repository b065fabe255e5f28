//! The firmware of a virtual PC, from Debian's packages: the project's QEMU is built without any.

use std::path::PathBuf;

use anyhow::Result;

use crate::cache::Cache;
use crate::debian::{self, Suite};
use crate::steps::Steps;

/// Old enough for every QEMU that can be built, and new enough for what it boots.
const SUITE: &str = "bookworm";

/// What QEMU starts a machine with.
#[derive(Debug, Clone)]
pub struct Firmware {
    /// Folders for QEMU's option `-L`.
    pub(crate) search: Vec<PathBuf>,
    pub(crate) uefi: Option<Uefi>,
}

/// The two parts of OVMF's flash memory.
#[derive(Debug, Clone)]
pub(crate) struct Uefi {
    pub(crate) code: PathBuf,
    /// The variables of a new machine.
    pub(crate) variables: PathBuf,
}

impl Firmware {
    /// The one that QEMU finds by itself: packages of QEMU bring it.
    #[must_use]
    pub fn own() -> Self {
        Self {
            search: Vec::new(),
            uefi: None,
        }
    }

    /// SeaBIOS, and QEMU's loader of Linux kernels.
    ///
    /// # Errors
    /// When the packages cannot be fetched.
    pub fn seabios(cache: &Cache, steps: &Steps) -> Result<Self> {
        let packages = ["qemu-system-data", "seabios"];
        let root = debian::unpacked(cache, &Suite::debian(SUITE), &packages, steps)?;
        let search = ["usr/share/seabios", "usr/share/qemu"].map(|folder| root.join(folder));
        Ok(Self {
            search: search.into(),
            uefi: None,
        })
    }

    /// OVMF, which is UEFI.
    ///
    /// # Errors
    /// When the packages cannot be fetched.
    pub fn ovmf(cache: &Cache, steps: &Steps) -> Result<Self> {
        let root = debian::unpacked(cache, &Suite::debian(SUITE), &["ovmf"], steps)?;
        let folder = root.join("usr/share/OVMF");
        let uefi = Uefi {
            code: folder.join("OVMF_CODE_4M.fd"),
            variables: folder.join("OVMF_VARS_4M.fd"),
        };
        Ok(Self {
            uefi: Some(uefi),
            ..Self::seabios(cache, steps)?
        })
    }
}
