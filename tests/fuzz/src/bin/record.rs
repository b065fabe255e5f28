//! Records what a real client says to a real server: listens where the client
//! connects, passes all on with its descriptors, and writes both sides down.
//!
//! `record LISTEN CONNECT FILE` writes a line for each piece: `>` from the
//! client or `<` from the server, how many descriptors came with it, its bytes
//! in hexadecimal. `tests/fuzz/seeds/README.md` says what became of that.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use vgpu_terminal::{Failure, OrMend};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let [listen, connect, file] = &arguments[..] else {
        return Failure::new(
            "two sockets and a file are needed",
            "record LISTEN CONNECT FILE",
        )
        .report();
    };
    record(listen.as_ref(), connect.as_ref(), file.as_ref())
        .or_mend("see that the server listens and the paths are right")
        .map_or_else(|failure| failure.report(), |()| ExitCode::SUCCESS)
}

/// Records one connection, until one side closes it.
fn record(listen: &Path, connect: &Path, file: &Path) -> io::Result<()> {
    let listener = UnixListener::bind(listen)?;
    let mut file = File::create(file)?;
    let (client, _) = listener.accept()?;
    fs::remove_file(listen)?;
    let server = UnixStream::connect(connect)?;
    loop {
        let mut fds = [
            PollFd::new(&client, PollFlags::IN),
            PollFd::new(&server, PollFlags::IN),
        ];
        poll(&mut fds, None)?;
        let [from_client, from_server] = fds.map(|fd| !fd.revents().is_empty());
        let going = if from_client {
            pass('>', &client, &server, &mut file)?
        } else {
            !from_server || pass('<', &server, &client, &mut file)?
        };
        if !going {
            return Ok(());
        }
    }
}

/// Passes one piece on; `false` at the end.
fn pass(mark: char, from: &UnixStream, to: &UnixStream, file: &mut File) -> io::Result<bool> {
    let mut bytes = [0; 1 << 16];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut buffers = [IoSliceMut::new(&mut bytes)];
    let received = recvmsg(from, &mut buffers, &mut ancillary, RecvFlags::empty())?;
    let bytes = &bytes[..received.bytes];
    let files: Vec<OwnedFd> = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(files) => Some(files),
            _ => None,
        })
        .flatten()
        .collect();
    if bytes.is_empty() {
        return Ok(false);
    }
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(file, "{mark} {} {hex}", files.len())?;

    let borrowed: Vec<_> = files.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !borrowed.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(&borrowed));
    }
    let sent = sendmsg(
        to,
        &[IoSlice::new(bytes)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    if let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
        (&*to).write_all(rest)?;
    }
    Ok(true)
}
