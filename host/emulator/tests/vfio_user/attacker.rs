//! An attacker, and what it has.

use std::io::{ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size};
use rustix::process::{Signal, kill_process};

use crate::bed::{Bed, Serving};
use crate::raw::Raw;

/// An attacker, and the server.
pub(crate) struct Attack<'a> {
    pub(crate) bed: &'a Bed,
    pub(crate) server: &'a Serving,
    /// What it holds on to while another client comes.
    pub(crate) kept: Vec<Box<dyn std::any::Any>>,
}

impl Attack<'_> {
    pub(crate) fn connect(&self) -> Raw {
        Raw::connect(&self.bed.socket())
    }

    /// A connection that has the device.
    pub(crate) fn begun(&self) -> Raw {
        Raw::begun(&self.bed.socket())
    }

    pub(crate) fn keep(&mut self, what: impl Sized + 'static) {
        self.kept.push(Box::new(what));
    }

    /// Does something while the server does not run, so that it finds all of
    /// it at once.
    pub(crate) fn unseen<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        self.server.pause();
        let done = act(self);
        kill_process(self.server.pid(), Signal::CONT).unwrap();
        done
    }

    /// A socket whose last close hangs for an hour. It has to be closed here
    /// before the server sees it.
    pub(crate) fn lingering(&mut self) -> OwnedFd {
        let (socket, other) = lingering();
        self.keep(other);
        socket
    }
}

pub(crate) fn memory(size: u64) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = memfd_create("guest-memory", flags).unwrap();
    ftruncate(&memory, size).unwrap();
    memory
}

pub(crate) fn all<F: AsFd>(files: &[F]) -> Vec<BorrowedFd<'_>> {
    files.iter().map(AsFd::as_fd).collect()
}

/// It has sent what nobody reads, and waits for that until the other end is
/// closed.
pub(crate) fn lingering() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    // Or it would take all in, in time.
    set_socket_recv_buffer_size(&listener, 4096).unwrap();
    let mut socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (other, _) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    let full = loop {
        if let Err(error) = socket.write(&[0; 65536]) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    set_socket_linger(&socket, Some(Duration::from_secs(3600))).unwrap();
    (socket.into(), other)
}
