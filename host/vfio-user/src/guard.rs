//! A second process that does what the server cannot, or may not in its sandbox:
//! it ends a VM's connection in order where the server dies, and removes the
//! sockets' files.
//!
//! The kernel closes a dead process's sockets as they are. A client whose last
//! message is unread is reset then, and QEMU 11.1 aborts. The guard holds a
//! duplicate of the client's connection, so that nothing is closed before the
//! guard has done it.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, sendmsg, socketpair,
};
use vfio_user_server::Connection;
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
        let files = client.map(AsFd::as_fd);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if client.is_some() {
            ancillary.push(SendAncillaryMessage::ScmRights(files.as_slice()));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        // A message of no bytes would be taken for the end.
        sendmsg(&self.socket, &[IoSlice::new(&[0])], &mut ancillary, flags)?;
        Ok(())
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
    /// Readable when the guard has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Is the guard of the server that has started this process: until that ends,
/// however it does. The files of its `sockets` are removed then.
///
/// # Errors
///
/// If no server has started it, or the system refuses what it needs.
pub fn guard(sockets: &[impl AsRef<Path>]) -> Result<(), Error> {
    // As the program is started by another name.
    let _ = rustix::thread::set_name(c"vgpu-guard");
    // Who ends a service may signal all its processes; this one ends last.
    let _ignored = ending_signals().map_err(cannot("handle signals"))?;
    let server = io::stdin();
    let sockets: Vec<_> = sockets
        .iter()
        .filter_map(|socket| SocketFile::of(socket.as_ref()).ok())
        .collect();
    // What a client has sent may hang as it is closed, and another client may need the guard then.
    let ending = Ending::start().map_err(cannot("start a thread"))?;
    // Its server waits for this.
    rustix::net::send(&server, &[0], SendFlags::NOSIGNAL).map_err(cannot("speak to a server"))?;
    let mut held = None;
    while let Some(client) = receive(&server).map_err(cannot("hear from a server"))? {
        if let Some(last) = mem::replace(&mut held, client.map(Connection::new)) {
            ending.end(last);
        }
    }
    sockets.into_iter().for_each(SocketFile::remove);
    // It ends in order as it is dropped.
    drop(held);
    Ok(())
}

/// What to hold from now on, if anything; `None` once the server has ended.
fn receive(server: impl AsFd) -> Result<Option<Option<UnixStream>>, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let received = retry_on_intr(|| {
        let mut bytes = [IoSliceMut::new(&mut byte)];
        recvmsg(&server, &mut bytes, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let client = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    Ok(Some(client.map(UnixStream::from)))
}
