//! What keeps a machine's workers apart from everybody else's, beside their sandboxes: a user of their own, and a control
//! group with bounds. Both are recorded before they are used, by the group's folder and by a file for the user, so that a
//! daemon that comes after one that was killed finds what that left.
//!
//! Where one of them cannot be had, workers run without: the log says so once, and the status does.

mod users;

use std::io;
use std::time::{Duration, Instant};

use uuid::Uuid;
use vgpu_control_group::{Bounds, Group, Root};

use crate::log::Log;
use crate::settings::{MachineSettings, Settings};
use users::{User, Users};

/// How long workers of a former daemon may stay that nobody has taken over.
const ADOPTED_WITHIN: Duration = Duration::from_secs(6);
/// How often it is tried to remove a group that still has processes.
const AGAIN: Duration = Duration::from_millis(200);
/// And for how long.
const TRIED_FOR: Duration = Duration::from_secs(60);
/// How a group's name begins: the machine's number follows.
const GROUP: &str = "vm-";

/// Bytes of memory that a worker takes beside its device's memory and its guest's: its code, modules, what a kernel's
/// threads have of their own.
const OF_A_WORKER: u64 = 256 << 20;
/// Threads of a worker beside one for each processor.
const THREADS: u32 = 8;

/// Where machines' workers are put.
#[derive(Debug)]
pub(crate) struct Cages {
    users: Result<Users, String>,
    groups: Result<Root, String>,
    /// When groups are looked at next that a former daemon left, and until when.
    sweep: Option<(Instant, Instant)>,
}

impl Cages {
    /// None, and nothing is looked for.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn none() -> Self {
        let why = || "not asked for".to_owned();
        Self {
            users: Err(why()),
            groups: Err(why()),
            sweep: None,
        }
    }

    /// As the operator wants them, or as they can be had.
    ///
    /// # Errors
    /// What the operator has named cannot be had.
    pub(crate) fn new(settings: &Settings) -> Result<Self, String> {
        let workers = &settings.workers;
        let users = match workers.own_users {
            true => Users::open(workers.users.as_ref()),
            false => Err("own-users = false".to_owned()),
        };
        let groups = match &workers.group {
            Some(path) => Root::at(path),
            None => Root::own(),
        };
        let groups = groups.map_err(|error| error.to_string());
        if let (Some(_), Err(why)) = (&workers.users, &users) {
            return Err(why.clone());
        }
        if let (Some(_), Err(why)) = (&workers.group, &groups) {
            return Err(why.clone());
        }
        let now = Instant::now();
        let sweep = groups
            .is_ok()
            .then(|| (now + ADOPTED_WITHIN, now + TRIED_FOR));
        Ok(Self {
            users,
            groups,
            sweep,
        })
    }

    /// Which users workers have, and which groups; in words.
    pub(crate) fn told(&self) -> [String; 2] {
        let users = match &self.users {
            Ok(users) => users.to_string(),
            Err(why) => format!("the daemon's ({why})"),
        };
        let groups = match &self.groups {
            Ok(root) => {
                let bounded = match root.controllers() {
                    [] => "without bounds: the kernel has no controller to spare".to_owned(),
                    all => format!("bounds: {}", all.join(", ")),
                };
                format!("{}, {bounded}", root.path().display())
            }
            Err(why) => format!("none ({why})"),
        };
        [users, groups]
    }

    /// Says once what workers are without.
    pub(crate) fn log_missing(&self, log: &mut Log) {
        let missing = [
            ("users of their own", self.users.as_ref().err()),
            ("control groups", self.groups.as_ref().err()),
        ];
        for (what, why) in missing {
            if let Some(why) = why {
                log.line(format_args!("machines' workers run without {what}: {why}"));
            }
        }
    }

    /// One for a machine, whose settings say what its workers may have. A group that a former daemon left is taken over.
    ///
    /// # Errors
    /// No user is left, or the system refuses.
    pub(crate) fn cage(&mut self, machine: Uuid, settings: &MachineSettings) -> io::Result<Cage> {
        let user = match &mut self.users {
            Ok(users) => Some(users.claim(machine)?),
            Err(_) => None,
        };
        let group = match &self.groups {
            Ok(root) => {
                let group = root.group(&name(machine), bounds(settings));
                Some(group.map_err(io::Error::other)?)
            }
            Err(_) => None,
        };
        Ok(Cage { user, group })
    }

    /// When [`Self::sweep`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.sweep.map(|(at, _)| at)
    }

    /// Removes, once that is due, what a former daemon left: groups of machines that are not here, with all that is in them,
    /// and in those of machines that are, processes that are not among `workers`, as nobody has taken them over by then.
    pub(crate) fn sweep(
        &mut self,
        machines: &[Uuid],
        workers: impl Fn(u32) -> bool,
        log: &mut Log,
    ) {
        let now = Instant::now();
        let (Some((at, until)), Ok(root)) = (self.sweep, &self.groups) else {
            return;
        };
        if at > now {
            return;
        }
        let mut left = 0;
        for name in root.names(GROUP).unwrap_or_default() {
            let group = root.existing(&name);
            let is_here = machines.iter().any(|&machine| self::name(machine) == name);
            let strangers = group.processes().unwrap_or_default().into_iter();
            let strangers: Vec<_> = strangers.filter(|&it| !workers(it)).collect();
            if is_here {
                strangers.iter().for_each(|&process| kill(process));
                left += strangers.len();
                continue;
            }
            if !strangers.is_empty() {
                let processes = strangers.len();
                log.line(format_args!(
                    "{name}: ends {processes} processes of a former daemon"
                ));
            }
            let _ = group.kill();
            left += usize::from(group.remove().is_err());
        }
        let again = left > 0 && now < until;
        self.sweep = again.then_some((now + AGAIN, until));
    }
}

