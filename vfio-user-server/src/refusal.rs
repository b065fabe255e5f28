//! A client that may not have the device hears why.

use std::mem;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use zerocopy::{FromZeros, IntoBytes};

use crate::reply;
use crate::wire::Header;

/// Answers a client's first message with an error, and waits until the client
/// leaves. What follows that message's header stays unread.
///
/// # Errors
///
/// If the client does not send a header, or does not leave, within `limit`; if
/// it leaves before it is answered, or the connection fails.
pub(crate) fn refuse(stream: &UnixStream, errno: Errno, limit: Duration) -> Result<(), Errno> {
    let patience = Patience {
        since: Instant::now(),
        limit,
    };
    let header = header(stream, &patience)?;
    reply::send_error(stream, &header, errno)?;
    // A client that finds the end of the stream along with the reply may tell
    // its user of that instead.
    patience.wait(stream, PollFlags::empty())
}

fn header(stream: &UnixStream, patience: &Patience) -> Result<Header, Errno> {
    let mut header = Header::new_zeroed();
    let mut missing = header.as_mut_bytes();
    while !missing.is_empty() {
        patience.wait(stream, PollFlags::IN)?;
        match recv(stream, &mut *missing, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err(Errno::PIPE),
            Ok((received, _)) => {
                missing = mem::take(&mut missing)
                    .get_mut(received..)
                    .unwrap_or_default();
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(header)
}

/// For how long a client is waited for, all its pauses together.
struct Patience {
    since: Instant,
    limit: Duration,
}

impl Patience {
    /// Waits for one of `events`, or for the client to leave.
    fn wait(&self, stream: &UnixStream, events: PollFlags) -> Result<(), Errno> {
        loop {
            let left = self.limit.saturating_sub(self.since.elapsed());
            let left = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
            match poll(&mut [PollFd::new(stream, events)], Some(&left)) {
                Ok(0) => return Err(Errno::TIMEDOUT),
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}
