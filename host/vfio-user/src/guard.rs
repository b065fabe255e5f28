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

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, sendmsg, socketpair,
};
use vfio_user_server::Connection;
use vgpu_link::Link;
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
        let flags = SocketFlags::CLOEXEC;
        let (socket, stdin) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let child = command
            .env_clear()
            // What ends the server's group at once must not end the guard.
            .process_group(0)
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let guard = Self { child, socket };
        if is_readable(&guard, START)? && recv(&guard, &mut [0], RecvFlags::DONTWAIT)?.1 == 1 {
            return Ok(guard);
        }
        guard.end();
        Err(io::Error::other("it does not start"))
    }

    /// Has the guard hold a client's connection, in place of the last one, or
    /// none once that has ended. Never waits: a guard that does not receive is
    /// of no use.
    pub(crate) fn hold(&self, client: Option<&UnixStream>) -> Result<(), Errno> {
        send_byte(&self.socket, HOLD, client.map(AsFd::as_fd))
    }

    /// Has the guard connect to the daemon: [`Self::receive`] has what came of it.
    pub(crate) fn ask_for_link(&self) -> Result<(), Errno> {
        send_byte(&self.socket, LINK, None)
    }

    /// A connection to the daemon, or that there is none. The guard has ended where this is an error.
    pub(crate) fn receive(&self) -> Result<Option<OwnedFd>, Errno> {
        let received = receive(&self.socket, RecvFlags::DONTWAIT)?;
        received.map(|(_, file)| file).ok_or(Errno::PIPE)
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
    send_byte(&server, RUNS, None).map_err(cannot("speak to a server"))?;
    let mut held = None;
    while let Some((asked, client)) =
        receive(&server, RecvFlags::empty()).map_err(cannot("hear from a server"))?
    {
        if asked == LINK {
            let link = guarding
                .link
                .as_ref()
                .and_then(|path| Link::connect(path).ok());
            let socket = link.map(|link| link.socket());
            let socket = socket.as_ref().map(|socket| socket.as_fd());
            // It fails where the server has ended, which the next receive tells.
            let _ = send_byte(&server, LINKED, socket);
            continue;
        }
        let client = client.map(UnixStream::from).map(Connection::new);
        if let Some(last) = mem::replace(&mut held, client) {
            ending.end(last);
        }
    }
    sockets.into_iter().for_each(SocketFile::remove);
    // It ends in order as it is dropped.
    drop(held);
    Ok(())
}

/// Sends a byte, perhaps with a file, without waiting. A message of no bytes would be taken for the end.
fn send_byte(socket: impl AsFd, byte: u8, file: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if file.is_some() {
        ancillary.push(SendAncillaryMessage::ScmRights(file.as_slice()));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(socket, &[IoSlice::new(&[byte])], &mut ancillary, flags)?;
    Ok(())
}

/// A byte, perhaps with a file; `None` once the other end is closed.
fn receive(socket: impl AsFd, flags: RecvFlags) -> Result<Option<(u8, Option<OwnedFd>)>, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let received = retry_on_intr(|| {
        let mut bytes = [IoSliceMut::new(&mut byte)];
        let flags = flags | RecvFlags::CMSG_CLOEXEC;
        recvmsg(&socket, &mut bytes, &mut ancillary, flags)
    })?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let file = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    let [byte] = byte;
    Ok(Some((byte, file)))
}
