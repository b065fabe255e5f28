//! Who listens on UNIX sockets, and is connected there. To try it out would
//! disturb a server that has one client.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::host::Host;

/// Flags of a socket that listens (Linux: net/unix/af_unix.c, SO_ACCEPTCON).
const LISTENS: u32 = 0x0001_0000;
/// State of a connected socket (SS_CONNECTED).
const CONNECTED: &str = "03";

/// Tables /proc/net/unix, one after the other.
pub(super) struct UnixSockets(String);

impl UnixSockets {
    /// Reads the tables of these processes, each of which may be in a network
    /// namespace of its own, and of this one.
    pub(super) fn read(host: &Host, pids: impl Iterator<Item = u32>) -> io::Result<Self> {
        let of = |pid: &str| host.text(format!("/proc/{pid}/net/unix"));
        let mut tables = of("self")?;
        for pid in pids {
            tables.push('\n');
            // A process that has ended meanwhile has none.
            tables += &of(&pid.to_string()).unwrap_or_default();
        }
        Ok(Self(tables))
    }

    pub(super) fn listens(&self, path: &str) -> bool {
        self.any(path, |flags, _| flags & LISTENS != 0)
    }

    /// Whether somebody has connected there.
    pub(super) fn is_connected(&self, path: &str) -> bool {
        self.any(path, |flags, state| {
            flags & LISTENS == 0 && state == CONNECTED
        })
    }

    /// Lines are: Num RefCount Protocol Flags Type St Inode Path.
    fn any(&self, path: &str, test: impl Fn(u32, &str) -> bool) -> bool {
        self.0.lines().any(|line| {
            let mut columns = line.split_whitespace();
            let flags = columns.nth(3).map(|flags| u32::from_str_radix(flags, 16));
            let state = columns.nth(1);
            let inode = columns.next().unwrap_or_default();
            // A path may have spaces.
            let bound = line.split_once(&format!(" {inode} "));
            let is_it = bound.is_some_and(|(_, bound)| is_same(bound, path));
            matches!((flags, state), (Some(Ok(flags)), Some(state)) if is_it && test(flags, state))
        })
    }
}

/// Whether two paths lead to the same file, as far as they tell: what a
/// process calls `a.sock` may be another's `/run/a.sock`.
pub(super) fn is_same(one: impl AsRef<Path>, other: impl AsRef<Path>) -> bool {
    let whole = |path: &Path| {
        let path: PathBuf = path
            .components()
            .filter(|part| !matches!(part, Component::CurDir | Component::ParentDir))
            .collect();
        let folder = path.parent().filter(|_| path.is_absolute());
        let folder = folder.and_then(|folder| folder.canonicalize().ok());
        match (folder, path.file_name()) {
            (Some(folder), Some(name)) => folder.join(name),
            _ => path,
        }
    };
    let (one, other) = (whole(one.as_ref()), whole(other.as_ref()));
    match (one.is_absolute(), other.is_absolute()) {
        (true, true) => one == other,
        (false, _) => other.ends_with(one),
        (true, false) => one.ends_with(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 26340 /run/a.sock
0000000000000000: 00000003 00000000 00000000 0001 03 26341 /run/a.sock
0000000000000000: 00000002 00000000 00010000 0001 01 26342 /run/b.sock
0000000000000000: 00000003 00000000 00000000 0001 03 26343";

    #[test]
    fn who_listens_and_who_is_connected() {
        let sockets = UnixSockets(TABLE.into());
        assert!(sockets.listens("/run/a.sock") && sockets.is_connected("/run/a.sock"));
        assert!(sockets.listens("/run/b.sock") && !sockets.is_connected("/run/b.sock"));
        assert!(!sockets.listens("/run/c.sock") && !sockets.listens("/run/other/a.sock"));
    }

    #[test]
    fn a_path_has_many_names() {
        for (one, other) in [
            ("/run/a.sock", "/run/a.sock"),
            ("a.sock", "/run/a.sock"),
            ("./vm/a.sock", "/run/vm/a.sock"),
            ("../a.sock", "/run/a.sock"),
        ] {
            assert!(is_same(one, other) && is_same(other, one), "{one} {other}");
        }
        for (one, other) in [("/run/a.sock", "/run/b.sock"), ("b.sock", "/run/a.sock")] {
            assert!(!is_same(one, other), "{one} {other}");
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("run")).unwrap();
        std::os::unix::fs::symlink("run", folder.path().join("link")).unwrap();
        let path = |name| folder.path().join(name);
        assert!(is_same(path("run/a.sock"), path("link/a.sock")));
    }
}
