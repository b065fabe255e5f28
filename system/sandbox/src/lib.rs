//! What a process gives up before it reads the first byte of a guest: other
//! users, files, new privileges, resources, and all system calls that it has no
//! use for. What it may still do is data: a [`Policy`].
//!
//! ```no_run
//! # fn start_threads() {}
//! # fn serve(_: vgpu_sandbox::Sandboxed) {}
//! # fn run(policy: &vgpu_sandbox::Policy) -> Result<(), vgpu_sandbox::Error> {
//! let mut sandbox = vgpu_sandbox::Sandbox::prepare()?;
//! sandbox.leave_files("/run/vgpu-stub/xen-3".as_ref())?;  // as root
//! sandbox.become_user(262_147)?;                          // as root
//! start_threads();                                        // they wait for what follows
//! let sandboxed = sandbox.close(policy)?;
//! serve(sandboxed);
//! # Ok(())
//! # }
//! ```
//!
//! [`Sandbox::close`] looks for itself whether all of that is in force, in every
//! thread, and there is no other way to a [`Sandboxed`]: who demands one of its
//! caller is not called outside of the sandbox.
//!
//! Linux 4.14 and later, x86-64.
#![forbid(unsafe_code)]

mod became;
mod call;
mod check;
mod common;
mod error;
#[cfg(feature = "landlock")]
mod files;
mod user;

use std::os::fd::OwnedFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::set_no_new_privs;

pub use became::{BecameUser, become_user};
pub use call::{Argument, Call, Policy, Value};
pub use common::{COMMON, THREADS};
pub use error::Error;
#[cfg(feature = "landlock")]
pub use files::{FilesKept, keep_files};

use crate::check::Threads;

/// The sandbox while it is open.
#[derive(Debug)]
pub struct Sandbox {
    /// `/proc/self/task`, which cannot be reached by name later.
    tasks: OwnedFd,
    /// What this process has become.
    user: Option<u32>,
    #[cfg(feature = "landlock")]
    deny_files: bool,
}

/// The proof that a sandbox is closed, and was found so.
#[derive(Debug, Clone, Copy)]
pub struct Sandboxed(());

impl Sandbox {
    /// A sandbox that holds nothing back yet.
    ///
    /// # Errors
    ///
    /// There is no `/proc`, or no descriptor left.
    pub fn prepare() -> Result<Self, Error> {
        Ok(Self {
            tasks: check::tasks()?,
            user: None,
            #[cfg(feature = "landlock")]
            deny_files: false,
        })
    }

    /// Has [`Sandbox::close`] deny all files that are not open, networks, and
    /// signals to other processes by Landlock too, as far as the kernel can: Linux
    /// 5.13 and later; earlier ones have the filter of system calls alone. The
    /// process then has one thread, and later ones inherit it.
    #[cfg(feature = "landlock")]
    pub fn deny_files(&mut self) {
        self.deny_files = true;
    }

    /// Limits this process in what its [`Policy`] says nothing of, at once.
    ///
    /// # Errors
    ///
    /// The system refuses it, or it is not in force afterwards.
    pub fn limit(&mut self, resource: Resource, most: u64) -> Result<(), Error> {
        limit(resource, most)
    }

    /// Limits this process, and ends it where it makes a system call that is not
    /// in the policy. All threads have to be started, and to wait for the result.
    ///
    /// # Errors
    ///
    /// The system refuses something, or it is not in force afterwards. Serve
    /// nobody then: the process may be sandboxed in part.
    pub fn close(self, policy: &Policy) -> Result<Sandboxed, Error> {
        for &(resource, most) in policy.limits {
            limit(resource, most)?;
        }
        set_no_new_privs(true).map_err(Error::cannot("give up new privileges"))?;
        let filters = call::filters(policy)?;
        let threads = Threads::open(&self.tasks)?;
        // It leads out of an empty root folder.
        drop(self.tasks);
        #[cfg(feature = "landlock")]
        if self.deny_files {
            files::deny(&threads)?;
        }
        for filter in filters {
            seccompiler::apply_filter_all_threads(&filter)?;
        }
        threads.check(self.user)?;
        Ok(Sandboxed(()))
    }
}

#[cfg(feature = "pretend")]
impl Sandboxed {
    /// No proof of anything.
    #[must_use]
    pub fn pretend() -> Self {
        Self(())
    }
}

fn limit(resource: Resource, most: u64) -> Result<(), Error> {
    let least = |now: Option<u64>| Some(now.map_or(most, |now| now.min(most)));
    let now = getrlimit(resource);
    let wanted = Rlimit {
        current: least(now.current),
        maximum: least(now.maximum),
    };
    setrlimit(resource, wanted).map_err(Error::cannot("limit a resource"))?;
    if getrlimit(resource) == wanted {
        Ok(())
    } else {
        Err(Error::NotInForce(format!("the limit of {resource:?}")))
    }
}
