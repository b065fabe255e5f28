//! Both ends of a gate, in one process.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use vgpu_gate::message::{BACK, Message, WANT};
use vgpu_gate::{Breach, Count, Gate, Heard, Seat, Series, now};
use vgpu_ledger::{Kind, Ledger};
use vgpu_window::Window;

struct Pair {
    seat: Seat,
    gate: Gate,
    ledger: Ledger<Window>,
}

fn ends() -> (Seat, OwnedFd, Ledger<Window>) {
    let (file, window) = Window::create(8192).unwrap();
    let (seat, theirs) = Seat::open(file.as_fd(), 3).unwrap();
    (seat, theirs, Ledger::new(window).unwrap())
}

fn pair() -> Pair {
    let (seat, theirs, ledger) = ends();
    let gate = Gate::connect(theirs).unwrap();
    Pair { seat, gate, ledger }
}

/// What the worker says next.
fn heard(seat: &mut Seat) -> Heard {
    let start = Instant::now();
    loop {
        if let Some(heard) = seat.hear().unwrap() {
            return heard;
        }
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "nothing is heard"
        );
        thread::sleep(Duration::from_micros(100));
    }
}

/// Grants what is asked for in some way, while the worker does something.
fn granting<T: Send>(
    pair: &mut Pair,
    asked: Heard,
    lease: (u64, u64, bool),
    act: impl FnOnce(&mut Gate) -> T + Send,
) -> T {
    let (gate, seat) = (&mut pair.gate, &mut pair.seat);
    thread::scope(|scope| {
        let acting = scope.spawn(|| act(gate));
        assert_eq!(heard(seat), asked);
        let (number, time, open) = lease;
        seat.grant(number, time, open).unwrap();
        acting.join().unwrap()
    })
}

#[test]
fn an_open_lease_takes_no_message_until_it_is_recalled() {
    let mut pair = pair();
    granting(&mut pair, Heard::Wants, (1, 1000, true), |gate| {
        for _ in 0..1000 {
            let pass = gate.enter(1_000_000).unwrap();
            gate.leave(&pass);
        }
        gate.rest().unwrap();
    });
    assert_eq!(pair.seat.hear(), Ok(None));
    // It does not work: the lease is back at once.
    assert!(pair.seat.recall());
    assert!(!pair.seat.recall(), "it has none");
    granting(&mut pair, Heard::Wants, (2, 1000, true), |gate| {
        drop(gate.enter(1));
    });
    // It works: it says so when it has done.
    assert!(!pair.seat.recall());
    assert_eq!(pair.seat.hear(), Ok(None));
}

#[test]
fn a_lease_that_is_recalled_comes_back_after_what_is_done() {
    let mut pair = pair();
    let pass = granting(&mut pair, Heard::Wants, (1, 1000, true), |gate| {
        gate.enter(1).unwrap()
    });
    assert!(pair.seat.page().busy_since().unwrap() <= now());
    assert!(!pair.seat.recall());
    pair.gate.leave(&pass);
    assert_eq!(pair.seat.page().busy_since(), None);
    pair.gate.rest().unwrap();
    assert_eq!(pair.seat.hear(), Ok(Some(Heard::Back)));
}

#[test]
fn a_lease_that_is_used_up_comes_back() {
    let mut pair = pair();
    let (time, short) = (5_000_000, 1_000_000);
    let pass = granting(&mut pair, Heard::Wants, (1, time, false), |gate| {
        gate.enter(short).unwrap()
    });
    thread::sleep(Duration::from_millis(1));
    pair.gate.leave(&pass);
    assert_eq!(pair.seat.hear(), Ok(None));
    // What would not end in time waits for the next; what is long goes all the same, where nothing went before.
    let pass = granting(&mut pair, Heard::Again, (2, time, false), |gate| {
        gate.enter(2 * time).unwrap()
    });
    thread::sleep(Duration::from_millis(6));
    pair.gate.leave(&pass);
    pair.gate.rest().unwrap();
    assert_eq!(heard(&mut pair.seat), Heard::Back);
    let page = pair.seat.page();
    assert_eq!(
        (page.count(Count::Waits), page.times(Series::Wait).count()),
        (2, 2)
    );
    assert!(page.count(Count::EngineTime) >= 7_000_000);
    assert!(page.times(Series::Latency).percentile(99).unwrap() >= 6_000_000);
}

#[test]
fn who_rests_gives_a_lease_back_that_others_wait_for() {
    let mut pair = pair();
    granting(&mut pair, Heard::Wants, (1, 1_000_000_000, false), |gate| {
        let pass = gate.enter(1).unwrap();
        gate.leave(&pass);
        gate.rest().unwrap();
        gate.rest().unwrap();
    });
    assert_eq!(pair.seat.hear(), Ok(Some(Heard::Back)));
    assert_eq!(pair.seat.hear(), Ok(None));
    drop(pair.gate);
    assert_eq!(pair.seat.hear(), Ok(Some(Heard::Gone)));
    assert!(pair.seat.readable().is_none());
}

#[test]
fn a_daemon_that_is_gone_is_an_error() {
    let mut pair = pair();
    drop(pair.seat);
    assert!(pair.gate.enter(1).is_err());
}

