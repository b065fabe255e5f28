//! Who may attach for which machine, and what that machine may have.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;
use serde::Deserialize;
use toml::Spanned;
use uuid::Uuid;
use vgpu_abi::bar0::CHANNELS;

/// Bytes that a file may have.
const LONGEST: u64 = 1 << 20;
/// MiB that a machine may have at most.
const MOST_MEMORY: u32 = 1 << 20;

/// What a machine may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Channels at a time.
    pub(crate) channels: u32,
    /// Bytes of guest memory that are shared at a time.
    pub(crate) memory: u64,
}

impl Limits {
    const DEFAULT_CHANNELS: u32 = 64;
    const DEFAULT_MEMORY: u32 = 1 << 10;

    const fn new(channels: u32, mebibytes: u32) -> Self {
        Self {
            channels,
            memory: (mebibytes as u64) << 20,
        }
    }
}

/// Where that is written.
#[derive(Debug)]
pub struct Policy(Option<PathBuf>);

/// The machines of a user.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Machines {
    /// All, each with these.
    Any(Limits),
    /// These.
    Listed(BTreeMap<Uuid, Limits>),
}

impl Machines {
    pub(crate) fn limits(&self, machine: Uuid) -> Option<Limits> {
        match self {
            Self::Any(limits) => Some(*limits),
            Self::Listed(machines) => machines.get(&machine).copied(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Listed(machines) if machines.is_empty())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    machine: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    uuid: Spanned<String>,
    uid: u32,
    channels: Option<Spanned<u32>>,
    memory_mib: Option<Spanned<u32>>,
}

impl Policy {
    /// That of a file; without one, only this daemon's own user may attach, for any machine.
    ///
    /// # Errors
    /// The file is wrong, in one line.
    pub fn new(file: Option<PathBuf>) -> Result<Self, String> {
        let policy = Self(file);
        policy.of_user(0)?;
        Ok(policy)
    }

    /// Whether others than this daemon's user may attach.
    #[must_use]
    pub const fn is_for_others(&self) -> bool {
        self.0.is_some()
    }

    /// The machines that a user's emulators may attach for, as the file says now.
    pub(crate) fn of_user(&self, user: u32) -> Result<Machines, String> {
        let Some(path) = &self.0 else {
            let own = user == geteuid().as_raw();
            let limits = Limits::new(Limits::DEFAULT_CHANNELS, Limits::DEFAULT_MEMORY);
            return Ok(match own {
                true => Machines::Any(limits),
                false => Machines::Listed(BTreeMap::new()),
            });
        };
        let text = read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let machines = parse(&text, user)
            .map_err(|(line, error)| format!("{}:{line}: {error}", path.display()))?;
        Ok(Machines::Listed(machines))
    }
}

/// A file that root or this daemon's user has written, and nobody else can write to.
fn read(path: &Path) -> Result<String, String> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let told = |error: std::io::Error| error.to_string();
    let file = file.map_err(told)?;
    let metadata = file.metadata().map_err(told)?;
    let owner = metadata.uid();
    if !metadata.is_file() {
        return Err("no regular file".to_owned());
    }
    if owner != 0 && owner != geteuid().as_raw() {
        return Err(format!("owned by user {owner}, not by root or this user"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err("others can write to it: chmod go-w".to_owned());
    }
    let mut text = String::new();
    file.take(LONGEST + 1)
        .read_to_string(&mut text)
        .map_err(told)?;
    if text.len() as u64 > LONGEST {
        return Err(format!("longer than {LONGEST} bytes"));
    }
    Ok(text)
}

/// The machines of a user; or what is wrong with the text, with its line.
fn parse(text: &str, user: u32) -> Result<BTreeMap<Uuid, Limits>, (usize, String)> {
    let line = |at: usize| 1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count();
    let wrong = |at: usize, what: &dyn Display| (line(at), what.to_string());
    let written: Written = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        wrong(at, &error.message())
    })?;
    let number = |given: Option<Spanned<u32>>, usual, most, name| match given {
        None => Ok(usual),
        Some(given) if (1..=most).contains(given.get_ref()) => Ok(given.into_inner()),
        Some(given) => Err(wrong(
            given.span().start,
            &format_args!("{name} is from 1 to {most}"),
        )),
    };
    let mut all = BTreeMap::new();
    for entry in written.machine {
        let at = entry.uuid.span().start;
        let uuid = Uuid::try_parse(entry.uuid.get_ref()).map_err(|error| wrong(at, &error))?;
        let (channels, memory) = (Limits::DEFAULT_CHANNELS, Limits::DEFAULT_MEMORY);
        let channels = number(entry.channels, channels, CHANNELS.into(), "channels")?;
        let memory = number(entry.memory_mib, memory, MOST_MEMORY, "memory-mib")?;
        let limits = Limits::new(channels, memory);
        if all.insert(uuid, (entry.uid, limits)).is_some() {
            return Err(wrong(at, &"this machine is there twice"));
        }
    }
    let of_user = all.into_iter().filter(|(_, (uid, _))| *uid == user);
    Ok(of_user.map(|(uuid, (_, limits))| (uuid, limits)).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    const UUID: &str = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";
    const OTHER: &str = "1b4e28ba-2fa1-11d2-883f-0016d3cca428";

    #[test]
    fn a_machine_is_its_users() {
        let text = format!(
            "# two\n[[machine]]\nuuid = \"{UUID}\"\nuid = 7\nchannels = 2\nmemory-mib = 3\n\n\
             [[machine]]\nuuid = \"{OTHER}\"\nuid = 8\n"
        );
        let of = |user| parse(&text, user).unwrap();
        let [uuid, other] = [UUID, OTHER].map(|uuid| Uuid::try_parse(uuid).unwrap());
        assert_eq!(of(7), BTreeMap::from([(uuid, Limits::new(2, 3))]));
        assert_eq!(of(8), BTreeMap::from([(other, Limits::new(64, 1024))]));
        assert_eq!(of(0), BTreeMap::new());
        assert_eq!(parse("", 0), Ok(BTreeMap::new()));
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        let machine = format!("[[machine]]\nuuid = \"{UUID}\"\nuid = 7\n");
        for (text, line, said) in [
            ("\nx = 1\n".to_owned(), 2, "unknown field"),
            ("\n\n[[machine]\n".to_owned(), 3, ""),
            (format!("{machine}channel = 1\n"), 4, "unknown field"),
            (format!("{machine}channels = 0\n"), 4, "from 1 to 256"),
            (format!("{machine}channels = 257\n"), 4, "from 1 to 256"),
            (format!("{machine}memory-mib = -1\n"), 4, ""),
            (format!("{machine}memory-mib = 2000000\n"), 4, "from 1 to"),
            (format!("{machine}{machine}"), 5, "twice"),
            (
                format!(
                    "{machine}{}",
                    machine
                        .to_uppercase()
                        .replace("MACHINE", "machine")
                        .replace("UUID", "uuid")
                        .replace("UID", "uid")
                ),
                5,
                "twice",
            ),
            ("[[machine]]\nuuid = \"x\"\nuid = 7\n".to_owned(), 2, ""),
            (format!("[[machine]]\nuuid = \"{UUID}\"\n"), 1, "uid"),
            (machine.replace('7', "\"root\""), 2, ""),
        ] {
            let (found, error) = parse(&text, 7).unwrap_err();
            assert!(
                found == line && error.contains(said),
                "{text}{found}: {error}"
            );
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn a_file_that_others_write_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link.toml");
        let policy = || Policy::new(Some(path.clone())).map(drop).unwrap_err();
        assert!(policy().contains("link.toml: "), "there is none");
        fs::write(&path, "").unwrap();
        for mode in [0o620, 0o602, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(policy().contains("others can write"), "{mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        Policy::new(Some(path.clone())).unwrap();
        fs::write(&path, "x").unwrap();
        assert!(policy().contains("link.toml:1: "), "{}", policy());
        fs::rename(&path, folder.path().join("real")).unwrap();
        symlink("real", &path).unwrap();
        policy();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(policy().contains("no regular file"));
    }

    #[test]
    fn without_a_file_it_is_the_own_user() {
        let policy = Policy::new(None).unwrap();
        let own = geteuid().as_raw();
        assert!(policy.of_user(own).unwrap().limits(Uuid::nil()).is_some());
        assert!(policy.of_user(own + 1).unwrap().is_empty());
    }
}
