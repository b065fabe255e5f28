//! Descriptors that a client sent and that nobody here can use.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::files::Files;

/// How many may wait to be closed.
const WAITING: usize = 64;

/// How often it is looked whether one fewer waits, and the time between. The
/// thread is busy with others, or hangs.
const LOOKS: usize = 200;
const LOOK: Duration = Duration::from_millis(1);

/// Bytes of the thread's stack, most of which is never touched. It closes descriptors; an allocator that counts, as tests
/// have, takes more than it.
const STACK: usize = 128 * 1024;

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
    /// How many it has not closed yet.
    left: Arc<AtomicUsize>,
    /// Since when there have been some.
    since: Instant,
    thread: JoinHandle<()>,
}

impl Closer {
    /// Has them closed. Waits for those before them, but not for long.
    ///
    /// # Errors
    ///
    /// Where too many wait already, or there can be no thread.
    pub(crate) fn close(&mut self, files: &mut Files) -> Result<(), Errno> {
        while let Some(file) = files.take() {
            let thread = match &mut self.0 {
                Some(thread) => thread,
                None => self.0.insert(start().map_err(|_| Errno::AGAIN)?),
            };
            if thread.left.fetch_add(1, Relaxed) == 0 {
                thread.since = Instant::now();
            }
            let mut file = Some(file);
            let mut looks = 0..LOOKS;
            while let Some(next) = file.take() {
                match thread.files.try_send(next) {
                    Ok(()) => {}
                    Err(TrySendError::Full(left) | TrySendError::Disconnected(left)) => {
                        if looks.next().is_none() {
                            files.push(left);
                            return Err(Errno::MFILE);
                        }
                        file = Some(left);
                        thread::sleep(LOOK);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Closer {
    /// For how long something has not been closed, if there is anything.
    pub(crate) fn busy_for(&self) -> Option<Duration> {
        let thread = self.0.as_ref()?;
        (thread.left.load(Relaxed) > 0).then(|| thread.since.elapsed())
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        if let Some(Thread { files, thread, .. }) = self.0.take() {
            drop(files);
            // It cannot panic.
            let _ = thread.join();
        }
    }
}

fn start() -> std::io::Result<Thread> {
    let (files, closed) = sync_channel(WAITING);
    let left = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&left);
    let thread = thread::Builder::new()
        .name("closer".into())
        .stack_size(STACK)
        .spawn(move || {
            for file in closed {
                drop::<OwnedFd>(file);
                counted.fetch_sub(1, Relaxed);
            }
        })?;
    Ok(Thread {
        files,
        left,
        since: Instant::now(),
        thread,
    })
}
