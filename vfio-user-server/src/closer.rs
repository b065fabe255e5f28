//! Descriptors that a client sent and that nobody here can use.

use std::os::fd::OwnedFd;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rustix::io::Errno;

use crate::files::Files;

/// How many may wait to be closed.
const WAITING: usize = 64;

/// Bytes of the thread's stack. It closes descriptors.
const STACK: usize = 32 * 1024;

/// Closes descriptors on a thread of its own, which is there once there is one
/// to close: a close may wait for whoever keeps the file, such as the other
/// end of a TCP connection (`SO_LINGER`), for hours.
///
/// Dropped, it waits for that thread.
#[derive(Debug, Default)]
pub(crate) struct Closer(Option<Thread>);

#[derive(Debug)]
struct Thread {
    files: SyncSender<OwnedFd>,
    thread: JoinHandle<()>,
}

impl Closer {
    /// Has them closed. Never waits.
    ///
    /// # Errors
    ///
    /// Where too many wait already, or there can be no thread. They stay.
    pub(crate) fn close(&mut self, files: &mut Files) -> Result<(), Errno> {
        while let Some(file) = files.take() {
            let thread = match &self.0 {
                Some(thread) => thread,
                None => self.0.insert(start().map_err(|_| Errno::AGAIN)?),
            };
            if let Err(refused) = thread.files.try_send(file) {
                let (std::sync::mpsc::TrySendError::Full(file)
                | std::sync::mpsc::TrySendError::Disconnected(file)) = refused;
                files.push(file);
                return Err(Errno::MFILE);
            }
        }
        Ok(())
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        if let Some(Thread { files, thread }) = self.0.take() {
            drop(files);
            // It cannot panic.
            let _ = thread.join();
        }
    }
}

fn start() -> std::io::Result<Thread> {
    let (files, closed) = sync_channel(WAITING);
    let thread = thread::Builder::new()
        .name("closer".into())
        .stack_size(STACK)
        .spawn(move || closed.into_iter().for_each(drop))?;
    Ok(Thread { files, thread })
}
