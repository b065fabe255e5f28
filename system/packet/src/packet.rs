//! One message, one packet.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    recvmsg, sendmsg, socket_with, socketpair, sockopt,
};
use rustix::process::Pid;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The most descriptors that a message can have beside it.
pub const MOST_DESCRIPTORS: usize = 16;

/// Bytes for what comes beside a packet.
const ROOM: usize = rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS), ScmCredentials(1));

/// Why a message was not sent or received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody is at the other end any more.
    #[error("the other end is closed")]
    Gone,
    /// A packet of another size than the message's.
    #[error("a packet of a wrong size")]
    Size,
    /// More descriptors than the receiver takes; all are closed.
    #[error("too many descriptors beside a packet")]
    Descriptors,
    /// The system refused; `EAGAIN` where the other end does not read.
    #[error(transparent)]
    System(#[from] Errno),
}

/// Who sent a packet, as the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// The process.
    pub process: Pid,
    /// Its real user.
    pub user: u32,
}

/// Has the kernel say of each packet that comes from now on who sent it: [`try_receive_from`]. All receivers may have it.
///
/// # Errors
/// It is no socket.
pub fn tell_senders(socket: impl AsFd) -> Result<(), Error> {
    Ok(sockopt::set_socket_passcred(socket, true)?)
}

/// Whether a descriptor of others is a local socket of packets, to which sending waits for nobody.
#[must_use]
pub fn is_packet_socket(file: impl AsFd) -> bool {
    let kind = sockopt::socket_type(&file);
    let family = sockopt::socket_domain(file);
    (family, kind) == (Ok(AddressFamily::UNIX), Ok(SocketType::SEQPACKET))
}

/// Two sockets that are connected to each other.
///
/// # Errors
/// The system has no descriptors left.
pub fn pair() -> Result<(OwnedFd, OwnedFd), Error> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    Ok(socketpair(family, kind, SocketFlags::CLOEXEC, None)?)
}

/// A socket that is connected to who listens at a path, without waiting.
///
/// # Errors
/// Nobody listens there, too many wait to be accepted (`EAGAIN`), or the system refuses.
pub fn connect(path: &Path) -> Result<OwnedFd, Error> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, kind, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    // Whoever receives may want to wait.
    ioctl_fionbio(&socket, false)?;
    Ok(socket)
}

