//! The guest's half of a channel, polled: it never parks, so it needs no interrupt.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use vgpu_abi::bar0::{DOORBELL, DRIVER, EVENTS, STATE};
use vgpu_abi::features::{driver, event, state};
use vgpu_ring::guest::{Answers, Command, Commands};
use vgpu_ring::layout::{ARENA, HOST_PARKED, SESSION, SESSION_ABI};
use vgpu_ring::version::Half;
use vgpu_ring::{Memory, NO_SLOT, PushError, Reply, Slice, Wake};
use vgpu_terminal::Failure;
use vgpu_window::Window;

use crate::{Driver, Interrupt, Registers};

/// How long the host may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a device is asked while its host is waited for: that is slow, and stops the processor meanwhile.
const ASKED: Duration = Duration::from_millis(100);

/// Looks between two readings of the clock.
const LOOKS: u32 = 256;

/// A channel of a device.
#[derive(Debug)]
pub struct Channel<'d, R: Registers> {
    commands: Commands<Window>,
    answers: Answers<Window>,
    window: Window,
    doorbell: Doorbell<'d, R>,
    interrupt: Interrupt,
}

/// Wakes the host, and counts how often.
#[derive(Debug)]
struct Doorbell<'d, R> {
    registers: &'d R,
    offset: u64,
    rung: Cell<u64>,
}

impl<R: Registers> Doorbell<'_, R> {
    /// Why nobody will ever hear it, in words for the user and what mends it.
    fn over(&self) -> Option<(String, &'static str)> {
        let read = |offset| self.registers.read(offset);
        match (read(STATE), read(DRIVER)) {
            (state::READY, driver::RUN) if read(EVENTS) & event::CHANNEL == 0 => None,
            (state::READY, driver::RUN) => Some((
                "a channel's worker has ended".to_owned(),
                "see in the log of vgpud why, and run this again",
            )),
            (u32::MAX, u32::MAX) => Some((
                "the device does not answer any more: it reads all ones".to_owned(),
                "see on the host whether its emulator runs; this guest may have to be started anew",
            )),
            // While it is reset it has no state either.
            (_, driver::RESET) => Some((
                "the device was reset".to_owned(),
                "see that nothing else uses the device, and run this again",
            )),
            (state, _) => Some((
                format!("the device's host is gone (STATE {state})"),
                "see on the host whether vgpud runs, and run this again",
            )),
        }
    }
}

impl<R: Registers> Wake for Doorbell<'_, R> {
    fn wake(&self) {
        self.registers.write(self.offset, 1);
        self.rung.set(self.rung.get() + 1);
    }
}

impl<'d, R: Registers> Channel<'d, R> {
    /// The ring of a channel that was just opened.
    ///
    /// # Errors
    /// There is no such channel, or its slice is too small for a ring.
    pub fn new(driver: &'d Driver<R>, channel: u32) -> Result<Self, Failure> {
        let slice = driver.window(channel, 0).cloned();
        let slice = slice.and_then(|window| Slice::new(window, &SESSION).ok());
        let slice = slice.ok_or_else(|| {
            Failure::new(
                format!("channel {channel} has no slice that a ring finds room in"),
                "open it with a larger one",
            )
        })?;
        Half::Guest.state(slice.memory(), SESSION_ABI);
        Ok(Self {
            commands: Commands::new(slice.clone()),
            window: slice.memory().clone(),
            answers: Answers::new(slice),
            doorbell: Doorbell {
                registers: driver.registers(),
                offset: DOORBELL + u64::from(channel) * 4,
                rung: Cell::new(0),
            },
            interrupt: driver.interrupt().clone(),
        })
    }

    /// How often the doorbell was rung.
    #[must_use]
    pub fn rung(&self) -> u64 {
        self.doorbell.rung.get()
    }

    /// Rings it, whether or not the host is parked.
    pub fn ring(&self) {
        self.doorbell.wake();
    }

