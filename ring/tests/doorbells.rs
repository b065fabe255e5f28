//! How often the host is rung: once each time that it sleeps, however much is sent until it runs.

mod common;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};

use common::LAYOUT;
use vgpu_ring::guest::{Command, Commands};
use vgpu_ring::host::Host;
use vgpu_ring::wait::Looks;
use vgpu_ring::{Next, Park, Record, Slice, Wake};
use zerocopy::FromZeros;

/// Records that are sent until the host, which was rung at the first, runs.
const BURST: u32 = 20;
const SLEEPS: u32 = if cfg!(miri) { 5 } else { 1000 };

const COMMAND: Command = Command {
    op: 1,
    flags: 0,
    aux: 0,
};

/// Counts its rings.
#[derive(Default)]
struct Bell(Cell<u32>);

impl Wake for Bell {
    fn wake(&self) {
        self.0.set(self.0.get() + 1);
    }
}

fn memory() -> Vec<AtomicU64> {
    AtomicU64::new_vec_zeroed((LAYOUT.arena + 4096) / 8).unwrap()
}

/// A host that is slow to wake up: while it sleeps, the guest goes on.
struct SlowToWake<'a> {
    commands: RefCell<Commands<&'a [AtomicU64]>>,
    bell: Bell,
    sleeps: Cell<u32>,
}

impl SlowToWake<'_> {
    fn send(&self) {
        let mut commands = self.commands.borrow_mut();
        commands.send(COMMAND, &[], &[], &self.bell).unwrap();
    }
}

impl Park for SlowToWake<'_> {
    type Ticket = ();
    type Lost = Infallible;

    fn ticket(&self) {}

    fn park(&self, (): ()) -> Result<(), Infallible> {
        self.sleeps.set(self.sleeps.get() + 1);
        for _ in 0..BURST {
            self.send();
        }
        Ok(())
    }
}

fn drain(host: &mut Host<&[AtomicU64], &Bell>, record: &mut Record) -> u32 {
    let mut taken = 0;
    while host.next(record) == Ok(Next::Record) {
        taken += 1;
    }
    taken
}

#[test]
fn a_host_is_rung_once_each_time_that_it_sleeps() {
    let memory = memory();
    let slice = Slice::new(memory.as_slice(), &LAYOUT).unwrap();
    let guest = Bell::default();
    let mut host = Host::new(slice, &guest);
    let slow = SlowToWake {
        commands: RefCell::new(Commands::new(slice)),
        bell: Bell::default(),
        sleeps: Cell::default(),
    };
    let mut record = Record::boxed();
    for sleep in 1..=SLEEPS {
        let Ok(()) = host.wait(&slow, Looks(0));
        // While it runs it need not be rung.
        slow.send();
        assert_eq!(drain(&mut host, &mut record), BURST + 1);
        assert_eq!((slow.sleeps.get(), slow.bell.0.get()), (sleep, sleep));
    }
}

/// One that sleeps on although it was rung, such as by what came in the middle of its falling asleep.
#[test]
fn a_host_that_sleeps_again_is_rung_again() {
    let memory = memory();
    let slice = Slice::new(memory.as_slice(), &LAYOUT).unwrap();
    let bell = Bell::default();
    let mut commands = Commands::new(slice);
    let mut send = || commands.send(COMMAND, &[], &[], &bell).unwrap();
    let parked = &memory[LAYOUT.parked / 8];
    let mut rung = 0;
    // Also where the count of its sleeps goes round.
    for time in [1, 2, 3, u32::MAX, 1, 2] {
        parked.store(u64::from(time) << 32 | 1, Ordering::SeqCst);
        send();
        rung += 1;
        for _ in 0..3 {
            send();
        }
        assert_eq!(bell.0.get(), rung, "{time}");
    }
    // Awake in between, with whatever count after that.
    parked.store(2 << 32, Ordering::SeqCst);
    send();
    parked.store(2 << 32 | 1, Ordering::SeqCst);
    send();
    assert_eq!(bell.0.get(), rung + 1);
}

#[test]
fn a_host_that_does_not_count_is_rung_each_time() {
    let memory = memory();
    let slice = Slice::new(memory.as_slice(), &LAYOUT).unwrap();
    let bell = Bell::default();
    let mut commands = Commands::new(slice);
    memory[LAYOUT.parked / 8].store(1, Ordering::SeqCst);
    for rung in 1..5 {
        commands.send(COMMAND, &[], &[], &bell).unwrap();
        assert_eq!(bell.0.get(), rung);
    }
}
