//! An act, and what may come of it in which process.

use rustix::io::Errno;

use crate::attempt::Attempt;

/// Something that a process tries.
#[derive(Debug)]
pub struct Act {
    /// In words, such as "open a file".
    pub what: &'static str,
    pub(crate) attempt: Attempt,
    /// What comes of it in the process that answers a guest of Xen.
    pub(crate) xen: Outcome,
    /// And in the vfio-user server.
    pub(crate) vfio_user: Outcome,
    /// And in one whose device has features.
    pub(crate) with_features: Outcome,
    /// And in the worker of a CUDA program.
    pub(crate) worker: Outcome,
    /// And in one of a virtual machine's.
    pub(crate) of_machine: Outcome,
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The kernel ends the process: it is no system call of the policy.
    Ended,
    /// The kernel ends the process: it is over a limit.
    OverLimit,
    /// It fails.
    Refused,
    /// It works, and may.
    Works,
    /// There is nothing to try it on.
    Nothing,
}

/// Whose sandbox it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// That of the process that answers a guest of Xen.
    Xen,
    /// The vfio-user server's.
    VfioUser,
    /// The same where its device has features.
    VfioUserFeatures,
    /// That of a CUDA program's worker, as where the kernel has no Landlock.
    Worker,
    /// That of a virtual machine's worker, whatever its engine is on processors: echo, cpu or null. As root its user is its
    /// machine's alone.
    OfMachine,
    /// Nobody's: to see that the sandbox makes the difference.
    None,
}

impl Process {
    /// By the words of the command line.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let all = [
            Self::Xen,
            Self::VfioUser,
            Self::VfioUserFeatures,
            Self::Worker,
            Self::OfMachine,
            Self::None,
        ];
        all.into_iter().find(|process| process.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Xen => "xen",
            Self::VfioUser => "vfio-user",
            Self::VfioUserFeatures => "vfio-user-features",
            Self::Worker => "worker",
            Self::OfMachine => "vm-worker",
            Self::None => "none",
        }
    }
}

impl Act {
    /// Whether this may come of it.
    pub(crate) fn allows(&self, process: Process, outcome: Outcome) -> bool {
        match process {
            Process::Xen => outcome == self.xen,
            Process::VfioUser => outcome == self.vfio_user,
            Process::VfioUserFeatures => outcome == self.with_features,
            Process::Worker => outcome == self.worker,
            Process::OfMachine => outcome == self.of_machine,
            // What a limit refuses works without it; the rest may fail for a
            // reason of its own.
            Process::None => match self.xen {
                Outcome::Refused | Outcome::OverLimit => outcome == Outcome::Works,
                _ => outcome != Outcome::Ended,
            },
        }
    }

    pub(crate) fn is_for(&self, process: Process, on_xen: bool) -> bool {
        let expected = match process {
            Process::Xen | Process::None => self.xen,
            Process::VfioUser => self.vfio_user,
            Process::VfioUserFeatures => self.with_features,
            Process::Worker => self.worker,
            Process::OfMachine => self.of_machine,
        };
        let needs_xen = matches!(self.attempt, Attempt::OnXen(_));
        expected != Outcome::Nothing && (!needs_xen || on_xen && process == Process::Xen)
    }
}

impl From<Result<(), Errno>> for Outcome {
    fn from(result: Result<(), Errno>) -> Self {
        match result {
            Ok(()) => Self::Works,
            Err(_) => Self::Refused,
        }
    }
}
