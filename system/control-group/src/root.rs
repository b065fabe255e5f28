//! A group that is this process's to divide.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, fstatfs};
use rustix::io::Errno;

use crate::group::{Bounds, Group};
use crate::{Error, own};

/// Of the file system of version 2 (`CGROUP2_SUPER_MAGIC` of `linux/magic.h`).
const MAGIC: u64 = 0x6367_7270;
/// Where this process moves to: a group that is divided has no process of its own, but for the first of all.
const OWN: &str = "daemon";
/// What is bounded: controllers, as the kernel calls them.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];

/// A group that is this process's to divide, as long as this value is there: another process is refused.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    controllers: Vec<&'static str>,
    _lock: File,
}

impl Root {
    /// The group that this process was given: one in which it is alone, as a service manager makes with `Delegate=yes`. The
    /// process moves into a group below it.
    ///
    /// # Errors
    /// There is none, others are in it, or the system refuses: the process may not divide it.
    pub fn own() -> Result<Self, Error> {
        let read =
            |path: &str| fs::read_to_string(path).map_err(Error::cannot("read", Path::new(path)));
        let path = own::folder(&read("/proc/self/cgroup")?, &read("/proc/self/mountinfo")?);
        let path = path.ok_or(Error::None)?;
        if path.file_name().is_some_and(|name| name == OWN)
            && let Some(above) = path.parent()
        {
            // It was started there, by `DelegateSubgroup=`.
            return Self::divide(above.to_owned());
        }
        let processes = path.join("cgroup.procs");
        let text = fs::read_to_string(&processes).map_err(Error::cannot("read", &processes))?;
        let own = std::process::id().to_string();
        if text.lines().any(|line| line != own) {
            return Err(Error::Shared(path));
        }
        let leaf = path.join(OWN);
        make(&leaf)?;
        let into = leaf.join("cgroup.procs");
        fs::write(&into, own).map_err(Error::cannot("move into", &leaf))?;
        Self::divide(path)
    }

    /// The group of a path, which is made where it is not there. No process is in it.
    ///
    /// # Errors
    /// It is no group of version 2, another process divides it, or the system refuses.
    pub fn at(path: &Path) -> Result<Self, Error> {
        make(path)?;
        Self::divide(path.to_owned())
    }

    fn divide(path: PathBuf) -> Result<Self, Error> {
        let lock = File::open(&path).map_err(Error::cannot("open", &path))?;
        let kind = fstatfs(&lock).map_err(|errno| Error::cannot("look at", &path)(errno.into()))?;
        if kind.f_type.cast_unsigned() != MAGIC {
            return Err(Error::NoGroup(path));
        }
        Self::locked(path, lock)
    }

    /// The same, whatever file system that is.
    pub(crate) fn locked(path: PathBuf, lock: File) -> Result<Self, Error> {
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(Error::Taken(path)),
            Err(errno) => return Err(Error::cannot("lock", &path)(errno.into())),
        }
        let offered = path.join("cgroup.controllers");
        let offered = fs::read_to_string(&offered).map_err(Error::cannot("read", &offered))?;
        let offered: Vec<_> = offered.split_whitespace().collect();
        let mut controllers = Vec::new();
        for name in CONTROLLERS
            .into_iter()
            .filter(|name| offered.contains(name))
        {
            let file = path.join("cgroup.subtree_control");
            let wanted = format!("+{name}");
            fs::write(&file, wanted).map_err(Error::cannot("divide", &path))?;
            controllers.push(name);
        }
        Ok(Self {
            path,
            controllers,
            _lock: lock,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is bounded in its groups: of `memory` and `pids`, those that the kernel offers.
    #[must_use]
    pub fn controllers(&self) -> &[&'static str] {
        &self.controllers
    }

    /// A group below it with these bounds, made where it is not there: one that is keeps its processes.
    ///
    /// # Errors
    /// The system refuses.
    pub fn group(&self, name: &str, bounds: Bounds) -> Result<Group, Error> {
        let group = self.existing(name);
        make(&group.path)?;
        group.set(bounds)?;
        Ok(group)
    }

    /// A group below it that is there.
    #[must_use]
    pub fn existing(&self, name: &str) -> Group {
        Group {
            path: self.path.join(name),
            controllers: self.controllers.clone(),
        }
    }

    /// The names of groups below it that begin so.
    ///
    /// # Errors
    /// The system refuses.
    pub fn names(&self, beginning: &str) -> Result<Vec<String>, Error> {
        let refused = || Error::cannot("list", &self.path);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(refused())? {
            let entry = entry.map_err(refused())?;
            let is_group = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let name = entry.file_name().into_string();
            names.extend(
                name.ok()
                    .filter(|name| is_group && name.starts_with(beginning)),
            );
        }
        Ok(names)
    }
}

fn make(path: &Path) -> Result<(), Error> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(Error::cannot("make", path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that looks like a group, where the kernel has no controllers to spare.
    fn looks_like_one(offered: &str) -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cgroup.controllers"), offered).unwrap();
        let lock = File::open(folder.path()).unwrap();
        let root = Root::locked(folder.path().to_owned(), lock).unwrap();
        (folder, root)
    }

    #[test]
    fn bounds_are_written_where_there_is_a_controller() {
        let bounds = |memory, tasks| Bounds { memory, tasks };
        let (folder, root) = looks_like_one("cpu memory io pids\n");
        assert_eq!(root.controllers(), ["memory", "pids"]);
        let group = root.group("vm-1", bounds(Some(4096), 7)).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join("vm-1").join(name));
        assert_eq!(read("memory.max").unwrap(), "4096");
        assert_eq!(read("pids.max").unwrap(), "7");
        group.set(bounds(None, 8)).unwrap();
        assert_eq!(read("memory.max").unwrap(), "max");
        assert_eq!(read("pids.max").unwrap(), "8");
        assert_eq!(root.names("vm-").unwrap(), ["vm-1"]);
        assert!(root.names("x").unwrap().is_empty());

        let (folder, root) = looks_like_one("pids cpu\n");
        root.group("vm-1", bounds(Some(4096), 7)).unwrap();
        let names = fs::read_dir(folder.path().join("vm-1")).unwrap();
        let names: Vec<_> = names.map(|it| it.unwrap().file_name()).collect();
        assert_eq!(names, ["pids.max"]);
    }

    #[test]
    fn one_process_divides_a_group() {
        let (folder, root) = looks_like_one("");
        let again = || Root::locked(folder.path().to_owned(), File::open(folder.path()).unwrap());
        assert!(matches!(again(), Err(Error::Taken(_))));
        drop(root);
        again().unwrap();
    }

    #[test]
    fn another_folder_is_no_group() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Root::at(folder.path()), Err(Error::NoGroup(_))));
    }
}