#[test]
fn a_worker_that_breaks_the_order_is_told_apart() {
    let message = |kind, number| Message {
        kind,
        number,
        ..Message::default()
    };
    let said = |seat: &mut Seat, theirs: &OwnedFd, kind, number| {
        vgpu_packet::send(theirs, &message(kind, number), &[]).unwrap();
        seat.hear()
    };
    for (before, kind, number) in [
        (&[][..], BACK, 0),
        (&[], BACK, 1),
        (&[], 0, 0),
        (&[], 3, 0),
        (&[], u32::MAX, 0),
        (&[WANT], WANT, 0),
        (&[WANT], BACK, 0),
    ] {
        let (mut seat, theirs, _) = ends();
        for kind in before {
            assert!(said(&mut seat, &theirs, *kind, 0).is_ok());
        }
        assert_eq!(
            said(&mut seat, &theirs, kind, number),
            Err(Breach),
            "{before:?} {kind}"
        );
    }
    let (mut seat, theirs, _) = ends();
    assert_eq!(said(&mut seat, &theirs, WANT, 0), Ok(Some(Heard::Wants)));
    seat.grant(7, 1, true).unwrap();
    assert_eq!(seat.grant(8, 1, true), Err(Breach), "it has one");
    assert_eq!(said(&mut seat, &theirs, WANT, 0), Err(Breach));
    assert!(seat.recall());
    assert_eq!(
        said(&mut seat, &theirs, BACK, 7),
        Ok(None),
        "it did not know"
    );
    assert_eq!(said(&mut seat, &theirs, BACK, 7), Err(Breach), "once");
    vgpu_packet::send(&theirs, &7_u64, &[]).unwrap();
    assert_eq!(seat.hear(), Err(Breach), "of another size");
}

/// A daemon that takes a lease back while the worker begins: never do both believe that it is theirs.
#[test]
fn both_ends_agree_on_whose_a_lease_is() {
    let rounds = 300;
    let mut pair = pair();
    let (gate, seat) = (&mut pair.gate, &mut pair.seat);
    // What the worker's engine is doing, and for whom the daemon has given the engine away.
    let (working, given) = (AtomicBool::new(false), AtomicU64::new(0));
    let both = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                let Ok(pass) = gate.enter(1) else { return };
                working.store(true, Ordering::SeqCst);
                both.fetch_add(given.load(Ordering::SeqCst), Ordering::SeqCst);
                working.store(false, Ordering::SeqCst);
                gate.leave(&pass);
            }
        });
        let mut again = false;
        for number in 1..=rounds {
            while !again && heard(seat) != Heard::Wants {}
            given.store(0, Ordering::SeqCst);
            seat.grant(number, 1, true).unwrap();
            thread::sleep(Duration::from_micros(number % 70));
            again = !seat.recall();
            if again {
                assert_eq!(heard(seat), Heard::Again);
            }
            given.store(1, Ordering::SeqCst);
            both.fetch_add(u64::from(working.load(Ordering::SeqCst)), Ordering::SeqCst);
        }
        stop.store(true, Ordering::SeqCst);
        while !worker.is_finished() {
            if again || seat.hear() == Ok(Some(Heard::Wants)) {
                again = false;
                given.store(0, Ordering::SeqCst);
                seat.grant(rounds + 1, 1, true).unwrap();
            }
        }
    });
    assert_eq!(both.load(Ordering::SeqCst), 0);
}

#[test]
fn the_ledger_is_the_machines() {
    let pair = pair();
    pair.ledger.set_quota(Kind::Device, 100);
    pair.gate
        .place()
        .reserve(Kind::Device, 30)
        .unwrap()
        .commit();
    assert_eq!(pair.ledger.used_by(Kind::Device, 3), 30);
    assert!(pair.gate.place().reserve(Kind::Device, 71).is_err());
}

#[test]
fn a_worker_that_outlives_its_daemon_works_without_leases_until_there_is_another() {
    let Pair {
        mut seat,
        mut gate,
        ledger,
    } = pair();
    ledger.set_quota(Kind::Device, 100);
    gate.outlive();
    // It waits for a lease as the daemon dies.
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let pass = gate.enter(1).unwrap();
            gate.leave(&pass);
        });
        assert_eq!(heard(&mut seat), Heard::Wants);
        drop(seat);
        waiting.join().unwrap();
    });
    for _ in 0..3 {
        let pass = gate.enter(u64::MAX).unwrap();
        gate.leave(&pass);
        gate.rest().unwrap();
    }
    gate.place().reserve(Kind::Device, 77).unwrap().commit();

    // Another comes while it does not work: it asks as ever.
    let (mut seat, theirs, ledger) = ends();
    gate.reconnect(theirs).unwrap();
    assert_eq!(ledger.used_by(Kind::Device, 3), 77);
    assert_eq!(seat.hear(), Ok(None));
    let mut pair = Pair { seat, gate, ledger };
    granting(&mut pair, Heard::Wants, (1, 1000, false), |gate| {
        let pass = gate.enter(1).unwrap();
        gate.leave(&pass);
    });

    // One with a lease does not hear of the end until the lease is; then it is without.
    drop(std::mem::replace(&mut pair.seat, ends().0));
    let Pair { mut gate, .. } = pair;
    thread::sleep(Duration::from_millis(1));
    let pass = gate.enter(u64::MAX).unwrap();
    // Another comes while it works: it knows since when, and is asked for a lease.
    let began = now();
    let (mut seat, theirs, ledger) = ends();
    gate.reconnect(theirs).unwrap();
    assert_eq!(ledger.used_by(Kind::Device, 3), 77);
    assert!(seat.page().busy_since().is_some_and(|since| since <= began));
    assert_eq!(heard(&mut seat), Heard::Wants);
    seat.grant(1, 1000, true).unwrap();
    assert!(!seat.recall(), "it works");
    gate.leave(&pass);
    assert!(seat.page().busy_since().is_none());
    let mut pair = Pair { seat, gate, ledger };
    // That lease is wanted back: it asks for the next one.
    granting(&mut pair, Heard::Again, (2, 1000, true), |gate| {
        let pass = gate.enter(1).unwrap();
        gate.leave(&pass);
    });
}
