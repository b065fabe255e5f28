//! No files, networks and signals to others, by Landlock, where the kernel has it.

use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use crate::check::Threads;
use crate::{Error, Sandbox};

impl Sandbox {
    /// Has [`Sandbox::close`] deny all files that are not open, networks, and
    /// signals to other processes by Landlock too, as far as the kernel can: Linux
    /// 5.13 and later; earlier ones have the filter of system calls alone. The
    /// process then has one thread, and later ones inherit it.
    pub fn deny_files(&mut self) {
        self.deny_files = true;
    }
}

/// Denies them, to this thread and those that it starts.
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

fn restrict() -> Result<RulesetStatus, RulesetError> {
    let all = ABI::V6;
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(all))?
        .handle_access(AccessNet::from_all(all))?
        .scope(Scope::from_all(all))?;
    Ok(ruleset.create()?.restrict_self()?.ruleset)
}
