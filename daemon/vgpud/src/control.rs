//! The control socket: one JSON object a line asks, one answers. `docs/shares.md` describes it.
//!
//! A thread reads and writes, so that the daemon waits for no client; the daemon answers between two of its turns.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vgpu_socket::{LineReader, Listener};

use crate::shares::Status;

/// How long a client may take for its request, and for the answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest request, in bytes.
const LONGEST: usize = 4096;
/// Clients that wait; who comes then is turned away.
const WAITING: usize = 16;

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "do")]
pub enum Request {
    /// All at a glance: [`Answer::Status`].
    Status,
    /// Prometheus' text: [`Answer::Metrics`].
    Metrics,
    /// Reads the configuration anew.
    Reload,
    /// Gives a machine no engine any more and ends its sessions, or lets it have engines again.
    Quarantine {
        /// Which.
        machine: Uuid,
        /// Whether it is to be.
        on: bool,
    },
}

/// What it is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It is done.
    Done,
    /// All at a glance.
    Status(Status),
    /// Prometheus' text.
    Metrics(String),
    /// It is not done.
    Failed {
        /// Why.
        cause: String,
        /// What to do about that.
        mend: String,
    },
}

type Asked = (Request, SyncSender<Answer>);

/// The control socket of a daemon.
#[derive(Debug)]
pub(crate) struct Control {
    listener: Listener,
    clients: SyncSender<UnixStream>,
    asked: Receiver<Asked>,
}

impl Control {
    /// Listens at a path, for this user and root alone. `waker` is written to when there is something to answer.
    ///
    /// # Errors
    /// The path cannot be had, or there is no thread left.
    pub(crate) fn listen(path: &Path, waker: UnixStream) -> Result<Self, (String, String)> {
        let listener = Listener::bind(path, 0o600);
        let listener = listener.map_err(|error| (error.to_string(), error.mend().to_string()))?;
        let (clients, accepted) = sync_channel(WAITING);
        let (sender, asked) = channel();
        let thread = thread::Builder::new().name("control".into());
        let spawned = thread.spawn(move || {
            accepted
                .into_iter()
                .for_each(|client| serve(client, &sender, &waker));
        });
        spawned.map_err(|error| (error.to_string(), "see what limits threads".to_owned()))?;
        Ok(Self {
            listener,
            clients,
            asked,
        })
    }

    /// Takes a client in.
    pub(crate) fn accept(&self) {
        if let Ok(Some(client)) = self.listener.accept() {
            // Who is turned away sees the end.
            let _ = self.clients.try_send(client);
        }
    }

    /// What was asked, and where the answer goes.
    pub(crate) fn asked(&self) -> Option<Asked> {
        self.asked.try_recv().ok()
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// Answers a client's only request.
fn serve(client: UnixStream, asked: &Sender<Asked>, mut waker: &UnixStream) {
    let Ok(mut writer) = client.try_clone() else {
        return;
    };
    if writer.set_write_timeout(Some(PATIENCE)).is_err() {
        return;
    }
    let line = LineReader::new(client).receive(Instant::now() + PATIENCE, LONGEST);
    let Ok(line) = line else { return };
    let answer = match serde_json::from_slice(&line) {
        Ok(request) => ask(request, asked, &mut waker),
        Err(error) => Answer::Failed {
            cause: format!("no request: {error}"),
            mend: "see what docs/shares.md says of the control socket".to_owned(),
        },
    };
    if let Ok(mut text) = serde_json::to_vec(&answer) {
        text.push(b'\n');
        let _ = writer.write_all(&text);
    }
}

fn ask(request: Request, asked: &Sender<Asked>, waker: &mut impl Write) -> Answer {
    let (sender, answer) = sync_channel(1);
    let sent = asked.send((request, sender)).is_ok() && waker.write_all(&[0]).is_ok();
    let answer = sent
        .then(|| answer.recv_timeout(5 * PATIENCE).ok())
        .flatten();
    answer.unwrap_or_else(|| Answer::Failed {
        cause: "the daemon does not answer".to_owned(),
        mend: "try again; if it stays so, restart vgpud".to_owned(),
    })
}
