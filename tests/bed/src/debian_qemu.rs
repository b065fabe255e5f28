//! Debian's own builds of QEMU, unpacked in the cache with all their libraries, so that they run on hosts with older or
//! newer ones. Nothing is installed. They bring their own firmware.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
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
    let key = digest(launcher(Path::new(""), &root));
    let place = cache.dir("debian-qemu")?.join(&key);
    let entry = cache.entry("debian-qemu", &key, |dir| {
        install(dir, &root, &launcher(&place, &root))
    })?;
    Ok(entry.join(PROGRAM))
}

/// Makes the folder of the launcher.
///
/// QEMU looks for modules, firmware and configuration where it was installed to, so it would take the host's, which
/// another QEMU brought. But where there is a folder `qemu-bundle` beside the program that runs, which here is the dynamic
/// linker, it takes that folder for the root of all its paths (QEMU, `get_relocated_path` in util/cutils.c, since 7.1).
fn install(dir: &Path, root: &Path, script: &str) -> Result<()> {
    // A copy, as QEMU follows links.
    fs::copy(linker(root), dir.join(LINKER))?;
    symlink(root, dir.join("qemu-bundle"))?;
    let path = dir.join(PROGRAM);
    fs::write(&path, script)?;
    Ok(fs::set_permissions(&path, Permissions::from_mode(0o755))?)
}

/// Where Debian has libraries: 12 and older have their most basic ones apart.
fn libraries(root: &Path) -> [PathBuf; 2] {
    ["usr/lib", "lib"].map(|folder| root.join(folder).join("x86_64-linux-gnu"))
}

fn linker(root: &Path) -> PathBuf {
    let [usual, basic] = libraries(root).map(|folder| folder.join(LINKER));
    if usual.exists() { usual } else { basic }
}

/// A script that becomes the QEMU in `root`, by the dynamic linker in `place`: signals, the exit status and the process id
/// are QEMU's own.
fn launcher(place: &Path, root: &Path) -> String {
    let [usual, basic] = libraries(root);
    let [linker, root, usual, basic] = [&place.join(LINKER), root, &usual, &basic]
        .map(|path| path.display().to_string().replace('\'', r"'\''"));
    format!(
        r#"#!/bin/sh
# Debian's QEMU with its own dynamic linker, libraries, modules and firmware, none of the host's.
unset QEMU_MODULE_DIR
exec '{linker}' --argv0 {PROGRAM} --inhibit-cache \
    --library-path '{usual}:{basic}' '{root}/usr/bin/{PROGRAM}' "$@"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// What the launcher would run with `-m 64M`, where the dynamic linker is in `folder` of the packages.
    fn launched(root: &Path, dir: &Path, folder: &str) -> String {
        let folder = root.join(folder).join("x86_64-linux-gnu");
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir(dir).unwrap();
        // In place of the dynamic linker, what prints its arguments.
        fs::copy("/bin/echo", folder.join(LINKER)).unwrap();
        install(dir, root, &launcher(dir, root)).unwrap();
        assert_eq!(fs::read_link(dir.join("qemu-bundle")).unwrap(), root);
        let output = Command::new(dir.join(PROGRAM))
            .args(["-m", "64M"])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[test]
    fn the_launcher_finds_its_packages_wherever_they_lie() {
        let dir = tempfile::tempdir().unwrap();
        for (name, folder) in [("it's here", "usr/lib"), ("older", "lib")] {
            let root = dir.path().join(name);
            let text = launched(&root, &dir.path().join(format!("{name}, launched")), folder);
            let root = root.display();
            assert_eq!(
                text,
                format!(
                    "--argv0 {PROGRAM} --inhibit-cache --library-path \
                     {root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu \
                     {root}/usr/bin/{PROGRAM} -m 64M\n"
                )
            );
        }
    }
}
