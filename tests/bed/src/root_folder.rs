//! The root folder of a Debian release, in which commands run by that release's own programs.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use vgpu_terminal::OrMend;

use crate::host_packages::{self, Package};
use crate::steps::{Step, Steps};

/// In namespaces of its own: $0 is the root folder, $1 the folder with the source, and the command follows.
const APART: &str = "root=$0 work=$1; shift
for place in dev proc; do mount --rbind \"/$place\" \"$root/$place\" || exit; done
mount --bind \"$work\" \"$root/mnt\" && cd / && exec chroot \"$root\" \"$@\"";

/// Where [`run`] has the folder with the source.
pub(crate) const WORK: &str = "/mnt";

/// Sees that this machine can [`run`].
pub(crate) fn ensure_programs(steps: &Steps) -> Result<()> {
    host_packages::ensure(&[Package::program("util-linux", "unshare")], steps)
}

/// Unpacks an archive of [`debian::root`](crate::debian::root) into a folder.
pub(crate) fn unpack(archive: &Path, root: &Path, step: &Step) -> Result<()> {
    let mut unpack = Command::new("tar");
    unpack.arg("--extract").arg("--file").arg(archive);
    unpack.args(["--no-same-owner", "--exclude=./dev/*", "--directory"]);
    step.run(unpack.arg(root))
}

/// Runs a command in the root folder, with the folder `work` at [`WORK`] in it.
pub(crate) fn run(root: &Path, work: &Path, words: &[&str], step: &Step) -> Result<()> {
    debug_assert!(root.join(WORK.trim_start_matches('/')).is_dir());
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-c", APART])
        .arg(root)
        .arg(work)
        .args(words)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C");
    Ok(step
        .run(&mut command)
        .or_mend("Read the log; where namespaces are refused, run this on another machine.")?)
}
