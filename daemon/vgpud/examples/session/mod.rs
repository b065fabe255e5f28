//! A session, as a program's library has it.

use std::sync::Mutex;

use vgpu_cuda_wire::{Caller, Client};
use vgpu_ring::guest::{Answers, Command, Commands};
use vgpu_ring::layout::{ARENA_PIECE, SESSION};
use vgpu_ring::{PushError, Slice};
use vgpu_transport::local::{Local, Name};
use vgpu_transport::{SpinFor, Transport};
use vgpu_window::Window;

/// Counts up to its argument.
const PTX: &str = "
.version 7.0
.target sm_70
.address_size 64
.visible .entry count(.param .u32 n) {
    .reg .b32 %r<3>;
    .reg .pred %p<2>;
    ld.param.u32 %r1, [n];
    mov.u32 %r2, 0;
LOOP:
    add.u32 %r2, %r2, 1;
    setp.lt.u32 %p1, %r2, %r1;
    @%p1 bra LOOP;
    ret;
}";
/// The module's number.
pub(crate) const MODULE: u64 = 0x100;

/// The worker has ended, or refuses.
#[derive(Debug)]
pub(crate) struct Stopped;

pub(crate) struct Session {
    pub(crate) local: Local,
    pub(crate) commands: Mutex<Commands<Window>>,
    pub(crate) answers: Answers<Window>,
}

impl Session {
    pub(crate) fn open(name: Name) -> Option<Self> {
        let local = Local::open(name).ok()?;
        let slice = Slice::new(local.slice().clone(), &SESSION).ok()?;
        Some(Self {
            commands: Mutex::new(Commands::new(slice.clone())),
            answers: Answers::new(slice),
            local,
        })
    }

    pub(crate) fn wait<T>(&self, ready: impl FnMut() -> Option<T>) -> Result<T, Stopped> {
        let waited = self.answers.wait(&self.local, SpinFor::GUEST, ready);
        waited.map_err(|_| Stopped)
    }

    /// Sends a message; a slot for each thread that does.
    pub(crate) fn push(
        &self,
        op: u16,
        slot: Option<u8>,
        message: &[u64],
        data: &[u8],
    ) -> Result<u32, Stopped> {
        let (flags, aux) = (0, data.len() as u32);
        let command = Command { op, flags, aux };
        self.wait(|| {
            let mut commands = self.commands.lock().unwrap();
            let sent = match slot {
                None => commands.send(command, message, data, &self.local),
                Some(slot) => commands.call(command, slot, message, data, &self.local),
            };
            (sent != Err(PushError::Full)).then_some(sent)
        })?
        .map_err(|_| Stopped)
    }

    /// Greets, and loads the module.
    pub(crate) fn begin(&self) -> Result<(), Stopped> {
        let client = Client(Thread(self, 0));
        client.hello(0, ARENA_PIECE as u64, 1 << 40, 1 << 36)?;
        let place = ARENA_PIECE as u64;
        let written = self
            .answers
            .slice()
            .arena_write(ARENA_PIECE, PTX.as_bytes());
        assert!(written);
        client.module_load(MODULE, 0, place, PTX.len() as u64)?;
        Ok(())
    }
}

/// A thread of the program, with its reply slot.
#[derive(Clone, Copy)]
pub(crate) struct Thread<'a>(pub(crate) &'a Session, pub(crate) u8);

impl Caller for Thread<'_> {
    type Error = Stopped;

    fn send<const N: usize>(
        &self,
        op: u16,
        message: &[u64; N],
        data: &[u8],
    ) -> Result<(), Stopped> {
        self.0.push(op, None, message, data).map(drop)
    }

    fn call<const N: usize, const M: usize>(
        &self,
        op: u16,
        message: &[u64; N],
        data: &[u8],
    ) -> Result<[u64; M], Stopped> {
        let seq = self.0.push(op, Some(self.1), message, data)?;
        let reply = self.0.wait(|| self.0.answers.poll_first(self.1, seq))?;
        match reply.status {
            0 => Ok(reply.words),
            _ => Err(Stopped),
        }
    }
}

pub(crate) fn launch(thread: Thread<'_>, count: u32) -> Result<(), Stopped> {
    let parameters = count.to_le_bytes();
    Client(thread).launch(MODULE, 0, 1, 1, 1, 32, 1, 1, 0, 0, &parameters)
}
