//! All clients of the server: at most one has the device, and some want it.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use vgpu_sandbox::Sandboxed;

use crate::client::{Client, ClientId, News, Phase, Post};

/// Clients at a time, those that are turned away or that hang as they end
/// included. Others wait to be accepted.
const MOST: usize = 8;

/// How long a client may say nothing, or stay, where others wait. QEMU takes a few
/// milliseconds.
const SILENCE: Duration = Duration::from_millis(30);

/// How long a client that has left may still be worked for where another wants
/// the device: its last messages, and the close of what it has sent.
pub(crate) const LEAVING: Duration = Duration::from_millis(250);

/// A client that takes this long to end hangs.
const HANGING: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(crate) struct Clients {
    /// In the order in which they came.
    list: Vec<Client>,
    next: u64,
    news: Receiver<(ClientId, News)>,
    post: Post,
    sandboxed: Sandboxed,
}

impl Clients {
    /// None yet. `arrived` is an eventfd that is signalled when one of them
    /// has news. Only a process in its sandbox may hear a client.
    pub(crate) fn new(arrived: Arc<OwnedFd>, sandboxed: Sandboxed) -> Self {
        // Each says two things.
        let (post, news) = sync_channel(2 * MOST);
        Self {
            // They come without an allocation.
            list: Vec::with_capacity(MOST),
            next: 0,
            news,
            post: Post {
                news: post,
                arrived,
            },
            sandboxed,
        }
    }

    /// Hears what a client wants.
    pub(crate) fn add(&mut self, stream: &Arc<UnixStream>) -> std::io::Result<()> {
        let id = ClientId(self.next);
        self.next = self.next.wrapping_add(1);
        let client = Client::start(id, stream, self.post.clone(), self.sandboxed)?;
        self.list.push(client);
        Ok(())
    }

    /// Whether there is room for one more.
    pub(crate) fn have_room(&self) -> bool {
        self.list.len() < MOST
    }

    /// Has the first client that says nothing, or does not leave though it was
    /// turned away, give way to those who wait to be accepted.
    pub(crate) fn give_way(&mut self) {
        let idle = |client: &&mut Client| {
            let idle = matches!(client.phase, Phase::Silent | Phase::Ending);
            idle && !client.stopped && client.since.elapsed() >= SILENCE
        };
        if let Some(client) = self.list.iter_mut().find(idle) {
            client.stop();
            if matches!(client.phase, Phase::Silent) {
                client.enter(Phase::Ending);
            }
        }
    }

    /// Whether half of the places are taken by clients that hang as they end,
    /// and nobody would be hurt by an end of the process.
    pub(crate) fn are_stuck(&self) -> bool {
        let hang = |client: &&Client| {
            matches!(client.phase, Phase::Ending) && client.since.elapsed() >= HANGING
        };
        self.holder().is_none() && self.list.iter().filter(hang).count() >= MOST / 2
    }

    /// What there is to hear, if anything.
    pub(crate) fn hear(&self) -> Option<(ClientId, News)> {
        self.news.try_recv().ok()
    }

    pub(crate) fn get(&mut self, id: ClientId) -> Option<&mut Client> {
        self.list.iter_mut().find(|client| client.id == id)
    }

    /// The one that has the device.
    pub(crate) fn holder(&self) -> Option<&Client> {
        self.list
            .iter()
            .find(|client| matches!(client.phase, Phase::Served(_)))
    }

    /// The one that has waited for the device for the longest.
    pub(crate) fn first_waiting(&self) -> Option<ClientId> {
        self.list
            .iter()
            .find(|client| matches!(client.phase, Phase::Waiting))
            .map(|client| client.id)
    }

    /// Forgets a client that has ended. How far it had come.
    pub(crate) fn remove(&mut self, id: ClientId) -> Option<Phase> {
        let place = self.list.iter().position(|client| client.id == id)?;
        Some(self.list.remove(place).phase)
    }

    pub(crate) fn stop(&mut self) {
        self.list.iter_mut().for_each(Client::stop);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
