//! Which libraries a program needs, said by the dynamic linker that will load them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};

/// The libraries that `program` needs, and those that these need: their names and where they are among `folders`, or where
/// this machine has them.
pub(crate) fn libraries(
    linker: &Path,
    folders: &[PathBuf],
    program: &Path,
) -> Result<BTreeMap<String, PathBuf>> {
    let mut command = Command::new(linker);
    command.arg("--inhibit-cache");
    if !folders.is_empty() {
        command.arg("--library-path").arg(joined(folders));
    }
    let output = command
        .arg("--list")
        .arg(program)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", linker.display()))?;
    let listed = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} cannot be loaded: {}", program.display(), said.trim());
    }
    listed
        .lines()
        .filter_map(|line| library(line).transpose())
        .collect()
}

/// Folders as the linker takes them.
fn joined(folders: &[PathBuf]) -> OsString {
    let folders: Vec<_> = folders.iter().map(|folder| folder.as_os_str()).collect();
    folders.join(OsStr::new(":"))
}

/// A library from a line such as `libz.so.1 => /lib/libz.so.1 (0x7f12)`. The linker itself, and what the kernel
/// provides, are no libraries that it looks for.
fn library(line: &str) -> Result<Option<(String, PathBuf)>> {
    let Some((name, found)) = line.trim().split_once(" => ") else {
        return Ok(None);
    };
    let (path, _) = found
        .rsplit_once(" (")
        .ok_or_else(|| anyhow!("no package has the library {name}"))?;
    // The linker is listed with the path that programs name it by.
    let name = name.rsplit('/').next().unwrap_or(name);
    Ok(Some((name.to_string(), path.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_linker_are_read() {
        let found = |line| {
            library(line)
                .unwrap()
                .map(|(name, path)| format!("{name} {}", path.display()))
        };
        assert_eq!(
            found("\tlibz.so.1 => /a folder/libz.so.1 (0x00007f1c)").unwrap(),
            "libz.so.1 /a folder/libz.so.1"
        );
        assert_eq!(
            found("\t/lib64/ld-linux-x86-64.so.2 => /a/ld-linux-x86-64.so.2 (0x0)").unwrap(),
            "ld-linux-x86-64.so.2 /a/ld-linux-x86-64.so.2"
        );
        assert_eq!(found("\tlinux-vdso.so.1 (0x00007ffc)"), None);
        let error = library("\tlibodd.so.9 => not found")
            .unwrap_err()
            .to_string();
        assert_eq!(error, "no package has the library libodd.so.9");
    }
}
