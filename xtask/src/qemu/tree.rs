//! A source tree of QEMU: whether it is one, and of which version.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail, ensure};
use vgpu_terminal::OrMend;

/// The oldest version that the device is for: XCP-ng's.
const OLDEST: Version = Version(4, 2);
/// The newest major version that the device is for.
const NEWEST_MAJOR: u32 = 11;

/// Major and minor version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u32, pub(crate) u32);

/// How a tree is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuildSystem {
    /// Before 5.2: Makefile.objs in each folder.
    Make,
    /// Since 5.2.
    Meson,
}

/// An unpacked source tree of a supported version.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    /// The full version, such as `7.2.22`.
    pub(crate) release: String,
    pub(crate) version: Version,
    pub(crate) build_system: BuildSystem,
}

impl Tree {
    /// Looks at the tree in `root`.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        Ok(Self::examine(root).or_mend(format!(
            "Name the top folder of an unpacked QEMU source, version {OLDEST} to {NEWEST_MAJOR}."
        ))?)
    }

    fn examine(root: &Path) -> Result<Self> {
        let root = root
            .canonicalize()
            .with_context(|| format!("no source tree at {}", root.display()))?;
        let version_file = root.join("VERSION");
        let release = fs::read_to_string(&version_file).with_context(|| {
            format!(
                "no source tree of QEMU: looked for {}",
                version_file.display()
            )
        })?;
        let release = release.trim().to_string();
        let version: Version = release.parse().with_context(|| {
            format!(
                "{} holds {release:?}, not a version",
                version_file.display()
            )
        })?;
        ensure!(
            version >= OLDEST && version.0 <= NEWEST_MAJOR,
            "QEMU {release} is not supported: looked for {OLDEST} to {NEWEST_MAJOR} in {}",
            version_file.display()
        );
        let build_system = if version < Version(5, 2) {
            BuildSystem::Make
        } else {
            BuildSystem::Meson
        };
        let file = match build_system {
            BuildSystem::Make => "hw/misc/Makefile.objs",
            BuildSystem::Meson => "hw/misc/meson.build",
        };
        if !root.join(file).is_file() {
            bail!(
                "no source tree of QEMU {release}: looked for {}",
                root.join(file).display()
            );
        }
        Ok(Self {
            root,
            release,
            version,
            build_system,
        })
    }
}

impl FromStr for Version {
    type Err = anyhow::Error;

    /// The first two numbers of such as `7.2.22`.
    fn from_str(text: &str) -> Result<Self> {
        let mut numbers = text.split('.').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(Self(major, minor)),
            _ => Err(anyhow!("no version: {text:?}")),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}
