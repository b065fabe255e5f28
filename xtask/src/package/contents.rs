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
    let manual = Manual::of(kit.command)?;
    for (shell, [before, after]) in COMPLETIONS {
        let path = format!("{before}{}{after}", kit.command);
        let text = manual.completions(shell)?;
        entries.push(entry(&path, 0o644, Source::Text(text)));
    }
    let mut pages = manual.pages()?;
    for program in kit.documented {
        pages.extend(Manual::of(program)?.pages()?);
    }
    for (name, page) in pages {
        let path = format!("/usr/share/man/man1/{name}");
        entries.push(entry(&path, 0o644, Source::Text(page)));
    }
    entries.sort_by(|one, other| one.path.cmp(&other.path));
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
