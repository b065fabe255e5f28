//! How a stream is closed, whatever its peer has sent.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use rustix::io::retry_on_intr;
use rustix::net::{RecvFlags, recv};

/// Ends a stream: its peer reads what was sent to it, then the end of file.
///
/// A UNIX socket that is closed while it holds data that nobody has received
/// resets its peer instead, whose next receive fails with `ECONNRESET`. QEMU
/// 11.1 ends with a failed assertion then. After the shutdown nothing more
/// comes in, so there is an end to what has to go, and no wait for it.
pub(crate) fn in_order(stream: &UnixStream) {
    // It fails for a stream without a peer alone, and then nobody is reset.
    let _ = stream.shutdown(Shutdown::Both);
    let mut unread = [0; 4096];
    while retry_on_intr(|| recv(stream, &mut unread, RecvFlags::DONTWAIT))
        .is_ok_and(|(_, received)| received > 0)
    {}
}
