//! `vgpu-stub qemu install`.
//!
//! The order of its steps leaves, wherever it is cut short, the old QEMU or
//! the new one in place, and files beside it that tell which (`state`).

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use vgpu_new_file::NewFile;
use vgpu_terminal::shell::quoted;
use vgpu_terminal::{Failure, OrMend};

use crate::place::{Place, note, sha256};
use crate::probe::Facts;
use crate::program::Programs;
use crate::state::{Record, State, changed};

/// Puts `from` in place.
///
/// # Errors
///
/// A check failed; nothing is changed.
pub(crate) fn run(
    from: &Path,
    place: &Place,
    programs: &Programs,
    dry_run: bool,
) -> Result<(), Failure> {
    let target = place.target.display();
    let typed = quoted(&place.target);
    let from = built(from, place)?;
    let folder = place.lock()?;
    match State::of(place)? {
        State::Untouched => {}
        State::Installed(record) if record.installed_sha256 == sha256(&from)? => {
            say!("{target} is that QEMU already");
            return Ok(());
        }
        State::Installed(_) => {
            return Err(Failure::new(
                format!("another QEMU with vgpu-stub is installed as {target}"),
                format!("take it back first: vgpu-stub qemu rollback --to {typed}"),
            ));
        }
        State::Interrupted => {
            say!("{target}: an earlier install or rollback was cut short; starting anew");
        }
        State::Changed => return Err(changed(place)),
        State::Broken(failure) => return Err(failure),
    }

    let old = ask(&place.target, programs, |cause| {
        Failure::new(
            format!("{target} cannot be told to be a QEMU: {cause}"),
            "name the QEMU that is to be replaced: --to PATH",
        )
    })?;
    if dry_run {
        let new = checked(&from, &from, &old, programs)?;
        say!("{target}: {}", old.version);
        say!("would be replaced by {}: {}", from.display(), new.version);
        say!("and kept as {}", place.backup().display());
        return Ok(());
    }

    let like = fs::metadata(&place.target).or_mend("see that nobody else changes it")?;
    let mut content = File::open(&from).or_mend("name a file that can be read: --from PATH")?;
    let copy = place.write_new("new", &mut content, Some(&like))?;
    // The copy, as it is the one that VMs will get: where it is, and what it is.
    let new = checked(copy.path(), &from, &old, programs)?;
    let record = Record::new(sha256(&place.target)?, sha256(copy.path())?);
    if programs.interrupted() {
        return Err(signalled());
    }
    // Where an earlier run was cut short.
    forget(place)?;
    swap(place, copy, &record)?;
    folder.sync()?;
    say!("{target}: {}, with vgpu-stub", new.version);
    say!(
        "before: {}, kept as {}",
        old.version,
        place.backup().display()
    );
    say!("VMs that run keep theirs; it is that of VMs that start from now on");
    say!("to have the old one back: vgpu-stub qemu rollback --to {typed}");
    if let Some(line) = place.other_names(&place.backup()).note(&place.target) {
        note(line);
    }
    Ok(())
}

/// The file that is to be installed.
fn built(from: &Path, place: &Place) -> Result<PathBuf, Failure> {
    let mend = "name a QEMU that has the device: --from PATH";
    let built = from
        .canonicalize()
        .map_err(|error| Failure::new(format!("{}: {error}", from.display()), mend))?;
    if !built.is_file() {
        return Err(Failure::new(
            format!("{} is not a file", built.display()),
            mend,
        ));
    }
    if built == place.target {
        return Err(Failure::new(
            format!("{} cannot take its own place", built.display()),
            "name another QEMU: --from PATH",
        ));
    }
    Ok(built)
}

/// Asks the QEMU at `path`, which is `from` or its copy.
fn checked(path: &Path, from: &Path, old: &Facts, programs: &Programs) -> Result<Facts, Failure> {
    let new = ask(path, programs, |cause| {
        Failure::new(
            format!("{} does not work here: {cause}", from.display()),
            "build it on this host, or on one with the same libraries",
        )
    })?;
    new.may_replace(old)?;
    Ok(new)
}

/// Asks a QEMU; `failure` is for one that does not answer.
fn ask(
    path: &Path,
    programs: &Programs,
    failure: impl FnOnce(String) -> Failure,
) -> Result<Facts, Failure> {
    Facts::of(path, programs).map_err(|cause| {
        if programs.interrupted() {
            signalled()
        } else {
            failure(cause)
        }
    })
}

fn signalled() -> Failure {
    Failure::new("a signal came; nothing was changed", "run it again")
}

/// Removes what a run that was cut short has left. The QEMU in place is the
/// backup's equal.
pub(crate) fn forget(place: &Place) -> Result<(), Failure> {
    for path in [place.backup(), place.record()] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Failure::new(
                    format!("cannot remove {}: {error}", path.display()),
                    "run it as root",
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The record, the backup, the new QEMU, in this order.
fn swap(place: &Place, copy: NewFile, record: &Record) -> Result<(), Failure> {
    let done = (|| -> anyhow::Result<()> {
        let text = serde_json::to_string(record)? + "\n";
        let new = place.write_new("record-new", &mut text.as_bytes(), None);
        let new = new.map_err(|failure| anyhow!(failure.cause))?;
        new.rename(&place.record())?;
        // A second name for the very file: nothing of it can be lost.
        fs::hard_link(&place.target, place.backup())?;
        copy.rename(&place.target)?;
        Ok(())
    })();
    done.map_err(|error| {
        let left = forget(place).err().map(|failure| failure.cause);
        let left = left.map_or_else(String::new, |cause| format!("; {cause}"));
        Failure::new(
            format!("cannot replace {}: {error}{left}", place.target.display()),
            "run it as root, on a file system that can be written and has hard links",
        )
    })
}