/// Sends a message, without waiting. No signal comes where the other end is closed.
///
/// # Errors
/// [`Error::Gone`]; or the system refuses: it has no room for a packet (`EAGAIN`), or there are more descriptors than
/// [`MOST_DESCRIPTORS`] (`E2BIG`).
pub fn send<T: IntoBytes + Immutable>(
    socket: impl AsFd,
    message: &T,
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), Error> {
    if descriptors.len() > MOST_DESCRIPTORS {
        return Err(Errno::TOOBIG.into());
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let bytes = [IoSlice::new(message.as_bytes())];
    match sendmsg(socket, &bytes, &mut control, flags) {
        Ok(_) => Ok(()),
        Err(Errno::PIPE | Errno::CONNRESET) => Err(Error::Gone),
        Err(errno) => Err(errno.into()),
    }
}

/// Waits for a message with at most `most` descriptors.
///
/// # Errors
/// [`Error`]; the packet is taken, and its descriptors are closed.
pub fn receive<T: FromBytes + IntoBytes>(
    socket: impl AsFd,
    most: usize,
) -> Result<(T, Vec<OwnedFd>), Error> {
    take(socket, most, RecvFlags::empty()).map(|(message, descriptors, _)| (message, descriptors))
}

/// Takes a message that is there; `None` where there is none.
///
/// # Errors
/// As for [`receive`].
pub fn try_receive<T: FromBytes + IntoBytes>(
    socket: impl AsFd,
    most: usize,
) -> Result<Option<(T, Vec<OwnedFd>)>, Error> {
    let received = try_receive_from(socket, most)?;
    Ok(received.map(|(message, descriptors, _)| (message, descriptors)))
}

/// A message, its descriptors, and who sent it where the kernel is to say so ([`tell_senders`]).
pub type Received<T> = (T, Vec<OwnedFd>, Option<Sender>);

/// The same, and who sent it, where the kernel is to say so ([`tell_senders`]).
///
/// # Errors
/// As for [`receive`].
pub fn try_receive_from<T: FromBytes + IntoBytes>(
    socket: impl AsFd,
    most: usize,
) -> Result<Option<Received<T>>, Error> {
    match take(socket, most, RecvFlags::DONTWAIT) {
        Ok(taken) => Ok(Some(taken)),
        Err(Error::System(Errno::AGAIN)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn take<T: FromBytes + IntoBytes>(
    socket: impl AsFd,
    most: usize,
    flags: RecvFlags,
) -> Result<Received<T>, Error> {
    let mut space = [MaybeUninit::uninit(); ROOM];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut message = T::new_zeroed();
    let received = rustix::io::retry_on_intr(|| {
        let mut into = [IoSliceMut::new(message.as_mut_bytes())];
        recvmsg(
            &socket,
            &mut into,
            &mut control,
            RecvFlags::CMSG_CLOEXEC | flags,
        )
    });
    let received = received.map_err(|errno| match errno {
        Errno::CONNRESET => Error::Gone,
        errno => errno.into(),
    })?;
    let (mut descriptors, mut sender) = (Vec::new(), None);
    for part in control.drain() {
        match part {
            RecvAncillaryMessage::ScmRights(rights) => descriptors.extend(rights),
            RecvAncillaryMessage::ScmCredentials(who) => {
                sender = Some(Sender {
                    process: who.pid,
                    user: who.uid.as_raw(),
                });
            }
            _ => {}
        }
    }
    match received {
        // An empty packet is no message either; nothing tells it from the end.
        _ if received.bytes == 0 && descriptors.is_empty() => Err(Error::Gone),
        _ if received.bytes != size_of::<T>() || received.flags.contains(ReturnFlags::TRUNC) => {
            Err(Error::Size)
        }
        _ if descriptors.len() > most || received.flags.contains(ReturnFlags::CTRUNC) => {
            Err(Error::Descriptors)
        }
        _ => Ok((message, descriptors, sender)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// How many descriptors of this process are this file.
    fn open(file: &OwnedFd) -> usize {
        let number = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
        let wanted = number(rustix::fs::fstat(file).unwrap());
        let entries = fs::read_dir("/proc/self/fd").unwrap().flatten();
        let found = entries.filter_map(|entry| rustix::fs::stat(entry.path()).ok());
        found.filter(|&stat| number(stat) == wanted).count()
    }

    #[test]
    fn a_message_comes_with_its_descriptors_and_in_order() {
        let (one, other) = pair().unwrap();
        assert!(try_receive::<u64>(&other, 0).unwrap().is_none());
        send(&one, &1_u64, &[]).unwrap();
        send(&one, &2_u64, &[one.as_fd(); MOST_DESCRIPTORS]).unwrap();
        let (message, descriptors) = try_receive::<u64>(&other, 0).unwrap().unwrap();
        assert_eq!((message, descriptors.len()), (1, 0));
        let (message, descriptors) = receive::<u64>(&other, MOST_DESCRIPTORS).unwrap();
        assert_eq!((message, descriptors.len()), (2, MOST_DESCRIPTORS));
        for descriptor in &descriptors {
            let flags = rustix::io::fcntl_getfd(descriptor).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
    }

    #[test]
    fn what_is_no_such_message_is_an_error_and_leaves_nothing_open() {
        let (one, other) = pair().unwrap();
        let file: OwnedFd = tempfile::tempfile().unwrap().into();
        let file = file.as_fd();
        for (sent, beside, expected) in [
            (&[0; 7][..], 0, Error::Size),
            (&[0; 9], 0, Error::Size),
            (&[0; 7], 2, Error::Size),
            (&[0; 8], 4, Error::Descriptors),
            (&[0; 8], MOST_DESCRIPTORS, Error::Descriptors),
        ] {
            let rights = [file; MOST_DESCRIPTORS];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(&rights[..beside]));
            sendmsg(
                &one,
                &[IoSlice::new(sent)],
                &mut control,
                SendFlags::empty(),
            )
            .unwrap();
            let received = receive::<u64>(&other, 3).map(|_| ());
            assert_eq!(received, Err(expected), "{} bytes, {beside}", sent.len());
            assert_eq!(
                open(&file.try_clone_to_owned().unwrap()),
                2,
                "it and its clone"
            );
        }
        let many = send(&one, &0_u64, &[file; MOST_DESCRIPTORS + 1]);
        assert_eq!(many, Err(Error::System(Errno::TOOBIG)));
        // The socket is as good as before.
        send(&one, &5_u64, &[]).unwrap();
        assert_eq!(receive::<u64>(&other, 0).unwrap().0, 5);
    }

    #[test]
    fn an_end_that_is_closed_or_does_not_read_is_seen_without_waiting() {
        let (one, other) = pair().unwrap();
        let full = (0..1_000_000).find_map(|_| send(&one, &0_u64, &[]).err());
        assert_eq!(full, Some(Error::System(Errno::AGAIN)));
        drop(other);
        assert_eq!(send(&one, &0_u64, &[]), Err(Error::Gone));
        let (one, other) = pair().unwrap();
        drop(other);
        assert_eq!(receive::<u64>(&one, 0).map(|_| ()), Err(Error::Gone));
        assert_eq!(try_receive::<u64>(&one, 0).map(|_| ()), Err(Error::Gone));
    }

    #[test]
    fn the_kernel_says_who_sent_a_packet_where_it_is_to() {
        let (one, other) = pair().unwrap();
        send(&one, &1_u64, &[]).unwrap();
        let (_, _, sender) = try_receive_from::<u64>(&other, 0).unwrap().unwrap();
        assert_eq!(sender, None);
        tell_senders(&other).unwrap();
        send(&one, &2_u64, &[one.as_fd(); MOST_DESCRIPTORS]).unwrap();
        let received = try_receive_from::<u64>(&other, MOST_DESCRIPTORS).unwrap();
        let (message, descriptors, sender) = received.unwrap();
        assert_eq!((message, descriptors.len()), (2, MOST_DESCRIPTORS));
        let own = Sender {
            process: rustix::process::getpid(),
            user: rustix::process::getuid().as_raw(),
        };
        assert_eq!(sender, Some(own));
        // Whoever does not ask gets the message alone.
        send(&one, &3_u64, &[]).unwrap();
        assert_eq!(receive::<u64>(&other, 0).unwrap().0, 3);
    }

    #[test]
    fn a_socket_of_packets_is_told_from_other_files() {
        assert!(is_packet_socket(pair().unwrap().0));
        let (stream, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(!is_packet_socket(stream));
        assert!(!is_packet_socket(tempfile::tempfile().unwrap()));
    }

    #[test]
    fn who_listens_at_a_path_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let refused = connect(&path).map(|_| ());
        assert_eq!(refused, Err(Error::System(Errno::NOENT)));
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let listener = socket_with(family, kind, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&listener, 1).unwrap();
        let socket = connect(&path).unwrap();
        let _waits = connect(&path).unwrap();
        let full = connect(&path).map(|_| ());
        assert_eq!(
            full,
            Err(Error::System(Errno::AGAIN)),
            "nobody is waited for"
        );
        let peer = rustix::net::accept(&listener).unwrap();
        send(&socket, &3_u64, &[]).unwrap();
        assert_eq!(receive::<u64>(&peer, 0).unwrap().0, 3);
    }
}
