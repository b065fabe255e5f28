//! The files of a package, laid out as on a host.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use super::kits::{Kit, Source};
use crate::checkout;
use crate::manual::Manual;

/// The version of all packages.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A file, link or folder of a package.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its absolute path on the host.
    pub(super) path: String,
    pub(super) mode: u32,
    pub(super) source: Source,
    /// Whether an administrator edits it.
    pub(super) settings: bool,
}

/// Where each shell looks for completions.
const COMPLETIONS: [(&str, [&str; 2]); 3] = [
    ("bash", ["/usr/share/bash-completion/completions/", ""]),
    ("zsh", ["/usr/share/zsh/site-functions/_", ""]),
    ("fish", ["/usr/share/fish/vendor_completions.d/", ".fish"]),
];

/// All of a kit, sorted by path.
///
/// # Errors
///
/// A manual page cannot be made.
pub(super) fn entries(kit: &Kit) -> Result<Vec<Entry>> {
    let entry = |path: &str, mode, source| Entry {
        path: path.to_owned(),
        mode,
        source,
        settings: kit.settings.contains(&path),
    };
    let mut entries: Vec<Entry> = kit
        .files
        .iter()
        .flat_map(|rows| rows.iter())
        .map(|(path, mode, source)| entry(path, *mode, source.clone()))
        .collect();
    let completed = kit.command.iter().map(|command| (command, true));
    let documented = kit.documented.iter().map(|command| (command, false));
    for (command, completed) in completed.chain(documented) {
        entries.extend(documents(command, completed)?);
    }
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(entries)
}

/// Manual pages of a command, and completions where it has some.
fn documents(command: &str, completed: bool) -> Result<Vec<Entry>> {
    let entry = |path, text| Entry {
        path,
        mode: 0o644,
        source: Source::Text(text),
        settings: false,
    };
    let manual = Manual::of(command)?;
    let mut entries = Vec::new();
    for (shell, [before, after]) in COMPLETIONS.into_iter().filter(|_| completed) {
        let path = format!("{before}{command}{after}");
        entries.push(entry(path, manual.completions(shell)?));
    }
    for (name, page) in manual.pages()? {
        entries.push(entry(format!("/usr/share/man/man1/{name}"), page));
    }
    Ok(entries)
}

/// Lays a kit out below `root`, all as old as `epoch`.
///
/// # Errors
///
/// A file cannot be read or written.
pub(super) fn stage(entries: &[Entry], programs: &Path, root: &Path, epoch: u64) -> Result<()> {
    for entry in entries {
        let path = below(root, &entry.path);
        let parent = path.parent().context("an entry is a root folder")?;
        fs::create_dir_all(parent)?;
        match &entry.source {
            Source::Program(name) => drop(fs::copy(programs.join(name), &path)?),
            Source::File(name) => drop(fs::copy(checkout().join(name), &path)?),
            Source::Text(text) => fs::write(&path, text)?,
            Source::Link(to) => symlink(to, &path)?,
            Source::Folder => fs::create_dir_all(&path)?,
        }
        if !matches!(entry.source, Source::Link(_)) {
            fs::set_permissions(&path, Permissions::from_mode(entry.mode))?;
        }
        if !matches!(entry.source, Source::Link(_) | Source::Folder) {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(epoch);
            let times = FileTimes::new().set_modified(time);
            File::options().append(true).open(&path)?.set_times(times)?;
        }
    }
    Ok(())
}

fn below(root: &Path, absolute: &str) -> PathBuf {
    root.join(absolute.trim_start_matches('/'))
}
