//! Connections that get no thread of their own end on this one.

use std::mem;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use vfio_user_server::Connection;

/// As many as may wait to be accepted.
const WAITING: usize = 128;

/// Bytes of the thread's stack. It closes connections.
const STACK: usize = 32 * 1024;

/// Ends connections in order, one after another: the close of one may hang.
#[derive(Debug)]
pub(crate) struct Ending(SyncSender<Ended>);

#[derive(Debug)]
enum Ended {
    Connection {
        _connection: Connection,
    },
    /// Dropped once all before it have ended.
    Mark {
        _reached: SyncSender<()>,
    },
}

impl Ending {
    pub(crate) fn start() -> std::io::Result<Self> {
        let (ending, connections) = sync_channel(WAITING);
        thread::Builder::new()
            .name("ending".into())
            .stack_size(STACK)
            .spawn(move || connections.into_iter().for_each(drop::<Ended>))?;
        Ok(Self(ending))
    }

    /// Ends a connection. Never waits: where the thread hangs, and too many
    /// wait for it, the client is left as it is until the process ends.
    pub(crate) fn end(&self, connection: Connection) {
        // At once: the client is not to wait for those before it.
        connection.stop_handle().stop();
        if let Err(TrySendError::Full(left) | TrySendError::Disconnected(left)) =
            self.0.try_send(Ended::Connection {
                _connection: connection,
            })
        {
            mem::forget(left);
        }
    }

    /// Waits until all have ended, but no longer than `limit`.
    pub(crate) fn finish(&self, limit: Duration) {
        let (_reached, reached) = sync_channel(0);
        if self.0.try_send(Ended::Mark { _reached }).is_ok() {
            let _ = reached.recv_timeout(limit);
        }
    }
}