    /// Whether the host sleeps until it is rung.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        let parked = self.window.words()[HOST_PARKED / 8].load(Ordering::SeqCst);
        parked as u32 != 0
    }

    /// A word of the arena; `None` where it has none at that offset, in bytes.
    #[must_use]
    pub fn arena_word(&self, offset: usize) -> Option<&AtomicU64> {
        self.window.words().get((ARENA + offset) / 8)
    }

    /// Sends a record that has no answer.
    ///
    /// # Errors
    /// The host makes no room for it, or breaks the protocol; a signal came.
    pub fn send(&mut self, op: u16, payload: &[u64]) -> Result<(), Failure> {
        self.push(op, NO_SLOT, payload).map(drop)
    }

    /// Sends a record whose answer comes in a slot; gives the number to ask for it by.
    ///
    /// # Errors
    /// As [`Channel::send`].
    #[inline]
    pub fn call(&mut self, op: u16, slot: u8, payload: &[u64]) -> Result<u32, Failure> {
        self.push(op, slot, payload)
    }

    #[inline]
    fn push(&mut self, op: u16, slot: u8, payload: &[u64]) -> Result<u32, Failure> {
        let command = Command {
            op,
            flags: 0,
            aux: 0,
        };
        let Self {
            commands, doorbell, ..
        } = self;
        let pushed = patiently(&self.interrupt, PATIENCE, doorbell, || {
            let pushed = match slot {
                NO_SLOT => commands.send(command, payload, &[], doorbell),
                _ => commands.call(command, slot, payload, &[], doorbell),
            };
            match pushed {
                Err(PushError::Full) => None,
                other => Some(other),
            }
        })?;
        match pushed {
            Some(Ok(number)) => Ok(number),
            Some(Err(error)) => {
                Err(self.lost(&format!("the host broke the ring's protocol: {error}")))
            }
            None => Err(self.lost("the host takes nothing from the ring")),
        }
    }

    /// Waits for the answer to a call.
    ///
    /// # Errors
    /// There is none within 5 s; a signal came.
    #[inline]
    pub fn answer(&self, slot: u8, number: u32) -> Result<Reply, Failure> {
        let answer = self.answer_within(PATIENCE, slot, number)?;
        answer.ok_or_else(|| self.lost("the host does not answer on the ring"))
    }

    /// The same, where it comes in time, and the channel is not over before.
    ///
    /// # Errors
    /// A signal came.
    #[inline]
    pub fn answer_within(
        &self,
        patience: Duration,
        slot: u8,
        number: u32,
    ) -> Result<Option<Reply>, Failure> {
        patiently(&self.interrupt, patience, &self.doorbell, || {
            self.answers.poll(slot, number)
        })
    }

    /// The answer to a call where it is there already.
    #[inline]
    #[must_use]
    pub fn poll(&self, slot: u8, number: u32) -> Option<Reply> {
        self.answers.poll(slot, number)
    }

    /// Looks again and again until there is something, or the time is over, or the channel.
    ///
    /// # Errors
    /// A signal came.
    #[inline]
    pub fn until<T>(
        &self,
        patience: Duration,
        ready: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        patiently(&self.interrupt, patience, &self.doorbell, ready)
    }

    /// Why the host might be silent.
    #[must_use]
    pub fn lost(&self, cause: &str) -> Failure {
        match (self.answers.fault(), self.doorbell.over()) {
            (Some((status, number)), _) => Failure::new(
                format!("{cause}: the session ended with status {status} at record {number}"),
                "see in the log of vgpud what its worker says",
            ),
            (None, Some((why, mend))) => Failure::new(format!("{cause}: {why}"), mend),
            (None, None) => Failure::new(
                cause,
                "see in the log of vgpud whether the channel's worker hangs",
            ),
        }
    }
}

#[inline]
fn patiently<T, R: Registers>(
    interrupt: &Interrupt,
    patience: Duration,
    doorbell: &Doorbell<'_, R>,
    mut ready: impl FnMut() -> Option<T>,
) -> Result<Option<T>, Failure> {
    // Here too, as one who never waits long would not see a signal.
    interrupt.check()?;
    let mut times = None;
    loop {
        // Without a pause: where a processor is emulated, that takes longer than the answer.
        for _ in 0..LOOKS {
            if let Some(found) = ready() {
                return Ok(Some(found));
            }
        }
        std::hint::spin_loop();
        interrupt.check()?;
        let now = Instant::now();
        let (end, asked) = times.get_or_insert((now + patience, now + ASKED));
        if now >= *end {
            return Ok(None);
        }
        if now >= *asked {
            if doorbell.over().is_some() {
                // What came before its end counts.
                return Ok(ready());
            }
            *asked = now + ASKED;
        }
    }
}
