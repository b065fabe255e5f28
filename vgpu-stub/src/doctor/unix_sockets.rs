//! Who listens on UNIX sockets, and is connected there. To try it out would
//! disturb a server that has one client.

use std::io;

use super::host::Host;

/// Flags of a socket that listens (Linux: net/unix/af_unix.c, SO_ACCEPTCON).
const LISTENS: u32 = 0x0001_0000;
/// State of a connected socket (SS_CONNECTED).
const CONNECTED: &str = "03";

/// The table /proc/net/unix.
pub(super) struct UnixSockets(String);

impl UnixSockets {
    /// Reads the table of a process's network namespace, or of this one's.
    pub(super) fn read(host: &Host, pid: Option<u32>) -> io::Result<Self> {
        let of = |pid: String| host.text(format!("/proc/{pid}/net/unix"));
        let other = pid.and_then(|pid| of(pid.to_string()).ok());
        other.map_or_else(|| of("self".into()), Ok).map(Self)
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
            // A path may have spaces, and the server another way to it.
            let ends = line.ends_with(&format!(" {path}"));
            matches!((flags, state), (Some(Ok(flags)), Some(state)) if ends && test(flags, state))
        })
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
        assert!(!sockets.listens("/run/c.sock") && !sockets.listens("a.sock"));
    }
}
