//! A session that asks what its device is, and does nothing with it.

use std::cell::RefCell;

use uuid::Uuid;
use vgpu_cuda_wire::{CUresult, Caller, Client, Hello};
use vgpu_ring::guest::{Answers, Command, Commands};
use vgpu_ring::layout::{ARENA_PIECE, SESSION};
use vgpu_ring::{NO_SLOT, Slice};
use vgpu_terminal::Failure;
use vgpu_transport::attachment::Attachment;
use vgpu_transport::{SpinFor, Transport};
use vgpu_window::Window;
use zerocopy::FromBytes;

/// Addresses that are said to be kept free for device memory. None of it is ever allocated.
const ADDRESSES: (u64, u64) = (1 << 40, 1 << 40);

/// What the host says of its device.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Its name, without what a terminal would act upon.
    pub(super) name: String,
    /// As programs of this machine see it.
    pub(super) uuid: Uuid,
    /// Bytes that this machine's programs may have,
    pub(super) memory: u64,
    /// and have, as `cuMemGetInfo` counts them.
    pub(super) memory_used: u64,
}

/// Asks.
///
/// # Errors
/// The session is lost, or the host answers with an error.
pub(super) fn ask(transport: &Attachment) -> Result<Told, Failure> {
    let failed = |what: &str| {
        Failure::new(
            format!("the host gave a session, and {what}"),
            "see the log of vgpud on the host",
        )
    };
    let slice = Slice::new(transport.slice().clone(), &SESSION);
    let slice = slice.map_err(|_| failed("its memory is too small"))?;
    let session = Session {
        transport,
        commands: RefCell::new(Commands::new(slice.clone())),
        answers: Answers::new(slice.clone()),
    };
    let client = Client(&session);
    let error = |result: CUresult| failed(&format!("then the error {}", result.0));
    let (base, size) = ADDRESSES;
    let length = client.hello(0, ARENA_PIECE as u64, base, size);
    let length = length.map_err(error)?;
    let mut bytes = vec![0; size_of::<Hello>()];
    // A worker of another version says more, or less: what both know counts.
    let length = bytes
        .len()
        .min(usize::try_from(length).unwrap_or(usize::MAX));
    let read = slice.arena_read(0, &mut bytes[..length]);
    let hello = Hello::read_from_bytes(&bytes).ok().filter(|_| read);
    let hello = hello.ok_or_else(|| failed("does not say what the device is"))?;
    Ok(told(&hello, client.memory_info().map_err(error)?))
}

/// What that says; `free` and `total` are in bytes.
fn told(hello: &Hello, (free, total): (u64, u64)) -> Told {
    let name = hello.name.split(|byte| *byte == 0).next();
    let name = String::from_utf8_lossy(name.unwrap_or_default());
    Told {
        name: name.chars().filter(|it| !it.is_control()).collect(),
        uuid: Uuid::from_bytes(hello.uuid),
        memory: total,
        memory_used: total.saturating_sub(free),
    }
}

struct Session<'a> {
    transport: &'a Attachment,
    commands: RefCell<Commands<Window>>,
    answers: Answers<Window>,
}

impl Session<'_> {
    /// Sends what there is always room for: one message at a time.
    fn push(&self, op: u16, slot: u8, message: &[u64], data: &[u8]) -> Result<u32, CUresult> {
        let command = Command {
            op,
            flags: 0,
            aux: data.len() as u32,
        };
        let mut commands = self.commands.borrow_mut();
        let pushed = commands.call(command, slot, message, data, self.transport);
        pushed.map_err(|_| CUresult::CUDA_ERROR_UNKNOWN)
    }
}

impl Caller for &Session<'_> {
    type Error = CUresult;

    fn send<const N: usize>(
        &self,
        op: u16,
        message: &[u64; N],
        data: &[u8],
    ) -> Result<(), CUresult> {
        self.push(op, NO_SLOT, message, data).map(drop)
    }

    fn call<const N: usize, const M: usize>(
        &self,
        op: u16,
        message: &[u64; N],
        data: &[u8],
    ) -> Result<[u64; M], CUresult> {
        const SLOT: u8 = 0;
        let seq = self.push(op, SLOT, message, data)?;
        let ready = || self.answers.poll_first(SLOT, seq);
        let reply = self.answers.wait(self.transport, SpinFor::GUEST, ready);
        let reply = reply.map_err(|_| CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE)?;
        match reply.status {
            0 => Ok(reply.words),
            status => Err(CUresult(status.cast_unsigned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(name: &[u8]) -> Hello {
        let mut hello = Hello::unknown();
        hello.name[..name.len()].copy_from_slice(name);
        hello
    }

    #[test]
    fn used_memory_is_what_is_not_free() {
        let used = |info| told(&hello(b""), info).memory_used;
        assert_eq!(used((512, 2048)), 1536);
        assert_eq!(used((2048, 2048)), 0);
        // A host may say anything.
        assert_eq!(used((4096, 2048)), 0);
    }

    #[test]
    fn a_name_does_nothing_to_the_terminal() {
        let name = |name| told(&hello(name), (0, 0)).name;
        assert_eq!(name(b"vgpu \x1b[2Jprocessors\n"), "vgpu [2Jprocessors");
        assert_eq!(name(&[b'x'; 128]), "x".repeat(128));
    }
}
