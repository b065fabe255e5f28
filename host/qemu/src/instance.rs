//! What C holds of a device.

use std::thread;
use std::time::{Duration, Instant};

use vgpu_channels::{GuestMemory, Outcome};
use vgpu_device::{Device, Effects};
use vgpu_poll::is_readable;

use crate::sharing::Sharing;

/// How long QEMU is kept waiting for the daemon to have given everything up.
const SETTLED: Duration = Duration::from_secs(1);

/// How often it is looked meanwhile whether a worker has ended that nobody tells of.
const LOOK: Duration = Duration::from_millis(5);

/// The most that is heard of the daemon at once, as the guest waits meanwhile.
const MESSAGES: usize = 64;

/// One device, and how many accesses to BAR0 it refused since it was made.
#[derive(Debug)]
pub struct VgpuDevice {
    pub(crate) device: Device,
    pub(crate) refused_reads: u64,
    pub(crate) refused_writes: u64,
    /// Where the device has features, until it is unplugged.
    pub(crate) sharing: Option<Sharing>,
}

/// What QEMU has to do after the device has changed.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
#[must_use = "QEMU has to do it"]
pub struct VgpuTodo {
    /// Reset its own part of the device: this one is already.
    pub reset: bool,
    /// Raise interrupt vector 0.
    pub interrupt: bool,
    /// Call `vgpu_work` soon, from the main loop.
    pub work: bool,
}

impl VgpuTodo {
    /// This, and that as well.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            reset: self.reset | other.reset,
            interrupt: self.interrupt | other.interrupt,
            work: self.work | other.work,
        }
    }
}

impl VgpuDevice {
    /// Does what follows from a change of the device, and says what QEMU has to.
    pub(crate) fn act(&mut self, effects: &Effects) -> VgpuTodo {
        let Effects {
            // QEMU sees these two itself, in its own copy of the registers.
            bar0: _,
            bus_master: _,
            reset,
            doorbell,
            request,
            interrupt,
            revoke,
        } = *effects;
        let todo = VgpuTodo {
            reset,
            interrupt,
            work: request.is_some() || revoke.is_some(),
        };
        let Some(sharing) = &mut self.sharing else {
            return todo;
        };
        let revoked = revoke.and_then(|number| sharing.revoke(number));
        if let Some(channel) = doorbell {
            sharing.ring(channel);
        }
        if let Some(request) = request {
            sharing.ask(request);
        }
        todo.and(self.tell(revoked))
    }

    /// Tells the device what became of something, and what has come beside.
    pub(crate) fn tell(&mut self, outcome: Option<Outcome>) -> VgpuTodo {
        let mut todo = VgpuTodo::default();
        let mut next = outcome;
        loop {
            let beside = |it: &mut Self| it.sharing.as_mut().and_then(Sharing::attend);
            let Some(outcome) = next.take().or_else(|| beside(self)) else {
                return todo;
            };
            todo = todo.and(self.tell_one(outcome));
        }
    }

    fn tell_one(&mut self, outcome: Outcome) -> VgpuTodo {
        let Effects {
            interrupt,
            // They come of the guest's accesses alone.
            bar0: _,
            bus_master: _,
            reset: _,
            doorbell: _,
            request: _,
            revoke: _,
        } = match outcome {
            Outcome::Complete(number, result) => self.device.complete(number, result),
            Outcome::State(state, revoked) => self.device.set_host_state(state, revoked),
            Outcome::Lost => self.device.channel_lost(),
        };
        VgpuTodo {
            interrupt,
            work: true,
            ..VgpuTodo::default()
        }
    }

    /// Looks for the daemon, where there is to be one.
    pub(crate) fn connect(&mut self) -> VgpuTodo {
        let outcome = self.sharing.as_mut().and_then(Sharing::connect);
        self.tell(outcome)
    }

    /// Does what the guest has asked for; with no `memory`, it may share none now.
    pub(crate) fn work(&mut self, memory: Option<&dyn GuestMemory>) -> VgpuTodo {
        let outcome = self.sharing.as_mut().and_then(|it| it.work(memory));
        self.tell(outcome)
    }

    /// Takes what the daemon has to say.
    pub(crate) fn hear(&mut self) -> VgpuTodo {
        let mut todo = VgpuTodo::default();
        for _ in 0..MESSAGES {
            let Some(heard) = self.sharing.as_mut().and_then(Sharing::hear) else {
                break;
            };
            todo = todo.and(self.tell(heard));
        }
        todo
    }

    /// Waits until nobody has the guest's memory any more, but for a second at most.
    pub(crate) fn settle(&mut self) -> VgpuTodo {
        let since = Instant::now();
        let mut todo = VgpuTodo::default();
        while self.sharing.as_ref().is_some_and(Sharing::is_shared) {
            let left = SETTLED.saturating_sub(since.elapsed());
            if left.is_zero() {
                break;
            }
            let wait = left.min(LOOK);
            match self.sharing.as_ref().and_then(Sharing::socket) {
                // Workers without a daemon end by themselves.
                None => thread::sleep(wait),
                Some(socket) => {
                    if is_readable(&*socket, wait).unwrap_or(false) {
                        todo = todo.and(self.hear());
                    }
                }
            }
            todo = todo.and(self.tell(None));
        }
        todo
    }

    /// Addresses are the guest's memory no more. Where a worker has some of it, the guest loses its channels, and this returns
    /// when nobody has it.
    pub(crate) fn unmapped(&mut self, first: u64, last: u64) -> VgpuTodo {
        let held = self
            .sharing
            .as_ref()
            .is_some_and(|it| it.has_memory_in(first, last));
        if !held {
            return VgpuTodo::default();
        }
        let effects = self.device.memory_lost();
        let todo = self.act(&effects);
        todo.and(self.settle())
    }
}
