//! No files, networks and signals to others, by Landlock, where the kernel has it.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use crate::Error;
use crate::check::Threads;

/// Denies all files that are not open, networks, and signals to others, to this thread and those that it starts.
pub(crate) fn deny(threads: &Threads) -> Result<(), Error> {
    if threads.count() != 1 {
        return Err(Error::NotInForce("Landlock, in each thread,".into()));
    }
    let restricted = restrict().map_err(|error| Error::System {
        action: "deny files by Landlock",
        source: std::io::Error::other(error),
    })?;
    let opened = open("/", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    match (restricted, opened) {
        (RulesetStatus::NotEnforced, _) | (_, Err(Errno::ACCESS)) => Ok(()),
        _ => Err(Error::NotInForce("Landlock".into())),
    }
}

/// The proof that this process, in the thread that has it and those that this
/// thread starts, opens no files but those that [`keep_files`] kept.
#[derive(Debug, Clone, Copy)]
pub struct FilesKept(());

/// Denies all files by Landlock, networks and signals to others, but for files
/// below `readable`, which may be read, and `devices`, which may be used. Names
/// of which there are no files are left out.
///
/// For a process that loads a library with threads of its own, before it does:
/// Landlock holds for threads that are started later. The filter of system calls
/// sees no names, so without Landlock (Linux 5.13) there is no such process.
///
/// # Errors
///
/// The process has another thread, the kernel has no Landlock, or it is not in
/// force afterwards.
pub fn keep_files(readable: &[&Path], devices: &[&Path]) -> Result<FilesKept, Error> {
    let threads = Threads::open(&crate::check::tasks()?)?;
    if threads.count() != 1 {
        return Err(Error::NotInForce("Landlock, in each thread,".into()));
    }
    let all = ABI::V6;
    let read = AccessFs::from_read(all) & !AccessFs::Execute;
    let beneath = [
        (readable, read),
        (devices, AccessFs::from_file(all) & !AccessFs::Execute),
    ];
    let rules = beneath.into_iter().flat_map(|(paths, access)| {
        let opened = paths.iter().filter_map(|path| PathFd::new(path).ok());
        opened.map(move |path| Ok::<_, RulesetError>(PathBeneath::new(path, access)))
    });
    let restrict = || -> Result<RulesetStatus, RulesetError> {
        let ruleset = everything()?.create()?.add_rules(rules)?;
        Ok(ruleset.restrict_self()?.ruleset)
    };
    let status = restrict().map_err(|error| Error::System {
        action: "deny files by Landlock",
        source: std::io::Error::other(error),
    })?;
    let opened = open("/", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    match (status, opened) {
        (RulesetStatus::NotEnforced, _) => Err(Error::NotInForce(
            "Landlock (Linux 5.13 and later, among the kernel's `lsm=`)".into(),
        )),
        (_, Err(Errno::ACCESS)) => Ok(FilesKept(())),
        _ => Err(Error::NotInForce("Landlock".into())),
    }
}

fn everything() -> Result<Ruleset, RulesetError> {
    let all = ABI::V6;
    Ruleset::default()
        .handle_access(AccessFs::from_all(all))?
        .handle_access(AccessNet::from_all(all))?
        .scope(Scope::from_all(all))
}

fn restrict() -> Result<RulesetStatus, RulesetError> {
    Ok(everything()?.create()?.restrict_self()?.ruleset)
}
