//! Debian's own builds of QEMU, unpacked in the cache with all their libraries, so that they run on hosts with older or
//! newer ones. Nothing is installed. They bring their own firmware.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::cache::{Cache, digest};
use crate::debian::{self, Suite};
use crate::steps::Steps;

const PACKAGE: &str = "qemu-system-x86";
/// The program that emulates a PC.
pub(crate) const PROGRAM: &str = "qemu-system-x86_64";
const LINKER: &str = "ld-linux-x86-64.so.2";

/// Fetches the QEMU of `suite`, and returns the path of a program that takes its arguments.
///
/// # Errors
/// When the packages cannot be fetched.
pub fn fetch(cache: &Cache, suite: &Suite, steps: &Steps) -> Result<PathBuf> {
    let root = debian::unpacked_with_dependencies(cache, suite, &[PACKAGE], steps)?;
    let script = launcher(&root);
    let entry = cache.entry("debian-qemu", &digest(&script), |dir| {
        let path = dir.join(PROGRAM);
        fs::write(&path, &script)?;
        Ok(fs::set_permissions(&path, Permissions::from_mode(0o755))?)
    })?;
    Ok(entry.join(PROGRAM))
}

/// A script that becomes the QEMU in `root`: signals, the exit status and the process id are QEMU's own.
fn launcher(root: &Path) -> String {
    // Debian 12 and older have their most basic libraries apart.
    let base = ["usr/lib", "lib"].map(|folder| root.join(folder).join("x86_64-linux-gnu"));
    let [libraries, basic] = &base;
    let linker = base
        .iter()
        .map(|folder| folder.join(LINKER))
        .find(|linker| linker.exists())
        .unwrap_or_else(|| libraries.join(LINKER));
    let [root, libraries, basic, linker] = [root, libraries, basic, &linker]
        .map(|path| path.display().to_string().replace('\'', r"'\''"));
    format!(
        r#"#!/bin/sh
# Debian's QEMU with its own dynamic linker, libraries, modules and firmware, none of the host's.
root='{root}'
export QEMU_MODULE_DIR='{libraries}/qemu'
exec '{linker}' --argv0 {PROGRAM} --inhibit-cache \
    --library-path '{libraries}:{basic}' "$root/usr/bin/{PROGRAM}" \
    -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" "$@"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    /// What the launcher would run with `-m 64M`, where the dynamic linker is in `folder` of the packages.
    fn launched(root: &Path, folder: &str) -> String {
        let folder = root.join(folder).join("x86_64-linux-gnu");
        fs::create_dir_all(&folder).unwrap();
        // In place of the dynamic linker, what prints its arguments.
        symlink("/bin/echo", folder.join(LINKER)).unwrap();
        let output = Command::new("sh")
            .args(["-c", &launcher(root), PROGRAM, "-m", "64M"])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[test]
    fn the_launcher_finds_its_packages_wherever_they_lie() {
        let dir = tempfile::tempdir().unwrap();
        let merged = dir.path().join("it's here");
        let apart = dir.path().join("older");
        for (root, folder) in [(&merged, "usr/lib"), (&apart, "lib")] {
            let text = launched(root, folder);
            let root = root.display();
            assert_eq!(
                text,
                format!(
                    "--argv0 {PROGRAM} --inhibit-cache --library-path \
                     {root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu \
                     {root}/usr/bin/{PROGRAM} -L {root}/usr/share/qemu -L {root}/usr/share/seabios \
                     -m 64M\n"
                )
            );
        }
    }
}
