//! A host with libvirt: Debian's packages as Debian installs them, in a root folder that is this test's alone, with the
//! daemons started in it. Nothing is installed on this machine, and nothing is left on it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result};

use crate::cache::Cache;
use crate::debian::{self, Suite};
use crate::guest::GuestImage;
use crate::host_packages::{self, Package};
use crate::process;
use crate::run_folder::RunFolder;
use crate::shell::Shell;
use crate::steps::Steps;

/// Debian 13 with the QEMU of its backports, which takes vfio-user devices.
const SUITE: &str = "trixie";
const PACKAGES: &[&str] = &[
    "libvirt-clients",
    "libvirt-daemon",
    "libvirt-daemon-driver-qemu",
    "qemu-system-common/trixie-backports",
    "qemu-system-data/trixie-backports",
    "qemu-system-x86/trixie-backports",
    "seabios/trixie-backports",
];
const START: &str = include_str!("host.sh");

/// Such a host, where lines are typed as root. It ends when it is dropped.
#[derive(Debug)]
pub struct Host {
    shell: Shell,
    folder: RunFolder,
}

/// The archive of the host's root folder. It is made once, in a minute or more.
///
/// # Errors
/// When Debian's packages cannot be fetched or installed.
pub fn root(cache: &Cache, steps: &Steps) -> Result<PathBuf> {
    let suite = Suite::debian(SUITE).with_backports();
    debian::root(cache, &suite, PACKAGES, steps)
}

impl Host {
    /// Starts the host, with libvirt's daemons. `programs` are static ones that its `PATH` has; the kernel and the initramfs
    /// of `image` are at [`Self::kernel`] and [`Self::initramfs`].
    ///
    /// # Errors
    /// When Debian's packages cannot be had, this user is not root, or the daemons do not start.
    pub fn start(
        cache: &Cache,
        programs: &[&Path],
        image: &GuestImage,
        steps: &Steps,
    ) -> Result<Self> {
        host_packages::ensure(&[Package::program("util-linux", "unshare")], steps)?;
        let root = root(cache, steps)?;
        let folder = RunFolder::new()?;
        // QEMU is another user there.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        let bin = folder.path().join("bin");
        fs::create_dir(&bin)?;
        for program in programs {
            let name = program.file_name().context("a program without a name")?;
            fs::copy(program, bin.join(name))
                .with_context(|| format!("cannot copy {}", program.display()))?;
        }
        let script = folder.path().join("host.sh");
        fs::write(&script, START)?;

        let mut command = process::command(Path::new("unshare"));
        command
            .args([
                "--mount",
                "--pid",
                "--net",
                "--ipc",
                "--fork",
                "--kill-child",
            ])
            .arg("sh")
            .args([&script, &root])
            .arg(folder.path());
        let output = tempfile::tempdir_in(folder.path())?;
        let mut host = Self {
            shell: Shell::start(command, output)?,
            folder,
        };
        fs::copy(image.kernel(), host.kernel())?;
        image.write_initramfs(&host.initramfs())?;
        host.run("virtlogd --daemon && libvirtd --daemon")?;
        Ok(host)
    }

    /// Types a line, and returns what it prints.
    ///
    /// # Errors
    /// When it fails, or does not end.
    pub fn run(&mut self, line: &str) -> Result<String> {
        self.shell.run(line).map_err(|error| self.explain(&error))
    }

    /// Keeps the host's folder, and adds to `error` where it is.
    #[must_use]
    pub fn explain(&self, error: &Error) -> Error {
        self.folder.explain(error)
    }

    /// A folder of the host's, by its path both there and here.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The guest's kernel.
    #[must_use]
    pub fn kernel(&self) -> PathBuf {
        self.folder().join("kernel")
    }

    /// The guest's initramfs.
    #[must_use]
    pub fn initramfs(&self) -> PathBuf {
        self.folder().join("initramfs")
    }
}
