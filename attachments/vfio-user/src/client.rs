//! The VM that is connected, served by a thread of its own.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use vfio_user_server::{Broken, Connection, Stop};
use vgpu_emulator::Emulator;
use vgpu_sandbox::Sandboxed;

use crate::endpoint::Endpoint;

/// Bytes of the thread's stack. The largest buffers are on the heap.
const STACK: usize = 128 * 1024;

/// A connected VM.
#[derive(Debug)]
pub(crate) struct Client {
    stop: Stop,
    thread: JoinHandle<Result<(), Broken>>,
}

impl Client {
    /// Serves a client that has connected. `ended`, an eventfd, is signalled
    /// when it is gone.
    pub(crate) fn start(
        stream: UnixStream,
        emulator: Arc<Emulator>,
        ended: Arc<OwnedFd>,
        _: Sandboxed,
    ) -> std::io::Result<Self> {
        let connection = Connection::new(stream);
        let stop = connection.stop_handle();
        let thread = thread::Builder::new()
            .name("guest".into())
            .stack_size(STACK)
            .spawn(move || {
                let result = connection.serve(&mut Endpoint::new(emulator));
                // It cannot fail before 2^64 clients have left.
                let _ = rustix::io::write(&*ended, &1u64.to_ne_bytes());
                result
            })?;
        Ok(Self { stop, thread })
    }

    /// Ends the connection.
    pub(crate) fn stop(&self) {
        self.stop.stop();
    }

    /// Waits for the thread, which has signalled its end or been stopped.
    pub(crate) fn finish(self) -> Result<(), Broken> {
        // A panic ends the process, so the thread has a result.
        self.thread.join().unwrap_or(Ok(()))
    }
}
