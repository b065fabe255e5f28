//! A second process that does what the server cannot, or may not in its sandbox:
//! it ends a VM's connection in order where the server dies, and removes the
//! sockets' files.
//!
//! The kernel closes a dead process's sockets as they are. A client whose last
//! message is unread is reset then, and QEMU 11.1 aborts. The guard holds a
//! duplicate of the client's connection, so that nothing is closed before the
//! guard has done it.
//!
//! For a device with features it also connects to the daemon, as often as the server asks: to the one path that it was given
//! at the start, and no other.

use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use vfio_user_server::Connection;
use vgpu_link::Link;
use vgpu_packet::Error as PacketError;
use vgpu_poll::is_readable;
use vgpu_runtime::ending_signals;
use vgpu_socket::SocketFile;

use crate::ending::Ending;
use crate::error::{Error, cannot};

/// How long it may take to start.
const START: Duration = Duration::from_secs(5);

/// How long it may take to end.
const END: Duration = Duration::from_secs(1);

/// How often its end is looked for.
const LOOK: Duration = Duration::from_millis(1);

/// What the server asks for, a byte each.
const HOLD: u8 = 0;
const LINK: u8 = 1;
/// What the guard says, a byte each: that it runs, or what came of [`LINK`].
const RUNS: u8 = 0;
const LINKED: u8 = 1;

/// What a guard is told at the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guarding {
    /// Sockets whose files it removes.
    pub sockets: Vec<PathBuf>,
    /// Where the daemon listens, if there is to be one.
    pub link: Option<PathBuf>,
}

/// The guard as the server has it. Dropped, it goes on until the server ends.
#[derive(Debug)]
pub(crate) struct Guard {
    child: Child,
    /// The other end is the guard's stdin.
    socket: OwnedFd,
}

impl Guard {
    /// Starts `command`, which runs [`guard`], and waits until it does.
    pub(crate) fn start(mut command: Command) -> io::Result<Self> {
        let (socket, stdin) = vgpu_packet::pair().map_err(io::Error::other)?;
        let child = command
            .env_clear()
            // What ends the server's group at once must not end the guard.
            .process_group(0)
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let guard = Self { child, socket };
        let runs = |said| matches!(said, Ok(Some((RUNS, _))));
        if is_readable(&guard, START)? && runs(vgpu_packet::try_receive(&guard, 0)) {
            return Ok(guard);
        }
        guard.end();
        Err(io::Error::other("it does not start"))
    }

    /// Has the guard hold a client's connection, in place of the last one, or
    /// none once that has ended. Never waits: a guard that does not receive is
    /// of no use.
    pub(crate) fn hold(&self, client: Option<&UnixStream>) -> Result<(), PacketError> {
        let client = client.map(AsFd::as_fd);
        vgpu_packet::send(&self.socket, &HOLD, client.as_slice())
    }

    /// Has the guard connect to the daemon: [`Self::receive`] has what came of it.
    pub(crate) fn ask_for_link(&self) -> Result<(), PacketError> {
        vgpu_packet::send(&self.socket, &LINK, &[])
    }

    /// A connection to the daemon, or that there is none; nothing where the guard has nothing to say. It has ended where this
    /// is an error.
    pub(crate) fn receive(&self) -> Result<Option<Option<Link>>, PacketError> {
        let said = vgpu_packet::try_receive::<u8>(&self.socket, 1)?;
        Ok(said.map(|(_, mut files)| files.pop().map(Link::from)))
    }

    /// Has the guard do its work and end, now that nobody can connect any more.
    /// One that does not in time is left alone.
    pub(crate) fn end(self) {
        let Self { mut child, socket } = self;
        drop(socket);
        let since = Instant::now();
        while matches!(child.try_wait(), Ok(None)) && since.elapsed() < END {
            thread::sleep(LOOK);
        }
    }
}

impl AsFd for Guard {
    /// Readable when the guard has something to say, or has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Is the guard of the server that has started this process: until that ends,
/// however it does. The files of its sockets are removed then.
///
/// # Errors
///
/// If no server has started it, or the system refuses what it needs.
pub fn guard(guarding: &Guarding) -> Result<(), Error> {
    // As the program is started by another name.
    let _ = rustix::thread::set_name(c"vgpu-guard");
    // Who ends a service may signal all its processes; this one ends last.
    let _ignored = ending_signals().map_err(cannot("handle signals"))?;
    let server = io::stdin();
    let sockets: Vec<_> = guarding
        .sockets
        .iter()
        .filter_map(|socket| SocketFile::of(socket).ok())
        .collect();
    // What a client has sent may hang as it is closed, and another client may need the guard then.
    let ending = Ending::start().map_err(cannot("start a thread"))?;
    // Its server waits for this.
    vgpu_packet::send(&server, &RUNS, &[])
        .map_err(io::Error::other)
        .map_err(cannot("speak to a server"))?;
    let mut held = None;
    loop {
        let (asked, mut files) = match vgpu_packet::receive::<u8>(&server, 1) {
            Ok(said) => said,
            Err(PacketError::Gone) => break,
            Err(error) => return Err(cannot("hear from a server")(io::Error::other(error))),
        };
        if asked == LINK {
            let link = guarding
                .link
                .as_ref()
                .and_then(|path| Link::connect(path).ok());
            let socket = link.map(|link| link.socket());
            let socket = socket.as_ref().map(|socket| socket.as_fd());
            // It fails where the server has ended, which the next receive tells.
            let _ = vgpu_packet::send(&server, &LINKED, socket.as_slice());
            continue;
        }
        let client = files.pop().map(UnixStream::from).map(Connection::new);
        if let Some(last) = mem::replace(&mut held, client) {
            ending.end(last);
        }
    }
    sockets.into_iter().for_each(SocketFile::remove);
    // It ends in order as it is dropped.
    drop(held);
    Ok(())
}