fn kill(process: u32) {
    let process = i32::try_from(process).ok();
    if let Some(process) = process.and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
    }
}

fn name(machine: Uuid) -> String {
    format!("{GROUP}{machine}")
}

/// What all workers of a machine may have together.
fn bounds(settings: &MachineSettings) -> Bounds {
    let limits = &settings.limits;
    let channels = u64::from(limits.channels);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = u32::try_from(processors)
        .unwrap_or(u32::MAX)
        .saturating_add(THREADS);
    // Without a quota, as much as there is.
    let device = Some(settings.device_memory).filter(|&bytes| bytes != u64::MAX);
    Bounds {
        memory: device.map(|bytes| {
            let beside = limits
                .memory
                .saturating_add(channels.saturating_mul(OF_A_WORKER));
            bytes.saturating_add(beside)
        }),
        tasks: limits.channels.saturating_mul(threads),
    }
}

/// A machine's: it goes with this value, and with it all that is in it.
#[derive(Debug, Default)]
pub(crate) struct Cage {
    user: Option<User>,
    group: Option<Group>,
}

impl Cage {
    /// Who its workers are, where nobody else is.
    pub(crate) fn user(&self) -> Option<u32> {
        self.user.as_ref().map(User::id)
    }

    /// Who its workers are, whoever else is.
    pub(crate) fn workers_user(&self) -> u32 {
        let own = || rustix::process::getuid().as_raw();
        self.user().unwrap_or_else(own)
    }

    /// Whether a worker that a former daemon started is in the group, where there is one: it is not put there now, as the
    /// number may be another process's by then.
    pub(crate) fn holds(&self, worker: u32) -> bool {
        let group = self.group.as_ref();
        group.is_none_or(|group| group.processes().is_ok_and(|all| all.contains(&worker)))
    }

    /// What its workers may have together from now on.
    pub(crate) fn set(&self, settings: &MachineSettings, log: &mut Log) {
        let set = self.group.as_ref().map(|group| group.set(bounds(settings)));
        if let Some(Err(error)) = set {
            log.line(format_args!("bounds stay as they were: {error}"));
        }
    }

    /// Puts a worker in, which has read nothing of a guest's yet.
    ///
    /// # Errors
    /// The system refuses: the worker is to be ended.
    pub(crate) fn admit(&self, worker: u32) -> io::Result<()> {
        let group = self.group.as_ref();
        let admitted = group.map_or(Ok(()), |group| group.add(worker));
        admitted.map_err(io::Error::other)
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        if let Some(group) = &self.group
            && group.remove().is_err()
        {
            // A process is there that its worker was not to start: the next daemon, or the machine's next emulator, removes
            // the group.
            let _ = group.kill();
            let _ = group.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_may_have_its_quota_and_what_its_workers_take() {
        let mut settings = MachineSettings::usual(7, 1);
        assert_eq!(bounds(&settings).memory, None, "it has no quota");
        settings.device_memory = 1 << 30;
        settings.limits.channels = 2;
        settings.limits.memory = 1 << 20;
        let expected = (1 << 30) + (1 << 20) + 2 * OF_A_WORKER;
        assert_eq!(bounds(&settings).memory, Some(expected));
        let tasks = bounds(&settings).tasks;
        assert!(tasks >= 2 * (THREADS + 1), "{tasks}");
        settings.limits.channels = 4;
        assert_eq!(bounds(&settings).tasks, 2 * tasks);
    }

    #[test]
    fn what_is_missing_is_told() {
        let cages = Cages::none();
        let [users, groups] = cages.told();
        assert_eq!(users, "the daemon's (not asked for)");
        assert_eq!(groups, "none (not asked for)");
    }
}
