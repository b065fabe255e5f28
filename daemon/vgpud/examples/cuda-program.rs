//! A program for tests: it sends its worker what a CUDA program's library would.
//!
//!     cuda-program steps       says each step of a session's life
//!     cuda-program idle        calls from some threads, and then does nothing
//!     cuda-program beside N    uses a session, while N others of its kind are hostile

#[path = "hostile/mod.rs"]
mod hostile;

use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::Duration;

use vgpu_cuda_wire::{Caller, Client, Words, words};
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
const MODULE: u64 = 0x100;

/// The worker has ended, or refuses.
#[derive(Debug)]
struct Stopped;

struct Session {
    local: Local,
    commands: Mutex<Commands<Window>>,
    answers: Answers<Window>,
}

impl Session {
    fn open(name: Name) -> Option<Self> {
        let local = Local::open(name).ok()?;
        let slice = Slice::new(local.slice().clone(), &SESSION).ok()?;
        Some(Self {
            commands: Mutex::new(Commands::new(slice.clone())),
            answers: Answers::new(slice),
            local,
        })
    }

    fn wait<T>(&self, ready: impl FnMut() -> Option<T>) -> Result<T, Stopped> {
        let waited = self.answers.wait(&self.local, SpinFor::GUEST, ready);
        waited.map_err(|_| Stopped)
    }

    /// Sends a message; a slot for each thread that does.
    fn push(&self, op: u16, slot: Option<u8>, message: &[u8], data: &[u8]) -> Result<u32, Stopped> {
        let (flags, aux) = (0, 0);
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
    fn begin(&self) -> Result<(), Stopped> {
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
struct Thread<'a>(&'a Session, u8);

impl Caller for Thread<'_> {
    type Error = Stopped;

    fn send(&self, op: u16, message: &[u8], data: &[u8]) -> Result<(), Stopped> {
        self.0.push(op, None, message, data).map(drop)
    }

    fn call(&self, op: u16, message: &[u8], data: &[u8]) -> Result<Words, Stopped> {
        let seq = self.0.push(op, Some(self.1), message, data)?;
        let reply = self.0.wait(|| self.0.answers.poll(self.1, seq))?;
        match reply.status {
            0 => Ok(words(reply.inline())),
            _ => Err(Stopped),
        }
    }
}

fn launch(thread: Thread<'_>, count: u32) -> Result<(), Stopped> {
    let parameters = count.to_le_bytes();
    Client(thread).launch(MODULE, 0, 1, 1, 1, 32, 1, 1, 0, 0, &parameters)
}

/// A session's whole life, at each step of which somebody may be killed.
fn steps(name: Name) -> Option<()> {
    println!("started {name}");
    let session = Session::open(name)?;
    println!("open");
    session.begin().ok()?;
    println!("loaded");
    let region = session.local.add_region(1 << 20).ok()?;
    let thread = Thread(&session, 0);
    let pointer = Client(thread).memory_allocate(1 << 20).ok()?;
    println!("launching");
    for _ in 0..8 {
        launch(thread, 1000).ok()?;
        Client(thread)
            .write_from(pointer, 0, region.id, 0, 1 << 20)
            .ok()?;
        Client(thread).synchronize().ok()?;
    }
    println!("ending");
    session.local.remove_region(region.id).ok()?;
    Some(())
}

/// Threads that have all called, and then wait for something else.
fn idle(name: Name) -> Option<()> {
    let session = Session::open(name)?;
    session.begin().ok()?;
    let called = Barrier::new(5);
    thread::scope(|scope| {
        for slot in 0..4 {
            let (called, session) = (&called, &session);
            scope.spawn(move || {
                let thread = Thread(session, slot);
                launch(thread, 1000).unwrap();
                Client(thread).synchronize().unwrap();
                called.wait();
                thread::sleep(Duration::from_secs(3600));
            });
        }
        called.wait();
        println!("idle");
    });
    Some(())
}

fn main() {
    let name = Name::from_environment().unwrap().unwrap();
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["steps"] => steps(name),
        ["idle"] => idle(name),
        ["beside", count] => hostile::beside(name, count),
        ["hostile", count] => hostile::sessions(name, count.parse().unwrap()),
        _ => panic!("{words:?}"),
    };
    std::process::exit(if done.is_some() { 0 } else { 3 });
}
