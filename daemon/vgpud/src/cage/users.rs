//! Which machine's workers run as which user: a file for each user, in a folder that all daemons of the host share.
//!
//! The file is named by the user's number and holds the machine's. Whoever uses it holds its lock, so no two daemons ever
//! give the same user to two machines, and a file that nobody locks is one of a machine that is gone, or of a daemon that
//! was killed: its machine gets it again, and another one only when no process runs as that user any more.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, capabilities};
use uuid::Uuid;

use crate::settings::{UserRange, overlap};

/// What is handed out by others: lines with a first number after a colon, and how many from there on after another.
const OTHERS: [(&str, usize, Option<usize>); 3] = [
    ("/etc/subuid", 1, Some(2)),
    ("/etc/subgid", 1, Some(2)),
    ("/etc/passwd", 2, None),
];
/// How long a daemon holds the folder's lock at most, in tries of a millisecond.
const TRIES: u32 = 500;

/// The first of some lines that hands out one of these users.
fn handed_out<'a>(
    text: &'a str,
    users: &Range<u32>,
    first: usize,
    count: Option<usize>,
) -> Option<&'a str> {
    text.lines().find(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let number = |place: usize| fields.get(place)?.parse::<u32>().ok();
        let count = count.map_or(Some(1), number);
        let theirs = number(first).zip(count);
        theirs.is_some_and(|(first, count)| overlap(users, &(first..first.saturating_add(count))))
    })
}

/// Whether this process may become all of these users, by `/proc/self/uid_map` (user_namespaces(7)).
fn are_mapped(map: &str, users: &Range<u32>) -> bool {
    map.lines().any(|line| {
        let numbers: Vec<u64> = line.split_whitespace().flat_map(str::parse).collect();
        let [first, _, count] = numbers[..] else {
            return false;
        };
        first <= users.start.into() && u64::from(users.end) <= first.saturating_add(count)
    })
}

/// The users of machines' workers.
#[derive(Debug)]
pub(crate) struct Users {
    range: UserRange,
}

/// One that is a machine's, as long as this value is there.
#[derive(Debug)]
pub(crate) struct User {
    id: u32,
    _lock: File,
}

impl User {
    pub(crate) const fn id(&self) -> u32 {
        self.id
    }
}

impl fmt::Display for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.range.users;
        write!(f, "{start} to {}", end - 1)
    }
}

impl Users {
    /// Those of a range, or the usual ones.
    ///
    /// # Errors
    /// This process may not become other users, or they are somebody's.
    pub(crate) fn open(range: Option<&UserRange>) -> Result<Self, String> {
        let range = range.cloned().unwrap_or_else(UserRange::usual);
        let needed = CapabilitySet::SETUID | CapabilitySet::SETGID | CapabilitySet::KILL;
        let has = capabilities(None).map(|it| it.effective);
        if !geteuid().is_root() || !has.is_ok_and(|has| has.contains(needed)) {
            return Err(
                "vgpud is not root, or lacks CAP_SETUID, CAP_SETGID or CAP_KILL".to_owned(),
            );
        }
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        if !are_mapped(&map, &range.users) {
            return Err("its user namespace does not have them all".to_owned());
        }
        for (path, first, count) in OTHERS {
            let text = fs::read_to_string(path).unwrap_or_default();
            if let Some(line) = handed_out(&text, &range.users, first, count) {
                return Err(format!("{path} has some of them: \"{line}\""));
            }
        }
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&range.folder);
        made.map_err(|error| format!("cannot make {}: {error}", range.folder.display()))?;
        Ok(Self { range })
    }

    /// One for a machine: that which it had before, where it had one.
    ///
    /// # Errors
    /// None is left, or the system refuses.
    pub(crate) fn claim(&mut self, machine: Uuid) -> io::Result<User> {
        let folder = File::open(&self.range.folder)?;
        wait_for(&folder)?;
        let noted = self.noted()?;
        let machine = machine.to_string();
        let its = noted.iter().filter(|(_, of)| *of == machine);
        let its = its.map(|(id, _)| (*id, true));
        let new = self.range.users.clone();
        let new = new.filter(|id| !noted.iter().any(|(other, _)| other == id));
        let others = noted.iter().filter(|(_, of)| *of != machine);
        let others = others.map(|(id, _)| (*id, false));
        let candidates = its.chain(new.map(|id| (id, false))).chain(others);
        for (id, is_its) in candidates {
            if let Some(user) = self.take(id, &machine, is_its)? {
                return Ok(user);
            }
        }
        Err(io::Error::other(format!("all users ({self}) are taken")))
    }

    /// The users of the range that have a file, with what it says.
    fn noted(&self) -> io::Result<Vec<(u32, String)>> {
        let mut noted = Vec::new();
        for entry in fs::read_dir(&self.range.folder)? {
            let entry = entry?;
            let id = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            if let Some(id) = id.filter(|id| self.range.users.contains(id)) {
                noted.push((id, read(&entry.path())?));
            }
        }
        noted.sort_unstable();
        Ok(noted)
    }

    /// Takes one that no daemon uses, and, where it was another's, no process runs as.
    fn take(&self, id: u32, machine: &str, is_its: bool) -> io::Result<Option<User>> {
        let path = self.range.folder.join(id.to_string());
        let mut lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        }
        if !is_its {
            if has_processes(id)? {
                return Ok(None);
            }
            lock.set_len(0)?;
            lock.write_all(machine.as_bytes())?;
        }
        Ok(Some(User { id, _lock: lock }))
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(64).read_to_string(&mut text)?;
    Ok(text)
}

