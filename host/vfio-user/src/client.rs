//! One client, from its first message to its last, on a thread of its own.
//!
//! Nobody waits for that thread: whatever a client has sent, down to the close
//! of its connection, is dealt with there, and may hang (see
//! `vfio_user_server`).

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use vfio_user_server::{Broken, Connection, Errno, MESSAGE_LIMIT, Stop};
use vgpu_sandbox::Sandboxed;

use crate::held::Held;

/// How long a client that is turned away may take to leave.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);

/// Bytes of the thread's stack. The largest buffers are on the heap.
const STACK: usize = 128 * 1024;

/// Which client it is: no two of a process have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientId(pub(crate) u64);

/// What a client's thread has to say.
#[derive(Debug)]
pub(crate) enum News {
    /// The client asks for the device, and waits for the answer.
    Proposed,
    /// It is gone, and all that it sent.
    Ended(Result<(), Broken>),
}

/// Where a client's thread says it. There is always room.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) news: SyncSender<(ClientId, News)>,
    /// An eventfd, readable once there is some.
    pub(crate) arrived: Arc<OwnedFd>,
}

impl Post {
    fn say(&self, id: ClientId, news: News) {
        // It fails where the process ends.
        let _ = self.news.send((id, news));
        // It cannot fail before 2^64 clients have left.
        let _ = rustix::io::write(&*self.arrived, &1u64.to_ne_bytes());
    }
}

/// How far a client has come.
#[derive(Debug)]
pub(crate) enum Phase {
    /// It has said nothing yet.
    Silent,
    /// It has asked for the device, whose last client is leaving.
    Waiting,
    /// It has the device.
    Served(Held),
    /// It is turned away or has been stopped, and ends by itself.
    Ending,
}

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: ClientId,
    pub(crate) phase: Phase,
    /// Since when it has been in that phase.
    pub(crate) since: Instant,
    pub(crate) stream: Arc<UnixStream>,
    stop: Stop,
    pub(crate) stopped: bool,
    /// Where its thread waits for the answer: the device, or none.
    answer: Option<SyncSender<Option<Held>>>,
}

impl Client {
    /// Hears what a client wants that has connected.
    ///
    /// # Errors
    ///
    /// If there can be no thread.
    pub(crate) fn start(
        id: ClientId,
        stream: &Arc<UnixStream>,
        post: Post,
        _: Sandboxed,
    ) -> std::io::Result<Self> {
        let (answer, answered) = sync_channel(1);
        let stop = Stop::of(stream);
        // No connection yet: where there is no thread, it would end on this one.
        let own = Arc::clone(stream);
        thread::Builder::new()
            .name("guest".into())
            .stack_size(STACK)
            .spawn(move || {
                let ended = attend(Connection::new(own), &answered, || {
                    post.say(id, News::Proposed);
                });
                post.say(id, News::Ended(ended));
            })?;
        Ok(Self {
            id,
            phase: Phase::Silent,
            since: Instant::now(),
            stream: Arc::clone(stream),
            stop,
            stopped: false,
            answer: Some(answer),
        })
    }

    pub(crate) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = Instant::now();
    }

    /// Gives it the device.
    pub(crate) fn serve(&mut self, held: Held) {
        self.enter(Phase::Served(held.clone()));
        self.reply(Some(held));
    }

    /// Turns it away.
    pub(crate) fn refuse(&mut self) {
        self.enter(Phase::Ending);
        self.reply(None);
    }

    fn reply(&mut self, answer: Option<Held>) {
        if let Some(thread) = self.answer.take() {
            // It fails where the client has ended meanwhile, which it has said.
            let _ = thread.try_send(answer);
        }
    }

    /// Ends its connection, in order.
    pub(crate) fn stop(&mut self) {
        self.stop.stop();
        self.stopped = true;
        self.answer = None;
    }

    pub(crate) fn has_left(&self) -> bool {
        self.stop.client_has_left()
    }
}

/// Everything of the client is gone when this returns.
fn attend(
    connection: Connection,
    answered: &Receiver<Option<Held>>,
    proposed: impl FnOnce(),
) -> Result<(), Broken> {
    let Some(proposal) = connection.proposal(MESSAGE_LIMIT)? else {
        return Ok(());
    };
    proposed();
    match answered.recv() {
        Ok(Some(mut held)) => proposal.serve(&mut held),
        Ok(None) => {
            proposal.refuse(Errno::BUSY, REFUSAL_LIMIT);
            Ok(())
        }
        // The process ends.
        Err(_) => Ok(()),
    }
}
