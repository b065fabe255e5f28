//! What a device with features shares with the daemon: its channels, and the way there.
//!
//! The client's thread asks for things, the main thread hears the daemon. Either may do both; a lock is held while a message
//! is sent, which waits for nobody.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use vfio_user_server::{InterruptIndex, Interrupts};
use vgpu_channels::{Channels, GuestMemory, Limits, Outcome};
use vgpu_device::{Effects, FeaturesConfig, Request};
use vgpu_link::Link;
use vgpu_poll::is_readable;
use vgpu_runtime::Emulator;

/// How long the client is kept waiting for the daemon to have given everything up. QEMU allows 5 s.
const SETTLED: Duration = Duration::from_secs(1);

/// How often it is looked whether a worker has ended that nobody tells of.
pub(crate) const LOOK: Duration = Duration::from_millis(5);

/// Vectors of MSI-X.
const CONTROL: u16 = 0;
const CHANNELS: u16 = 1;

/// The host's side of a device with features.
#[derive(Debug)]
pub struct Shared {
    emulator: Arc<Emulator>,
    channels: Mutex<Channels>,
    /// Held while messages are taken, so that they are heard in their order.
    link: Mutex<Option<Link>>,
    interrupts: Mutex<Option<Interrupts>>,
    /// Workers signal it for all channels.
    raised: Arc<OwnedFd>,
}

impl Shared {
    /// Of a device that has these features, in this machine.
    ///
    /// # Errors
    ///
    /// There are no descriptors left.
    pub fn new(
        emulator: Arc<Emulator>,
        features: &FeaturesConfig,
        machine: [u8; 16],
    ) -> Result<Self, Errno> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let raised = Arc::new(eventfd(0, flags)?);
        let channels = Channels::new(machine, Limits::from(features), Arc::clone(&raised));
        Ok(Self {
            emulator,
            channels: Mutex::new(channels),
            link: Mutex::new(None),
            interrupts: Mutex::new(None),
            raised,
        })
    }

    /// What workers signal: to be waited for until it is readable, then [`Self::pass_on`].
    pub(crate) fn raised(&self) -> &OwnedFd {
        &self.raised
    }

    /// Passes an interrupt of the workers' on.
    pub(crate) fn pass_on(&self) {
        let _ = rustix::io::read(&*self.raised, &mut [0; 8]);
        self.raise(CHANNELS);
    }

    pub(crate) fn set_interrupts(&self, interrupts: Option<Interrupts>) {
        *lock(&self.interrupts) = interrupts;
    }

    /// Interrupt vector 0.
    pub(crate) fn interrupt(&self) {
        self.raise(CONTROL);
    }

    fn raise(&self, vector: u16) {
        if let Some(interrupts) = &*lock(&self.interrupts) {
            interrupts.raise(InterruptIndex::Msix, vector);
        }
    }

    pub(crate) fn ring(&self, channel: u16) {
        lock(&self.channels).ring(channel);
    }

    pub(crate) fn request(&self, request: Request, memory: &dyn GuestMemory) {
        let outcome = lock(&self.channels).request(request, memory);
        self.tell(outcome);
    }

    /// All of the guest's memory is given up, now or soon.
    pub(crate) fn revoke(&self, number: u32) {
        let outcome = lock(&self.channels).revoke(number);
        self.tell(outcome);
    }

    pub(crate) fn has_memory_in(&self, first: u64, last: u64) -> bool {
        lock(&self.channels).unmapped(first, last)
    }

    /// Waits until everything is given up, but not for long.
    pub(crate) fn settle(&self) {
        let since = Instant::now();
        while !lock(&self.channels).are_given_up() {
            let left = SETTLED.saturating_sub(since.elapsed());
            if left.is_zero() {
                return;
            }
            let wait = left.min(LOOK);
            let socket = lock(&self.link).as_ref().map(Link::socket);
            match socket {
                // Workers without a daemon end by themselves.
                None => thread::sleep(wait),
                Some(socket) => {
                    if is_readable(&*socket, wait).unwrap_or(false) {
                        self.hear();
                    }
                }
            }
            self.attend();
        }
    }

    /// Does what is due of workers that have no daemon.
    pub(crate) fn attend(&self) {
        self.tell(None);
    }

    /// Whether workers are about to end, which [`Self::attend`] finds out.
    pub(crate) fn is_settling(&self) -> bool {
        lock(&self.channels).is_settling()
    }

    /// The daemon's socket, where there is a daemon.
    pub(crate) fn socket(&self) -> Option<Arc<OwnedFd>> {
        lock(&self.link).as_ref().map(Link::socket)
    }

    /// A daemon is there.
    pub(crate) fn connected(&self, link: Link) {
        let sender = Box::new(link.clone());
        *lock(&self.link) = Some(link);
        let outcome = lock(&self.channels).connected(sender);
        self.tell(outcome);
    }

    /// Takes all that the daemon has to say.
    pub(crate) fn hear(&self) {
        let mut link = lock(&self.link);
        while let Some(open) = &*link {
            let heard = open.receive();
            let heard = match heard {
                Ok(None) => return,
                Ok(Some((message, way))) => lock(&self.channels).received(&message, way),
                Err(error) => Err(error),
            };
            let outcome = heard.unwrap_or_else(|_| {
                *link = None;
                lock(&self.channels).disconnected()
            });
            self.tell(outcome);
        }
    }

    /// Tells the device what became of something, and what has come beside.
    fn tell(&self, outcome: Option<Outcome>) {
        let mut next = outcome;
        loop {
            // Not in the loop's head, where the lock would be held for its body.
            let told = next.take().or_else(|| lock(&self.channels).attend());
            let Some(outcome) = told else { return };
            self.tell_one(outcome);
        }
    }

    fn tell_one(&self, outcome: Outcome) {
        let effects = match outcome {
            Outcome::Complete(number, result) => self.emulator.complete(number, result),
            Outcome::State(state, revoked) => self.emulator.set_host_state(state, revoked),
            Outcome::Lost => self.emulator.channel_lost(),
        };
        let Effects {
            interrupt,
            // They come of the guest's accesses alone.
            bar0: _,
            bus_master: _,
            reset: _,
            doorbell: _,
            request: _,
            revoke: _,
        } = effects;
        if interrupt {
            self.interrupt();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic ends the process.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