/// Takes the folder's lock, which other daemons hold for moments.
fn wait_for(folder: &File) -> io::Result<()> {
    for _ in 0..TRIES {
        match flock(folder, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => thread::sleep(Duration::from_millis(1)),
            locked => return Ok(locked?),
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Whether a process runs as a user, really, effectively, or as it could again.
fn has_processes(user: u32) -> io::Result<bool> {
    let user = user.to_string();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if !name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        // It may have ended.
        let status = fs::read_to_string(Path::new("/proc").join(name).join("status"));
        let status = status.unwrap_or_default();
        let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        if ids.is_some_and(|ids| ids.split_whitespace().any(|id| id == user)) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_hand_out_is_theirs() {
        let users = 100_000..100_010;
        for (line, theirs) in [
            ("a:100000:65536", true),
            ("a:99999:1", false),
            ("a:99999:2", true),
            ("a:100010:9", false),
            ("a:100009:9", true),
            ("a:4294967295:4294967295", false),
            ("", false),
            ("a:b:c", false),
        ] {
            let found = handed_out(line, &users, 1, Some(2));
            assert_eq!(found.is_some(), theirs, "{line}");
        }
        assert!(handed_out("a:x:100009:9::/:", &users, 2, None).is_some());
        assert!(handed_out("a:x:100010:9::/:", &users, 2, None).is_none());
        assert!(are_mapped("         0          0 4294967295\n", &users));
        assert!(!are_mapped("         0     100000      65536\n", &users));
        assert!(!are_mapped("", &users));
    }

    fn users(folder: &Path, first: u32, count: u32) -> Users {
        let range = UserRange::new(first, count, Some(folder.to_owned())).unwrap();
        Users { range }
    }

    #[test]
    fn two_machines_have_two_users_and_each_has_its_own_again() {
        let folder = tempfile::tempdir().unwrap();
        let machine = |n| Uuid::from_u128(n);
        let first = 1_900_000_000;
        let [mut one, mut other] = [(); 2].map(|()| users(folder.path(), first, 3));
        let a = one.claim(machine(1)).unwrap();
        // Of another daemon, too; and of the same machine there, as both could be at work.
        let b = other.claim(machine(2)).unwrap();
        let c = other.claim(machine(1)).unwrap();
        assert_eq!([a.id(), b.id(), c.id()], [first, first + 1, first + 2]);
        let error = one.claim(machine(3)).unwrap_err().to_string();
        assert!(error.contains("are taken"), "{error}");
        // Whoever is killed holds no lock; what is noted stays.
        drop((a, b));
        assert_eq!(one.claim(machine(2)).unwrap().id(), first + 1);
        assert_eq!(
            read(&folder.path().join((first + 1).to_string())).unwrap(),
            machine(2).to_string()
        );
        // Another machine gets what nobody uses.
        let d = one.claim(machine(3)).unwrap();
        assert_eq!(d.id(), first);
        assert_eq!(one.claim(machine(1)).unwrap().id(), first + 1);
    }

    #[test]
    fn a_user_with_a_process_is_not_given_to_another_machine() {
        // Its own, whichever that is: of one below the bounds no range can be.
        assert!(has_processes(geteuid().as_raw()).unwrap());
        assert!(!has_processes(1_900_000_777).unwrap());
    }
}
