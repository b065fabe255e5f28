//! Records as calls make them, put into memory of this process alone.

use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use vgpu_cuda_wire::{Caller, Client};
use vgpu_ring::guest::{Command, Commands};
use vgpu_ring::host::Host;
use vgpu_ring::layout::{ARENA, SESSION};
use vgpu_ring::{Next, PushError, Record, Slice, Wake};

use crate::cuda::{BYTES, PARAMETERS};

/// Wakes nobody: there is nobody who sleeps.
#[derive(Clone, Debug)]
struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

/// Memory of this process.
type OwnWords = &'static [AtomicU64];

/// A ring in memory of this process, whose other half it is too.
pub(crate) struct Private {
    commands: Mutex<Commands<OwnWords>>,
    host: Mutex<Host<OwnWords, Nobody>>,
}

impl Private {
    pub(crate) fn new() -> Self {
        let words: Vec<_> = (0..ARENA / 8).map(|_| AtomicU64::new(0)).collect();
        let slice = Slice::new(&*words.leak(), &SESSION).unwrap();
        Self {
            commands: Mutex::new(Commands::new(slice)),
            host: Mutex::new(Host::new(slice, Nobody)),
        }
    }

    pub(crate) fn launch(&self, buffer: u64, count: u32) {
        let mut block = [0; PARAMETERS];
        for (place, pointer) in block.chunks_mut(8).zip(black_box([buffer; 3])) {
            place.copy_from_slice(&pointer.to_le_bytes()[..place.len()]);
        }
        block[PARAMETERS - 4..].copy_from_slice(&black_box(count).to_le_bytes());
        let [module, stream] = black_box([1, 0]);
        let sent = Client(self).launch(module, 0, 1, 1, 1, 32, 1, 1, 0, stream, &block);
        sent.unwrap();
    }

    pub(crate) fn fill(&self, buffer: u64) {
        let [to, count] = black_box([buffer, BYTES as u64 / 4]);
        Client(self).fill(to, 7, 4, count, 0).unwrap();
    }

    /// Makes room, as a worker does meanwhile.
    pub(crate) fn drain(&self) {
        let (mut host, mut record) = (self.host.lock().unwrap(), Record::boxed());
        while host.next(&mut record).unwrap() == Next::Record {}
    }
}

impl Caller for &Private {
    type Error = PushError;

    #[inline]
    fn send<const N: usize>(
        &self,
        op: u16,
        message: &[u64; N],
        data: &[u8],
    ) -> Result<(), PushError> {
        let (flags, aux) = (0, data.len() as u32);
        let mut commands = self.commands.lock().unwrap();
        commands.send(Command { op, flags, aux }, message, data, &Nobody)?;
        Ok(())
    }

    fn call<const N: usize, const M: usize>(
        &self,
        _: u16,
        _: &[u64; N],
        _: &[u8],
    ) -> Result<[u64; M], PushError> {
        Err(PushError::TooLong)
    }
}
