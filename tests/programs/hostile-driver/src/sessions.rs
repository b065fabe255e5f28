//! What programs would send, if they were hostile: in the form of a CUDA session's messages, most of them without sense, and
//! kernels that keep the engine busy, in slices that another thread writes to meanwhile.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use vgpu_cuda_wire::{Caller, Client, OPERATIONS};
use vgpu_direct::{Channel, Device};
use vgpu_ring::Memory;
use vgpu_ring::layout::{
    ARENA, ARENA_PIECE, COMMAND_HEAD, COMMAND_RING, COMMAND_SIZE, COMMAND_TAIL, HOST_FAULT, LINE,
    NOTICE_HEAD, REPLIES, SLICE_SIZE, SLOTS,
};
use vgpu_terminal::Failure;
use vgpu_window::Window;

/// A kernel that takes a while. The spaces after it are for whole words.
const PTX: &str = "
.version 7.0
.target sm_70
.address_size 64
.visible .entry count() {
    .reg .b32 %r;
    .reg .pred %p;
    mov.u32 %r, 0;
LOOP:
    add.u32 %r, %r, 1;
    setp.lt.u32 %p, %r, 100000;
    @%p bra LOOP;
    ret;
}        ";
/// The module's number.
const MODULE: u64 = 0x100;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// A channel as a program has it.
struct Session<'d>(RefCell<Channel<'d, &'d Device>>);

impl Caller for &Session<'_> {
    type Error = Option<Failure>;

    fn send<const N: usize>(
        &self,
        op: u16,
        message: &[u64; N],
        _: &[u8],
    ) -> Result<(), Self::Error> {
        Ok(self.0.borrow_mut().send(op, message)?)
    }

    fn call<const N: usize, const M: usize>(
        &self,
        op: u16,
        message: &[u64; N],
        _: &[u8],
    ) -> Result<[u64; M], Self::Error> {
        let number = self.0.borrow_mut().call(op, 0, message)?;
        let answer = self.0.borrow().answer_within(PATIENCE, 0, number)?;
        let answer = answer.filter(|it| it.status == 0).ok_or(None)?;
        Ok(*answer.words.first_chunk().expect("no answer is longer"))
    }
}

/// Uses a channel whose slice this is, until it is over.
pub(crate) fn send(ring: Channel<'_, &Device>, slice: &Window, over: &AtomicBool) {
    let session = Session(RefCell::new(ring));
    let begun = begin(&session, slice).is_ok();
    while !over.load(Ordering::Relaxed) {
        if !has_room(slice) {
            session.0.borrow().ring();
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        // Where the session is lost, what is sent goes nowhere.
        if begun && fastrand::u8(0..8) == 0 {
            let _ = Client(&session).launch(MODULE, 0, 4, 1, 1, 32, 1, 1, 0, 0, &[]);
        } else {
            let _ = any(&session);
        }
    }
}

/// Greets, and loads the module.
fn begin(session: &Session<'_>, slice: &Window) -> Result<(), Option<Failure>> {
    let client = Client(session);
    client.hello(0, ARENA_PIECE as u64, 1 << 40, 1 << 36)?;
    let place = &slice.words()[(ARENA + ARENA_PIECE) / 8..];
    let (text, _) = PTX.as_bytes().as_chunks();
    for (to, from) in place.iter().zip(text) {
        to.store(u64::from_le_bytes(*from), Ordering::Relaxed);
    }
    let length = text.as_flattened().len() as u64;
    client.module_load(MODULE, 0, ARENA_PIECE as u64, length)?;
    Ok(())
}

/// Whether less than half of the ring is used, as its indices say.
fn has_room(slice: &Window) -> bool {
    let index = |at: usize| slice.words()[at / 8].load(Ordering::Acquire);
    index(COMMAND_TAIL).wrapping_sub(index(COMMAND_HEAD)) < COMMAND_SIZE as u64 / 2
}

/// Sends something that has the form of a record.
fn any(session: &Session<'_>) -> Result<(), Failure> {
    let (op, _) = OPERATIONS[fastrand::usize(0..OPERATIONS.len())];
    // Most have all that they need; what ends the session comes in time.
    let [few, rare, wild] = [0; 3].map(|_| fastrand::u8(..) == 0);
    let payload: Vec<_> = (0..if few { 2 } else { 16 })
        .map(|_| number(wild))
        .collect();
    let slot = if rare {
        0xfe
    } else {
        fastrand::u8(0..SLOTS as u8)
    };
    session.0.borrow_mut().call(op, slot, &payload).map(drop)
}

/// A number that something may mean: of 32 bits, or any.
fn number(wild: bool) -> u64 {
    match fastrand::u8(0..if wild { 8 } else { 5 }) {
        0 => 0,
        1 => fastrand::u64(0..16),
        2 => MODULE,
        3 => fastrand::u64(0..1 << 20) & !15,
        4 => u64::from(fastrand::u32(..)),
        5 => (1 << 40) + (fastrand::u64(0..1 << 20) & !511),
        6 => u64::MAX - fastrand::u64(0..32),
        _ => fastrand::u64(..),
    }
}

/// Writes to slices what it likes, until it is over. What ends a session at once, an index, is seldom.
pub(crate) fn overwrite(slices: &[Window], over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        for slice in slices {
            let at = match fastrand::u8(..) {
                0 => fastrand::usize(COMMAND_TAIL..NOTICE_HEAD + LINE),
                1..16 => fastrand::usize(COMMAND_TAIL + 2 * LINE..HOST_FAULT + LINE),
                16..64 => REPLIES + fastrand::usize(0..SLOTS * LINE),
                64..128 => COMMAND_RING + fastrand::usize(0..COMMAND_SIZE),
                _ => fastrand::usize(ARENA..SLICE_SIZE),
            };
            slice.words()[at / 8].store(number(true), Ordering::Relaxed);
        }
        if fastrand::u8(0..16) == 0 {
            thread::yield_now();
        }
    }
}
