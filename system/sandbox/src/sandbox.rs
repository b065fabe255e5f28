//! The way into the sandbox.

use std::os::fd::OwnedFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::set_no_new_privs;

use crate::check::{self, Threads};
#[cfg(feature = "landlock")]
use crate::files;
use crate::{Error, Policy, filter};

/// The sandbox while it is open.
#[derive(Debug)]
pub struct Sandbox {
    /// `/proc/self/task`, which cannot be reached by name later.
    tasks: OwnedFd,
    /// What this process has become.
    pub(crate) user: Option<u32>,
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
        let filters = filter::filters(policy)?;
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
