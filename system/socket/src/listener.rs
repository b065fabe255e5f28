//! The socket, from its path to the connections.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{self, FileType, Mode};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::BindError;
use crate::error::LONGEST_PATH;
use crate::file_id::FileId;
use crate::place::Place;

/// Connections that wait to be accepted, at most.
const BACKLOG: i32 = 128;

/// How often a stale file is cleaned up. One time is enough, unless somebody
/// else makes another.
const ATTEMPTS: usize = 4;

/// A listening UNIX stream socket. Its file goes away when it is dropped.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    place: Place,
    file: FileId,
}

impl Listener {
    /// Listens at `path`, whose file has exactly the permission bits `mode`,
    /// such as 0o600, from the first moment on, whatever the umask is.
    ///
    /// A socket that nobody listens on is replaced. To find out, a connection
    /// is made and closed at once, which a live server sees. A relative path
    /// means the working directory of this moment, also when it changes.
    ///
    /// Servers that start at once take turns by a file `.NAME.lock` beside the
    /// socket, which is gone when this returns. Only who may write to the
    /// folder can hold that up.
    ///
    /// # Errors
    ///
    /// A live server or another file has the path, or the system refuses it.
    /// Nothing is left behind then.
    pub fn bind(path: &Path, mode: u32) -> Result<Self, BindError> {
        Self::bind_as(SocketType::STREAM, path, mode)
    }

    fn bind_as(kind: SocketType, path: &Path, mode: u32) -> Result<Self, BindError> {
        let at_path = |action| {
            move |error: Errno| BindError::System {
                action,
                path: path.to_owned(),
                source: error.into(),
            }
        };
        let mode = Mode::from_raw_mode(mode & 0o777);
        if path.as_os_str().len() > LONGEST_PATH {
            return Err(BindError::TooLong {
                path: path.to_owned(),
            });
        }
        let address = SocketAddrUnix::new(path).map_err(at_path("use the path"))?;
        let place = Place::of(path)?;

        let socket = new_socket(kind).map_err(at_path("make a socket for"))?;
        // The file takes its mode from the socket, less the umask.
        fs::fchmod(&socket, mode).map_err(at_path("set the mode of the socket for"))?;

        // Held to the end: before listen(), the socket looks like a stale one.
        let _lock = place.lock()?;
        take(kind, &place, path, &socket, &address)?;
        let (file, _) = place.stat().map_err(at_path("find the new socket"))?;
        let listener = Self {
            socket,
            path: path.to_owned(),
            place,
            file,
        };
        listener
            .place
            .set_mode(file, mode)
            .map_err(at_path("set the mode of"))?;
        net::listen(&listener.socket, BACKLOG).map_err(at_path("listen on"))?;
        Ok(listener)
    }

    /// Takes a connection that waits; `None` if there is none. This never
    /// blocks: poll the listener to wait. The connection itself does block,
    /// and is not passed on to programs that this one starts.
    ///
    /// # Errors
    ///
    /// The process or the system has no descriptor or memory left. The
    /// connection still waits then.
    pub fn accept(&self) -> io::Result<Option<UnixStream>> {
        Ok(self.accept_any()?.map(UnixStream::from))
    }

    fn accept_any(&self) -> io::Result<Option<OwnedFd>> {
        match retry_on_intr(|| net::accept_with(&self.socket, SocketFlags::CLOEXEC)) {
            Ok(connection) => Ok(Some(connection)),
            Err(Errno::AGAIN | Errno::CONNABORTED) => Ok(None),
            // What Linux says once nobody waits after [`Self::stop_listening`].
            Err(Errno::INVAL) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets nobody connect any more. Who has connected already still can be
    /// accepted, and is reset where it is not: its first receive fails with
    /// `ECONNRESET` as the listener is dropped.
    pub fn stop_listening(&self) {
        // A socket that listens can always be shut down.
        let _ = net::shutdown(&self.socket, net::Shutdown::Both);
    }

    /// The path, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for Listener {
    /// Readable when a connection waits.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Nobody else replaces the file in between, as the socket is live
        // until its descriptor is closed, after this.
        if self.place.stat().is_ok_and(|(file, _)| file == self.file) {
            let _ = self.place.remove();
        }
    }
}

/// The same, of a socket of sequenced packets.
#[derive(Debug)]
pub struct PacketListener(Listener);

impl PacketListener {
    /// As [`Listener::bind`].
    ///
    /// # Errors
    ///
    /// As for [`Listener::bind`].
    pub fn bind(path: &Path, mode: u32) -> Result<Self, BindError> {
        Listener::bind_as(SocketType::SEQPACKET, path, mode).map(Self)
    }

    /// As [`Listener::accept`].
    ///
    /// # Errors
    ///
    /// As for [`Listener::accept`].
    pub fn accept(&self) -> io::Result<Option<OwnedFd>> {
        self.0.accept_any()
    }

    /// The path, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl AsFd for PacketListener {
    /// Readable when a connection waits.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn new_socket(kind: SocketType) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    net::socket_with(AddressFamily::UNIX, kind, flags, None)
}

/// Binds `socket` to its place, from which a stale file is removed.
fn take(
    kind: SocketType,
    place: &Place,
    path: &Path,
    socket: &OwnedFd,
    address: &SocketAddrUnix,
) -> Result<(), BindError> {
    let refused = |action, error: Errno| BindError::System {
        action,
        path: path.to_owned(),
        source: error.into(),
    };
    for _ in 0..ATTEMPTS {
        match net::bind(socket, address) {
            Ok(()) => return Ok(()),
            Err(Errno::ADDRINUSE) => {}
            Err(error) => return Err(refused("make a socket at", error)),
        }
        match place.stat() {
            Ok((_, FileType::Socket)) => {}
            Ok(_) => {
                return Err(BindError::NotASocket {
                    path: path.to_owned(),
                });
            }
            Err(Errno::NOENT) => continue,
            Err(error) => return Err(refused("look at", error)),
        }
        match probe(kind, address) {
            // A full backlog, and a socket of another type, have an owner too.
            Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => {
                return Err(BindError::Live {
                    path: path.to_owned(),
                });
            }
            Err(Errno::CONNREFUSED) => match place.remove() {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(refused("remove the stale socket", error)),
            },
            Err(Errno::NOENT) => {}
            Err(error) => return Err(refused("see who listens on", error)),
        }
    }
    Err(refused("make a socket at", Errno::ADDRINUSE))
}

/// Connects, to see whether somebody listens.
fn probe(kind: SocketType, address: &SocketAddrUnix) -> Result<(), Errno> {
    net::connect(new_socket(kind)?, address)
}
