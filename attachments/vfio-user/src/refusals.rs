//! Clients that come while another has the device, or as the server ends.

use std::io;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use vfio_user_server::{Connection, Errno, Stop};
use vgpu_sandbox::Sandboxed;

/// How long such a client may take to ask, and then to leave. QEMU asks as it
/// connects, and waits 5 seconds for an answer.
const LIMIT: Duration = Duration::from_secs(1);

/// How many may take that long at a time. QEMU takes milliseconds, so it finds
/// a place; and each thread that runs beside others leaves the allocator with
/// more memory for good.
const MOST: usize = 2;

/// Bytes of a thread's stack.
const STACK: usize = 64 * 1024;

/// How often an end is looked for.
const LOOK: Duration = Duration::from_millis(1);

/// Clients that are told that they may not have the device, each by a thread
/// of its own: nobody else waits for them.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Vec<Refusal>);

#[derive(Debug)]
struct Refusal {
    stop: Stop,
    thread: JoinHandle<()>,
}

impl Refusals {
    /// Turns a client away. Where too many are under way, or there can be no
    /// thread, its connection is closed without a word.
    pub(crate) fn add(&mut self, stream: UnixStream, _: Sandboxed) -> io::Result<()> {
        let connection = Connection::new(stream);
        self.0.retain(|refusal| !refusal.thread.is_finished());
        if self.0.len() >= MOST {
            return Ok(());
        }
        let stop = connection.stop_handle();
        let thread = thread::Builder::new()
            .name("refusal".into())
            .stack_size(STACK)
            .spawn(move || connection.refuse(Errno::BUSY, LIMIT))?;
        self.0.push(Refusal { stop, thread });
        Ok(())
    }

    /// Ends those under way. One that does not end in time is left alone, as a
    /// client may have sent it a file that hangs as it is closed.
    pub(crate) fn end(&self) {
        for refusal in &self.0 {
            refusal.stop.stop();
        }
        let since = Instant::now();
        while self.0.iter().any(|refusal| !refusal.thread.is_finished()) && since.elapsed() < LIMIT
        {
            thread::sleep(LOOK);
        }
    }
}
